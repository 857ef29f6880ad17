"""What a method knows of the student and the teacher it is for."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import torch
from torch import Tensor, nn

from dpk_mm.utils import blank_shape, is_detector
from dpk_mm.utils.outputs import run_outputs
from dpk_mm.utils.probe import size_errors

if TYPE_CHECKING:
    from dpk_mm.models.teachers import FrozenTeacher

# The usual size of the images of a detector, in pixels, where input_shape does not say another.
DETECTOR_IMAGE = (800, 1344)


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
        maps (tuple[Level, ...]): Of a detector the levels of the neck, of another model the stages of the
            backbone, the finest first.
        logits (Level, optional): The logits, of models that are no detectors.
        detects (bool): Whether the student is a detector.
    """

    student: nn.Module
    teacher: nn.Module
    maps: tuple[Level, ...]
    logits: Optional[Level]
    detects: bool

    @property
    def heads(self) -> list[str]:
        """The class of the student's box head and those it is derived from; ``'TwoStage'`` of such."""
        if hasattr(self.student, 'roi_head'):
            return ['TwoStage']
        return [kind.__name__ for kind in type(getattr(self.student, 'bbox_head', None)).__mro__]


def find_pair(
    student: nn.Module, teacher: 'FrozenTeacher', input_shape: Optional[tuple[int, int]] = None
) -> Pair:
    """Find by one blank image what student and teacher have in common.

    Args:
        student (nn.Module): The student.
        teacher (FrozenTeacher): The teacher.
        input_shape (tuple[int, int], optional): Height and width of the training images, in pixels. The blank
            image has that size. Defaults to (800, 1344) for detectors, shown a blank image of (256, 256),
            and to (224, 224) for other models.

    Returns:
        Pair: What was found.

    Raises:
        ValueError: One of the two is a detector and the other is none.
    """
    detects = is_detector(student)
    if detects != is_detector(teacher.model):
        raise ValueError(
            f'method: the student is a {type(student).__name__}, the teacher a '
            f'{type(teacher.model).__name__}; methods need two detectors or two classifiers. Write stages.'
        )
    blank = blank_shape(student, input_shape)
    image = tuple(input_shape or (DETECTOR_IMAGE if detects else blank))
    ours, ours_logits = _layers(student, 'student', detects, blank)
    theirs, theirs_logits = _layers(teacher.model, 'teacher', detects, teacher.padded(blank))
    teacher_shapes = teacher.probe(list(theirs), blank)  # of what its padding leaves
    own = {tuple(shape[2:]): tap for tap, shape in ours.items()}
    other = {tuple(shape[2:]): tap for tap, shape in teacher_shapes.items()}
    shared = [size for size in own if size in other]
    couples = [(own[size], other[size]) for size in shared]
    if not couples and not detects:
        # maps of other sizes are resized; the last ones say the same
        count = min(len(own), len(other))
        couples = list(zip(list(own.values())[-count:], list(other.values())[-count:])) if count else []
    maps = []
    for student_at, teacher_at in couples:
        shape = teacher_shapes[teacher_at]
        stride = 2 ** round(math.log2(max(1, blank[0] / shape[2])))
        size = tuple(-(-side * cells // given) for side, cells, given in zip(image, shape[2:], blank))
        name = _word(f'p{stride.bit_length() - 1}' if detects else student_at.rpartition('.')[2])
        if name in {level.name for level in maps}:
            name = _word(student_at)
        maps.append(Level(name, student_at, teacher_at, ours[student_at][1], shape[1], size, stride))
    logits = None
    if ours_logits and theirs_logits:
        logits = Level('logits', ours_logits[0], theirs_logits[0], ours_logits[1], theirs_logits[1])
    return Pair(student, teacher.model, tuple(maps), logits, detects)


def _layers(
    model: nn.Module, side: str, detects: bool, blank: Sequence[int]
) -> tuple[dict[str, torch.Size], Optional[tuple[str, int]]]:
    """The layers worth a comparison and their shapes, the finest first; the logits with their width."""
    part = 'neck' if detects and getattr(model, 'neck', None) is not None else 'backbone'
    modules = dict(model.named_modules())
    with size_errors(side, model, blank):
        # what comes behind the neck of a detector is not needed
        ran = run_outputs(model, 3, tuple(blank), part if detects else None)
    outputs = {}
    for name, runs in ran.items():
        for tap, tensor, version in runs[0] if len(runs) == 1 else ():
            is_whole = tap != name or any(modules[name].children()) or tensor.ndim == 2
            if is_whole and tensor.shape[:1] == (1,) and tensor._version == version:
                outputs[tap] = tensor
    maps = [
        tap
        for tap, tensor in outputs.items()
        if tensor.ndim == 4 and min(tensor.shape[2:]) > 1 and re.split(r'[.\[]', tap)[0] == part
    ]
    if detects:
        return {tap: outputs[tap].shape for tap in maps if '.' not in tap}, None
    # the last of each size ends a stage; inside of a block another size begins too early
    last: dict[tuple, str] = {}
    for tap in sorted(maps, key=lambda tap: tap.count('.') < 2):
        last[tuple(outputs[tap].shape[2:])] = tap
    sizes = sorted(last, reverse=True)
    # of several names of one output a short one is the clearest
    starts = [outputs[last[size]].data_ptr() for size in sizes]
    names = [
        min((tap for tap in maps if outputs[tap].data_ptr() == start), key=lambda tap: ('[' in tap, len(tap)))
        for start in starts
    ]
    return {tap: outputs[tap].shape for tap in names}, _logits(getattr(model, 'head', None), outputs)


def _logits(head: Any, outputs: dict[str, Tensor]) -> Optional[tuple[str, int]]:
    """The layer that gives the logits of one softmax over classes, and their number."""
    kinds = ' '.join(kind.__name__ for kind in type(head).__mro__)
    if 'MultiTask' in kinds or 'MultiLabel' in kinds:
        return None
    found = [(tap, out.shape[1]) for tap, out in outputs.items() if out.ndim == 2 and tap.startswith('head')]
    classes = getattr(head, 'num_classes', None)
    # hidden layers of a head are narrower or wider; the logits come last
    return next((one for one in found if one[1] == classes), found[-1] if found else None)


def _word(layer: str) -> str:
    """A layer's name as the name of a stage."""
    word = ''.join(letter if letter.isalnum() else '_' for letter in layer).strip('_')
    return word if word.isidentifier() else f'layer_{word}'
