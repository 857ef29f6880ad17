"""Check values of a config that upstream takes, and that then do nothing, or fail hours later."""

import inspect
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import torch
from mmengine.dataset import BaseDataset, DefaultSampler, InfiniteSampler
from mmengine.registry import DATA_SAMPLERS, DATASETS, FUNCTIONS, WEIGHT_INITIALIZERS

from dpk_mm.utils.checks import check_fields
from dpk_mm.utils.errors import FieldError, shown, walk
from dpk_mm.utils.hints import Count, NotNegative, Positive, check

# All that mmengine's default constructor heeds; it passes over anything else in silence.
PARAMWISE = (
    'bias_decay_mult',
    'bias_lr_mult',
    'bypass_duplicate',
    'custom_keys',
    'dcn_offset_lr_mult',
    'dwconv_decay_mult',
    'flat_decay_mult',
    'norm_decay_mult',
)
_FLAGS = ('true', 'false', 'yes', 'no', 'on', 'off')
# those of upstream's packages are made of these, and take another data_prefix
_DATA = (BaseDataset, DefaultSampler, InfiniteSampler)
_Numbers = Optional[Union[float, Sequence[float]]]
_Divisors = Optional[Union[Positive, Sequence[Positive]]]


def check_values(fields: dict, training: bool = True) -> None:
    """Check what a value must be wherever it stands in a config.

    Args:
        fields (dict): A whole config.
        training (bool): Whether a model begins as its ``init_cfg`` says. Defaults to True.

    Raises:
        FieldError: NaN; a text that says no, and would be true; an interval that is no positive integer;
            images divided by 0; a file to begin with that is not there.
    """
    for field, value in walk(fields):
        name = field.rpartition('.')[2]
        if isinstance(value, float) and math.isnan(value):
            raise FieldError(field, ' must be a number, got nan.')
        # in lists they may be names
        if isinstance(value, str) and value.lower() in _FLAGS and name != 'type' and name[-1:] != ']':
            raise FieldError(field, f' must be True or False, got the text {value!r}.')
        if name == 'interval' or name.endswith('_interval'):
            never = value == -1 and '_hooks' in field and 'logger' not in field  # mmengine's sign
            whole = int(value) if isinstance(value, float) and value.is_integer() else value
            if isinstance(value, (int, float)) and not never:
                check(whole, Count, field)
        if name == 'data_preprocessor' and isinstance(value, dict):
            check(value.get('mean'), _Numbers, f'{field}.mean')
            check(value.get('std'), _Divisors, f'{field}.std')
        if training and name == 'init_cfg':
            for one in value if isinstance(value, (list, tuple)) else [value]:
                _check_init(field, one)


def _check_init(field: str, init: Any) -> None:
    """Refuse a way to begin that is not there: mmengine looks when all is built."""
    if init is None:
        return
    check(init, dict, field)
    kind, checkpoint = init.get('type'), init.get('checkpoint')
    if isinstance(kind, str) and WEIGHT_INITIALIZERS.get(kind) is None:
        raise FieldError(f'{field}.type', f': {kind!r} is not registered as a weight initializer.')
    if isinstance(checkpoint, str) and '://' not in checkpoint and not Path(checkpoint).is_file():
        raise FieldError(f'{field}.checkpoint', f': no such file: {checkpoint!r}.')


def check_data(field: str, loader: Any, scope: Optional[str]) -> None:
    """Check the parts of a dataloader by what the classes are annotated for that upstream's are made of.

    Args:
        field (str): Its name.
        loader (Any): Its config.
        scope (str, optional): In which names of classes are looked for.

    Raises:
        FieldError: A field is not what it is annotated for.
    """
    if not isinstance(loader, dict):
        return
    for name in ('dataset', 'sampler', 'batch_sampler', 'collate_fn'):
        if isinstance(loader.get(name), (str, int, float)):
            raise FieldError(f'{field}.{name}', f' must be a dict, got {shown(loader[name])}.')
    _check_class_names(field, loader)
    collate = loader.get('collate_fn')
    collate = collate.get('type') if isinstance(collate, dict) else None
    if isinstance(collate, str) and FUNCTIONS.get(collate) is None:
        raise FieldError(f'{field}.collate_fn.type', f': {collate!r} is not registered as a function.')
    for path, part in walk(loader, field):
        for kind in _kinds(part, scope):
            for base in _DATA:
                if issubclass(kind, base):
                    check_fields({key: part[key] for key in part if key != 'data_prefix'}, base, path)


