"""What setup.sh asks the Python of the environment: ``python -I check.py QUESTION [ARGUMENT]``.

No is an exception and an exit code of 1; the last line of the exception says why.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

# What mmcv is compiled with, and the rest.
BASE = 'cv2 mmengine ninja numpy pkg_resources setuptools torch torchvision wheel yaml'.split()
REST = 'mmdet.models mmpretrain.models mmseg.models pycocotools.mask pytest ruff skimage sklearn'.split()


def files(root: str) -> None:
    """Is everything there, and dpk_mm from this checkout? Nothing is imported, so that it takes no time."""
    for name in BASE + [name.split('.')[0] for name in REST]:
        assert find_spec(name), f'{name} is missing'
    assert list(Path(find_spec('mmcv').origin).parent.glob('_ext*.so')), "mmcv's ops are missing"
    assert Path(find_spec('dpk_mm').origin).parents[1].resolve() == Path(root).resolve(), (
        'dpk_mm is of another checkout'
    )


def base() -> None:
    """Does it import? Print what mmcv's ops can be compiled for: cuda, cpu, or no-nvcc for a GPU without it.

    A package that lost files is still installed to uv.
    """
    import re
    import subprocess

    for name in BASE:
        import_module(name)
    import torch
    from torch.utils.cpp_extension import CUDA_HOME

    if not torch.cuda.is_available():
        return print('cpu')
    try:
        text = subprocess.check_output([f'{CUDA_HOME}/bin/nvcc', '--version'], text=True)
        same = re.search(r'release (\d+)', text)[1] == torch.version.cuda.split('.')[0]
    except (TypeError, OSError, AttributeError, subprocess.CalledProcessError):
        same = False
    print('cuda' if same else 'no-nvcc')


def ops(device: str) -> None:
    """Do mmcv's ops run? A build can succeed without them, or have been made for another torch."""
    nms = import_module('mmcv.ops').nms  # fails at once where there is no mmcv
    import torch

    boxes = torch.tensor([[0.0, 0, 9, 9], [0, 0, 9, 8]], device=device)
    assert len(nms(boxes, boxes[:, 3], 0.5)[1]) == 1, 'nms is wrong'


def whole() -> None:
    """Does it import?"""
    for name in REST:
        import_module(name)


if __name__ == '__main__':
    globals()[sys.argv[1]](*sys.argv[2:])
