"""What losses on logits have in common."""

from collections.abc import Sequence
from typing import Optional, Union

import torch
import torch.nn.functional as F
from torch import Tensor


def standardize_logits(logits: Tensor) -> Tensor:
    """LSKD: each row less its own mean, over its own standard deviation.

    Source: Sun et al., CVPR 2024. A student then learns how the teacher's logits lie to each other, and need
    not reach their range (paper). The variance is divided by K, and 1e-14 beside it keeps the gradient of
    equal logits finite (ours); theirs is 1e-7 beside the standard deviation.

    Args:
        logits (Tensor): (B, K) float32.

    Returns:
        Tensor: (B, K) of mean 0 and variance 1.
    """
    return F.layer_norm(logits, logits.shape[1:], eps=1e-14)


def decouple(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Part a prediction into the labelled class against the rest, and the rest among themselves.

    Args:
        logits (Tensor): (B, K).
        labels (Tensor): (B,) int64.

    Returns:
        tuple[Tensor, Tensor]: Log-probabilities of (label, any other), (B, 2), and of the others alone,
        (B, K - 1).
    """
    columns = torch.arange(logits.shape[1] - 1, device=logits.device)
    others = logits.gather(1, columns + (columns >= labels[:, None]))
    target = torch.cat([logits.gather(1, labels[:, None]), others.logsumexp(dim=1, keepdim=True)], dim=1)
    return target.log_softmax(dim=1), others.log_softmax(dim=1)


def find_labels(data_samples: Optional[Union[Sequence, Tensor]], logits: Tensor, name: str) -> Tensor:
    """Find one label an image; of mixed images the class with the largest share (ours).

    Args:
        data_samples (Sequence[DataSample] or Tensor): B samples, each with ``gt_label`` (1,), or with
            ``gt_score`` (K,), which goes first; or the labels themselves, (B,) of an integer dtype.
        logits (Tensor): (B, K).
        name (str): Of the loss, for the message.

    Returns:
        Tensor: (B,) int64, where the logits are.

    Raises:
        ValueError: No labels, not one an image, or, looked at on the CPU, one of no class.
    """
    if data_samples is None:
        raise ValueError(f'{name} needs data_samples with gt_label or gt_score, got None.')
    if isinstance(data_samples, Tensor) and data_samples.ndim == 1 and not data_samples.is_floating_point():
        labels = data_samples.long()
    elif isinstance(data_samples, Tensor):
        shape, dtype = tuple(data_samples.shape), data_samples.dtype
        raise ValueError(f'{name} needs labels (B,) of an integer dtype, got {shape} of {dtype}.')
    elif all('gt_score' in sample for sample in data_samples):
        labels = torch.stack([sample.gt_score for sample in data_samples]).argmax(dim=1)
    elif all('gt_label' in sample for sample in data_samples):
        labels = torch.cat([sample.gt_label for sample in data_samples])
    else:
        raise ValueError(f'{name} needs gt_label or gt_score in all data_samples: it distils classifiers.')
    if len(labels) != len(logits):
        raise ValueError(f'{name} needs one gt_label an image, got {len(labels)} for {len(logits)} images.')
    # elsewhere each step would wait for the device, whose own error names the line
    least, most = labels.aminmax() if labels.device.type == 'cpu' else (0, 0)
    if not 0 <= least <= most < logits.shape[1]:
        raise ValueError(
            f'{name} needs labels from 0 to {logits.shape[1] - 1}, as there are {logits.shape[1]} logits, '
            f'got {int(least)} to {int(most)}.'
        )
    return labels.to(logits.device)
