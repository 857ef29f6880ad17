"""The feature-mixing neck of DPK: mask, encode, stitch, decode."""

from typing import Annotated, Literal, Optional, Union

import torch
from torch import Tensor, nn

from dpk_mm.models.parts import build_part
from dpk_mm.registry import MODELS
from dpk_mm.utils.errors import within
from dpk_mm.utils.hints import Count

from .sizes import fill_sizes
from .tokens import embed, fold, mix, pad_to_patches, stitch
from .vit import Transformer

_SIZES = 'a dict of embed_dims, num_layers, num_heads'


@MODELS.register_module()
class FeatureMixingNeck(nn.Module):
    """Predict the teacher's whole feature map from a hybrid of the student's and the teacher's tokens.

    Some tokens of the student's map are replaced by the teacher's (the prior knowledge); each kind goes
    through an encoder of its own, both are put back in place, and a decoder predicts all tokens of the
    teacher's map. Used in training only (paper). Sizes, order of the parts and initialisation are those of
    the authors' code; maps are padded to a multiple of the patch, and the prediction is cropped back (ours).

    The teacher's map is detached; gradients reach the student through its own tokens.

    Args:
        student_channels (int): C_s.
        teacher_channels (int): C_t.
        patch_size (int): Side p of a token in positions. Defaults to 1.
        encoder (dict, optional): ``embed_dims``, ``num_layers`` and ``num_heads`` of both encoders.
        decoder (dict, optional): The same of the decoder.
        mask (dict or str): Which positions the teacher fills. Defaults to :class:`RandomMask`.
        min_teacher_tokens (int): Least number of tokens that the teacher fills, unless the ratio is 0 or that
            is over half of the map. The authors' code has 2 for CIFAR, 4 for ImageNet and 40 for detection.
            Defaults to 2.
        preset (str, optional): Sizes for what encoder and decoder leave out. ``'lean'``: two layers, half as
            wide as the teacher's map has channels, in steps of 32 from 32 to 256, heads of width 32 (ours,
            made for cost).
        residual (bool): Predict what the hybrid map lacks of the teacher's, at first nothing, instead of the
            whole map: the student learns from the teacher's map directly until the neck has learned. Needs
            as many channels on both sides. Ours, made for short schedules. Defaults to False.

    Raises:
        ValueError: A number that does not fit, sizes left out without a preset, or no such preset.

    Examples:
        >>> neck = FeatureMixingNeck(
        ...     32, 64, patch_size=2,
        ...     encoder=dict(embed_dims=32, num_layers=2, num_heads=4),
        ...     decoder=dict(embed_dims=64, num_layers=1, num_heads=4))
        >>> neck(torch.rand(2, 32, 14, 9), torch.rand(2, 64, 14, 9), ratio=0.5).shape
        torch.Size([2, 64, 14, 9])
    """

    def __init__(
        self,
        student_channels: Count,
        teacher_channels: Count,
        patch_size: Count = 1,
        *,
        encoder: Annotated[Optional[dict], _SIZES] = None,
        decoder: Annotated[Optional[dict], _SIZES] = None,
        mask: Union[dict, str] = 'dpk_mm.RandomMask',
        min_teacher_tokens: Count = 2,
        preset: Optional[Literal['lean']] = None,
        residual: bool = False,
    ) -> None:
        super().__init__()
        if residual and student_channels != teacher_channels:
            raise ValueError(
                f'residual needs as many channels on both sides, got {student_channels} of the student and '
                f'{teacher_channels} of the teacher.'
            )
        self.residual = residual
        self.student_channels = student_channels
        self.teacher_channels = teacher_channels
        self.patch_size = patch_size
        self.min_teacher_tokens = min_teacher_tokens
        self.mask = build_part(dict(type=mask) if isinstance(mask, str) else mask, 'mask')

        encoder, decoder = fill_sizes(preset, teacher_channels, encoder=encoder, decoder=decoder)
        with within('encoder'):
            self.student_encoder = Transformer(**encoder)
            self.teacher_encoder = Transformer(**encoder)
        with within('decoder'):
            self.decoder = Transformer(**decoder)
        width, self.decoder_dims = encoder['embed_dims'], decoder['embed_dims']
        self.student_stem = nn.Conv2d(student_channels, width, patch_size, stride=patch_size)
        self.teacher_stem = nn.Conv2d(teacher_channels, width, patch_size, stride=patch_size)
        self.to_decoder = nn.Linear(width, self.decoder_dims, bias=False)
        self.head = nn.Linear(self.decoder_dims, teacher_channels * patch_size**2)
        self._init_parameters()

    def _init_parameters(self) -> None:
        """Xavier-uniform linears with zero biases (authors' code).

        The stems and ``to_decoder`` keep torch's default, which is about half as wide (authors' code).
        """
        for part in (self.student_encoder, self.teacher_encoder, self.decoder, self.head):
            for module in part.modules():
                if isinstance(module, nn.Linear):
                    nn.init.xavier_uniform_(module.weight)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
        if self.residual:
            nn.init.zeros_(self.head.weight)

    def forward(
        self,
        student_feat: Tensor,
        teacher_feat: Tensor,
        ratio: float,
        generator: Optional[torch.Generator] = None,
    ) -> Tensor:
        """Mix and predict.

        Args:
            student_feat (Tensor): (B, C_s, H, W), any H and W.
            teacher_feat (Tensor): (B, C_t, H, W).
            ratio (float): Share of the tokens that the teacher fills, in [0, 1]: exactly
                :meth:`num_teacher_tokens` of each image.
            generator (torch.Generator, optional): For the mask, on the device of the maps; left as it is.
                Defaults to torch's global one.

        Returns:
            Tensor: (B, C_t, H, W), the predicted teacher map.

        Raises:
            ValueError: Maps whose shapes do not fit, or a ratio outside [0, 1].
        """
        self._check(student_feat, teacher_feat, ratio)
        height, width = student_feat.shape[2:]
        patch = self.patch_size
        student_feat = pad_to_patches(student_feat, patch)
        teacher_feat = pad_to_patches(teacher_feat.detach(), patch)
        if generator is not None:
            # a copy: activation checkpointing runs this again, and must meet the same mask
            generator = torch.Generator(generator.device).set_state(generator.get_state())
        scores = self.mask(teacher_feat, patch, generator)
        order = scores.argsort(dim=1, descending=True, stable=True)
        count = self.num_teacher_tokens(order.shape[1], ratio)

        teacher = self.teacher_encoder(embed(self.teacher_stem, teacher_feat, order[:, :count]))
        student = self.student_encoder(embed(self.student_stem, student_feat, order[:, count:]))
        tokens = stitch(self.to_decoder(torch.cat([teacher, student], dim=1)), order)
        tokens = self.head(self.decoder(tokens))
        predicted = fold(tokens, patch, height, width)
        if self.residual:
            mixed = mix(student_feat, teacher_feat, order[:, :count], patch)
            predicted = predicted + mixed[:, :, :height, :width]
        return predicted

    def num_teacher_tokens(self, num_tokens: int, ratio: float) -> int:
        """How many of ``num_tokens`` the teacher fills: the nearest count to ``ratio`` (ours).

        The authors' code rounds down. A ratio strictly between 0 and 1 gives the teacher
        ``min_teacher_tokens`` at least (authors' code), but not over half of the tokens, and leaves the
        student 2 (ours; 1 of 3, 2 or 1, as without a token it learns nothing). 0 and 1 are taken at their
        word (ours).
        """
        if ratio in (0, 1):
            return num_tokens * int(ratio)
        half = num_tokens // 2
        least, most = min(self.min_teacher_tokens, half), num_tokens - max(1, min(2, half))
        return min(max(round(num_tokens * ratio), least), most)

    def _check(self, student_feat: Tensor, teacher_feat: Tensor, ratio: float) -> None:
        batch, _, height, width = student_feat.shape
        fits = (batch, self.teacher_channels, height, width)
        if student_feat.shape[1] != self.student_channels or teacher_feat.shape != fits:
            raise ValueError(
                f'expected a student map (B, {self.student_channels}, H, W) and a teacher map '
                f'(B, {self.teacher_channels}, H, W) of the same B, H and W, '
                f'got {tuple(student_feat.shape)} and {tuple(teacher_feat.shape)}.'
            )
        if not 0 <= ratio <= 1:
            raise ValueError(f'ratio must lie in [0, 1], got {ratio}.')
