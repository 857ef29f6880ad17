"""What pieces of work cost: time, taken in turns; arithmetic; memory."""

import gc
from collections.abc import Callable, Iterable
from typing import Any, Dict, List, Optional

import torch
from torch import Tensor, nn

from dpk_mm.utils.clock import clock

# Gets everything ready and gives the work itself: what is done before is not measured.
Task = Callable[[], Callable[[], Any]]


def take_turns(
    tasks: Dict[str, Task],
    rounds: int,
    warm_up: int = 1,
    after_round: Optional[Callable[[int], None]] = None,
    timer: Optional[Callable[[], float]] = None,
) -> Dict[str, List[float]]:
    """Time tasks in turns, so that a change in the machine's speed meets all of them.

    Args:
        tasks (dict[str, Task]): By name, in the order of their turns.
        rounds (int): How often each is timed.
        warm_up (int): Rounds before those, whose times are not kept.
        after_round (Callable, optional): Called with the rounds done, those of the warm-up included.
        timer (Callable, optional): Gives seconds. Defaults to :func:`clock`.

    Returns:
        dict[str, list[float]]: Name -> seconds, one value a round.
    """
    timer = timer or clock
    seconds: Dict[str, List[float]] = {name: [] for name in tasks}
    had_collector = gc.isenabled()
    for i in range(warm_up + rounds):
        # as timeit does: where the collector would run is chance
        gc.collect()
        gc.disable()
        try:
            for name, prepare in tasks.items():
                work = prepare()
                begin = timer()
                work()
                end = timer()
                if i >= warm_up:
                    seconds[name].append(end - begin)
        finally:
            if had_collector:
                gc.enable()
        if after_round is not None:
            after_round(i + 1)
    return seconds


def count_flops(work: Callable[[], Any]) -> int:
    """Count what the matrix products, convolutions and attention of a piece of work compute.

    Two for each multiplication and addition, forward and backward. Elementwise work is none, and neither are
    operators that torch does not know, such as mmcv's.

    Args:
        work (Callable): Is done once.

    Returns:
        int: Floating-point operations.
    """
    from torch.utils.flop_counter import FlopCounterMode  # not in torch 2.0

    with FlopCounterMode(display=False, custom_mapping=_cpu_attention()) as counter:
        work()
    return counter.get_total_flops()


def _cpu_attention() -> Dict[Any, Callable[..., int]]:
    """Formulas for the fused attention of CPUs, which torch's counter knows of GPUs alone."""
    from torch.utils.flop_counter import sdpa_backward_flop_count, sdpa_flop_count

    def forward(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
        return sdpa_flop_count(query, key, value)

    def backward(grad: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
        return sdpa_backward_flop_count(grad, query, key, value)

    name, aten = '_scaled_dot_product_flash_attention_for_cpu', torch.ops.aten
    formulas = {name: forward, f'{name}_backward': backward}
    # torch before 2.2 has no such operators, and computes attention by matrix products there
    return {getattr(aten, name): formula for name, formula in formulas.items() if hasattr(aten, name)}


def time_operators(work: Callable[[], Any], device: torch.device) -> Dict[str, float]:
    """Find out which of torch's operators a piece of work spends its time in.

    Args:
        work (Callable): Is done once.
        device (torch.device): Where it runs, and whose time is taken.

    Returns:
        dict[str, float]: Operator -> seconds of its own, without those that it calls; longest first.
    """
    from torch.profiler import ProfilerActivity, profile

    on_gpu = device.type == 'cuda'
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as profiler:
        work()
    # torch before 2.4 calls it by the name of the one device it knew
    kinds = ('self_device_time_total', 'self_cuda_time_total') if on_gpu else ('self_cpu_time_total',)
    seconds = {
        event.key: next(getattr(event, kind) for kind in kinds if hasattr(event, kind)) / 1e6
        for event in profiler.key_averages()
    }
    return dict(sorted(seconds.items(), key=lambda item: -item[1]))


def peak_memory_of(task: Task, own: int, device: torch.device) -> Optional[int]:
    """Measure how much GPU memory a task needs, as if nothing else were there.

    Args:
        task (Task): The task.
        own (int): Bytes of what belongs to it and stays: weights, states of optimizers. All else that is on
            the GPU when it begins is not counted.
        device (torch.device): Where it runs.

    Returns:
        int or None: Bytes; None where that is no GPU.
    """
    if device.type != 'cuda':
        return None
    gc.collect()
    others = torch.cuda.memory_allocated(device) - own
    work = task()
    torch.cuda.reset_peak_memory_stats(device)
    work()
    torch.cuda.synchronize(device)
    return torch.cuda.max_memory_allocated(device) - others


def tensors_in(*models: nn.Module, optimizers: Iterable[torch.optim.Optimizer] = ()) -> int:
    """Sum up the memory of weights, buffers and states of optimizers.

    Args:
        *models (nn.Module): Models.
        optimizers (Iterable[Optimizer]): Optimizers.

    Returns:
        int: Bytes.
    """
    tensors = [tensor for model in models for tensor in (*model.parameters(), *model.buffers())]
    tensors += [
        value
        for optimizer in optimizers
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    return storage_bytes(tensors)


def storage_bytes(tensors: Iterable[Tensor]) -> int:
    """Sum up the memory of tensors; what several share counts once, as it does in a checkpoint.

    Args:
        tensors (Iterable[Tensor]): Tensors of any shapes.

    Returns:
        int: Bytes.
    """
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in tensors}
    return sum(storage.nbytes() for storage in storages.values())
