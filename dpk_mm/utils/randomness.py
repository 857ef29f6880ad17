"""Randomness that neither disturbs upstream's nor is lost on resume."""

import random
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Union

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.logging import MessageHub


def step_generator(name: str, device: Union[str, torch.device] = 'cpu') -> torch.Generator:
    """A generator that is a function of the run's seed, the iteration, the rank and ``name`` alone.

    mmengine saves no random state, so a run that is killed and resumed repeats only what depends on
    nothing else. Seed and iteration are the ones mmengine's ``RuntimeInfoHook`` keeps in the message
    hub. In a training loop of your own, say ``MessageHub.get_current_instance().update_info('iter', i)``
    at every step, or every step draws the same numbers.

    Args:
        name (str): Who draws, e.g. the name of a stage: different names, different numbers.
        device (str or torch.device): Where the numbers are drawn.

    Returns:
        torch.Generator: Freshly seeded; the global generators are not touched.
    """
    hub = MessageHub.get_current_instance()
    seed = hub.get_info('seed')
    entropy = (
        torch.initial_seed() if seed is None else seed,
        hub.get_info('iter', 0),
        get_rank(),
        zlib.crc32(name.encode()),
    )
    mixed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator(device=device).manual_seed(int(mixed))


@contextmanager
def preserve_random_state() -> Iterator[None]:
    """Leave Python's, numpy's and torch's global generators as they were found.

    What the distiller builds beside the student must not move the numbers that the student's own
    initialisation, augmentation and dropout draw: training with zero weights equals plain training.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
