"""Three cures for the cost of the prior, ours: the student learns through its own tokens alone.

A token of the student's is in a step's hybrid map with the probability 1 - ratio, so with a prior each is trained
less than without one. Every cure brings its weight, in the mean over steps, to what it is at ratio 0.
"""

from collections.abc import Sequence
from typing import Optional

import torch
from torch import Tensor

from dpk_mm.models import Distiller
from dpk_mm.models.losses import FeatureMSELoss
from dpk_mm.models.necks import FeatureMixingNeck, RandomMask
from dpk_mm.models.necks.tokens import mix, pad_to_patches
from dpk_mm.registry import MODELS


@MODELS.register_module()
class RatioWeightedDistiller(Distiller):
    """A stage weighs 1 / (1 - ratio): the first cure."""

    def distill(self, *args, **kwargs) -> dict[str, Tensor]:
        """As of :class:`dpk_mm.Distiller`."""
        values = super().distill(*args, **kwargs)
        for name in self.distiller:
            if f'ratio_{name}' in values:
                loss = f'loss_distill_{name}'
                values[loss] = values[loss] / (1 - values[f'ratio_{name}'])
        return values


@MODELS.register_module()
class StudentTokensNeck(FeatureMixingNeck):
    """The loss is a mean over the student's tokens alone: the second cure.

    Elsewhere the prediction is the teacher's map, where a squared error is 0; at the student's tokens the error is
    scaled so that its mean over all tokens is the mean over these.
    """

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, ratio: float, generator: torch.Generator
    ) -> Tensor:
        """As of :class:`dpk_mm.FeatureMixingNeck`; the generator, from which the mask follows, must be given."""
        predicted = super().forward(student_feat, teacher_feat, ratio, generator)
        teacher_feat = teacher_feat.detach()
        height, width = teacher_feat.shape[2:]
        padded = pad_to_patches(teacher_feat, self.patch_size)
        same = torch.Generator(generator.device).set_state(generator.get_state())
        order = self.mask(padded, self.patch_size, same).argsort(dim=1, descending=True, stable=True)
        count = self.num_teacher_tokens(order.shape[1], ratio)
        if count == order.shape[1]:
            return teacher_feat + 0 * predicted
        ones = torch.ones_like(padded)
        own = mix(ones, 0 * ones, order[:, :count], self.patch_size)[:, :, :height, :width]
        return teacher_feat + own * (predicted - teacher_feat) / own.mean().sqrt()


class _Complement(RandomMask):
    """What another mask gives the student is the teacher's, and the other way round."""

    def __init__(self, mask: RandomMask) -> None:
        self.mask = mask

    def __call__(self, *args) -> Tensor:
        """Score the tokens by their places in the order of the other mask: the last are the first."""
        order = self.mask(*args).argsort(dim=1, descending=True, stable=True)
        return order.argsort(dim=1).float()


@MODELS.register_module()
class TwoPassNeck(FeatureMixingNeck):
    """Predicts twice, with complementary masks, so that every token of the student's learns once: the third cure.

    Gives a tuple of predictions, for :class:`TwoPassMSELoss`. At ratio 0 there is one.
    """

    def forward(
        self,
        student_feat: Tensor,
        teacher_feat: Tensor,
        ratio: float,
        generator: Optional[torch.Generator] = None,
    ) -> tuple[Tensor, ...]:
        """As of :class:`dpk_mm.FeatureMixingNeck`; the second prediction has the other tokens of the teacher."""
        first = super().forward(student_feat, teacher_feat, ratio, generator)
        tokens = -(-teacher_feat.shape[2] // self.patch_size) * -(-teacher_feat.shape[3] // self.patch_size)
        taken = self.num_teacher_tokens(tokens, ratio)
        if taken == 0:
            return (first,)
        mask, self.mask = self.mask, _Complement(self.mask)
        try:
            second = super().forward(student_feat, teacher_feat, 1 - taken / tokens, generator)
        finally:
            self.mask = mask
        return first, second


@MODELS.register_module()
class TwoPassMSELoss(FeatureMSELoss):
    """The sum of the squared errors of several predictions."""

    def forward(
        self, predictions: tuple[Tensor, ...], teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """As of :class:`dpk_mm.FeatureMSELoss`."""
        forward = super().forward
        return sum(forward(predicted, teacher_feat, data_samples) for predicted in predictions)
