"""From the name of a method, or of a sum of methods, to stages."""

import difflib
from collections.abc import Collection
from typing import Any

from dpk_mm.registry import METHODS, MODELS
from dpk_mm.utils.errors import FieldError

from .pair import Pair


def build_stages(method: str, pair: Pair) -> dict[str, dict]:
    """The stages of a method.

    Args:
        method (str): A name, or several with ``+`` between, such as ``'dist+dpk'``. In a sum DPK leaves out
            its KD where another method compares logits.
        pair (Pair): What the dry run found.

    Returns:
        dict[str, dict]: Name of a stage -> what a user could have written.

    Raises:
        ValueError: There is no such method, or it does not fit the pair; says which would.
    """
    names = [name.strip() for name in method.split('+')]
    known = list(METHODS.module_dict)
    for name in names:
        if name not in known or names.count(name) > 1:
            what = 'is there twice' if name in known else 'is not known'
            near = difflib.get_close_matches(name, known, n=2) if name not in known else []
            meant = f' Did you mean {" or ".join(map(repr, near))}?' if near else ''
            raise ValueError(
                f'method={method!r}: {name!r} {what}.{meant} Methods are {", ".join(sorted(known))}.'
            )
    stages: dict[str, dict] = {}
    for name in sorted(names, key=lambda name: name.startswith('dpk')):
        try:
            found = METHODS.get(name)(pair)
        except ValueError as error:
            fits = ', '.join(repr(other) for other in sorted(known) if _fits(other, pair)) or 'no method'
            raise ValueError(
                f'method={method!r}: {name} does not fit: {error}. What fits: {fits}.'
            ) from error
        for stage, cfg in found.items():
            if stage not in stages:
                stages[stage] = cfg
            elif not (stage == 'logits' and name.startswith('dpk')):
                stages[f'{stage}_{name}'.replace('-', '_')] = cfg
    return stages


def merge_stages(stages: dict, own: dict, passed_over: Collection[str] = ()) -> dict:
    """Change stages as mmengine's configs inherit: dicts are merged, ``None`` drops a stage.

    A part of another ``type``, or with ``_delete_=True``, takes the place of the one that was there. ``at``
    takes the place of both sides' layers, and these of ``at``.

    Args:
        stages (dict): Of a method.
        own (dict): What the user wrote.
        passed_over (Collection[str]): Names of stages that the method has not, as their layers are frozen;
            None leaves them out, too. Defaults to none.

    Returns:
        dict: The stages that are left.

    Raises:
        ValueError: A stage to leave out that the method does not have, or settings without a layer for one
            that is passed over.
    """
    for name in set(own) & set(passed_over) - set(stages):
        if isinstance(own[name], dict) and not {'at', 'student_at'} & set(own[name]):
            text = ': its layer is frozen in the student, so the method has none.'
            raise FieldError(f'stages.{name}', text)
    known = {*stages, *passed_over}
    unknown = [name for name, stage in own.items() if stage is None and stages and name not in known]
    if unknown:
        raise ValueError(
            f'stages.{unknown[0]}=None: the method has no such stage to leave out, but {", ".join(stages)}.'
        )
    merged = {name: stage for name, stage in _merge(stages, own).items() if stage is not None}
    for name, stage in merged.items():
        if isinstance(stage, dict):
            _settle(stage, own.get(name) or {})
    return merged


def _settle(stage: dict, own: dict) -> None:
    """Let the layers that a user names count before those of the method."""
    sides = {'student_at', 'teacher_at'}
    others = sides if own.get('at') is not None else {'at'} if sides <= set(own) else set()
    for key in others - set(own):
        stage.pop(key, None)


def _merge(base: Any, own: dict) -> dict:
    own = dict(own)
    fresh = own.pop('_delete_', False) or ('type' in own and not _is_one_class(own['type'], base.get('type')))
    merged = {} if fresh else dict(base)
    for key, value in own.items():
        if isinstance(value, dict):
            known = merged.get(key)
            merged[key] = _merge(known if isinstance(known, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def _is_one_class(*types: Any) -> bool:
    """Whether two types of a config are, or name, one class, with or without a scope."""
    one, other = (MODELS.get(kind) if kind and isinstance(kind, str) else kind for kind in types)
    return types[0] == types[1] or (one is not None and one is other)


def _fits(name: str, pair: Pair) -> bool:
    try:
        METHODS.get(name)(pair)
    except ValueError:
        return False
    return True
