"""Find the model of a config, however the user names it."""

import copy
import inspect
from pathlib import Path
from typing import Optional, Union

from mmengine.config import Config, ConfigDict
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.hub import get_config
from mmengine.utils import is_installed
from torch import nn

from dpk_mm.utils.config_file import read_config
from dpk_mm.utils.errors import walk


def main_field(cfg: Union[Config, dict]) -> Optional[str]:
    """The field of a model dict that holds the model which is trained, tested and saved.

    Args:
        cfg (Config or dict): A whole config (with a ``model``), or a model dict.

    Returns:
        str or None: ``'student'`` of a distiller, ``'teacher'`` of :class:`dpk_mm.SFTN`; None where the model
        dict is that model itself.
    """
    from dpk_mm.models.distillers.model_wrapper import ModelWrapper  # itself made of utils

    kind = _model_class(cfg)
    return kind.main_name if issubclass(kind, ModelWrapper) else None


def is_distiller(cfg: Union[Config, dict]) -> bool:
    """Whether a config trains a student with its teacher.

    Args:
        cfg (Config or dict): A whole config (with a ``model``), or a model dict.

    Returns:
        bool: True where the class of the model is a :class:`dpk_mm.models.BaseDistiller`. False for
        :class:`dpk_mm.SFTN`, which trains a teacher.
    """
    from dpk_mm.models.distillers.base_distiller import BaseDistiller  # itself made of utils

    return issubclass(_model_class(cfg), BaseDistiller)


def main_model_cfg(cfg: Union[Config, dict]) -> ConfigDict:
    """The model dict of the model which is trained, tested and saved: see :func:`main_field`.

    Args:
        cfg (Config or dict): A whole config (with a ``model``).

    Returns:
        ConfigDict: A copy, with the scope and the ``data_preprocessor`` of the config.

    Raises:
        FileNotFoundError: The model dict names a config that does not exist.
        ValueError: The config has no model, or one with a field that its class does not take.
    """
    field, fields = main_field(cfg), ('default_scope', 'data_preprocessor', 'model')
    whole = ConfigDict({key: cfg.get(key) for key in fields if cfg.get(key) is not None})
    if field is not None:
        # as the runner prefers it
        whole.data_preprocessor = whole.model.get('data_preprocessor') or whole.get('data_preprocessor')
        _check_fields(whole, field)
        whole.model = load_model_cfg(whole.model.get(field), f'model.{field}')
    return load_model_cfg(whole, 'model')


def plain_config(cfg: Config) -> Optional[str]:
    """The text of a config whose model is the one which is trained, tested and saved: see :func:`main_field`.

    Args:
        cfg (Config): A whole config.

    Returns:
        str or None: As ``Config.pretty_text``; None where the config's model is that model itself.
    """
    if not isinstance(cfg.get('model'), dict) or main_field(cfg) is None:
        return None
    is_formatted = getattr(cfg, '_format_python_code', True)  # some texts are too much for yapf
    whole = as_dict(cfg)
    whole['model'] = main_model_cfg(whole).to_dict()
    return Config(whole, format_python_code=is_formatted).pretty_text


def _check_fields(cfg: Config, field: str) -> None:
    """Refuse what only the main model can take: whoever builds that one alone would pass over it."""
    kind = _model_class(cfg)
    known = {name for one in kind.__mro__ for name in inspect.signature(one.__init__).parameters}
    if unknown := sorted(set(cfg.model) - known - {'type', '_scope_'}):
        raise ValueError(
            f'model.{unknown[0]}: a {kind.__name__} takes no such field; of its {field} say '
            f'model.{field}.{unknown[0]}.'
        )


def _model_class(cfg: Union[Config, dict]) -> type:
    """The class of a config's model; ``object`` where there is none, which whoever builds the model tells."""
    from dpk_mm.registry import MODELS

    is_whole = 'type' not in cfg
    model = (cfg.get('model') if is_whole else cfg) or {}
    kind = model.get('type') if isinstance(model, dict) else None
    if isinstance(kind, str):
        scope = model.get('_scope_') or (cfg.get('default_scope') if is_whole else None)
        try:
            with MODELS.switch_scope_and_registry(scope) as registry:
                kind = registry.get(kind)
        except (RuntimeError, ImportError):  # not registered, or its package lacks something
            kind = None
    return kind if isinstance(kind, type) else object


