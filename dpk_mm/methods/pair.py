"""What a method knows of the student and the teacher it is for."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

from mmengine.logging import print_log
from torch import nn

from dpk_mm.utils import blank_shape, is_detector, is_segmentor
from dpk_mm.utils.frozen import frozen_taps, output_of
from dpk_mm.utils.token_maps import without_layout

from .side import look

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
        frozen (frozenset[str]): Outputs of the student that no training changes; none of ``maps`` is one.
    """

    student: nn.Module
    teacher: nn.Module
    maps: tuple[Level, ...]
    logits: Optional[Level]
    detects: bool
    shapes: tuple[dict, dict] = ({}, {})
    problems: tuple[str, ...] = ()
    segments: bool = False
    frozen: frozenset[str] = frozenset()

    @property
    def passed_over(self) -> set[str]:
        """Names that stages on frozen layers of the student would have."""
        return {_word(output.rpartition('.')[2]) for output in self.frozen}

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
    student_side = look(student, 'student', necks, blank)
    teacher_side = look(teacher.model, 'teacher', necks, teacher.padded(blank))
    ours, theirs = student_side.shapes, teacher.cropped(teacher_side.shapes, blank)
    if student_side.narrow:
        taps = ', '.join(f'{tap}: {" x ".join(map(str, ours[tap][2:]))}' for tap in student_side.narrow)
        print_log(f'Maps of one row or column in the dry run take no part: {taps}.', logger='current')
    frozen = frozen_taps(student, blank)
    dead = [tap for tap in student_side.maps if output_of(tap) in frozen]
    if dead:
        print_log(f'Frozen layers of the student take no part: {", ".join(dead)}.', logger='current')
    own = {tuple(ours[tap][2:]): tap for tap in student_side.maps if tap not in dead}
    other = {tuple(theirs[tap][2:]): tap for tap in teacher_side.maps}
    shared = [size for size in own if size in other]
    couples = [(own[size], other[size]) for size in shared]
    count = min(len(own), len(other))
    if detects and not necks:
        count = min(count, 1)  # a detector's first stages are often frozen, and a ViT has one map
    ends = [next(reversed(found), None) for found in (own, other)]
    if not necks and (ends[0] != ends[1] or count == 1):
        # maps of other sizes are resized; the last ones say the same, whatever their sizes
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
    problems = (*(f'student.{tap} is frozen' for tap in dead), *student_side.problems, *teacher_side.problems)
    segments = is_segmentor(student)
    shapes = (ours, theirs)
    return Pair(student, teacher.model, tuple(maps), logits, detects, shapes, problems, segments, frozen)


def _word(layer: str) -> str:
    """A layer's name as the name of a stage."""
    word = ''.join(letter if letter.isalnum() else '_' for letter in layer).strip('_')
    return word if word.isidentifier() else f'layer_{word}'
