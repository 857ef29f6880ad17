"""The VGG networks of CIFAR."""

from typing import Literal, Union

from mmcv.cnn import ConvModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from dpk_mm.registry import MODELS

from .weight_init import KAIMING_INIT

_WIDTHS = (64, 128, 256, 512, 512)
_CONVS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}


@MODELS.register_module()
class CIFARVGG(BaseBackbone):
    """VGG with batch norm for 32x32 images (Simonyan and Zisserman, ICLR 2015), for a single linear layer.

    Between the first four blocks lies a 2x2 max pooling, between the last two none. Convolutions have no
    bias, which batch norm would take back; the benchmark's have.
    ``backbone.layer1`` to ``layer5`` give maps after the ReLU and before the pooling, of stride 1, 2, 4, 8
    and 8.

    Args:
        depth (int): 8, 11, 13, 16 or 19.
        init_cfg (dict or list[dict], optional): Initialisation; Kaiming by default.

    Raises:
        ValueError: Another depth.
    """

    def __init__(
        self, depth: Literal[8, 11, 13, 16, 19], init_cfg: Union[dict, list, None] = KAIMING_INIT
    ) -> None:
        super().__init__(init_cfg)
        channels = 3
        for i, (width, convs) in enumerate(zip(_WIDTHS, _CONVS[depth])):
            block = nn.Sequential()
            for _ in range(convs):
                block.append(ConvModule(channels, width, 3, padding=1, norm_cfg=dict(type='BN')))
                channels = width
            self.add_module(f'layer{i + 1}', block)
            if i < 3:
                # a module, not a function, so that the network can be split behind a block (see SFTN)
                self.add_module(f'pool{i + 1}', nn.MaxPool2d(2))

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Compute the last block's features.

        Args:
            x (Tensor): (B, 3, H, W).

        Returns:
            tuple[Tensor]: One map, (B, 512, H/8, W/8).
        """
        x = self.pool1(self.layer1(x))
        x = self.pool2(self.layer2(x))
        x = self.pool3(self.layer3(x))
        return (self.layer5(self.layer4(x)),)
