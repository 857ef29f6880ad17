"""An optimizer of the modules of distillation, inside of the student's."""

import weakref
from functools import partial
from typing import Annotated, Any, Optional

import torch
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from dpk_mm.utils.checks import checked
from dpk_mm.utils.errors import within
from dpk_mm.utils.hints import NotNegative, Positive, Range

# Gradients are held so small until the step that clipping does not count them. A power of two is exact.
_SCALE = 2.0**-20
# Optimizers of torch whose state of a parameter must be their own.
_READ_ALL_STATE = ('ASGD', 'Adagrad', 'NAdam')
# After so many forward passes without a step something is wrong: gradients are accumulated over fewer.
_PATIENCE = 1000
# So many steps of optimizers with a part of the student come before the first of the one with the necks.
_OTHERS = 100
_Beta = Annotated[float, Range(least=0, below=1)]


class InnerAdamW:
    """AdamW for the modules of distillation, while the student has the optimizer of the config (ours).

    A student's optimizer seldom suits a transformer: SGD with a rate of 0.1 makes a lean neck diverge. A
    config that says nothing of the necks hands all parameters to one optimizer. Before each of its steps
    this class updates the necks by AdamW, and takes their gradients away, so that the other passes over
    them. The rate follows the schedule of the student's. The state lies in the student's optimizer, and so
    in its checkpoints. The student's clipping does not count the gradients of the necks, but scales them as
    it scales its own: AdamW hardly minds a factor. A copy of the model has one of its own.

    ``DistillOptimWrapperConstructor`` gives the necks an optimizer of their own, and releases them.

    Args:
        distiller (nn.Module): The modules of distillation.
        lr (float): Learning rate at the start of the schedule, or at the top of a cycle. Defaults to 1e-3.
        betas (tuple[float, float]): Of AdamW. Defaults to (0.9, 0.95) (authors' code of DPK).
        weight_decay (float): Of weights, not of biases and norms. Defaults to 1e-4 (authors' code of DPK).
        max_norm (float): Largest norm of their gradient; larger ones are clipped. Defaults to 1.0.

    Raises:
        ValueError: A number that does not fit.
    """

    @checked
    def __init__(
        self,
        distiller: nn.Module,
        lr: Positive = 1e-3,
        betas: Annotated[tuple[_Beta, _Beta], 'two numbers from 0 to below 1'] = (0.9, 0.95),
        weight_decay: NotNegative = 1e-4,
        max_norm: Positive = 1.0,
    ) -> None:
        self.settings = dict(lr=lr, betas=betas, weight_decay=weight_decay, max_norm=max_norm)
        self.parameters = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
        self._waited, self._others, self._stepped = 0, 0, False
        self._student: frozenset[int] = frozenset()
        self._hooks: list[Any] = []
        self._inner: Optional[AdamW] = None
        if not self.parameters:
            return
        self._inner = AdamW(
            [
                dict(params=[p for p in self.parameters if p.ndim > 1]),
                dict(params=[p for p in self.parameters if p.ndim < 2], weight_decay=0.0),
            ],
            lr=lr,
            betas=tuple(betas),
            weight_decay=weight_decay,
        )
        self._hooks = [p.register_hook(partial(torch.mul, other=_SCALE)) for p in self.parameters]
        # the hook is torch's, for all optimizers; it must not keep this object alive
        this = weakref.ref(self)

        def before_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if this() is not None:
                this()._before_step(optimizer)

        weakref.finalize(self, register_optimizer_step_pre_hook(before_step).remove)

    def release(self) -> None:
        """Leave the modules of distillation to an optimizer of their own."""
        for hook in self._hooks:
            hook.remove()
        self._inner, self.parameters = None, []

    def expect_step(self, student: nn.Module) -> None:
        """Note a forward pass in training, which steps must follow.

        Args:
            student (nn.Module): The student; steps of optimizers without a weight of it do not count.

        Raises:
            RuntimeError: No step came after many; what trains is no optimizer of torch's.
        """
        if self._inner is None:
            return
        self._waited += 1
        self._student = self._student or frozenset(map(id, student.parameters()))
        if not self._stepped and self._others > _OTHERS:
            raise RuntimeError(
                f'model.optimizer: {self._others} steps were made by optimizers that leave out the modules '
                "of distillation, and none by one that has them. Give it the distiller's parameters()."
            )
        if self._waited > _PATIENCE:
            raise RuntimeError(
                f'model.optimizer: no optimizer of torch has made a step in {_PATIENCE} forward passes. Give '
                "optim_wrapper.constructor='dpk_mm.DistillOptimWrapperConstructor' and "
                'optim_wrapper.distiller, or model.optimizer=False.'
            )

    def _before_step(self, optimizer: Optimizer) -> None:
        """Update the modules of distillation where a step of the student's optimizer is about to."""
        if self._inner is None or optimizer is self._inner:
            return
        groups = {id(p): group for group in optimizer.param_groups for p in group['params']}
        group = groups.get(id(self.parameters[0]))
        if group is None:
            self._others += not self._student.isdisjoint(groups)
            return
        if type(optimizer).__name__ in _READ_ALL_STATE:
            raise ValueError(
                f'model.optimizer: {type(optimizer).__name__} reads the state of all parameters, also of '
                'those that it does not train. Give optim_wrapper.distiller and optim_wrapper.constructor='
                "'dpk_mm.DistillOptimWrapperConstructor', or model.optimizer=False."
            )
        self._waited, self._stepped = 0, True
        # a fused optimizer undoes the scale of mixed precision by itself, and skips a step by itself
        scale, overflow = (getattr(optimizer, name, None) for name in ('grad_scale', 'found_inf'))
        if overflow is None or not overflow.item():
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(_SCALE if scale is None else scale * _SCALE)
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings['max_norm'])
            # a cycle starts low and says what its highest is
            base = max(group.get('initial_lr', group['lr']), group.get('max_lr', 0.0))
            for own in self._inner.param_groups:
                own['lr'] = self.settings['lr'] * (group['lr'] / base if base else 1.0)
            self._inner.state = optimizer.state
            self._inner.step()
        self._inner.zero_grad(set_to_none=True)

    def __reduce__(self) -> tuple:
        """A copy, in memory or of a file, is of the copied parameters."""
        return _build_again, (self.parameters, self.settings)


def _build_again(parameters: list[nn.Parameter], settings: dict[str, Any]) -> InnerAdamW:
    return InnerAdamW(nn.ParameterList(parameters), **settings)


def build_inner(distiller: nn.Module, cfg: dict) -> InnerAdamW:
    """Build it from a config's ``optimizer``.

    Raises:
        FieldError: A field that :class:`InnerAdamW` does not take, or that does not fit.
    """
    with within('optimizer'):
        return InnerAdamW(distiller, **cfg)
