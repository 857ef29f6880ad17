"""The ShuffleNetV2 of CIFAR."""

from typing import Any, Union

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmpretrain.models.backbones import ShuffleNetV2
from torch import nn

from dpk_mm.registry import MODELS

from .weight_init import KAIMING_INIT


@MODELS.register_module()
class CIFARShuffleNetV2(ShuffleNetV2):
    """MMPretrain's ShuffleNetV2 (Ma et al., ECCV 2018) for 32x32 images: its stem keeps their size.

    ``backbone.layers.0`` to ``layers.2`` give maps after the ReLU, of stride 2, 4 and 8; ``layers.3`` is
    the last 1x1 convolution, and what the network returns.

    Args:
        widen_factor (float): 0.5, 1.0, 1.5 or 2.0, for 192, 464, 704 or 976 channels in ``layers.2``.
        init_cfg (dict or list[dict], optional): Initialisation; Kaiming by default.
        **kwargs (Any): Other arguments of MMPretrain's ShuffleNetV2.

    Raises:
        ValueError: Another width.
    """

    def __init__(
        self, widen_factor: float = 1.0, init_cfg: Union[dict, list, None] = KAIMING_INIT, **kwargs: Any
    ) -> None:
        super().__init__(widen_factor, init_cfg=init_cfg, **kwargs)
        self.conv1 = ConvModule(3, self.conv1.out_channels, 1, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.maxpool = nn.Identity()

    def init_weights(self) -> None:
        """Initialise as ``init_cfg`` says: MMPretrain's ShuffleNetV2 would overwrite that."""
        BaseModule.init_weights(self)
