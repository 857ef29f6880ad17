"""Predictions of the teacher's head on the student's features."""

import copy
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_mm.registry import MODELS
from dpk_mm.utils.heads import find_head
from dpk_mm.utils.hints import NotNegative, Range

from .distill_loss import DistillLoss, LossWeight


@MODELS.register_module()
class CrossKDLoss(DistillLoss):
    """CrossKD: the teacher's head finishes what the student's began, and must find what it finds itself.

    Source: Wang et al., CVPR 2024. The student's own predictions are left to the boxes of the data, so that
    no two targets contradict each other (paper). With p the sigmoid of the classes' scores, b the boxes, and
    x what the frozen rest of the teacher's head makes of the student's features::

        (  sum over anchors and classes of |p_teacher - p_x|^beta BCE(p_x, p_teacher)    quality focal (paper)
         + sum over anchors of w (1 - GIoU(b_x, b_teacher)) ) / W                        boxes (paper)

    w is the teacher's largest p at an anchor, and W the sum of all w of the batch, 1 at least (ours, as GFL
    weighs its own boxes). beta = 2 is that of the quality focal loss. Boxes are compared as the head decodes
    them; of GFL those are the means of its distributions (ours).

    It compares groups. The student's is what a layer of each branch of its head gave on each level, the
    classes' before the boxes'; the teacher's are the scores of all levels and what boxes are decoded from.
    ``method='crosskd'`` writes it. The heads of GFL, ATSS, FCOS and RetinaNet fit.

    Args:
        teacher (FrozenTeacher): The teacher, which the stage fills in.
        student_channels (Sequence[int]): C_s of each of the student's maps; all equal.
        start (int): The first convolution of each branch of the teacher's head that runs, from 1.
        beta (float): Exponent of the quality focal loss. Below 1 its gradient is infinite where both agree.
        cls_weight (float): Weight of the classes.
        bbox_weight (float): Weight of the boxes.
        loss_weight (float): Weight of the sum.

    Raises:
        ValueError: A head that does not fit, or of another width; a ``start`` beyond its last convolution.
    """

    takes = 'groups'
    one_width = False

    def __init__(
        self,
        teacher: Any,
        student_channels: Sequence[int],
        start: int = 3,
        beta: Annotated[float, Range(least=1)] = 2.0,
        cls_weight: NotNegative = 1.0,
        bbox_weight: NotNegative = 1.0,
        loss_weight: LossWeight = 1.0,
    ) -> None:
        # Two weights of zero are a loss of weight zero.
        super().__init__(loss_weight if cls_weight or bbox_weight else 0.0)
        self.beta = beta
        self.cls_weight = cls_weight
        self.bbox_weight = bbox_weight
        # past nn.Module's own __setattr__: the teacher is in no checkpoint, and a copy of the loss shares it
        self.__dict__['teacher'] = teacher
        head = find_head(teacher.model, 'teacher')
        if not 1 <= start <= len(head.cls_convs):
            raise ValueError(f'start must be an integer from 1 to {len(head.cls_convs)}, got {start!r}.')
        self.start = start
        if set(student_channels) != {head.feat_channels}:
            raise ValueError(
                f"the student's head gives {student_channels[0]} channels and the teacher's takes "
                f'{head.feat_channels}: CrossKD needs heads of one width.'
            )

    def forward(
        self,
        student_feats: Sequence[Tensor],
        teacher_feats: Sequence[Tensor],
        data_samples: Optional[Sequence] = None,
    ) -> Tensor:
        """The loss.

        Args:
            student_feats (Sequence[Tensor]): (B, C_s, H, W) of each level, the classes' before the boxes'.
            teacher_feats (Sequence[Tensor]): Scores (B, A K, H, W) of each level, then what boxes are decoded
                from, (B, A D, H, W); they get no gradient.
            data_samples (Sequence, optional): Of no use here.

        Returns:
            Tensor: Scalar float32.
        """
        head, levels = self.teacher.model.bbox_head, len(student_feats) // 2
        dtype = next(head.parameters()).dtype
        feats = [feat.to(dtype) for feat in student_feats]
        logits, boxes, *_ = run_rest(head, feats[:levels], feats[levels:], self.start)
        targets = [feat.detach() for feat in teacher_feats]
        # Sums over a map overflow half precision.
        with torch.autocast(feats[0].device.type, enabled=False):
            target = _rows(targets[:levels], head.cls_out_channels).sigmoid()
            logits = _rows(logits, head.cls_out_channels)
            weight = target.amax(dim=1)
            error = (target - logits.sigmoid()).abs().pow(self.beta)
            loss_cls = error * F.binary_cross_entropy_with_logits(logits, target, reduction='none')
            loss_bbox = weight * (1 - _giou(decode(head, boxes), decode(head, targets[levels:])))
            both = self.cls_weight * loss_cls.sum() + self.bbox_weight * loss_bbox.sum()
            return self.loss_weight * both / weight.sum().clamp(min=1)


