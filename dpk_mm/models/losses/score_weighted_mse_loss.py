"""Squared error where the teacher sees objects."""

from collections.abc import Sequence
from typing import Optional

from torch import Tensor, nn

from dpk_mm.registry import MODELS
from dpk_mm.utils import resize_like

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class ScoreWeightedMSELoss(DistillLoss):
    """Squared error of two maps, each position weighted by the teacher's highest class score there.

    Ultralytics trains YOLO so (2026). With G two 1x1 convolutions with a ReLU between, and w the largest
    sigmoid over the teacher's class scores at a position (ultralytics' formula)::

        mean over all elements of w (G(student) - teacher)^2

    It compares groups: of the student one map, of the teacher a map and the class scores of the same level,
    ``teacher_at=['neck[0]', 'bbox_head[0][0]']``. Both may have any number of channels and anchors. G has the
    teacher's width inside (ours). Where sizes differ, the student's map is resized.

    Args:
        student_channels (Sequence[int]): C_s of the student's map.
        teacher_channels (Sequence[int]): C_t of the teacher's map, and the width of its class scores.
        loss_weight (float): Weight of the loss.

    Raises:
        ValueError: Other groups than one map, and a map with scores.
    """

    takes = 'groups'
    one_width = False

    def __init__(
        self, student_channels: Sequence[int], teacher_channels: Sequence[int], loss_weight: LossWeight = 1.0
    ) -> None:
        super().__init__(loss_weight)
        if (len(student_channels), len(teacher_channels)) != (1, 2):
            raise ValueError(
                'ScoreWeightedMSELoss takes one map of the student, and of the teacher a map and its class '
                f'scores, got {len(student_channels)} and {len(teacher_channels)} layers.'
            )
        width = teacher_channels[0]
        self.align = nn.Sequential(
            nn.Conv2d(student_channels[0], width, 1), nn.ReLU(inplace=True), nn.Conv2d(width, width, 1)
        )

    def forward(
        self,
        student_feats: Sequence[Tensor],
        teacher_feats: Sequence[Tensor],
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss.

        Args:
            student_feats (Sequence[Tensor]): One map (B, C_s, H', W').
            teacher_feats (Sequence[Tensor]): A map (B, C_t, H, W), and logits of class scores (B, N, H, W) of
                any number of anchors and classes; they get no gradient.
            data_samples (Sequence, optional): Of no use here.

        Returns:
            Tensor: Scalar float32.
        """
        teacher, scores = (feat.detach().float() for feat in teacher_feats)
        student = resize_like(student_feats[0], teacher)
        student = self.align(student.to(self.align[0].weight.dtype)).float()
        weight = scores.amax(dim=1, keepdim=True).sigmoid()
        return self.loss_weight * (weight * (student - teacher).square()).mean()
