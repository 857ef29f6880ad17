"""What a user names a teacher by: its config, with a checkpoint or the weights that upstream publishes."""

import re
from typing import Optional, Union

from mmengine.config import Config
from torch import nn

from .config import describe, is_distiller, package_config
from .errors import shown

WITH_CHECKPOINT = re.compile(r'(?P<config>.+?\.(?:py|ya?ml|json))(?::(?P<checkpoint>.+))?$')


def teacher_cfg(teacher: Union[str, dict, nn.Module]) -> dict:
    """The arguments of :class:`dpk_mm.FrozenTeacher`, however the user names a teacher.

    Args:
        teacher (str, dict or nn.Module): ``'CONFIG'``, whose weights upstream publishes,
            ``'CONFIG:CHECKPOINT'``, arguments of :class:`dpk_mm.FrozenTeacher`, or a trained model.

    Returns:
        dict: With ``config``.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(teacher, nn.Module):
        return dict(config=teacher)
    if isinstance(teacher, str):
        config, checkpoint = split_checkpoint(teacher)
        return dict(config=config, checkpoint=checkpoint or 'hub')
    if isinstance(teacher, dict) and 'config' in teacher:
        return dict(teacher)
    raise ValueError(
        "teacher must be 'CONFIG:CHECKPOINT', a config whose weights upstream publishes, a dict with config "
        f'and checkpoint, or a model, got {shown(teacher)}.'
    )


def spell_out_teacher(cfg: Config) -> None:
    """Make a dict of a distiller's teacher that is a string, so that options can change its fields.

    Args:
        cfg (Config): A whole config, changed in place; one that is no distiller's is left as it is.
    """
    if isinstance(cfg.get('model'), dict) and isinstance(cfg.model.get('teacher'), str) and is_distiller(cfg):
        cfg.model.teacher = teacher_cfg(cfg.model.teacher)


def split_checkpoint(text: str) -> tuple[str, Optional[str]]:
    """The parts of ``'CONFIG:CHECKPOINT'``; None where there is no checkpoint.

    Args:
        text (str): CONFIG is a file or ``'pkg::path'`` and ends in .py, .yaml, .yml or .json.
    """
    found = WITH_CHECKPOINT.match(text)
    return (found['config'], found['checkpoint']) if found else (text, None)


def hub_weights(config: Union[str, dict], field: str = 'config') -> str:
    """The URL of the weights that upstream publishes for ``config`` (its metafile's first).

    Raises:
        ValueError: ``config`` is not of the form ``'pkg::path'``, or upstream publishes none for it.
    """
    url = None
    if isinstance(config, str) and '::' in config:
        url = package_config(config, field, pretrained=True).get('model_path')
    if url is None:
        raise ValueError(
            f"{field}: 'hub' stands for the weights that upstream publishes for a 'pkg::path' config; "
            f'there are none for {describe(config)}. Give the path or URL of a checkpoint.'
        )
    return url
