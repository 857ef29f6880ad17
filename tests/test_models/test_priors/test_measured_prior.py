"""Several priors asked at once: the same ratios, one sum over ranks, one transfer to the host."""

import pytest
import torch

from dpk_mm.models import CKAPrior, CosinePrior, FixedPrior, SigmoidCKAPrior, UniformPrior
from dpk_mm.models.priors import measured_prior
from dpk_mm.models.priors.measured_prior import compute_ratios


def maps(seed, batch=5, channels=4):
    generator = torch.Generator().manual_seed(seed)
    teacher = torch.randn(batch, channels, 5, 6, generator=generator)
    return teacher + torch.randn(teacher.shape, generator=generator), teacher


class Halved(CKAPrior):
    """Another ratio than the one that its measurements call for."""

    def ratio(self, student_feat, teacher_feat):
        return super().ratio(student_feat, teacher_feat) / 2


class Slow(CosinePrior):
    """Another way to be called."""

    def __call__(self, student_feat, teacher_feat):
        return 0.1 + 0.5 * super().__call__(student_feat, teacher_feat)


def replaced():
    """A prior of which a user replaced a method."""
    prior = CKAPrior()
    prior.ratio = lambda student_feat, teacher_feat: 0.6
    return prior


def own(student_feat, teacher_feat):
    """A prior of a user's own: any callable."""
    return 0.4


PRIORS = [
    FixedPrior(0.3),
    CKAPrior(sync=False),
    CosinePrior(),
    own,
    SigmoidCKAPrior(),
    UniformPrior(),
    CKAPrior('positions', floor=0.0),
    Halved(floor=0.0),
    Slow(),
    replaced(),
]


@pytest.fixture
def sums(monkeypatch):
    """What is summed over ranks: the others send other numbers, of which a CKA or a cosine is another."""
    calls = []

    def all_reduce(values):
        calls.append(values.clone())
        values.add_(values.abs().sqrt())

    monkeypatch.setattr(measured_prior, 'all_reduce', all_reduce)
    return calls


def test_they_say_together_what_each_says_alone(sums):
    feats = [maps(seed) for seed in range(len(PRIORS))]
    alone = [prior(*pair) for prior, pair in zip(PRIORS, feats)]
    assert len(set(alone)) == len(PRIORS)
    sums.clear()
    together = compute_ratios(PRIORS, feats)
    assert together == alone
    assert all(type(ratio) is float for ratio in together)
    # a cosine and a count, the HSICs of two stages, a draw; those of the stage without sync are its own. The
    # last two, which must be called, go by themselves.
    assert [len(values) for values in sums] == [2 + 3 + 1 + 3, 3, 2]


def test_nothing_is_summed_that_need_not_be(sums):
    assert compute_ratios([], []) == []
    assert compute_ratios([FixedPrior(0.3), own], [maps(0), maps(1)]) == [0.3, 0.4]
    assert compute_ratios([CKAPrior(sync=False)], [maps(0)]) == [CKAPrior(sync=False)(*maps(0))]
    assert not sums


def test_bounds_and_fallback_hold(sums):
    student, teacher = maps(0)
    blank = torch.ones_like(teacher)
    priors = [CKAPrior(fallback=0.7), CKAPrior(floor=0.2), CosinePrior(floor=0.1)]
    assert compute_ratios(priors, [(blank, teacher), (teacher, teacher), (teacher, teacher)]) == [
        0.7,
        0.2,
        0.1,
    ]


def test_nothing_is_measured_with_a_gradient():
    seen = []

    class Watching(CKAPrior):
        def measure(self, *maps):
            seen.append(super().measure(*maps).requires_grad)
            return super().measure(*maps)

    student, teacher = maps(0)
    compute_ratios([Watching()], [(student.requires_grad_(), teacher)])
    assert seen == [False] and torch.is_grad_enabled()
