import random
from unittest import mock

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub

from dpk_mm.utils import preserve_random_state, randomness, step_generator


@pytest.fixture(autouse=True)
def hub(request):
    hub = MessageHub.get_instance(request.node.nodeid)
    hub.update_info('seed', 7)
    hub.update_info('iter', 3)
    return hub


def draw(name, rank=0):
    with mock.patch.object(randomness, 'get_rank', lambda: rank):
        return torch.rand(20, generator=step_generator(name))


def states():
    numpy_state = np.random.get_state()
    return (
        torch.get_rng_state().tolist(),
        (numpy_state[0], numpy_state[1].tolist(), *numpy_state[2:]),
        random.getstate(),
    )


def draw_from_all():
    torch.rand(3), np.random.rand(3), random.random()


def test_same_seed_iter_rank_and_name_give_the_same_numbers():
    first = draw('neck_3', rank=1)
    torch.rand(5)
    assert torch.equal(draw('neck_3', rank=1), first)


def test_each_of_the_four_changes_the_numbers(hub):
    drawn = [draw('neck_3', rank=0)]
    drawn.append(draw('neck_2', rank=0))
    drawn.append(draw('neck_3', rank=1))
    hub.update_info('iter', 4)
    drawn.append(draw('neck_3', rank=0))
    hub.update_info('iter', 3)
    hub.update_info('seed', 8)
    drawn.append(draw('neck_3', rank=0))
    for i, a in enumerate(drawn):
        for b in drawn[:i]:
            assert not torch.equal(a, b)


def test_neighbouring_steps_and_ranks_do_not_meet(hub):
    """A sum of seed, iteration and rank would repeat: (iter 4, rank 0) = (iter 3, rank 1)."""
    first_numbers = set()
    for iteration in range(20):
        hub.update_info('iter', iteration)
        for rank in range(8):
            first_numbers.add(draw('a', rank)[0].item())
    assert len(first_numbers) == 160


def test_without_a_run_torchs_seed_is_taken(request):
    MessageHub.get_instance(f'{request.node.nodeid} bare')
    torch.manual_seed(11)
    first = draw('a')
    torch.rand(9)
    assert torch.equal(draw('a'), first)
    torch.manual_seed(12)
    assert not torch.equal(draw('a'), first)


def test_global_generators_are_untouched():
    before = states()
    draw('a')
    assert states() == before


def test_preserve_random_state_restores_all_three():
    before = states()
    with preserve_random_state():
        draw_from_all()
        assert all(a != b for a, b in zip(states(), before))
    assert states() == before


def test_preserve_random_state_restores_after_an_exception():
    before = states()
    with pytest.raises(KeyError):
        with preserve_random_state():
            draw_from_all()
            torch.manual_seed(0)
            raise KeyError
    assert states() == before
