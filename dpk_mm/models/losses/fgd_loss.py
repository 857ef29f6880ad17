"""Focal and global distillation, the loss on every level of a distilled detector."""

from collections.abc import Sequence
from typing import Any, Optional

import torch
import torch.nn.functional as F
from mmcv.cnn import ContextBlock
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import NotNegative, Positive

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class FGDLoss(DistillLoss):
    """FGD of one level: squared error on foreground and background, attention, relation.

    Source: Yang et al., CVPR 2022 (authors' code); the relation term is GCNet's block, mmcv's own. Boxes
    are scaled by the padded size of the batch, so that they lie where the objects lie on the map (the
    original scales by each image's own size, which shifts them on padded images) (ours).

    Args:
        channels (int): C of both maps.
        alpha_fg (float): Weight of the foreground.
        beta_bg (float): Weight of the background.
        gamma_mask (float): Weight of the attention.
        lambda_rela (float): Weight of the relation.
        temp (float): Temperature of the attentions.
        loss_weight (float): Weight of the sum of the four.

    Raises:
        ValueError: A temperature that is not positive.
    """

    takes = 'maps'
    needs_boxes = True
    least_channels = 2

    def __init__(
        self,
        channels: int,
        alpha_fg: NotNegative = 2e-3,
        beta_bg: NotNegative = 2e-4,
        gamma_mask: NotNegative = 3e-4,
        lambda_rela: NotNegative = 5e-6,
        temp: Positive = 0.5,
        loss_weight: LossWeight = 1.0,
    ) -> None:
        # Four weights of zero are a loss of weight zero.
        weights = (alpha_fg, beta_bg, gamma_mask, lambda_rela)
        super().__init__(loss_weight if any(weights) else 0.0)
        self.alpha_fg = alpha_fg
        self.beta_bg = beta_bg
        self.gamma_mask = gamma_mask
        self.lambda_rela = lambda_rela
        self.temp = temp
        self.student_relation = ContextBlock(channels, ratio=0.5)
        self.teacher_relation = ContextBlock(channels, ratio=0.5)

    def forward(
        self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Optional[Sequence] = None
    ) -> Tensor:
        """The loss.

        Args:
            student_feat (Tensor): (B, C, H, W), e.g. a neck's prediction.
            teacher_feat (Tensor): (B, C, H, W), the target; gets no gradient.
            data_samples (Sequence[DetDataSample]): B samples with ``gt_instances.bboxes`` (n, 4) as
                x1, y1, x2, y2 in pixels of the batch, and ``batch_input_shape`` (or ``img_shape``).

        Returns:
            Tensor: Scalar float32.

        Raises:
            ValueError: No data samples, or samples without boxes.
        """
        teacher_feat = teacher_feat.detach()
        # Sums of squares over a map overflow half precision.
        with torch.autocast(student_feat.device.type, enabled=False):
            return self.loss_weight * self._sum(student_feat, teacher_feat, data_samples) / len(student_feat)

    def _sum(self, student_feat: Tensor, teacher_feat: Tensor, data_samples: Sequence) -> Tensor:
        relation = self._relate(self.student_relation, student_feat)
        relation = (relation - self._relate(self.teacher_relation, teacher_feat)).square()
        student_feat, teacher_feat = student_feat.float(), teacher_feat.float()
        foreground, background = self.box_masks(data_samples, teacher_feat)
        spatial_t, channel_t = self.attention(teacher_feat)
        spatial_s, channel_s = self.attention(student_feat)

        # (B, 1, H, W): squared error over channels where the teacher looks
        weight = spatial_t * channel_t
        error = (weight * (student_feat - teacher_feat).square()).sum(dim=1, keepdim=True)
        attention = (spatial_s - spatial_t).abs().sum() + (channel_s - channel_t).abs().sum()
        return (
            self.alpha_fg * (error * foreground).sum()
            + self.beta_bg * (error * background).sum()
            + self.gamma_mask * attention
            + self.lambda_rela * relation.sum()
        )

    @staticmethod
    def _relate(block: ContextBlock, feat: Tensor) -> Tensor:
        """A block's output in float32; it takes contiguous maps of its own dtype only."""
        return block(feat.to(block.conv_mask.weight.dtype).contiguous()).float()

    def attention(self, feat: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) -> spatial (B, 1, H, W) and channel attention (B, C, 1, 1), each of mean 1."""
        _, channels, height, width = feat.shape
        magnitude = feat.abs()
        spatial = (magnitude.mean(dim=1).flatten(1) / self.temp).softmax(dim=1) * (height * width)
        channel = (magnitude.mean(dim=(2, 3)) / self.temp).softmax(dim=1) * channels
        return spatial.view(-1, 1, height, width), channel[:, :, None, None]

    @staticmethod
    def box_masks(data_samples: Sequence, feat: Tensor) -> tuple[Tensor, Tensor]:
        """Foreground and background weights of every position.

        Args:
            data_samples (Sequence[DetDataSample]): As in :meth:`forward`.
            feat (Tensor): (B, C, H, W), for size and device.

        Returns:
            tuple[Tensor, Tensor]: Both (B, 1, H, W) float32. Foreground: 1 / area (in positions) of the
            smallest box there, 0 outside boxes. Background: equal outside boxes, summing to 1 an image.
        """
        height, width = feat.shape[2:]
        boxes = [_boxes_on_map(sample, height, width) for sample in data_samples or [None] * len(feat)]
        # as many for every image, one at least: the others lie beside the map
        boxes = F.pad(pad_sequence(boxes, batch_first=True, padding_value=-2), (0, 0, 0, 1), value=-2)
        left, right, top, bottom = boxes[..., None].unbind(2)
        left, right, top, bottom = left.floor(), right.ceil(), top.floor(), bottom.ceil()
        rows = torch.arange(height, device=feat.device)
        columns = torch.arange(width, device=feat.device)
        # (B, n, H) and (B, n, W), both ends included
        in_rows = (rows >= top) & (rows <= bottom)
        in_columns = (columns >= left) & (columns <= right)
        # a box that is inside out covers nothing, and must not divide by nothing
        weights = in_rows / ((right - left + 1) * (bottom - top + 1)).clamp(min=1)
        foreground = (weights[..., None] * in_columns[:, :, None]).amax(dim=1)[:, None]
        background = (foreground == 0).float()
        return foreground, background / background.sum(dim=(2, 3), keepdim=True).clamp(min=1)


def _boxes_on_map(sample: Any, height: int, width: int) -> Tensor:
    """An image's boxes, (n, 4) float32 as x1, x2, y1, y2 in positions of a map of this size."""
    boxes = getattr(getattr(sample, 'gt_instances', None), 'bboxes', None)
    if boxes is None:
        keys = list(sample.keys()) if hasattr(sample, 'keys') else type(sample).__name__
        raise ValueError(
            f'FGDLoss needs the boxes of each image, gt_instances.bboxes, and a sample holds {keys}. '
            'For images without boxes take another loss, such as dpk_mm.PKDLoss.'
        )
    boxes = getattr(boxes, 'tensor', boxes).float()
    shape = sample.batch_input_shape if 'batch_input_shape' in sample else sample.img_shape
    # plain numbers: a tensor of them would have to wait for the device
    return torch.cat([boxes[:, 0::2] * (width / shape[1]), boxes[:, 1::2] * (height / shape[0])], dim=1)
