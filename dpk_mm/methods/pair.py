"""What a method knows of the student and the teacher it is for."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

import torch
from mmengine.logging import print_log
from torch import nn

from dpk_mm.utils import blank_shape, is_detector, is_segmentor
from dpk_mm.utils.heads import pixel_ignore_index
from dpk_mm.utils.outputs import run_outputs
from dpk_mm.utils.probe import look_twice, misfit, size_errors
from dpk_mm.utils.sigmoid import sigmoid_loss
from dpk_mm.utils.token_maps import find_layouts, patches_of, to_map, without_layout

if TYPE_CHECKING:
    from dpk_mm.models.teachers import FrozenTeacher

# The usual size of the images of a detector, and of a segmentor the crops of Cityscapes, in pixels.
USUAL_IMAGES = dict(mmdet=(800, 1344), mmseg=(512, 1024), mmpretrain=(224, 224))


@dataclass(frozen=True)
class Level:
    """One layer of the student and the one of the teacher that it learns from.

    Attributes:
        name (str): Of its stage: ``'p4'`` of a detector's neck, else the student's layer.
        student_at (str): The student's layer.
        teacher_at (str): The teacher's layer.
        student_channels (int): C_s of maps, or K of logits.
        teacher_channels (int): C_t of maps, or K of logits.
        size (tuple[int, int]): Height and width of the teacher's map in training, in positions; () of logits.
        stride (int): Pixels of the image per position; 0 of logits.
    """

    name: str
    student_at: str
    teacher_at: str
    student_channels: int
    teacher_channels: int
    size: tuple = ()
    stride: int = 0

    @property
    def at(self) -> dict:
        """The fields of a stage that name the layers."""
        if self.student_at == self.teacher_at:
            return dict(at=self.student_at)
        return dict(student_at=self.student_at, teacher_at=self.teacher_at)


@dataclass(frozen=True)
class Pair:
    """What the dry run found of a student and a teacher.

    Attributes:
        student (nn.Module): The student.
        teacher (nn.Module): The teacher's model.
        maps (tuple[Level, ...]): Of two detectors the levels of the neck, of two others the stages of the
            backbone, the finest first. Of a detector and a teacher that is none, the backbones' last.
        logits (Level, optional): The logits, of models that are no detectors: (B, K), or (B, K, H, W) of
            segmentors.
        detects (bool): Whether the student is a detector.
        segments (bool): Whether it is a segmentor.
        shapes (tuple[dict, dict]): Of student and teacher: layer -> the shape of what it gave for one image.
        problems (tuple[str, ...]): Outputs of backbone or neck that are no maps, and why.
    """

    student: nn.Module
    teacher: nn.Module
    maps: tuple[Level, ...]
    logits: Optional[Level]
    detects: bool
    shapes: tuple[dict, dict] = ({}, {})
    problems: tuple[str, ...] = ()
    segments: bool = False

    @property
    def is_dense(self) -> bool:
        """Whether the student says something of each place: few images a batch, of many positions each."""
        return self.detects or self.segments

    @property
    def heads(self) -> list[str]:
        """The class of the student's box head and those it is derived from; ``'TwoStage'`` of such."""
        if hasattr(self.student, 'roi_head'):
            return ['TwoStage']
        return [kind.__name__ for kind in type(getattr(self.student, 'bbox_head', None)).__mro__]


def usual_image(student: nn.Module) -> tuple[int, int]:
    """Height and width of the images of a training, in pixels, where no ``input_shape`` says others."""
    kind = 'mmdet' if is_detector(student) else 'mmseg' if is_segmentor(student) else 'mmpretrain'
    return USUAL_IMAGES[kind]


