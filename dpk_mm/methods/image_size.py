"""The size of the images that a training shows its model, from its pipeline."""

import logging
import math
from collections.abc import Iterator
from typing import Any, Optional

from mmengine.config import Config
from mmengine.logging import print_log

from dpk_mm.methods.pair import USUAL_IMAGES
from dpk_mm.utils.blank import padded_size
from dpk_mm.utils.config import is_distiller
from dpk_mm.utils.runner import method_of, type_name

# Fields of transforms that say how large the images become, and whether they name the width first. Of several
# sizes the largest counts.
_SIZES = {
    'Resize': ('scale', True),
    'RandomChoiceResize': ('scales', True),
    'RandomResize': ('scale', True),
    'Mosaic': ('img_scale', True),
    'RandomResizedCrop': ('scale', False),
    'EfficientNetRandomCrop': ('scale', False),
    'RandomCrop': ('crop_size', False),
    'CenterCrop': ('crop_size', True),
    'Pad': ('size', True),
}


def training_shape(cfg: Config) -> Optional[tuple[int, int]]:
    """What a training's pipeline says of ``input_shape``.

    Args:
        cfg (Config): Of a training.

    Returns:
        tuple[int, int] or None: Height and width of its batches, in pixels, see :func:`training_size`.
    """
    size = training_size(cfg)
    if size is None or cfg.get('default_scope') != 'mmdet':
        return size
    model = cfg.get('model') or {}
    student = model.get('student') or model
    # detectors pad their batches, mostly to multiples of 32 pixels
    preprocessor = student.get('data_preprocessor') if isinstance(student, dict) else None
    divisor = preprocessor.get('pad_size_divisor', 1) if preprocessor else 32
    return padded_size(size, divisor)


def tell_size(cfg: Config) -> None:
    """Warn where a method will make necks for images of quite another size than the pipeline's.

    Args:
        cfg (Config): Of a training.
    """
    if not is_distiller(cfg) or method_of(cfg.model) is None:
        return
    shape, given = training_shape(cfg), cfg.model.get('input_shape')
    usual = given or USUAL_IMAGES.get(cfg.get('default_scope'))
    # what is no size is an error of the model
    if shape is None or not isinstance(usual, (list, tuple)) or len(usual) != 2:
        return
    if 0.5 < math.prod(shape) / math.prod(usual) < 2:
        return
    print_log(
        f'The batches of the pipeline are {shape[0]} x {shape[1]} (height, width, padded), and the method '
        f'makes necks for {usual[0]} x {usual[1]}: give model.input_shape={shape}.',
        'current',
        logging.WARNING,
    )


def training_size(cfg: Config) -> Optional[tuple[int, int]]:
    """Height and width, in pixels, of the largest images that a training shows its model.

    Args:
        cfg (Config): Of a training.

    Returns:
        tuple[int, int] or None: What the last transform that says a size makes; None where none does.
    """
    dataset = (cfg.get('train_dataloader') or {}).get('dataset') or {}
    transforms: list[dict] = []
    while isinstance(dataset, dict):
        # a dataset around another has a pipeline that comes after the inner one's
        transforms = [*_transforms(dataset.get('pipeline')), *transforms]
        dataset = dataset.get('dataset') or next(iter(dataset.get('datasets') or ()), None)
    size = None
    for transform in transforms:
        field, width_first = _SIZES.get(type_name(transform), (None, False))
        found = _largest(transform.get(field)) if field else None
        # mmdet's crop names the width first, mmpretrain's and mmseg's the height
        width_first |= type_name(transform) == 'RandomCrop' and cfg.get('default_scope') == 'mmdet'
        if found is not None:
            size = found[::-1] if width_first else found
            if transform.get('keep_ratio'):  # then their order says nothing
                size = min(size), max(size)
    return size


def _transforms(pipeline: Any) -> Iterator[dict]:
    """The transforms of a pipeline, those inside of others included."""
    for transform in pipeline if isinstance(pipeline, (list, tuple)) else ():
        if isinstance(transform, dict):
            yield transform
            yield from _transforms(transform.get('transforms'))
        else:
            yield from _transforms(transform)


def _largest(value: Any) -> Optional[tuple[int, int]]:
    """A size as two numbers; of several the largest."""
    if isinstance(value, int):
        return value, value
    if isinstance(value, (list, tuple)) and value:
        if all(isinstance(side, int) for side in value) and len(value) == 2:
            return value[0], value[1]
        sizes = [size for size in map(_largest, value) if size is not None]
        return max(sizes, key=lambda size: size[0] * size[1]) if sizes else None
    return None
