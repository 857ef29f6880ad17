"""A model that trains with company, and whose checkpoints do not show it."""

from abc import ABCMeta
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel, BaseModule
from torch import Tensor, nn

from dpk_mm.utils import preserve_random_state
from dpk_mm.utils.activation_checkpointing import patch_activation_checkpointing

from .diverged import check_diverged


class _Built(ABCMeta):
    """Marks what is built to its end: what is set then comes from outside."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        built = super().__call__(*args, **kwargs)
        built.__dict__['_is_built'] = True
        return built


class ModelWrapper(BaseModel, metaclass=_Built):
    """A *main* model, trained together with modules that only training needs.

    In validation, test and prediction it *is* the main model; hooks that read or set the model's attributes
    find the main model's. Its checkpoints are the main model's: the weights under their own names, the
    other modules under :attr:`aux_name`. Building it draws no random numbers beyond those the main model
    draws.

    A subclass names its parts by the class attributes, calls :meth:`wrap` in its constructor, and gives
    :meth:`loss`.

    Attributes:
        main_name (str): The main model's attribute.
        aux_name (str): The attribute that holds the other modules (an ``nn.Module``).
    """

    main_name = 'student'
    aux_name = 'distiller'

    def wrap(self, model: nn.Module, others: nn.Module) -> None:
        """Take the main model and the holder of the other modules.

        Raises:
            ValueError: The main model has a part whose name is taken.
        """
        patch_activation_checkpointing()
        for name, _ in model.named_children():
            if name in (self.main_name, self.aux_name):
                raise ValueError(f'{self.main_name}: a model with a part called {name!r} cannot be wrapped.')
        # The property below stands in for the one that BaseModel makes.
        self._modules.pop('data_preprocessor', None)
        setattr(self, self.main_name, model)
        setattr(self, self.aux_name, others)
        self._register_state_dict_hook(_strip_main_prefix)
        self.register_load_state_dict_post_hook(_drop_missing_aux_keys)

    @property
    def wrapped(self) -> nn.Module:
        """The main model."""
        return getattr(self, self.main_name)

    @property
    def data_preprocessor(self) -> nn.Module:
        """The main model's."""
        return self.wrapped.data_preprocessor

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute: what only the main model has, and the data preprocessor, are the main model's."""
        if name == 'data_preprocessor' and self.main_name in self.__dict__.get('_modules', {}):
            self.wrapped.data_preprocessor = value
        elif '_is_built' in self.__dict__ and name[0] != '_' and not self._has(name) and hasattr(self, name):
            setattr(self.wrapped, name, value)
        else:
            super().__setattr__(name, value)

    def _has(self, name: str) -> bool:
        """Whether an attribute is its own."""
        held = (self.__dict__, self._modules, self._parameters, self._buffers)
        return hasattr(type(self), name) or any(name in names for names in held)

    def named_parameters(self, prefix: str = '', *args: Any, **kwargs: Any) -> Iterator[tuple[str, Tensor]]:
        """Under the names of checkpoints, which optimizer constructors such as layer-wise decay go by."""
        prefix = f'{prefix}.' if prefix else ''
        for name, parameter in super().named_parameters('', *args, **kwargs):
            yield prefix + name.removeprefix(f'{self.main_name}.'), parameter

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """The main model's, for mmpretrain's layer-wise decay, which walks down the modules itself."""
        return self.wrapped.get_layer_depth(param_name.removeprefix(f'{self.main_name}.'))

    def __getattr__(self, name: str) -> Any:
        """Attributes the wrapper does not have are the main model's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == self.main_name or name.startswith('__'):
                raise
            return getattr(getattr(self, self.main_name), name)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        """The main model's own, but for the losses in mode ``'loss'``.

        Args:
            inputs (Tensor): (B, C, H, W), from the data preprocessor.
            data_samples (Sequence, optional): B samples.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``, see mmengine's ``BaseModel``.

        Returns:
            What the main model returns; in mode ``'loss'`` a dict of losses.

        Raises:
            DivergedError: The last losses of the training were not finite.
        """
        if mode == 'loss':
            if torch.is_grad_enabled():
                check_diverged()
            return self.loss(inputs, data_samples)
        return self.wrapped(inputs, data_samples, mode=mode)

    def init_weights(self) -> None:
        """Initialise the main model as upstream does, then the other modules."""
        self.wrapped.init_weights()
        with preserve_random_state():
            for module in getattr(self, self.aux_name).modules():
                if isinstance(module, BaseModule) and not module.is_init:
                    module.init_weights()
        self._is_init = True

    def strip_main_prefix(self, state_dict: dict, prefix: str = '') -> None:
        """Give the main model's weights, in place, the names they have without a wrapper.

        Args:
            state_dict (dict): By modules' names.
            prefix (str): Before those names.
        """
        main = f'{self.main_name}.'
        for key in [k for k in state_dict if k.startswith(prefix)]:
            # all are put back in turn, so that the main model's stay in front
            state_dict[prefix + key[len(prefix) :].removeprefix(main)] = state_dict.pop(key)
        # 'student' itself becomes '', and 'student.neck' becomes 'neck'
        start, versions = prefix + main, getattr(state_dict, '_metadata', {})
        for name in [n for n in versions if f'{n}.'.startswith(start)]:
            versions[(prefix + name[len(start) :]).rstrip('.')] = versions.pop(name)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Take a checkpoint of the main model: its names are the main model's own."""
        start, taken = f'{self.main_name}.', (f'{self.main_name}.', f'{self.aux_name}.')
        for key in [k for k in state_dict if k.startswith(prefix)]:
            name = key[len(prefix) :]
            if not name.startswith(taken):
                state_dict[f'{prefix}{start}{name}'] = state_dict.pop(key)
        # Versions decide how modules read old checkpoints; they are kept by module name.
        versions = getattr(state_dict, '_metadata', None)
        if versions is not None and not prefix:
            for name in [n for n in versions if n and not f'{n}.'.startswith(taken)]:
                versions[f'{start}{name}'] = versions[name]
        super()._load_from_state_dict(state_dict, prefix, *args)


def _strip_main_prefix(module: ModelWrapper, state_dict: dict, prefix: str, local_metadata: dict) -> None:
    """Hook of ``state_dict()``; FSDP looks for what it has sharded only later, and by modules' names."""
    if not prefix.endswith('_fsdp_wrapped_module.'):
        module.strip_main_prefix(state_dict, prefix)


def _drop_missing_aux_keys(module: ModelWrapper, incompatible_keys: Any) -> None:
    """Hook of ``load_state_dict()``: a plain checkpoint need not know of the other modules."""
    # Batch norm does not miss its counter in what it takes for an old checkpoint.
    own = [k for k in module.state_dict() if k.startswith(f'{module.aux_name}.') and 'num_batches' not in k]
    # the main model may have parts so called, too: HRNet has branches
    missing = [
        key
        for key in incompatible_keys.missing_keys
        if f'{module.aux_name}.' in key
        and f'{module.main_name}.' not in key.partition(f'{module.aux_name}.')[0]
    ]
    if own and len(missing) >= len(own):
        for key in missing:
            incompatible_keys.missing_keys.remove(key)
        # mmdet's SyncNormHook loads nothing but statistics.
        if any('num_batches' not in key for key in incompatible_keys.missing_keys):
            return
        print_log(f'A plain checkpoint: the modules of {module.aux_name!r} start anew', 'current')
