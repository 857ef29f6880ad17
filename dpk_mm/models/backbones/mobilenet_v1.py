"""MobileNetV1 for ImageNet."""

from typing import Annotated, Union

from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import Tensor, nn

from dpk_mm.registry import MODELS
from dpk_mm.utils.hints import Range

from .weight_init import KAIMING_INIT

# channels at width 1, convolutions, stride
_STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))


@MODELS.register_module()
class MobileNetV1(BaseBackbone):
    """MobileNet of depthwise separable convolutions (Howard et al., arXiv 1704.04861).

    ``backbone.layer1`` to ``layer5`` give maps after the ReLU, of stride 2, 4, 8, 16 and 32.

    Args:
        widen_factor (float): w: factor of all widths.
        init_cfg (dict or list[dict], optional): Initialisation; Kaiming by default.

    Raises:
        ValueError: A width that leaves the stem without channels.
    """

    def __init__(
        self,
        widen_factor: Annotated[float, Range(least=1 / 32)] = 1.0,
        init_cfg: Union[dict, list, None] = KAIMING_INIT,
    ) -> None:
        super().__init__(init_cfg)
        norm = dict(type='BN')
        channels = int(32 * widen_factor)
        self.stem = ConvModule(3, channels, 3, stride=2, padding=1, norm_cfg=norm)
        for i, (width, convs, stride) in enumerate(_STAGES):
            layer = nn.Sequential()
            for conv in range(convs):
                out_channels = int(width * widen_factor)
                layer.append(
                    DepthwiseSeparableConvModule(
                        channels, out_channels, 3, stride if conv == 0 else 1, padding=1, norm_cfg=norm
                    )
                )
                channels = out_channels
            self.add_module(f'layer{i + 1}', layer)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Compute the last stage's features.

        Args:
            x (Tensor): (B, 3, H, W).

        Returns:
            tuple[Tensor]: One map, (B, 1024w, H/32, W/32).
        """
        x = self.stem(x)
        for i in range(len(_STAGES)):
            x = getattr(self, f'layer{i + 1}')(x)
        return (x,)