def _kinds(part: Any, scope: Optional[str]) -> Iterator[type]:
    """The classes that the type of a part may stand for."""
    kind = part.get('type') if isinstance(part, dict) else None
    if inspect.isclass(kind):
        yield kind
    for registry in (DATASETS, DATA_SAMPLERS) if isinstance(kind, str) else ():
        with registry.switch_scope_and_registry(part.get('_scope_') or scope) as own:
            found = own.get(kind)
        if inspect.isclass(found):
            yield found


def check_factors(optim: dict, path: str) -> None:
    """Check by what mmengine's default constructor multiplies rates and decays.

    Args:
        optim (dict): The optimizer's wrapper.
        path (str): Its field.

    Raises:
        FieldError: A factor is no number, or has a name that nobody heeds.
    """
    field = f'{path}.paramwise_cfg'
    factors = optim.get('paramwise_cfg')
    # ours gives them to the one that it names
    constructor = optim.get('student_constructor' if 'distiller' in optim else 'constructor')
    if not isinstance(factors, dict) or constructor is not None:
        return
    keys = factors.get('custom_keys') or {}
    check(keys, dict, f'{field}.custom_keys')
    if unknown := [name for name in factors if name not in PARAMWISE and not name.startswith('_')]:
        raise FieldError(f'{field}.{unknown[0]}', f' is none of {", ".join(PARAMWISE)}.')
    named = [(f'{field}.{name}', name, factor) for name, factor in factors.items()]
    for key, of_key in keys.items():
        check(of_key, dict, f'{field}.custom_keys.{key}')
        named += [(f'{field}.custom_keys.{key}.{name}', name, factor) for name, factor in of_key.items()]
        # others are settings of the optimizer
        if unknown := [
            name for name in of_key if name.endswith('mult') and name not in ('lr_mult', 'decay_mult')
        ]:
            raise FieldError(f'{field}.custom_keys.{key}.{unknown[0]}', ' is none of lr_mult, decay_mult.')
    for at, name, factor in named:
        if name.endswith('_mult') and factor is not None:
            check(factor, NotNegative, at)


def check_clipping(clip: Any, path: str) -> None:
    """Check the arguments of clipping, which nobody reads before the first step.

    Args:
        clip (Any): ``clip_grad`` of the optimizer's wrapper.
        path (str): The wrapper's field.

    Raises:
        FieldError: One that the clipping does not take, or with which no gradient is left.
    """
    if not isinstance(clip, dict):
        return
    kind = clip.get('type', 'norm')
    if kind not in ('norm', 'value'):
        raise FieldError(f'{path}.clip_grad.type', f" must be 'norm' or 'value', got {kind!r}.")
    most = f'{"max" if kind == "norm" else "clip"}_{kind}'
    if clip.get(most) != math.inf:  # norms are logged, and nothing is clipped; with 0 nothing is learned
        check(clip.get(most, 1), Positive, f'{path}.clip_grad.{most}')
    known = list(inspect.signature(getattr(torch.nn.utils, f'clip_grad_{kind}_')).parameters)[1:]
    if unknown := sorted(set(clip) - {*known, 'type'}):
        raise FieldError(f'{path}.clip_grad.{unknown[0]}', f' is none of {", ".join(known)}.')


def _check_class_names(field: str, loader: Any) -> None:
    """Refuse a text where names of classes belong: each letter would be a class."""
    for path, value in walk(loader, field):
        if path.rpartition('.')[2] != 'classes':
            continue
        if isinstance(value, str):
            fits = '://' in value or Path(value).is_file()
        else:  # elsewhere they may be something else
            is_names = path.rpartition('.')[0].endswith('metainfo')
            fits = not is_names or isinstance(value, (list, tuple)) and len(value) > 0
        if not fits:
            raise FieldError(path, f" must be a list of names, such as ('cat',), or a file, got {value!r}.")
