"""Images and labels of npz files, read as they are."""

import math
import os
import zipfile
from typing import Any, List, Literal, Optional, Sequence, Set, Tuple, Union

import numpy as np
from mmpretrain.datasets import BaseDataset
from numpy.lib import format as npy

from dpk_mm.registry import DATASETS


@DATASETS.register_module()
class NpzDataset(BaseDataset):
    """Images and labels from the arrays of npz files.

    The images are uint8 ``(N, H, W, 3)`` in RGB, or grey ``(N, H, W)``. The labels are integers ``(N,)`` or
    ``(N, 1)`` from 0. A sample has ``img``, uint8 ``(H, W, 3)``, and ``gt_label``, an int. So a pipeline has
    no ``LoadImageFromFile``. A grey image gets three equal channels, as that transform makes them. On top of
    a config for CIFAR-100 write::

        mine = dict(type='dpk_mm.NpzDataset', data_root='data', ann_file='mine.npz')
        train_dataloader = dict(dataset=mine)  # that config has split='train': x_train and y_train
        val_dataloader = dict(dataset=mine)  # split='test': x_test and y_test
        test_dataloader = val_dataloader

    A sample is a view of its file's array, so forked workers share the arrays. Nothing is ever unpickled. An
    array may take 64 MiB, or 100 times the size of its file: what declares more is refused before it is read.

    Args:
        ann_file (str | Sequence[str]): An npz file below ``data_root``, or several, one after the other.
        split (str): Which arrays to read: ``x_<split>`` and ``y_<split>``, or ``images_<split>`` and
            ``labels_<split>``; the split may stand in front. Defaults to '': ``x`` and ``y``, or ``images``
            and ``labels``.
        image_key (str, optional): Name of the array of images, if it is another. Defaults to None.
        label_key (str, optional): Name of the array of labels, if it is another. Defaults to None.
        channel_order (str): Order of the channels of ``img``. 'rgb' fits a data preprocessor with
            ``to_rgb=False``, as configs for CIFAR have it; 'bgr' fits ``to_rgb=True``, as those for ImageNet
            have it. Defaults to 'rgb'.
        serialize_data (bool): Whether to pickle all samples, which copies them. Defaults to False.
        **kwargs: Arguments of mmpretrain's ``BaseDataset``: ``data_root``, ``pipeline``, ``indices``,
            ``classes`` and more.

    Raises:
        ValueError: If ``ann_file`` or ``channel_order`` is wrong, if a file cannot be read, or if not exactly
            one array fits. If an array has a wrong dtype, shape, length or size. If a label is negative or
            not below the number of ``classes``; without ``classes``, if a label is left out.
    """

    def __init__(
        self,
        ann_file: Union[str, Sequence[str]],
        split: str = '',
        image_key: Optional[str] = None,
        label_key: Optional[str] = None,
        channel_order: Literal['rgb', 'bgr'] = 'rgb',
        serialize_data: bool = False,
        **kwargs: Any,
    ) -> None:
        if not ann_file:
            raise ValueError(f'ann_file must name an npz file or several, got {ann_file!r}')
        self.split, self.image_key, self.label_key = split, image_key, label_key
        self.channel_order = channel_order
        super().__init__(ann_file=ann_file, serialize_data=serialize_data, **kwargs)

    def _join_prefix(self) -> None:
        files = [self.ann_file] if isinstance(self.ann_file, str) else self.ann_file
        self.ann_file = [os.path.join(*map(os.path.expanduser, (self.data_root, file))) for file in files]

    def load_data_list(self) -> List[dict]:
        """Read all files.

        Returns:
            List[dict]: N samples; ``img`` is a view of uint8 ``(H, W, 3)``, ``gt_label`` an int.
        """
        samples = []
        for path in self.ann_file:
            try:
                images, labels = self._read(path)
            except Exception as error:  # zipfile and numpy do not say what a damaged file raises
                raise ValueError(f'ann_file {path}: {str(error) or type(error).__name__}') from error
            samples += [dict(img=img, gt_label=label) for img, label in zip(images, labels)]
        self._check_classes({sample['gt_label'] for sample in samples})
        return samples

    def _read(self, path: str) -> Tuple[np.ndarray, List[int]]:
        if not os.path.isfile(path):
            raise ValueError('no such file')
        limit = max(64 << 20, 100 * os.path.getsize(path))
        with zipfile.ZipFile(path) as archive:
            image_name, images = _read_array(archive, self._names(self.image_key, 'x', 'images'), limit)
            label_name, labels = _read_array(archive, self._names(self.label_key, 'y', 'labels'), limit)
        has_shape = images.ndim > 2 and images.shape[3:] in ((), (3,)) and images.size
        if images.dtype != np.uint8 or not has_shape:
            what = f'{image_name} is {images.dtype} {images.shape}'
            raise ValueError(f'{what}, it must be uint8 (N, H, W, 3) or (N, H, W), not empty')
        if labels.dtype.kind not in 'iu' or labels.shape not in ((len(images),), (len(images), 1)):
            what = f'{label_name} is {labels.dtype} {labels.shape}'
            raise ValueError(f'{what}, it must be integers ({len(images)},), one per image')
        # one sample takes some 500 bytes beside its image
        most = max(1 << 20, os.path.getsize(path) // 16)
        if len(images) > most:
            what = f'{image_name} declares {len(images):,} images of {images[0].size:,} bytes'
            raise ValueError(f'{what}; {most:,} are allowed for a file of this size')
        if images.ndim == 3:
            images = np.broadcast_to(images[..., None], (*images.shape, 3))
        return images[..., :: -1 if self.channel_order == 'bgr' else 1], labels.ravel().tolist()

    def _names(self, key: Optional[str], *names: str) -> List[str]:
        if key or not self.split:
            return [key] if key else list(names)
        return [name for each in names for name in (f'{each}_{self.split}', f'{self.split}_{each}')]

    def _check_classes(self, labels: Set[int]) -> None:
        classes = self.metainfo.get('classes')
        num = len(labels if classes is None else classes)
        outside = labels.difference(range(num))
        if outside and classes is not None:
            raise ValueError(f'classes: there are {num}, but {self.ann_file} has the label {min(outside)}')
        if outside:
            has = f'has labels from {min(labels)} to {max(labels)}, none is {min({*range(num)} - labels)}'
            raise ValueError(f'ann_file {self.ann_file} {has}; give `classes` if a class has no images here')


def _read_array(archive: zipfile.ZipFile, names: List[str], limit: int) -> Tuple[str, np.ndarray]:
    """Read the one array that has one of the names, if it is as large as it declares."""
    held = [name[: -len('.npy')] for name in archive.namelist()]
    found = [name for name in names if name in held]
    if len(found) != 1:
        more = f' and {len(held) - 20:,} more' if len(held) > 20 else ''
        raise ValueError(f'it must hold one array of {names}, it holds {held[:20]}{more}')
    name, info = found[0], archive.getinfo(f'{found[0]}.npy')
    with archive.open(info) as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError(f'{name} must be of version 1.0 of the npy format')
        shape, _, dtype = npy.read_array_header_1_0(file)
        declared = file.tell() + math.prod(shape) * dtype.itemsize
    if dtype.hasobject:
        raise ValueError(f'{name} holds Python objects, which are never unpickled')
    if declared != info.file_size:
        raise ValueError(f'{name} declares {declared:,} bytes and has {info.file_size:,}')
    if declared > limit:
        raise ValueError(f'{name} declares {declared:,} bytes, over {limit:,}; np.savez saves it undeflated')
    with archive.open(info) as file:
        return name, npy.read_array(file, allow_pickle=False)
