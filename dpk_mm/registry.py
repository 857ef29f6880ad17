"""Child registries of mmengine's; ``type='dpk_mm.X'`` in any config finds them without custom_imports.

mmengine imports ``<scope>.registry`` the first time a config names a scope, and the ``locations``
below the first time something is looked up.
"""

import inspect
from typing import Any

from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.registry import STRATEGIES as MMENGINE_STRATEGIES
from mmengine.registry import Registry as MMEngineRegistry

from dpk_mm.utils.checks import checked


class Registry(MMEngineRegistry):
    """A registry whose classes check their arguments by their annotations, whoever builds them.

    Args:
        *args (Any): As for mmengine's.
        **kwargs (Any): As for mmengine's.
    """

    def _register_module(self, module: type, *args: Any, **kwargs: Any) -> None:
        if inspect.isclass(module) and '__init__' in vars(module):
            module.__init__ = checked(module.__init__)
        super()._register_module(module, *args, **kwargs)


MODELS = Registry('model', parent=MMENGINE_MODELS, scope='dpk_mm', locations=['dpk_mm.models'])
DATASETS = Registry('dataset', parent=MMENGINE_DATASETS, scope='dpk_mm', locations=['dpk_mm.datasets'])
HOOKS = Registry('hook', parent=MMENGINE_HOOKS, scope='dpk_mm', locations=['dpk_mm.engine'])
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    'optimizer wrapper constructor',
    parent=MMENGINE_OPTIM_WRAPPER_CONSTRUCTORS,
    scope='dpk_mm',
    locations=['dpk_mm.engine'],
)
# functions from what a dry run found to stages; see dpk_mm.methods
METHODS = Registry('method', scope='dpk_mm', locations=['dpk_mm.methods'])
STRATEGIES = Registry('strategy', parent=MMENGINE_STRATEGIES, scope='dpk_mm', locations=['dpk_mm.engine'])