def load_model_cfg(config: Union[str, dict], field: str = 'config') -> ConfigDict:
    """The model dict of a config, ready to be built from any scope.

    Args:
        config (str or dict): ``'pkg::path'`` (a config an installed OpenMMLab package carries, or one of
            ours, ``'dpk_mm::dpk/...'``), the path of a local config file, a whole config (with a ``model``),
            or a model dict itself.
        field (str): What the user calls it in their own config; named in errors.

    Returns:
        ConfigDict: A copy of the model dict, with the ``_scope_`` of its package and with the
        ``data_preprocessor`` that mmpretrain's configs keep at the top level.

    Raises:
        FileNotFoundError: There is no such config.
        ValueError: What was given is no config of a model.
    """
    scope = None
    if isinstance(config, dict):
        cfg = config
    elif isinstance(config, str) and '::' in config:
        cfg = package_config(config, field)
        scope = config.split('::')[0]
        scope = None if scope == 'dpk_mm' else scope  # ours are of mmdet's scope or mmpretrain's
    elif isinstance(config, str):
        if not Path(config).is_file():
            raise FileNotFoundError(
                f'{field}={config!r}: no such file (relative to {Path.cwd()}). Give a config file, '
                "'pkg::path' such as 'mmdet::retinanet/retinanet_r101_fpn_2x_coco.py', or a model dict."
            )
        cfg = read_config(config)
    else:
        raise ValueError(f'{field} must be a path or a model dict, got {type(config).__name__}.')

    # a copy, as mmdet's constructors write into nested dicts
    cfg = copy.deepcopy(cfg._cfg_dict if isinstance(cfg, Config) else ConfigDict(cfg))
    is_whole = 'model' in cfg and 'type' not in cfg
    model = cfg['model'] if is_whole else cfg
    if 'type' not in model:
        raise ValueError(f"{field}: neither 'model' nor 'type' in {describe(config)}.")
    if is_whole and cfg.get('data_preprocessor') is not None:
        model.setdefault('data_preprocessor', cfg['data_preprocessor'])
    scope = scope or cfg.get('default_scope')
    if scope is not None:
        model.setdefault('_scope_', scope)
    return model


def load_main_cfg(config: Union[str, dict], field: str = 'config') -> ConfigDict:
    """As :func:`load_model_cfg`, but of a distiller its student, and of :class:`dpk_mm.SFTN` its teacher.

    What a distillation trained can teach, and is named by the config of its training.
    """
    model = load_model_cfg(config, field)
    return main_model_cfg(ConfigDict(default_scope=model.get('_scope_'), model=model))


def as_dict(cfg: Config) -> dict:
    """A whole config as plain values, with names in place of what a config in Python has imported.

    mmcv looks up the function of an ``nms`` by its bare name; mmengine writes ``'mmcv.ops.nms'``.
    """
    fields = cfg.to_dict()
    for _, value in walk(fields):
        nms = value.get('nms') if isinstance(value, dict) else None
        if isinstance(nms, dict) and str(nms.get('type')).startswith('mmcv.ops.'):
            nms['type'] = nms['type'].rpartition('.')[2]
    return fields


def package_config(name: str, field: str = 'config', pretrained: bool = False) -> Config:
    """The whole config of an installed package, or one of ours.

    Args:
        name (str): ``'pkg::path'``.
        field (str): What the user calls it; named in errors.
        pretrained (bool): Whether to add ``model_path`` where its package publishes weights.

    Returns:
        Config: What was found.

    Raises:
        FileNotFoundError: There is no such config.
        ImportError: The package is not installed.
        ValueError: ``pkg`` is no package with configs.
    """
    scope, _, path = name.partition('::')
    try:
        if scope == 'dpk_mm':
            return Config.fromfile(find_own_config(path))
        # mmengine would install a package that is missing
        package = MODULE2PACKAGE.get(scope)
        if package is not None and not is_installed(package):
            raise ImportError(f'{field}={name!r}: the package {package} is not installed.')
        return get_config(name, pretrained=pretrained)
    except AssertionError as error:
        if pretrained and 'Weights' in str(error):
            return package_config(name, field)
        raise ValueError(f'{field}={name!r}: {error}') from error
    except (FileNotFoundError, ValueError) as error:
        raise FileNotFoundError(
            f"{field}={name!r}: no such config in the installed package '{scope}' ({error})."
        ) from error


def find_own_config(path: str) -> Path:
    """Find a config of ours, inside an installed wheel or beside the package in a checkout.

    Args:
        path (str): As after ``dpk_mm::``.

    Returns:
        Path: Where it is, or where it would be.
    """
    package = Path(__file__).resolve().parents[1]
    places = [package / '.mim/configs' / path, package.parent / 'configs' / path]
    return next((place for place in places if place.is_file()), places[-1])


def describe(config: Union[str, dict]) -> str:
    """A short name of a config for messages."""
    if isinstance(config, nn.Module):
        return f'the {type(config).__name__}'
    return repr(config) if isinstance(config, str) else f'the {config.get("type", "config")} dict'
