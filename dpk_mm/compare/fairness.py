"""Check that methods differ in what is compared, and in nothing else."""

import os
from typing import Any, Dict, Optional

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed

from dpk_mm.compare.digest import digest_tensors, first_difference, plain
from dpk_mm.registry import MODELS
from dpk_mm.utils import is_distiller, load_model_cfg, main_model_cfg
from dpk_mm.utils.runner import method_of

# What a training is but for its model. Tests are by the base's config whatever a method's says.
RECIPE = (
    'train_dataloader',
    'train_cfg',
    'optim_wrapper',
    'param_scheduler',
    'data_preprocessor',
    'auto_scale_lr',
    'load_from',
    'custom_hooks',
    'randomness',
)
# What else may change a training. Not of the recipe, whose digest names a folder of comparisons that began.
_AROUND = ('default_hooks', 'env_cfg')
FIELDS = (*RECIPE, 'student', 'init_student', 'teacher', *_AROUND)
# Where one of these may differ, so may the weights that the student starts from.
_START = ('student', 'init_student', 'load_from', 'randomness')


def student_optimizer(optim_wrapper: Optional[dict]) -> Dict[str, Any]:
    """Get the optimizer of the student alone.

    Args:
        optim_wrapper (dict, optional): Of a config; the modules of distillation may have their own in it.

    Returns:
        dict: A copy without what is theirs; ``constructor`` may be None.
    """
    wrapper = dict(optim_wrapper or {})
    if str(wrapper.get('constructor', '')).endswith('DistillOptimWrapperConstructor'):
        wrapper['constructor'] = wrapper.pop('student_constructor', None)
        wrapper.pop('distiller', None)
    return wrapper


def recipe(cfg: Config) -> Dict[str, Any]:
    """Get what must be the same for all methods.

    Args:
        cfg (Config): A whole config.

    Returns:
        dict: The fields of :data:`RECIPE`, of the student alone where the modules of distillation have an
        optimizer or a schedule of their own, and the ``student``; plain values.
    """
    fields = {name: cfg.get(name) for name in RECIPE}
    wrapper = student_optimizer(cfg.get('optim_wrapper'))
    # both are what mmengine takes where nothing is said
    for name, default in (('type', 'OptimWrapper'), ('constructor', 'DefaultOptimWrapperConstructor')):
        if wrapper.get(name) == default:
            wrapper.pop(name)
    schedule = fields['param_scheduler']
    if isinstance(schedule, dict) and 'type' not in schedule:
        schedule = schedule.get('student')
    fields['optim_wrapper'] = wrapper
    fields['param_scheduler'] = [schedule] if isinstance(schedule, dict) else schedule
    model = main_model_cfg(cfg)
    model.pop('_scope_', None)
    return plain(dict(fields, student=model))


def _around(cfg: Config) -> Dict[str, Any]:
    """The fields of :data:`_AROUND`, without the hooks that only tell or save; plain values."""
    # these are there unless a config takes them away
    hooks = dict(
        runtime_info=dict(type='RuntimeInfoHook'),
        sampler_seed=dict(type='DistSamplerSeedHook'),
        param_scheduler=dict(type='ParamSchedulerHook'),
    )
    hooks.update(cfg.get('default_hooks') or {})
    tell = ('checkpoint', 'logger', 'timer', 'visualization')
    hooks = {name: hook for name, hook in hooks.items() if name not in tell}
    is_tuned = bool((cfg.get('env_cfg') or {}).get('cudnn_benchmark', False))  # all else is of processes
    return plain(dict(default_hooks=hooks, env_cfg=dict(cudnn_benchmark=is_tuned)))


def check_recipe(cfg: Config, base: Config, allow: list, teacher: Optional[dict] = None) -> None:
    """Refuse a method that differs from the student alone in more than its distillation.

    Args:
        cfg (Config): Its config.
        base (Config): The student alone.
        allow (list[str]): Fields that it may differ in.
        teacher (dict, optional): The teacher that all share.

    Raises:
        ValueError: Names the field.
    """
    old, new = ({**recipe(one), **_around(one)} for one in (base, cfg))
    found = first_difference(old, new, allow)
    if found is None and is_distiller(cfg):
        unsaid = cfg.model.get('init_student') is None and 'init_student' not in allow
        if method_of(cfg.model) and unsaid:
            raise ValueError(
                'a method inherits where it can: say model.init_student=False, or True with '
                "allow=['init_student']"
            )
        inherits = cfg.model.get('init_student', False)
        if inherits and 'init_student' not in allow:
            found = 'init_student', False, inherits
        elif teacher is not None:
            old, new = ({'teacher': _places(given)} for given in (teacher, cfg.model.teacher))
            found = first_difference(old, new, allow)
    if found is not None:
        field, new = found[0], found[2]
        top = field.split('.')[0]
        other = 'of the comparison' if top == 'teacher' else 'of the student alone'
        raise ValueError(
            f'{field} is {new!r}, that {other} is {found[1]!r}; '
            f'a method that may differ there says allow=[{top!r}]'
        )


def _places(teacher: dict) -> Dict[str, Any]:
    """Config and weights of a teacher, files by their real paths."""
    given = {key: teacher.get(key) for key in ('config', 'checkpoint')}
    is_file = {key: isinstance(item, str) and os.path.exists(item) for key, item in given.items()}
    return plain({key: os.path.realpath(item) if is_file[key] else item for key, item in given.items()})


def must_share_start(allow: list) -> bool:
    """Whether a method's student must start from the weights of the student alone.

    Args:
        allow (list[str]): Fields that the method may differ in.

    Returns:
        bool: False where one of them decides the start.
    """
    return not any(field.split('.')[0] in _START for field in allow)


def digest_start(cfg: Config, seed: int) -> str:
    """Build the model as a training does and hash the student's first weights.

    Args:
        cfg (Config): A whole config.
        seed (int): Seed of the run.

    Returns:
        str: Hexadecimal digits.
    """
    set_random_seed(seed)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
        model = MODELS.build(load_model_cfg(cfg.to_dict(), 'model'))
        model.init_weights()
    return digest_student(model)


def digest_student(model: torch.nn.Module) -> str:
    """Hash the weights of a model, or of the student in a distiller.

    Args:
        model (nn.Module): Either.

    Returns:
        str: Hexadecimal digits.
    """
    return digest_tensors(getattr(model, 'wrapped', model).state_dict())
