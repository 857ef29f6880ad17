"""What pieces of work cost: time, taken in turns; arithmetic; memory."""

from collections.abc import Callable, Iterable
from typing import Any, Optional

import torch
from torch import Tensor
from torch.utils.benchmark import Timer

from dpk_mm.utils.clock import clock

# Gets everything ready and gives the work itself; only the work is measured.
Task = Callable[[], Callable[[], Any]]


def take_turns(
    tasks: dict[str, Task], rounds: int, timer: Optional[Callable[[], float]] = None
) -> dict[str, list[float]]:
    """Time tasks in turns, so that a change in the machine's speed meets all of them.

    In each turn torch's :class:`~torch.utils.benchmark.Timer` runs a task three times and times the last run.

    Args:
        tasks (dict[str, Task]): By name, in the order of their turns.
        rounds (int): How often each is timed.
        timer (Callable, optional): Gives seconds. Defaults to :func:`dpk_mm.utils.clock.clock`.

    Returns:
        dict[str, list[float]]: Name -> seconds, one value a round.
    """
    timers = {
        name: Timer(
            'work()',
            'work = prepare()',
            timer=timer or clock,
            globals=dict(prepare=prepare),
            num_threads=torch.get_num_threads(),
        )
        for name, prepare in tasks.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, one in timers.items():
            seconds[name] += one.timeit(1).times
    return seconds


def count_flops(work: Callable[[], Any]) -> int:
    """Count what the matrix products, convolutions and attention of a piece of work compute.

    One multiplication and addition are two operations; forward and backward count. Elementwise operators
    count nothing, and neither do operators that torch does not know, such as mmcv's.

    Args:
        work (Callable): Is done once.

    Returns:
        int: Floating-point operations.
    """
    # not in torch 2.0
    from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

    def forward(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
        return sdpa_flop_count(query, key, value)

    def backward(grad: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
        return sdpa_backward_flop_count(grad, query, key, value)

    # torch counts the fused attention of GPUs alone; before 2.2 it has none for CPUs
    name, aten = '_scaled_dot_product_flash_attention_for_cpu', torch.ops.aten
    formulas = {name: forward, f'{name}_backward': backward}
    known = {getattr(aten, name): formula for name, formula in formulas.items() if hasattr(aten, name)}
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        work()
    return counter.get_total_flops()


def peak_memory(task: Task, own: int) -> int:
    """Measure how much memory of the current GPU a task needs, as if nothing else were there.

    Args:
        task (Task): The task, which has run before.
        own (int): Bytes of the task's weights and optimizer states. All else that is on the GPU when the
            task begins does not count.

    Returns:
        int: Bytes.
    """
    others = torch.cuda.memory_allocated() - own
    work = task()
    torch.cuda.reset_peak_memory_stats()
    work()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated() - others


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Sum up the memory of tensors; memory that several share counts once, as it does in a checkpoint.

    Args:
        tensors (Iterable[Tensor]): Tensors of any shapes.

    Returns:
        int: Bytes.
    """
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    return sum(storage.nbytes() for storage in storages.values())
