"""Weights, gradients and optimizer states in shards, one a process."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Callable, Optional, Union

import torch
from mmengine._strategy import FSDPStrategy as MMEngineFSDPStrategy
from mmengine.device import get_device
from mmengine.dist import all_gather
from mmengine.optim import BaseOptimWrapper, OptimWrapper, OptimWrapperDict
from mmengine.registry import FUNCTIONS
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel

from dpk_mm.models.distillers.model_wrapper import ModelWrapper
from dpk_mm.registry import STRATEGIES

_WRAPPED = '_fsdp_wrapped_module.'
_CHECKPOINTED = '_checkpoint_wrapped_module.'
_SHARDED = ('state', 'param_groups')


@STRATEGIES.register_module()
class FSDPStrategy(MMEngineFSDPStrategy):
    """mmengine's FSDPStrategy, which trains as one process would and saves a student's checkpoints.

    Student and modules of distillation are sharded; the teacher is no submodule, so every process has a
    whole one. What differs from upstream's: checkpoints have the names that the model's have without FSDP,
    gradients are clipped by their norm over all shards, where upstream's takes each shard's own, heads are
    never made a unit of their own, and it runs on the CPU, too. What reads a module's weights past its
    call, such as the queries of a DETR, must be no unit either: let ``min_num_params`` be larger. Takes the
    arguments of upstream's; in a config::

        runner_type = 'FlexibleRunner'
        strategy = dict(type='dpk_mm.FSDPStrategy', model_wrapper=dict(auto_wrap_policy=...))

    Args:
        state_dict_cfg (str or dict): Upstream's default, ``'local'``, saves shards, which only as many
            processes can read again.

    Raises:
        ValueError: ``skip_init_weights``, under which the teacher would have none. Later also for an
            AdamW that a method gives the necks, and for clipping by the norm where ranks hold equal shards.
    """

    def __init__(self, *, state_dict_cfg: Union[str, dict] = 'full', **kwargs: Any) -> None:
        if kwargs.get('skip_init_weights'):
            raise ValueError('strategy.skip_init_weights builds a teacher without weights; leave it out.')
        super().__init__(state_dict_cfg=state_dict_cfg, **kwargs)

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        """Wrap the model; upstream takes the process's number for that of a GPU."""
        if getattr(model, 'inner', None) is not None:
            raise ValueError(
                'model.optimizer: FSDP shards what it would train. Give optim_wrapper.distiller and '
                "optim_wrapper.constructor='dpk_mm.DistillOptimWrapperConstructor', and write out the "
                'method by tools/make_config.py, without model.optimizer.'
            )
        self.model_wrapper = {'type': 'MMFullyShardedDataParallel', **(self.model_wrapper or {})}
        policy = self.model_wrapper.get('auto_wrap_policy')
        if policy is not None:
            self.model_wrapper['auto_wrap_policy'] = partial(_wraps, _build_policy(policy))
        if get_device() == 'cpu':
            self.model_wrapper.setdefault('device_id', 'cpu')
            # From the CPU to the CPU torch copies nothing: it reads weights that it has freed, and saves one
            # buffer as the first and the second moments of Adam.
            self.state_dict_config.offload_to_cpu = False
            self.optim_state_dict_config.offload_to_cpu = False
        return super()._wrap_model(model)

    def build_optim_wrapper(self, *args: Any, **kwargs: Any) -> BaseOptimWrapper:
        """Build the optimizers, which clip by the norm over all shards."""
        optim_wrapper = super().build_optim_wrapper(*args, **kwargs)
        # of those that clip, the ones that clip by value need no norm
        by_norm = [
            wrapper
            for wrapper in _each(optim_wrapper).values()
            if wrapper.clip_grad_kwargs and wrapper.clip_func is torch.nn.utils.clip_grad_norm_
        ]
        sharding = str(self.model_wrapper.get('sharding_strategy') or 'FULL_SHARD').rpartition('.')[2]
        if by_norm and sharding not in ('FULL_SHARD', 'SHARD_GRAD_OP'):
            raise ValueError(
                f'sharding_strategy={sharding!r} and clip_grad: gradients are clipped by the norm over '
                "all processes' shards, so each must be another, as with 'FULL_SHARD' or 'SHARD_GRAD_OP'."
            )
        for wrapper in by_norm:
            wrapper._clip_grad = partial(_clip_grad, wrapper)
        return optim_wrapper

    def _build_param_scheduler(self, scheduler: Any, optim_wrapper: Any, default_args: dict) -> list:
        """As upstream's, which takes away what the schedule of the next optimizer needs."""
        return super()._build_param_scheduler(scheduler, optim_wrapper, dict(default_args))

    def model_state_dict(self) -> dict:
        """The weights, where they are saved whole under the names they have without FSDP."""
        state_dict = super().model_state_dict()
        if self._is_full_state_dict() and isinstance(self.model.module, ModelWrapper):
            versions = getattr(state_dict, '_metadata', None)
            if versions is not None:
                versions.pop('', None)
                for name in list(versions):
                    plain = f'{name}.'.replace(_WRAPPED, '').replace(_CHECKPOINTED, '')
                    versions[plain.rstrip('.')] = versions.pop(name)
            self.model.module.strip_main_prefix(state_dict)
        return state_dict

    def optim_state_dict(self) -> dict:
        """The state of the optimizer, or of each of several."""
        states = {
            # beside the optimizer's, the loss scale
            name: {
                **_without(wrapper.state_dict(), _SHARDED),
                **FullyShardedDataParallel.optim_state_dict(self.model, wrapper),
            }
            for name, wrapper in _each(self.optim_wrapper).items()
        }
        return states.get(None, states)

    def load_optim_state_dict(self, state_dict: dict) -> None:
        """Load the state of the optimizer, or of each of several; torch's order of arguments has changed."""
        states = {}
        for name, wrapper in _each(self.optim_wrapper).items():
            whole = state_dict if name is None else state_dict[name]
            own = {key: whole[key] for key in _SHARDED}
            own = FullyShardedDataParallel.optim_state_dict_to_load(
                model=self.model, optim=wrapper.optimizer, optim_state_dict=own
            )
            states[name] = {**_without(whole, _SHARDED), **own}
        self.optim_wrapper.load_state_dict(states.get(None, states))


