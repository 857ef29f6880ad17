"""Decoupled distillation of logits."""

from collections.abc import Sequence
from typing import Optional

import torch
import torch.nn.functional as F
from mmengine.logging import MessageHub
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.checks import NotNegative, NotNegativeInt, Positive

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class DKDLoss(DistillLoss):
    """Decoupled KD: the labelled class against the rest, and the rest among themselves.

    Source: Zhao et al., CVPR 2022. For (B, K) logits z and the label y of an image, at temperature T, with
    p = softmax(z / T), b = (p_y, 1 - p_y) and q the softmax over the K - 1 other classes (paper)::

        T^2 (alpha KL(b_teacher || b_student) + beta KL(q_teacher || q_student)), mean over images

    alpha = 1, beta = 8 and T = 4 are the authors' defaults on CIFAR-100 (authors' code); on ImageNet MMRazor
    has beta = 0.5 and T = 1 (benchmark code). The weight grows linearly from 1 / ``warmup_epochs`` in the
    first epoch (authors' code). Of mixed images the label is the class with the largest share (ours).

    Args:
        alpha (float): Weight of the labelled class (TCKD).
        beta (float): Weight of the others (NCKD).
        temperature (float): T > 0.
        warmup_epochs (int): Epochs until the full weight; 0 for none. In an iteration-based loop the epoch
            stays 0, so give 0 there.
        loss_weight (float): Weight of the sum.

    Raises:
        ValueError: A temperature that is not positive, or a negative ``warmup_epochs``.
    """

    takes = 'logits'
    least_channels = 2

    def __init__(
        self,
        alpha: NotNegative = 1.0,
        beta: NotNegative = 8.0,
        temperature: Positive = 4.0,
        warmup_epochs: NotNegativeInt = 20,
        loss_weight: LossWeight = 1.0,
    ) -> None:
        # Two weights of zero are a loss of weight zero.
        super().__init__(loss_weight if alpha or beta else 0.0)
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature
        self.warmup_epochs = warmup_epochs

    def forward(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss.

        Args:
            student_logits (Tensor): (B, K).
            teacher_logits (Tensor): (B, K), the target; gets no gradient.
            data_samples (Sequence[DataSample]): B samples, each with ``gt_label`` (1,), or with ``gt_score``
                (K,), which goes first.

        Returns:
            Tensor: Scalar float32.

        Raises:
            ValueError: No labels, or not one an image.
        """
        labels = _labels(data_samples, student_logits)
        student = _decouple(student_logits.float() / self.temperature, labels)
        teacher = _decouple(teacher_logits.detach().float() / self.temperature, labels)
        target, others = (
            F.kl_div(s, t, reduction='batchmean', log_target=True) for s, t in zip(student, teacher)
        )
        weight = self.loss_weight * self._warm_up() * self.temperature**2
        return weight * (self.alpha * target + self.beta * others)

    def _warm_up(self) -> float:
        if self.warmup_epochs == 0:
            return 1.0
        epoch = MessageHub.get_current_instance().get_info('epoch', 0)
        return min((epoch + 1) / self.warmup_epochs, 1.0)


def _decouple(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """(B, K) -> log-probabilities of (label, any other), (B, 2), and of the others alone, (B, K - 1)."""
    columns = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = logits.gather(1, columns + (columns >= labels[:, None]))
    target = torch.cat([logits.gather(1, labels[:, None]), others.logsumexp(dim=1, keepdim=True)], dim=1)
    return target.log_softmax(dim=1), others.log_softmax(dim=1)


def _labels(data_samples: Optional[Sequence], logits: Tensor) -> Tensor:
    """One label an image, (B,)."""
    if data_samples is None:
        raise ValueError('DKDLoss needs data_samples with gt_label or gt_score, got None.')
    if all('gt_score' in sample for sample in data_samples):
        labels = torch.stack([sample.gt_score for sample in data_samples]).argmax(dim=1)
    elif all('gt_label' in sample for sample in data_samples):
        labels = torch.cat([sample.gt_label for sample in data_samples])
    else:
        raise ValueError('DKDLoss needs gt_label or gt_score in all data_samples: it distils classifiers.')
    if len(labels) != len(logits):
        raise ValueError(f'DKDLoss needs one gt_label an image, got {len(labels)} for {len(logits)} images.')
    return labels.to(logits.device)