class _Given(nn.Module):
    """A layer that gives what it was told, one thing after another."""

    def __init__(self, outputs: Sequence[Tensor]) -> None:
        super().__init__()
        self.outputs: Iterator[Tensor] = iter(outputs)

    def forward(self, _: Tensor) -> Tensor:
        return next(self.outputs)


def run_rest(
    head: nn.Module, cls_feats: Sequence[Tensor], reg_feats: Sequence[Tensor], start: int
) -> tuple[list[Tensor], ...]:
    """Run a head from a convolution of each branch on.

    Args:
        head (nn.Module): Of mmdet, with ``cls_convs`` and ``reg_convs``. It is not changed.
        cls_feats (Sequence[Tensor]): (B, C, H, W) of each level, for the classes.
        reg_feats (Sequence[Tensor]): The same for the boxes.
        start (int): The first convolution that runs.

    Returns:
        tuple[list[Tensor], ...]: What the head gives.
    """
    rest = copy.copy(head)
    rest._modules = dict(head._modules)
    rest.cls_convs = head.cls_convs[start:]
    rest.reg_convs = nn.ModuleList([_Given(reg_feats), *head.reg_convs[start:]])
    # of the class: where the teacher is compiled, its own forward runs the whole head
    return type(head).forward(rest, tuple(cls_feats))


def decode(head: nn.Module, preds: Sequence[Tensor]) -> Tensor:
    """Decode boxes.

    Args:
        head (nn.Module): Of mmdet.
        preds (Sequence[Tensor]): (B, A D, H, W) of each level, as the head gives it in eval mode.

    Returns:
        Tensor: (N, 4) float32, as x1, y1, x2, y2 in pixels, in the order of :func:`_rows`.
    """
    generator = head.prior_generator
    priors = generator.grid_priors([pred.shape[2:] for pred in preds], device=preds[0].device)
    boxes = []
    for pred, prior, stride in zip(preds, priors, generator.strides):
        prior = prior.repeat(len(pred), 1)
        rows = _rows([pred], pred.shape[1] // head.num_base_priors)
        if hasattr(head, 'integral'):  # GFL: distributions of distances in strides
            rows, prior = head.integral(rows) * stride[0], head.anchor_center(prior)
        boxes.append(head.bbox_coder.decode(prior, rows))
    return torch.cat(boxes)


def _giou(boxes: Tensor, others: Tensor) -> Tensor:
    """Generalized IoU of each row of two (N, 4): (N,)."""
    from mmdet.structures.bbox import bbox_overlaps  # a classifier needs no mmdet

    return bbox_overlaps(boxes, others, mode='giou', is_aligned=True)


def _rows(feats: Sequence[Tensor], width: int) -> Tensor:
    """(B, A D, H, W) of each level -> (N, D) float32: levels, images, positions, anchors."""
    return torch.cat([feat.permute(0, 2, 3, 1).reshape(-1, width) for feat in feats]).float()
