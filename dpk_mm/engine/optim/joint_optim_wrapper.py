"""Several optimizers in one training step."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import Tensor, nn


class JointOptimWrapper(OptimWrapperDict):
    """Optimizers of different parameters that one loss trains at the same time.

    mmengine's ``OptimWrapperDict`` leaves open which optimizer goes backward; here one loss goes backward
    once and all step, so ``train_step`` of mmengine's models, DDP included, needs no change. The first
    wrapper keeps count of accumulated gradients and holds the one loss scale of mixed precision; an
    overflow skips the step of the optimizers it reached, as torch does it. Learning rates, and gradient
    norms where they are clipped, are logged apart, as ``<name>.lr`` and ``<name>.grad_norm``.

    Args:
        **optim_wrappers (OptimWrapper): By name; all ``OptimWrapper`` or all ``AmpOptimWrapper``, with the
            same ``accumulative_counts``.

    Raises:
        ValueError: Wrappers of other or of different types, or with different counts.
    """

    def __init__(self, **optim_wrappers: OptimWrapper) -> None:
        super().__init__(**optim_wrappers)
        types = {name: type(wrapper).__name__ for name, wrapper in optim_wrappers.items()}
        if set(types.values()) not in ({'OptimWrapper'}, {'AmpOptimWrapper'}):
            raise ValueError(
                f'all must be of type OptimWrapper, or all of type AmpOptimWrapper, got {types}.'
            )
        counts = {name: wrapper._accumulative_counts for name, wrapper in optim_wrappers.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f'accumulative_counts must be the same for all, got {counts}.')
        self.first = next(iter(optim_wrappers.values()))
        for name, wrapper in self.items():
            if hasattr(wrapper, 'grad_name'):
                wrapper.grad_name = f'{name}.{wrapper.grad_name}'
            if hasattr(wrapper, 'loss_scaler'):
                wrapper.loss_scaler = self.first.loss_scaler

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of a forward pass: mixed precision, and no synchronisation while accumulating."""
        with self.first.optim_context(model):
            yield

    @property
    def _accumulative_counts(self) -> int:
        """By this, mmengine's strategies know that gradients are accumulated."""
        return self.first._accumulative_counts

    def initialize_count_status(self, model: nn.Module, cur_iter: int, max_iters: int) -> None:
        """Tell the one counter where the training is."""
        self.first.initialize_count_status(model, cur_iter, max_iters)

    def should_update(self) -> bool:
        """Whether enough gradients have been accumulated."""
        return self.first.should_update()

    def should_sync(self) -> bool:
        """Whether the next backward pass is the last before an update."""
        return self.first.should_sync()

    def scale_loss(self, loss: Tensor) -> Tensor:
        """A loss's share of an accumulated step."""
        return self.first.scale_loss(loss)

    @property
    def inner_count(self) -> int:
        """How many backward passes there have been."""
        return self.first.inner_count

    def backward(self, loss: Tensor, **kwargs: Any) -> None:
        """Send one loss backward, for all."""
        self.first.backward(loss, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Clip and update the parameters of each optimizer."""
        scaler = getattr(self.first, 'loss_scaler', None)
        if scaler is None:
            for wrapper in self.values():
                wrapper.step(**kwargs)
            return
        # AmpOptimWrapper.step() would update the scale between two optimizers of one backward pass
        for wrapper in self.values():
            # the scaler fails where there is nothing to look at, as in a frozen student
            if not any(p.requires_grad for group in wrapper.param_groups for p in group['params']):
                continue
            if wrapper.clip_grad_kwargs:
                scaler.unscale_(wrapper.optimizer)
                wrapper._clip_grad()
            scaler.step(wrapper.optimizer, **kwargs)
        scaler.update(self.first._scale_update_param)

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear all gradients."""
        for wrapper in self.values():
            wrapper.zero_grad(**kwargs)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the state of every optimizer.

        Raises:
            ValueError: It is of a run with other optimizers.
        """
        if set(state_dict) != set(self.keys()):
            raise ValueError(
                f'the checkpoint to resume from holds the state of {sorted(state_dict)}, this run has the '
                f'optimizers {sorted(self.keys())}. Resume with the config of that run, or start anew from '
                'its weights with load_from.'
            )
        super().load_state_dict(state_dict)

    # that of one optimizer calls the methods above; mmengine's for several refuses
    update_params = OptimWrapper.update_params
