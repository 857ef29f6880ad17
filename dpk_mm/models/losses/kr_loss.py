"""Knowledge representing (KR): knowledge aggregation and sparse recoding of groups of layers."""

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import NotNegative, Positive

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class KRLoss(DistillLoss):
    """KR: what a group of layers says on the whole, with a threshold on what the student must learn of it.

    Source: Liu et al., CVPR Workshops 2019. Knowledge aggregation takes the teacher's distribution over
    groups of layers, which is more abstract than single maps, against the residuals that deep layers pile
    up; sparse recoding penalises the gradients, against over-regularisation; the loss is a cross-entropy
    (paper). The formulas were not at hand, so these are our reading of that (ours):

    - aggregation: v = mean over the group's layers of their maps' means over positions, (B, C), the student's
      through a 1x1 convolution where its width is another; p = softmax(v / T);
    - sparse recoding: S = p_teacher - p_student, soft-thresholded by lambda, so that what is closer is left
      alone; the student's target is q = p_student + S, the nearest within lambda of p_teacher;
    - loss: sum over C of q log(q / p_student) - q + p_student, and of ``l1_weight`` |S|; mean over images.

    Without a threshold q is p_teacher, and the first term the cross-entropy less the teacher's entropy, which
    has no gradient. With one, its gradient by an entry of p_student is -S / p_student: zero within lambda,
    towards the teacher beyond, with no jump between; by v it is (p_student sum(S) - S) / T. (Cross-entropy
    over the entries beyond lambda alone would raise those that are too large as well: only the sum over all
    holds them down.)

    The teacher's side has no weights: one that learned could turn its distribution into any other.

    Args:
        student_channels (Sequence[int]): C_s of each of the student's layers; all equal.
        teacher_channels (Sequence[int]): C_t of each of the teacher's; all equal.
        temperature (float): T > 0.
        threshold (float): lambda as a multiple of 1 / C_t, an entry's even share, so that one value fits all
            widths; 0 for none.
        l1_weight (float): Weight of the sum of absolute differences beyond the threshold.
        loss_weight (float): Weight of the sum.

    Raises:
        ValueError: A temperature that is not positive; a negative threshold or ``l1_weight``.
    """

    takes = 'groups'
    least_channels = 2

    def __init__(
        self,
        student_channels: Sequence[int],
        teacher_channels: Sequence[int],
        temperature: Positive = 1.0,
        threshold: NotNegative = 0.1,
        l1_weight: NotNegative = 0.1,
        loss_weight: LossWeight = 1.0,
    ) -> None:
        super().__init__(loss_weight)
        self.temperature = temperature
        self.threshold = threshold
        self.l1_weight = l1_weight
        student, teacher = student_channels[0], teacher_channels[0]
        # A 1x1 convolution of every layer, averaged, is a linear map of their average.
        self.align = nn.Identity() if student == teacher else nn.Linear(student, teacher)

    def forward(
        self,
        student_feats: Sequence[Tensor],
        teacher_feats: Sequence[Tensor],
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss of groups of maps, (B, C_s, H, W) and (B, C_t, H', W'); see :class:`DistillLoss`."""
        # Half precision holds neither sums over a map nor small differences of probabilities.
        with torch.autocast(student_feats[0].device.type, enabled=False):
            student = aggregate(student_feats)
            # a model cast to half precision has its weights cast as well
            dtype = next(self.align.parameters(), student).dtype
            student = self.align(student.to(dtype)).float() / self.temperature
            teacher = aggregate(teacher_feats).detach() / self.temperature
            log_p = student.log_softmax(dim=1)
            p = log_p.exp()
            excess = F.softshrink(teacher.softmax(dim=1) - p, self.threshold / teacher.shape[1])
            target = (p + excess).detach()
            ce = F.kl_div(log_p, target, reduction='none') + p - target
            # within the threshold it is zero but for rounding
            ce = ce * (excess != 0)
            return self.loss_weight * (ce + self.l1_weight * excess.abs()).sum(dim=1).mean()


def aggregate(feats: Sequence[Tensor]) -> Tensor:
    """The mean over layers of their means over positions.

    Args:
        feats (Sequence[Tensor]): (B, C, H, W) of each layer; sizes may differ.

    Returns:
        Tensor: (B, C) float32.
    """
    return torch.stack([feat.mean(dim=(2, 3), dtype=torch.float32) for feat in feats]).mean(dim=0)
