"""``loss_weight='auto'``: weights of losses that find themselves from gradients (ours)."""

from collections.abc import Iterable, Mapping
from typing import Optional

import torch
from mmengine.dist import all_reduce_params, get_world_size
from mmengine.logging import MessageHub
from torch import Tensor, nn

from dpk_mm.models.losses.auto_share import DEFAULT_SHARES, AutoShare

from .base_stage import BaseStage

# Half precision loses small gradients and overflows by large ones: the first scale with a finite norm counts.
_SCALES = (2.0**16, 2.0**8, 1.0)


def share_out(stages: Iterable[BaseStage], detects: bool) -> int:
    """Give each stage of a kind an equal part of the share that it was given, or of the default.

    Args:
        stages (Iterable[BaseStage]): All stages.
        detects (bool): Whether the student is a detector.

    Returns:
        int: How many stages have a weight that finds itself.
    """
    kinds: dict[str, list[AutoShare]] = {}
    for stage in stages:
        if stage.loss.auto is not None:
            kind = 'logits' if stage.on_logits else 'detector' if detects else 'classifier'
            kinds.setdefault(kind, []).append(stage.loss.auto)
    number = sum(map(len, kinds.values()))
    for kind, autos in kinds.items():
        for auto in autos:
            auto.number = number
            auto.share = (auto.share or DEFAULT_SHARES[kind]) / len(autos)
    return number


def apply_auto_weights(
    losses: dict[str, Tensor], stages: Mapping[str, BaseStage], student: nn.Module
) -> dict[str, Tensor]:
    """Weigh the losses of the stages whose weight is ``'auto'``, after measuring where the time has come.

    A stage's weight is ``share * |g_task| / |g_stage|``. Both are norms of gradients over the parameters of
    the student that train, of the mean over ranks. A measurement goes backward once for the task and once for
    each such stage, without leaving a gradient. When it is made says :meth:`AutoShare.is_due`.

    Args:
        losses (dict[str, Tensor]): Of the student and of the stages.
        stages (Mapping[str, BaseStage]): All stages by name.
        student (nn.Module): The student.

    Returns:
        dict[str, Tensor]: The same with weighted losses, and ``weight_<stage>`` of those stages.

    Raises:
        ValueError: A stage sends no gradient into the student.
    """
    autos = {name: stage.loss.auto for name, stage in stages.items() if stage.loss.auto is not None}
    if not autos:
        return losses
    hub = MessageHub.get_current_instance()
    step, max_iters = hub.get_info('iter', 0), hub.get_info('max_iters')
    due = {name: auto for name, auto in autos.items() if auto.is_due(step, max_iters)}
    if due and torch.is_grad_enabled():
        for auto in due.values():
            auto.begin(step)
        parameters = [parameter for parameter in student.parameters() if parameter.requires_grad]
        task = _norm(_sum_of_task(losses), parameters)
        if task is None:
            raise ValueError("loss_weight='auto' finds no parameter of the student that the task trains.")
        for name, auto in due.items():
            norm = _norm(losses[f'loss_distill_{name}'], parameters)
            if norm == 0 and not auto.started and auto.wait():
                continue  # as of a batch without a labelled pixel
            if norm is None or (norm == 0 and not auto.started):
                raise ValueError(
                    f"stages.{name}: loss_weight='auto' finds no gradient of this stage in the student. Its "
                    'layer is frozen, or its loss is 0, as of a map of one position. Set model.input_shape '
                    f'to the size of the training images, or leave the stage out: stages=dict({name}=None).'
                )
            if not norm.isfinite() and not auto.started and not torch.is_autocast_enabled():
                raise ValueError(f'stages.{name}: the gradient of its loss is not finite in the first step.')
            auto.update(task, norm, max_iters)
    for name, auto in autos.items():
        losses[f'loss_distill_{name}'] = losses[f'loss_distill_{name}'] * auto.weight
        losses[f'weight_{name}'] = auto.weight.clone()
    return losses


def _sum_of_task(losses: dict[str, Tensor]) -> Tensor:
    """The sum of the student's own losses."""
    own = [value for name, value in losses.items() if 'loss' in name and not name.startswith('loss_distill_')]
    parts = [part for value in own for part in (value if isinstance(value, (list, tuple)) else [value])]
    return sum(part.mean() for part in parts)


def _norm(loss: Tensor, parameters: list[Tensor]) -> Optional[Tensor]:
    """Norm of the gradient of a loss over parameters, a scalar; None where it reaches none of them."""
    if not loss.requires_grad:
        return None
    for scale in _SCALES if torch.is_autocast_enabled() else (1.0,):
        try:
            grads = torch.autograd.grad(loss * scale, parameters, retain_graph=True, allow_unused=True)
        except RuntimeError as error:
            if 'checkpoint' not in str(error).lower():
                raise
            raise ValueError(
                "loss_weight='auto' cannot measure through with_cp=True. Set with_cp=False; the runner's "
                'activation_checkpointing saves the same memory.'
            ) from error
        if get_world_size() > 1:
            grads = [torch.zeros_like(p) if g is None else g for g, p in zip(grads, parameters)]
            all_reduce_params(grads, op='mean')
        grads = [grad.float() for grad in grads if grad is not None]
        if not grads:
            return None
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads))) / scale
        if norm.isfinite():
            return norm
    return norm
