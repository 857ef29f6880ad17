import pytest
import torch

from dpk_mm.models import RandomMask, TeacherActivityMask


@pytest.mark.parametrize('patch_size, tokens', [(1, 48), (2, 12)])
def test_random_scores_are_one_a_token(patch_size, tokens):
    scores = RandomMask()(torch.rand(3, 5, 6, 8), patch_size)
    assert scores.shape == (3, tokens) and scores.dtype == torch.float32


def test_random_scores_differ_by_sample_and_step_and_follow_the_generator():
    feat = torch.rand(2, 5, 6, 8)
    first = RandomMask()(feat, 1, torch.Generator().manual_seed(0))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, RandomMask()(feat, 1, torch.Generator().manual_seed(1)))
    assert torch.equal(first, RandomMask()(feat + 1, 1, torch.Generator().manual_seed(0)))


def test_every_token_is_as_likely_as_every_other():
    scores = RandomMask()(torch.rand(4000, 1, 2, 4), 1, torch.Generator().manual_seed(0))
    taken = torch.zeros(4000, 8).scatter_(1, scores.argsort(dim=1)[:, :2], 1).mean(dim=0)
    torch.testing.assert_close(taken, torch.full((8,), 0.25), atol=0.03, rtol=0)


@pytest.mark.parametrize('patch_size', [1, 2])
def test_activity_scores_rank_the_channel_sums(patch_size):
    feat = torch.randn(2, 3, 4, 6)
    scores = TeacherActivityMask()(feat, patch_size)
    p = patch_size
    for b in range(2):
        sums = [feat[b, :, i : i + p, j : j + p].sum().item() for i in range(0, 4, p) for j in range(0, 6, p)]
        assert scores[b].argsort().tolist() == torch.tensor(sums).argsort().tolist()


def test_activity_sums_of_half_precision_do_not_overflow():
    feat = torch.full((1, 4, 2, 2), 3e4, dtype=torch.float16)
    assert TeacherActivityMask()(feat, 1).isfinite().all()
