"""The ShuffleNetV1 of CIFAR."""

from typing import Literal, Union

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.models.utils import channel_shuffle
from torch import Tensor, nn
from torch.nn import functional as F

from dpk_mm.registry import MODELS

from .weight_init import KAIMING_INIT

_STEM_CHANNELS = 24
_WIDTHS = {1: (144, 288, 576), 2: (200, 400, 800), 3: (240, 480, 960)}
_BLOCKS = (4, 8, 4)


class NarrowShuffleUnit(BaseModule):
    """Shuffle unit whose middle is a quarter as wide as what its residual branch gives.

    MMPretrain's is a quarter as wide as the unit's output, which includes the channels that a unit of
    stride 2 takes over from its input.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output; at stride 1 those of the input.
        groups (int): Groups of the last 1x1 convolution, and of the first one unless it reads the stem.
        stride (int): 1, or 2 for a unit that concatenates branch and input instead of adding them.
    """

    def __init__(self, in_channels: int, out_channels: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        # too few channels to divide
        self.groups = 1 if in_channels == _STEM_CHANNELS else groups
        width = out_channels - in_channels if stride == 2 else out_channels
        middle, norm = width // 4, dict(type='BN')
        self.squeeze = ConvModule(in_channels, middle, 1, groups=self.groups, norm_cfg=norm)
        self.depthwise = ConvModule(middle, middle, 3, stride, padding=1, groups=middle, norm_cfg=norm)
        self.expand = ConvModule(middle, width, 1, groups=groups, norm_cfg=norm, act_cfg=None)

    def forward(self, x: Tensor) -> Tensor:
        """Join the residual branch and the input.

        Args:
            x (Tensor): (B, in_channels, H, W).

        Returns:
            Tensor: (B, out_channels, H / stride, W / stride), after the ReLU.
        """
        branch = self.expand(self.depthwise(channel_shuffle(self.squeeze(x), self.groups)))
        if self.stride == 2:
            return F.relu(torch.cat([branch, F.avg_pool2d(x, 3, stride=2, padding=1)], dim=1))
        return F.relu(branch + x)


@MODELS.register_module()
class CIFARShuffleNetV1(BaseBackbone):
    """ShuffleNet for 32x32 images (Zhang et al., CVPR 2018), with a stem that keeps their size.

    ``backbone.layer1`` to ``layer3`` give maps after the ReLU, of stride 2, 4 and 8.

    Args:
        groups (int): Groups of the 1x1 convolutions: 1, 2 or 3, for 576, 800 or 960 channels in the end.
        init_cfg (dict or list[dict], optional): Initialisation; Kaiming by default.

    Raises:
        ValueError: Another number of groups.
    """

    def __init__(
        self, groups: Literal[1, 2, 3] = 3, init_cfg: Union[dict, list, None] = KAIMING_INIT
    ) -> None:
        super().__init__(init_cfg)
        channels = _STEM_CHANNELS
        self.stem = ConvModule(3, channels, 1, norm_cfg=dict(type='BN'))
        for i, (width, blocks) in enumerate(zip(_WIDTHS[groups], _BLOCKS)):
            units = [NarrowShuffleUnit(channels, width, groups, stride=2)]
            units += [NarrowShuffleUnit(width, width, groups) for _ in range(blocks - 1)]
            self.add_module(f'layer{i + 1}', nn.Sequential(*units))
            channels = width

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Compute the last stage's features.

        Args:
            x (Tensor): (B, 3, H, W).

        Returns:
            tuple[Tensor]: One map, (B, 960, H/8, W/8) with three groups.
        """
        return (self.layer3(self.layer2(self.layer1(self.stem(x)))),)