def _build_policy(policy: Union[str, dict, Callable]) -> Callable:
    """The policy, as upstream's wrapper builds it."""
    settings = dict(policy) if isinstance(policy, dict) else dict(type=policy)
    function = settings.pop('type')
    if isinstance(function, str):
        with FUNCTIONS.switch_scope_and_registry(None):
            function, name = FUNCTIONS.get(function), function
        if function is None:
            raise ValueError(f'auto_wrap_policy {name!r} is not registered, nor can it be imported.')
    return partial(function, **settings)


def _wraps(policy: Callable, module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
    """Whether ``policy`` makes a module a unit of FSDP's; never a head, nor what has no weights.

    A unit's weights are gathered when it is called, but mmdet and mmpretrain call ``head.loss(...)``, which
    would find them in shards. What a head consists of is called. The data preprocessor runs before the
    model, and as a unit would take itself for all of it.
    """
    is_head = callable(getattr(type(module), 'loss', None))
    if not recurse and (is_head or next(module.parameters(), None) is None):
        return False
    return policy(module=module, recurse=recurse, nonwrapped_numel=nonwrapped_numel)


def _without(state_dict: dict, keys: Sequence[str]) -> dict:
    """The rest of a state."""
    return {key: value for key, value in state_dict.items() if key not in keys}


def _each(optim_wrapper: BaseOptimWrapper) -> dict[Optional[str], OptimWrapper]:
    """The wrappers of all optimizers."""
    several = isinstance(optim_wrapper, OptimWrapperDict)
    return dict(optim_wrapper.items()) if several else {None: optim_wrapper}


def _clip_grad(wrapper: OptimWrapper) -> None:
    """Stands in for :meth:`OptimWrapper._clip_grad`; also where a process has no shard of what is clipped."""
    max_norm, norm_type = wrapper.clip_grad_kwargs['max_norm'], wrapper.clip_grad_kwargs.get('norm_type', 2.0)
    grads = [p.grad for group in wrapper.param_groups for p in group['params'] if p.grad is not None]
    norms = [grad.norm(norm_type) for grad in grads] or [torch.zeros((), device=get_device())]
    norm = torch.stack(all_gather(torch.stack(norms).norm(norm_type))).norm(norm_type)
    for grad in grads:
        grad.mul_((max_norm / (norm + 1e-6)).clamp(max=1))
    wrapper.message_hub.update_scalar(f'train/{wrapper.grad_name}', float(norm))
