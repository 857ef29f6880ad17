"""What a stage knows of its loss."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional, Union

from torch import Tensor, nn

from dpk_mm.utils.checks import checked
from dpk_mm.utils.errors import within
from dpk_mm.utils.hints import NotNegative

from .auto_share import AutoShare

LossWeight = Annotated[
    Union[NotNegative, Literal['auto'], dict],
    "a number from 0 on, 'auto', or dict(type='auto') with share or iters",
]


class DistillLoss(nn.Module, ABC):
    """Base class of all losses of distillation.

    A subclass gives :meth:`forward`, and says by its class attributes what it can compare. A stage checks
    that its layers fit.

    Args:
        loss_weight (float, str or dict): Weight of the loss, from 0 on. With 0 the stage only watches: it
            logs a loss of 0 and, with a prior, the ratio, and trains nothing. ``'auto'``, or
            ``dict(type='auto', share=0.5)``, finds it in training: see :class:`AutoShare`. Defaults to 1.0.

    Attributes:
        takes (str): Class attribute: ``'maps'`` (B, C, H, W), ``'logits'`` (B, K), ``'any'`` for either, or
            ``'groups'``, tuples of maps. Defaults to ``'any'``.
        any_channels (bool): Class attribute: whether student and teacher may differ in channels. Where they
            may not, the stage puts a 1x1 convolution before the loss. Defaults to False.
        least_channels (int): Class attribute: the fewest channels or classes of which it says something.
            Defaults to 1.
        needs_boxes (bool): Class attribute: whether it reads the boxes of a detector's samples. Defaults to
            False.
        one_width (bool): Class attribute of a loss on groups: whether all layers of one side must have as
            many channels. Defaults to True.
        stage (str): Name of the stage that it serves, which the stage sets.
        auto (AutoShare, optional): The weight that finds itself. The distiller applies it; ``loss_weight``
            is 1 then, and :meth:`forward` gives the loss without it.

    Raises:
        ValueError: A weight that is no number from 0 on.
    """

    takes = 'any'
    any_channels = False
    least_channels = 1
    needs_boxes = False
    one_width = True
    stage = ''
    # also where a subclass says that it takes a number
    field_hints = dict(loss_weight=LossWeight)

    @checked
    def __init__(self, loss_weight: LossWeight = 1.0) -> None:
        super().__init__()
        self.auto = None
        if loss_weight == 'auto':
            loss_weight = dict(type='auto')
        if isinstance(loss_weight, dict):
            with within('loss_weight'):
                self.auto = AutoShare(**loss_weight)
            loss_weight = 1.0
        self.loss_weight = loss_weight

    @abstractmethod
    def forward(self, student: Any, teacher: Any, data_samples: Optional[Sequence] = None) -> Tensor:
        """Compare what the student gives with what the teacher gives.

        Args:
            student (Tensor or tuple[Tensor]): Maps (B, C, H, W), logits (B, K), or a tuple of maps, as
                :attr:`takes` says. Any floating dtype.
            teacher (Tensor or tuple[Tensor]): The same of the teacher, the target; it gets no gradient.
            data_samples (Sequence, optional): B samples of upstream's. Most losses do not use them.

        Returns:
            Tensor: Scalar float32, weighted.
        """
