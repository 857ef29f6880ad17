"""The thin residual networks of CIFAR."""

from typing import Optional, Union

from mmcv.cnn import ConvModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.models.backbones.resnet import BasicBlock, ResLayer
from torch import Tensor

from dpk_mm.registry import MODELS

from .weight_init import KAIMING_INIT


@MODELS.register_module()
class CIFARResNet(BaseBackbone):
    """ResNet of three stages for 32x32 images (He et al., CVPR 2016, section 4.2).

    Shortcuts that change shape are 1x1 convolutions, as in the benchmark that distillation papers share.
    ``backbone.layer1`` to ``layer3`` give maps after the ReLU, of stride 1, 2 and 4.

    ========== ===== ============= =============
    network    depth base_channels stem_channels
    ========== ===== ============= =============
    resnet20   20    16
    resnet56   56    16
    resnet8x4  8     64            32
    resnet32x4 32    64            32
    ========== ===== ============= =============

    Args:
        depth (int): 6n + 2: 8, 14, 20, 32, 44, 56, 110, ...
        base_channels (int): C, channels of the first stage; the others have 2C and 4C.
        stem_channels (int, optional): Channels of the first convolution. Defaults to C.
        init_cfg (dict or list[dict], optional): Initialisation; Kaiming by default.

    Raises:
        ValueError: A depth that is not 6n + 2.
    """

    def __init__(
        self,
        depth: int,
        base_channels: int = 16,
        stem_channels: Optional[int] = None,
        init_cfg: Union[dict, list, None] = KAIMING_INIT,
    ) -> None:
        super().__init__(init_cfg)
        if depth < 8 or (depth - 2) % 6:
            raise ValueError(f'depth must be 6n + 2, such as 8, 14, 20, 32, 44, 56 or 110, got {depth}.')
        blocks = (depth - 2) // 6
        channels = stem_channels or base_channels
        self.stem = ConvModule(3, channels, 3, padding=1, norm_cfg=dict(type='BN'))
        for stage in range(3):
            out_channels = base_channels * 2**stage
            layer = ResLayer(BasicBlock, blocks, channels, out_channels, stride=1 if stage == 0 else 2)
            self.add_module(f'layer{stage + 1}', layer)
            channels = out_channels

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Compute the last stage's features.

        Args:
            x (Tensor): (B, 3, H, W).

        Returns:
            tuple[Tensor]: One map, (B, 4C, H/4, W/4).
        """
        return (self.layer3(self.layer2(self.layer1(self.stem(x)))),)
