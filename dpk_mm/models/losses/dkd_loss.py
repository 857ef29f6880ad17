"""Decoupled distillation of logits."""

import logging
from collections.abc import Sequence
from typing import Optional

import torch.nn.functional as F
from mmengine.logging import MessageHub, print_log
from torch import Tensor

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import NotNegative, NotNegativeInt, Positive

from .distill_loss import DistillLoss, LossWeight
from .logits import decouple, find_labels, standardize_logits


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
        standardize (bool): Standardize the logits of both sides first, as LSKD does; see
            :func:`standardize_logits`. Defaults to False.

    Raises:
        ValueError: A temperature that is not positive, a negative ``warmup_epochs``, or a ``standardize``
            that is no bool.
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
        standardize: bool = False,
    ) -> None:
        # Two weights of zero are a loss of weight zero.
        super().__init__(loss_weight if alpha or beta else 0.0)
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature
        self.warmup_epochs = warmup_epochs
        self.standardize = standardize
        self._told = False

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
        labels = find_labels(data_samples, student_logits, 'DKDLoss')
        student_logits, teacher_logits = student_logits.float(), teacher_logits.detach().float()
        if self.standardize:
            student_logits, teacher_logits = map(standardize_logits, (student_logits, teacher_logits))
        student = decouple(student_logits / self.temperature, labels)
        teacher = decouple(teacher_logits / self.temperature, labels)
        target, others = (
            F.kl_div(s, t, reduction='batchmean', log_target=True) for s, t in zip(student, teacher)
        )
        weight = self.loss_weight * self._warm_up() * self.temperature**2
        return weight * (self.alpha * target + self.beta * others)

    def _warm_up(self) -> float:
        if self.warmup_epochs == 0:
            return 1.0
        hub = MessageHub.get_current_instance()
        last = hub.get_info('max_epochs')
        if last is not None and last < self.warmup_epochs and not self._told:
            self._told = True
            share = f'the loss ends at {last / self.warmup_epochs:.0%} of its weight'
            epochs = f'the training has {last} (one, where it counts iterations)'
            text = f'{type(self).__name__}: warmup_epochs={self.warmup_epochs}, and {epochs}: {share}.'
            print_log(text, 'current', logging.WARNING)
        return min((hub.get_info('epoch', 0) + 1) / self.warmup_epochs, 1.0)
