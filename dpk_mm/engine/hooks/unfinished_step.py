"""The gradients of a step that is not finished: those accumulated when a checkpoint is written."""

from typing import Optional

import torch
from mmengine.dist import all_reduce, all_reduce_params
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor

from dpk_mm.utils.unwrap import unwrap


def unfinished_gradients(runner: Runner) -> Optional[dict[str, Tensor]]:
    """Copy the gradients so far, where the optimizer waits for more of them.

    An epoch may end within a step, and mmengine resumes at the ends of epochs. So the gradients are kept;
    checkpoints could not be written at another time.

    Args:
        runner (Runner): In training; a strategy's runner, which may shard gradients, is passed over.

    Returns:
        dict or None: Parameter's name -> gradient on the CPU, the mean over ranks, which accumulate apart.
        None where no step is unfinished.
    """
    wrapper = runner.optim_wrapper
    if not isinstance(runner, Runner) or getattr(wrapper, '_accumulative_counts', 1) == 1:
        return None
    if wrapper.should_update():
        return None
    parameters = _parameters(runner)
    # a parameter may be without on some ranks alone, and all must reduce the same
    has = torch.tensor([float(p.grad is not None) for _, p in parameters], device=parameters[0][1].device)
    all_reduce(has, op='max')
    named = [(name, p) for (name, p), one in zip(parameters, has.tolist()) if one]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad.detach().clone() for _, p in named]
    all_reduce_params(gradients, op='mean')
    return {name: gradient.cpu() for (name, _), gradient in zip(named, gradients)}


def restore_gradients(runner: Runner, gradients: dict[str, Tensor]) -> None:
    """Go on with the gradients of a checkpoint.

    Args:
        runner (Runner): Before its first step.
        gradients (dict): From :func:`unfinished_gradients`.
    """
    for name, parameter in _parameters(runner):
        if name in gradients:
            parameter.grad = torch.empty_like(parameter).copy_(gradients[name])
    print_log(f'{len(gradients)} gradients of the unfinished step are restored: none is lost.', 'current')


def _parameters(runner: Runner) -> list[tuple[str, Tensor]]:
    """All parameters with their names in checkpoints."""
    model = unwrap(runner.model)
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]
