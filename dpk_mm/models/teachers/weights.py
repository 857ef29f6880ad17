"""Set the weights of a teacher, all of them."""

import logging
import math
from pathlib import Path
from typing import Any, Union

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from dpk_mm.stack import check_stack
from dpk_mm.utils import load_weights
from dpk_mm.utils.checkpoint import fetch
from dpk_mm.utils.config import describe
from dpk_mm.utils.files import digest_file
from dpk_mm.utils.teacher_config import hub_weights


def load_checkpoint(
    model: nn.Module,
    checkpoint: str,
    config: Union[str, dict, nn.Module],
    source: str,
    trust_checkpoint: bool,
    allow_incomplete: bool,
) -> None:
    """Load a checkpoint into a teacher, and log its file, the file's SHA-256 and how many weights it set.

    Args:
        model (nn.Module): The teacher.
        checkpoint (str): A path, a URL, or ``'hub'``.
        config (str, dict or nn.Module): What the teacher was built from.
        source (str): Names config and checkpoint in messages.
        trust_checkpoint (bool): Also open a file that can run code.
        allow_incomplete (bool): See :func:`set_weights`.

    Raises:
        FileNotFoundError: There is no such file, or it cannot be fetched.
        ValueError: Upstream publishes none for ``config``, the file is refused, or its weights do not fit.
    """
    if checkpoint == 'hub':
        checkpoint = hub_weights(config, 'teacher.checkpoint')
    path = fetch(checkpoint, 'teacher.checkpoint')
    set_weights(model, load_weights(path, trust_checkpoint, 'teacher.checkpoint'), source, allow_incomplete)
    print_log(
        f'Teacher {describe(config)}: {len(model.state_dict())} weights, from {path} '
        f'(SHA-256 {digest_file(Path(path))[:8]})',
        'current',
    )


def set_weights(model: nn.Module, weights: dict[str, Tensor], source: str, allow_incomplete: bool) -> None:
    """Load a state dict into a teacher, and refuse one that leaves weights unset.

    Args:
        model (nn.Module): The teacher.
        weights (dict[str, Tensor]): Its state dict.
        source (str): Names config and checkpoint in messages.
        allow_incomplete (bool): Warn of weights that are not set or have other shapes, instead.

    Raises:
        ValueError: A weight is not set, or has another shape. Always where no weight fits, or one is no
            finite number.
    """
    check_finite(weights, model, source)
    own = model.state_dict()
    if own.keys().isdisjoint(weights):
        theirs, ours = next(iter(weights)), next(iter(own))
        raise ValueError(
            f'{source}: no weight fits: the checkpoint has {theirs!r}, ..., the teacher {ours!r}, '
            '... Is this the checkpoint of that config? One of RepDistiller or mdistiller must be '
            'converted, by tools/model_converters/repdistiller2dpk_mm.py.'
        )
    try:
        missing, unused = model.load_state_dict(weights, strict=False)
        problems = []
    except RuntimeError as error:  # torch's way to say: other shapes
        problems = [line.strip() for line in str(error).splitlines()[1:]]
        fitting = {k: v for k, v in weights.items() if k not in own or v.shape == own[k].shape}
        missing, unused = model.load_state_dict(fitting, strict=False)
        missing = [key for key in missing if key not in weights]  # the others are said already
    # Old checkpoints lack the batch counter, which a model in eval mode does not read.
    problems += [f'{key} is not set' for key in missing if 'num_batches_tracked' not in key]
    if not problems or allow_incomplete:
        _tell_unused(unused, own, source)
    if not problems:
        return
    message = f'{source}: {len(problems)} weights do not fit: {"; ".join(problems[:5])}'
    if not allow_incomplete:
        raise ValueError(
            f'{message}. Is this the checkpoint of that config? {_other_stack(problems)}'
            'allow_incomplete=True accepts it, leaving those weights random.'
        )
    print_log(message, logger='current', level=logging.WARNING)


def _tell_unused(unused: list[str], own: dict[str, Tensor], source: str) -> None:
    """Warn of weights of parts that the model has: it may be a smaller model than that of the file."""
    parts = {key.partition('.')[0] for key in own}
    unused = [key for key in unused if key.partition('.')[0] in parts]
    # a single parameter, such as a mask token of the training, is no layer
    if any(key.endswith('.weight') for key in unused):
        print_log(
            f'{source}: {len(unused)} weights of the checkpoint have no place in the model, such as '
            f'{unused[0]}. Is it the checkpoint of a bigger model?',
            logger='current',
            level=logging.WARNING,
        )


def check_finite(weights: dict[str, Any], model: nn.Module, source: str) -> None:
    """Refuse weights that torch would copy, and that would make a teacher of nonsense.

    Args:
        weights (dict): A state dict.
        model (nn.Module): The model that takes it, or has it.
        source (str): Names config and checkpoint in messages.

    Raises:
        ValueError: Numbers that are not finite, or, where real numbers belong, integers, complex numbers,
            numbers of one byte, or sparse or quantised tensors. Buffers, such as masks, may hold -inf.
    """
    own, trained = model.state_dict(), dict(model.named_parameters())
    expected = [key for key, value in own.items() if torch.is_tensor(value) and value.is_floating_point()]
    real = {key: weights[key] for key in expected if key in weights}
    strange = [key for key, value in real.items() if not _is_dense(value)]
    if strange:
        first = real[strange[0]]
        kind = str(type(first))
        if torch.is_tensor(first):
            kind = f'{first.dtype}, {"on no device" if first.is_meta else first.layout}'
        raise ValueError(
            f'{source}: {len(strange)} weights are no real numbers of two bytes or more in dense tensors, '
            f'such as {strange[0]} ({kind.replace("torch.", "")}).'
        )
    lowest = {key: -math.inf if key not in trained else math.nan for key in real}
    broken = [key for key, value in real.items() if not (value.isfinite() | (value == lowest[key])).all()]
    if broken:
        raise ValueError(
            f'{source}: {len(broken)} weights are not finite, as its training has diverged: '
            f'{", ".join(broken[:5])}'
        )


def _is_dense(value: Any) -> bool:
    """Whether this is a tensor of real numbers that are there."""
    # those of one byte need a scale, which a state dict of a model does not say
    is_real = torch.is_tensor(value) and value.is_floating_point() and value.element_size() > 1
    return is_real and value.layout == torch.strided and not value.is_meta


def _other_stack(problems: list[str]) -> str:
    """Which mmdet the weights of a DINO want: the two stacks build different layers of the same name."""
    if not any('ref_point_head' in problem and 'size mismatch' in problem for problem in problems):
        return ''
    wanted = {'upstream': 'onedl-mmdetection of the maintained forks', 'onedl': "upstream's mmdet 3.3"}
    return f'These are weights of a DINO that want {wanted[check_stack()]}. '
