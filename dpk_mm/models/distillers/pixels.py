"""Let losses on the logits of images compare the logits of pixels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.structures import BaseDataElement
from torch import Tensor


def pixels_as_images(
    student: Tensor, teacher: Tensor, data_samples: Sequence, ignore_index: int
) -> tuple[Tensor, Tensor, list[BaseDataElement]]:
    """Make of each labelled pixel what a classifier makes of an image: a row of logits, with its label.

    The labels are those at the centres of the pixels of the logits (ours); upstream's heads resize the logits
    instead. What preprocessors pad with has the label to be left out, too.

    Args:
        student (Tensor): (B, K, H, W).
        teacher (Tensor): (B, K, H, W).
        data_samples (Sequence[SegDataSample]): B samples, each with ``gt_sem_seg`` (1, H', W').
        ignore_index (int): The label whose pixels are left out.

    Returns:
        tuple: Logits (N, K) of the student and of the teacher, and one sample whose ``gt_label`` has the N
        labels. N is the number of pixels that are left.
    """
    labels = torch.stack([sample.gt_sem_seg.data for sample in data_samples])
    # whole numbers below 2^24 are exact; integers cannot be interpolated
    labels = F.interpolate(labels.float(), student.shape[2:], mode='nearest-exact').flatten().long()
    kept = labels != ignore_index
    student, teacher = (logits.permute(0, 2, 3, 1).flatten(0, 2)[kept] for logits in (student, teacher))
    return student, teacher, [BaseDataElement(gt_label=labels[kept])]
