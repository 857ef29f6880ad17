"""The MobileNetV2 of CIFAR."""

from typing import Annotated, Union

from mmcv.cnn import ConvModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.models.backbones.mobilenet_v2 import InvertedResidual
from torch import Tensor, nn

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Range

from .weight_init import KAIMING_INIT

# expand ratio, channels at width 1, blocks, stride
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@MODELS.register_module()
class CIFARMobileNetV2(BaseBackbone):
    """MobileNetV2 for 32x32 images (Sandler et al., CVPR 2018), in the benchmark's half width by default.

    It differs from MMPretrain's in strides, in plain ReLUs, and in widths that are cut to whole numbers
    and not to multiples of 8; from the benchmark's in the first stage, which has no expanding convolution
    at ratio 1 (288 parameters). ``backbone.layer1`` to ``layer7`` give the maps of its stages, which by
    design end without a ReLU, of stride 2, 2, 4, 8, 8, 16 and 16; ``last_conv`` ends with one.

    Args:
        widen_factor (float): w: factor of all widths; below 1 not of the last convolution's.
        init_cfg (dict or list[dict], optional): Initialisation; Kaiming by default.

    Raises:
        ValueError: A width that leaves a stage without channels.
    """

    def __init__(
        self,
        widen_factor: Annotated[float, Range(least=1 / 16)] = 0.5,
        init_cfg: Union[dict, list, None] = KAIMING_INIT,
    ) -> None:
        super().__init__(init_cfg)
        norm, act = dict(type='BN'), dict(type='ReLU')
        channels = int(32 * widen_factor)
        self.stem = ConvModule(3, channels, 3, stride=2, padding=1, norm_cfg=norm, act_cfg=act)
        for i, (expand_ratio, width, blocks, stride) in enumerate(_STAGES):
            layer = nn.Sequential()
            for block in range(blocks):
                out_channels = int(width * widen_factor)
                layer.append(
                    InvertedResidual(
                        channels, out_channels, stride if block == 0 else 1, expand_ratio, act_cfg=act
                    )
                )
                channels = out_channels
            self.add_module(f'layer{i + 1}', layer)
        self.last_conv = ConvModule(channels, int(1280 * max(widen_factor, 1)), 1, norm_cfg=norm, act_cfg=act)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Compute the last convolution's features.

        Args:
            x (Tensor): (B, 3, H, W).

        Returns:
            tuple[Tensor]: One map, (B, 1280, H/16, W/16); 1280w channels if w is above 1.
        """
        x = self.stem(x)
        for i in range(len(_STAGES)):
            x = getattr(self, f'layer{i + 1}')(x)
        return (self.last_conv(x),)
