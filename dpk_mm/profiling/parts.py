"""Which parts of a training step take its time."""

from collections.abc import Iterable
from typing import Any, Optional

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from .cost import Task

OPTIMIZER, OTHER = 'optimizer', 'other'
_PREFIX = 'dpk_mm::'
_BACKWARD = 'autograd::engine::evaluate_function'


def profile_step(step: Task, rounds: int, device: torch.device) -> profile:
    """Run a training step under torch's profiler.

    Args:
        step (Task): The step, which has run before.
        rounds (int): How often it runs.
        device (torch.device): Where it runs.

    Returns:
        torch.profiler.profile: What the profiler saw.
    """
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * (device.type == 'cuda')
    with profile(activities=activities) as profiler:
        for _ in range(rounds):
            work = step()
            with record_function(f'{_PREFIX}{OTHER}'):
                work()
    return profiler


def time_parts(events: Iterable[Any], device: torch.device) -> dict[str, float]:
    """Sum up the time of each part, forward and backward.

    A distiller names its parts by ``torch.profiler.record_function('dpk_mm::<part>')``. An operator belongs
    to the innermost part around it. A backward operator belongs to the part of its forward operator, which
    autograd gave the same sequence number. So every moment counts once, and the parts sum to the whole step.

    Args:
        events (Iterable[FunctionEvent]): ``profiler.events()``, in the order of time.
        device (torch.device): A GPU: count the time of kernels. A CPU: count the time that passes.

    Returns:
        dict[str, float]: Part -> seconds of all rounds: ``teacher``, ``student``, ``prior/<stage>``,
        ``neck/<stage>``, ``adapter/<stage>``, ``loss/<stage>``, ``optimizer`` and ``other``.
    """
    seconds: dict[str, float] = {}
    owners: dict[int, str] = {}  # sequence number -> the part of the forward operator
    for event in events:
        part = _part_of(event, owners)
        if part is None or event.device_type != torch.autograd.DeviceType.CPU:
            continue  # a batch is being prepared, or a kernel, which its operator knows, too
        if event.sequence_nr >= 0 and not event.fwd_thread:
            # an operator that makes no node of the graph leaves its number to the next one
            owners[event.sequence_nr] = part
        if device.type == 'cuda':
            # newer versions of torch list a part itself among its kernels
            spent = sum(kernel.duration for kernel in event.kernels if kernel.name != event.name)
        else:
            spent = event.self_cpu_time_total
        seconds[part] = seconds.get(part, 0.0) + spent / 1e6
    return seconds


def _part_of(event: Any, owners: dict[int, str]) -> Optional[str]:
    """The part that an event belongs to; None for one outside of the step."""
    while event is not None:
        if event.name.startswith(_PREFIX):
            return event.name.removeprefix(_PREFIX)
        if event.name.startswith('Optimizer.'):  # torch's own name for a step and for zero_grad
            return OPTIMIZER
        if event.name.startswith(_BACKWARD):
            return owners.get(event.sequence_nr, OTHER)
        event = event.cpu_parent
    return None
