"""The wide residual networks of CIFAR."""

from typing import Union

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Count

from .weight_init import KAIMING_INIT


class WideBlock(BaseModule):
    """Pre-activation residual block: two 3x3 convolutions, each behind its own norm and ReLU.

    Where the number of channels changes, convolution and shortcut read the same activated map. The stage
    before ends with that norm and ReLU, so such a block has none in front.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        stride (int): Of the first convolution and the shortcut.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        changes = in_channels != out_channels
        self.residual = nn.Sequential(
            *([] if changes else _norm_relu(in_channels)),
            ConvModule(in_channels, out_channels, 3, stride, padding=1, norm_cfg=dict(type='BN')),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
        )
        self.shortcut = (
            nn.Conv2d(in_channels, out_channels, 1, stride, bias=False) if changes else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add the residual to the shortcut.

        Args:
            x (Tensor): (B, in_channels, H, W); after norm and ReLU where the number of channels changes.

        Returns:
            Tensor: (B, out_channels, H / stride, W / stride), not activated.
        """
        return self.shortcut(x) + self.residual(x)


@MODELS.register_module()
class CIFARWideResNet(BaseBackbone):
    """Wide ResNet of three stages for 32x32 images (Zagoruyko and Komodakis, BMVC 2016), without dropout.

    The norm and ReLU that pre-activation puts in front of a stage belong to the end of the stage before
    it, so ``backbone.layer1`` to ``layer3`` give maps after the ReLU, of stride 1, 2 and 4. The last but one
    module of each is its norm: with n blocks ``backbone.layer3.n`` gives the map before the ReLU, n = 2 at
    depth 16 and 6 at depth 40.

    Args:
        depth (int): 6n + 4: 10, 16, 22, 28, 40, ...
        widen_factor (int): k: the stages have 16k, 32k and 64k channels.
        init_cfg (dict or list[dict], optional): Initialisation; Kaiming by default.

    Raises:
        ValueError: A depth that is not 6n + 4, or a width that is no positive whole number.
    """

    def __init__(
        self, depth: int, widen_factor: Count = 1, init_cfg: Union[dict, list, None] = KAIMING_INIT
    ) -> None:
        super().__init__(init_cfg)
        if depth < 10 or (depth - 4) % 6:
            raise ValueError(f'depth must be 6n + 4, such as 10, 16, 22, 28 or 40, got {depth}.')
        channels = 16
        # At width 1 the first stage keeps the stem's channels: its first block brings its own norm.
        activated = widen_factor > 1
        self.stem = ConvModule(
            3,
            channels,
            3,
            padding=1,
            bias=False,
            norm_cfg=dict(type='BN') if activated else None,
            act_cfg=dict(type='ReLU') if activated else None,
        )
        for stage in range(3):
            out_channels = 16 * widen_factor * 2**stage
            blocks = [WideBlock(channels, out_channels, stride=1 if stage == 0 else 2)]
            blocks += [WideBlock(out_channels, out_channels) for _ in range((depth - 4) // 6 - 1)]
            self.add_module(f'layer{stage + 1}', nn.Sequential(*blocks, *_norm_relu(out_channels)))
            channels = out_channels

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Compute the last stage's features.

        Args:
            x (Tensor): (B, 3, H, W).

        Returns:
            tuple[Tensor]: One map, (B, 64k, H/4, W/4).
        """
        return (self.layer3(self.layer2(self.layer1(self.stem(x)))),)


def _norm_relu(channels: int) -> list[nn.Module]:
    # not in place, so that the norm's output can be read; nothing more is kept for the backward pass
    return [nn.BatchNorm2d(channels), nn.ReLU()]
