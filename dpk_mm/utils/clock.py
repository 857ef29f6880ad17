"""The time, whatever device works."""

import time

import torch


def clock() -> float:
    """The time, when all that the GPU was told to do is done.

    Returns:
        float: Seconds since some moment.
    """
    if torch.cuda.is_initialized():  # else nothing was told to it
        torch.cuda.synchronize()
    return time.perf_counter()