def find_pair(
    student: nn.Module, teacher: 'FrozenTeacher', input_shape: Optional[tuple[int, int]] = None
) -> Pair:
    """Find by blank images what student and teacher have in common.

    Args:
        student (nn.Module): The student.
        teacher (FrozenTeacher): The teacher.
        input_shape (tuple[int, int], optional): Height and width of the training images, in pixels. The blank
            image has that size. Defaults to (800, 1344) for detectors and (512, 1024) for segmentors, shown
            a blank image of (256, 256), and to (224, 224) for other models.

    Returns:
        Pair: What was found.

    Raises:
        ValueError: The teacher is a detector and the student is none.
    """
    detects = is_detector(student)
    if teacher.detects and not detects:
        raise ValueError(
            f'method: the student is a {type(student).__name__}, the teacher a '
            f'{type(teacher.model).__name__}: a detector teaches only detectors by a method. Write stages.'
        )
    blank = blank_shape(student, input_shape)
    image = input_shape or usual_image(student)
    necks = detects and teacher.detects
    student_side = _look(student, 'student', necks, blank)
    teacher_side = _look(teacher.model, 'teacher', necks, teacher.padded(blank))
    ours, theirs = student_side.shapes, teacher.cropped(teacher_side.shapes, blank)
    if student_side.narrow:
        taps = ', '.join(f'{tap}: {" x ".join(map(str, ours[tap][2:]))}' for tap in student_side.narrow)
        print_log(f'Maps of one row or column in the dry run take no part: {taps}.', logger='current')
    own = {tuple(ours[tap][2:]): tap for tap in student_side.maps}
    other = {tuple(theirs[tap][2:]): tap for tap in teacher_side.maps}
    shared = [size for size in own if size in other]
    couples = [(own[size], other[size]) for size in shared]
    count = min(len(own), len(other))
    if detects and not necks:
        count = min(count, 1)  # a detector's first stages are often frozen, and a ViT has one map
    if not necks and (not couples or count == 1):
        # maps of other sizes are resized; the last ones say the same
        couples = list(zip(list(own.values())[-count:], list(other.values())[-count:])) if count else []
    maps = []
    for student_at, teacher_at in couples:
        shape = theirs[teacher_at]
        stride = 2 ** round(math.log2(max(1, blank[0] / shape[2])))
        size = tuple(-(-side * cells // given) for side, cells, given in zip(image, shape[2:], blank))
        layer = without_layout(student_at).rpartition('.')[2]
        name = _word(f'p{stride.bit_length() - 1}' if necks else layer)
        if name in {level.name for level in maps}:
            name = _word(student_at)
        maps.append(Level(name, student_at, teacher_at, ours[student_at][1], shape[1], size, stride))
    logits, sides = None, (student_side, teacher_side)
    if all(side.logits for side in sides):
        found = [shapes[side.logits] for shapes, side in zip((ours, theirs), sides)]
        if len(found[0]) == len(found[1]):  # an image's and those of its pixels cannot be compared
            logits = Level('logits', *(side.logits for side in sides), *(shape[1] for shape in found))
    problems = student_side.problems + teacher_side.problems
    segments = is_segmentor(student)
    return Pair(student, teacher.model, tuple(maps), logits, detects, (ours, theirs), problems, segments)


@dataclass(frozen=True)
class _Side:
    """What the dry run found of one model."""

    shapes: dict[str, torch.Size]  # of all layers that a stage could read
    maps: list[str]  # those worth a comparison, the finest first
    logits: Optional[str]
    problems: tuple[str, ...]
    narrow: tuple[str, ...] = ()  # a neck's outputs that are too small to compare


def _look(model: nn.Module, side: str, necks: bool, blank: Sequence[int]) -> _Side:
    """Find the layers of a model that are worth a comparison: of a neck, or of a backbone and a head."""
    part = 'neck' if necks and getattr(model, 'neck', None) is not None else 'backbone'
    part = part if hasattr(model, part) else None  # a bare backbone
    headless = getattr(model, 'head', None) is None
    modules, patches = dict(model.named_modules()), patches_of(model)
    with size_errors(side, model, blank):
        # what comes behind the neck of a detector, or the backbone of a headless model, is not needed
        ran, again, sizes = look_twice(
            lambda size, images: run_outputs(model, 3, size, part if headless else None, images), blank
        )
    second = {tap: tensor.shape for runs in again.values() for run in runs for tap, tensor, _ in run}
    outputs, shapes, problems = {}, {}, []
    for name, runs in ran.items():
        for tap, tensor, version in runs[0] if len(runs) == 1 else ():
            if tensor._version != version or tap not in second:
                continue
            layouts, problem = find_layouts(tensor.shape, second[tap], sizes, patches), None
            if len(layouts) == 1:
                tap, tensor = f'{tap}[{layouts[0]}]', to_map(tensor, layouts[0], sizes[0])
            else:
                problem = misfit(tensor.shape, second[tap], sizes, patches)
            if problem is None:
                shapes[tap] = tensor.shape
                if tap != name or any(modules[name].children()) or tensor.ndim == 2:
                    outputs[tap] = tensor
            elif layouts or tensor.ndim in (3, 4) and part in (None, re.split(r'\[', tap)[0]):
                problems.append(f'{side}.{tap} {problem}')
    maps = [
        tap
        for tap, tensor in outputs.items()
        if tensor.ndim == 4 and part in (None, re.split(r'[.\[]', tap)[0])
    ]
    if necks:
        maps = [tap for tap in maps if '.' not in tap]
    narrow = tuple(tap for tap in maps if min(outputs[tap].shape[2:]) == 1)
    maps = [tap for tap in maps if tap not in narrow]
    if necks:
        return _Side(shapes, maps, None, tuple(problems), narrow)
    # the last of each size ends a stage; inside of a block of convolutions another size begins too early
    last: dict[tuple, str] = {}
    for tap in sorted(maps, key=lambda tap: tap.count('.') < 2 or 'tokens' in tap):
        last[tuple(outputs[tap].shape[2:])] = tap
    sizes = sorted(last, reverse=True)
    # of several names of one output a short one is the clearest
    starts = [outputs[last[size]].data_ptr() for size in sizes]
    names = [
        min((tap for tap in maps if outputs[tap].data_ptr() == start), key=lambda tap: ('[' in tap, len(tap)))
        for start in starts
    ]
    return _Side(shapes, names, _logits(model, shapes), tuple(problems))


def _logits(model: nn.Module, shapes: dict[str, torch.Size]) -> Optional[str]:
    """The layer that gives the logits of one softmax over classes, of the image or of each pixel."""
    head = getattr(model, 'head', None)
    if any('MultiTask' in kind.__name__ for kind in type(head).__mro__):
        return None
    pixels = [tap for tap, shape in shapes.items() if pixel_ignore_index(model, tap, shape) is not None]
    found = [tap for tap, shape in shapes.items() if len(shape) == 2 and tap.startswith('head')]
    classes = getattr(head, 'num_classes', None)
    # hidden layers of a head are narrower or wider; the logits come last
    last = next((tap for tap in found if shapes[tap][1] == classes), (found or pixels or [None])[-1])
    return None if last is None or sigmoid_loss(model, last) else last


def _word(layer: str) -> str:
    """A layer's name as the name of a stage."""
    word = ''.join(letter if letter.isalnum() else '_' for letter in layer).strip('_')
    return word if word.isidentifier() else f'layer_{word}'
