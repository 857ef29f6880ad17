"""Masked generative distillation."""

from collections.abc import Sequence
from typing import Annotated, Literal, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_mm.registry import MODELS
from dpk_mm.utils import step_generator
from dpk_mm.utils.hints import Range

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class MGDLoss(DistillLoss):
    """MGD: a small network makes the teacher's map from the student's, of which a part is hidden.

    Source: Yang et al., ECCV 2022. G is a 3x3 convolution, a ReLU and a 3x3 convolution, all of C channels;
    M hides each position, or each channel, of each image with probability ``mask_ratio`` (paper)::

        sum over C, H and W of (teacher - G(M student))^2, mean over images

    ============== ========= ========== =========== ===============
    task           mask      mask_ratio loss_weight
    ============== ========= ========== =========== ===============
    one stage      positions 0.65       2e-5        (authors' code)
    two stages     positions 0.45       5e-7        (authors' code)
    classification channels  0.15       7e-5        (authors' code)
    ============== ========= ========== =========== ===============

    The paper hides positions in classification too; its authors' code hides channels, which they say works
    better there. Where the channels of student and teacher differ, the stage's own 1x1 convolution comes
    first, as theirs (authors' code). The numbers drawn depend on the run's seed, the iteration, the rank and
    the stage alone, so a resumed run hides what the first one would have (ours).

    Args:
        channels (int): C of the teacher's map.
        mask_ratio (float): Share that is hidden (lambda), from 0 to below 1.
        mask (str): What is hidden, ``'positions'`` or ``'channels'``.
        loss_weight (float): Weight of the loss (alpha).

    Attributes:
        stage (str): Name of the stage it serves, set by the stage.

    Raises:
        ValueError: Another ``mask``, or a ``mask_ratio`` out of range.
    """

    takes = 'maps'

    def __init__(
        self,
        channels: int,
        mask_ratio: Annotated[float, Range(least=0, below=1)] = 0.65,
        mask: Literal['positions', 'channels'] = 'positions',
        loss_weight: LossWeight = 2e-5,
    ) -> None:
        super().__init__(loss_weight)
        self.mask_ratio = mask_ratio
        self.mask = mask
        self.generation = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss of maps (B, C, H, W); see :meth:`DistillLoss.forward`."""
        student_feat = student_feat.to(self.generation[0].weight.dtype)
        generated = self.generation(student_feat * self.kept(student_feat)).float()
        error = F.mse_loss(generated, teacher_feat.detach().float(), reduction='sum')
        return self.loss_weight * error / len(student_feat)

    def kept(self, feat: Tensor) -> Tensor:
        """What is not hidden in this iteration: bool, (B, 1, H, W) or (B, C, 1, 1)."""
        batch, channels, height, width = feat.shape
        shape = (batch, 1, height, width) if self.mask == 'positions' else (batch, channels, 1, 1)
        generator = step_generator(f'{self.stage}.mask', feat.device)
        return torch.rand(shape, generator=generator, device=feat.device) >= self.mask_ratio
