"""Masks: which tokens of the hybrid map the teacher fills; the highest scores are taken."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor

from dpk_mm.registry import MODELS


@MODELS.register_module()
class RandomMask:
    """A new random choice for every image and step (authors' code): the best one (paper)."""

    def __call__(
        self, teacher_feat: Tensor, patch_size: int, generator: Optional[torch.Generator] = None
    ) -> Tensor:
        """Score the tokens.

        Args:
            teacher_feat (Tensor): (B, C_t, H, W), H and W multiples of ``patch_size``.
            patch_size (int): Side of a token in positions.
            generator (torch.Generator, optional): On the device of ``teacher_feat``.

        Returns:
            Tensor: (B, N) float32, N = H * W / patch_size^2: the teacher takes the highest.
        """
        batch, _, height, width = teacher_feat.shape
        tokens = height // patch_size * (width // patch_size)
        return torch.rand(batch, tokens, generator=generator, device=teacher_feat.device)


@MODELS.register_module()
class TeacherActivityMask:
    """The tokens where the teacher is most active, by the sum over channels: an ablation (authors' code).

    The authors' code mirrors the order by mistake and does not take the most active ones.
    """

    def __call__(
        self, teacher_feat: Tensor, patch_size: int, generator: Optional[torch.Generator] = None
    ) -> Tensor:
        """Score the tokens; arguments and result as in :class:`RandomMask`."""
        activity = teacher_feat.float().sum(dim=1, keepdim=True)
        return F.avg_pool2d(activity, patch_size).flatten(1)
