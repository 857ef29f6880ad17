"""A stage on two groups of layers."""

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from dpk_mm.models.parts import check_part

from .base_stage import BaseStage


class GroupStage(BaseStage):
    """A loss between two groups of layers, such as all blocks of a stage; see :class:`DistillStage`.

    The loss gets the maps as the layers give them: it must handle differing numbers of layers, channels and
    sizes.

    Args:
        name (str): Its name in logs and checkpoints.
        student_shapes (Sequence[torch.Size]): (1, C_s, H, W) of each of the student's maps.
        teacher_shapes (Sequence[torch.Size]): (1, C_t, H, W) of each of the teacher's.
        loss (dict): Loss; built with ``student_channels`` and ``teacher_channels``, both tuples, called with
            (students, teachers, data_samples), the first two tuples as well.
        teacher (FrozenTeacher, optional): For a loss that asks for it.

    Raises:
        ValueError: Layers that give no maps, or that within one group have different widths, where the loss
            does not take them.
    """

    def __init__(
        self,
        name: str,
        student_shapes: Sequence[torch.Size],
        teacher_shapes: Sequence[torch.Size],
        loss: dict,
        teacher: Optional[nn.Module] = None,
    ) -> None:
        super().__init__(name)
        for side, shapes in (('student', student_shapes), ('teacher', teacher_shapes)):
            for shape in shapes:
                if len(shape) != 4:
                    raise ValueError(f'a group takes maps (B, C, H, W), but the {side} gives {tuple(shape)}.')
                if shape[1] != shapes[0][1] and check_part(loss, 'loss', 'loss').one_width:
                    raise ValueError(
                        f'all layers of a group must have one width, but the {side} gives '
                        f'{tuple(shapes[0])} and {tuple(shape)}.'
                    )
        self.add_loss(
            loss,
            teacher=teacher,
            student_channels=tuple(shape[1] for shape in student_shapes),
            teacher_channels=tuple(shape[1] for shape in teacher_shapes),
        )

    def compare(
        self,
        student_feats: Sequence[Tensor],
        teacher_feats: Sequence[Tensor],
        data_samples: Optional[Sequence],
        ratio: Optional[float] = None,
    ) -> Tensor:
        """The stage's loss.

        Args:
            student_feats (Sequence[Tensor]): (B, C_s, H, W) of each of the student's layers.
            teacher_feats (Sequence[Tensor]): (B, C_t, H', W') of each of the teacher's.
            data_samples (Sequence, optional): B samples.
            ratio (float, optional): Of no use here.

        Returns:
            Tensor: Scalar.
        """
        with record_function(f'dpk_mm::loss/{self.name}'):
            return self.loss(student_feats, teacher_feats, data_samples)
