"""Brings images and labels from npz files or class folders into what mmpretrain's data sets read."""

import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple, Union

import cv2
import numpy as np
from mmpretrain.datasets import ImageNet
from rich.console import Console
from rich.progress import track

IMAGE_NAMES = ('images', 'image', 'x', 'data')
LABEL_NAMES = ('labels', 'label', 'y', 'fine_labels', 'targets')


class ConversionError(ValueError):
    """A mistake in the data or the paths, told in one line."""


@dataclass
class Split:
    """The images of one split.

    Args:
        source (Path): The npz file or the folder of class folders.
        files (List[str]): N paths ``class/file``, below ``source`` or invented for the images of an npz file.
        pixels (np.ndarray, optional): uint8 (N, H, W, 3) in RGB. Defaults to None, they are in the files.
    """

    source: Path
    files: List[str]
    pixels: Optional[np.ndarray] = None

    @property
    def classes(self) -> List[str]:
        """The class of each image, N names."""
        return [file.split('/')[0] for file in self.files]

    def image(self, index: int) -> np.ndarray:
        """Get an image, uint8 (H, W, 3) in BGR.

        Raises:
            ConversionError: If the file is not an image that OpenCV reads.
        """
        if self.pixels is not None:
            return cv2.cvtColor(self.pixels[index], cv2.COLOR_RGB2BGR)
        path = self.source / self.files[index]
        image = cv2.imread(str(path))
        if image is None:
            raise ConversionError(f'{path}: not an image that OpenCV can read')
        return image


def read(source: Union[str, Path], test_source: Optional[Union[str, Path]] = None) -> Tuple[Split, Split]:
    """Read the split to train on and the one to test on.

    A folder has ``train/`` and either ``val/`` or ``test/``, each with a folder of images per class. In npz
    files a split is images, uint8 (N, H, W, 3) in RGB or (N, H, W) in grey, and labels, integers (N,) or
    (N, 1) from 0; the classes get names of five digits.

    Args:
        source (str | Path): A folder; an npz file of both splits, with arrays such as ``x_train`` or
            ``test_labels``; or one of the training split, with arrays such as ``x`` or ``labels``.
        test_source (str | Path, optional): The npz file of the other split. Defaults to None.

    Returns:
        Tuple[Split, Split]: train and test.

    Raises:
        ConversionError: If a file cannot be read, if not exactly one array or folder fits, if an array has a
            wrong dtype or shape, if a split has no images, or if a class has none to train on.
    """
    source = Path(source)
    if test_source is not None:
        train, test = _read_npz(source), _read_npz(Path(test_source))
    elif not source.is_dir():
        train, test = _read_npz(source, 'train'), _read_npz(source, 'test')
    else:
        folders = [source / name for name in ('train', 'val', 'test') if (source / name).is_dir()]
        if len(folders) != 2 or folders[0].name != 'train':
            raise ConversionError(f'{source}: must have the folders train/ and either val/ or test/')
        train, test = map(_read_folder, folders)

    classes, needed = set(train.classes), set(test.classes)
    if train.pixels is not None:
        needed.update(f'{i:05}' for i in range(len(classes)))  # labels start at 0 and have no gaps
    if needed - classes:
        has = f'only of {len(classes)} classes from {min(classes)} to {max(classes)}'
        raise ConversionError(f'{source}: no training images of class {min(needed - classes)}, {has}')
    return train, test


def write(train: Split, test: Split, target: str, out: Union[str, Path], resize: bool = False) -> List[str]:
    """Write a data set for mmpretrain; ``out`` appears when all of it is written.

    - ``cifar100``: ``cifar-100-python/train`` and ``test``, for ``dpk_mm.CIFAR100``.
    - ``imagenet``: ``train/<class>/*``, ``val/<class>/*``, ``meta/train.txt`` and ``meta/val.txt``, for
      ``ImageNet``. Files of a folder are copied as they are, arrays become PNG files.
    - Both: ``classes.txt``, the names of the classes in the order of the labels.

    Args:
        train (Split): The training split.
        test (Split): The other split.
        target (str): 'cifar100' or 'imagenet'.
        out (str | Path): The folder to write, which must not exist.
        resize (bool): Whether ``cifar100`` scales images to 32x32. Defaults to False.

    Returns:
        List[str]: The names of the classes.

    Raises:
        ConversionError: If ``out`` exists, an image is unreadable, or an image for ``cifar100`` is not 32x32.
    """
    out = Path(out)
    if out.exists():
        raise ConversionError(f'{out}: exists already')
    classes = sorted(set(train.classes))
    unfinished = out.with_name(f'{out.name}.part')
    unfinished.mkdir(parents=True)
    try:
        _write_lines(unfinished / 'classes.txt', classes)
        for name, split in (('train', train), ('test' if target == 'cifar100' else 'val', test)):
            labels = np.searchsorted(classes, split.classes).tolist()
            if target == 'cifar100':
                _write_cifar100(split, labels, unfinished / 'cifar-100-python' / name, resize)
            else:
                _write_images(split, unfinished / name)
                lines = [f'{file} {label}' for file, label in zip(split.files, labels)]
                _write_lines(unfinished / 'meta' / f'{name}.txt', lines)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)  # not there any more if all went well
    return classes


def _read_npz(path: Path, part: str = '') -> Split:
    """Read an npz file, or what has ``part`` in its name."""
    try:
        with np.load(path) as file:  # refuses to unpickle
            arrays = dict(file)
    except Exception as error:  # numpy does not say what a damaged file raises
        raise ConversionError(f'{path}: cannot be read as an npz file ({error})') from error
    image_name, label_name = (_find(path, arrays, names, part) for names in (IMAGE_NAMES, LABEL_NAMES))
    images, labels = arrays[image_name], arrays[label_name]
    if images.dtype != np.uint8 or images.ndim < 3 or images.shape[3:] not in ((), (3,)) or not images.size:
        what = f'{image_name} is {images.dtype} {images.shape}'
        raise ConversionError(f'{path}: {what}, it must be uint8 (N, H, W, 3) or (N, H, W), not empty')
    if labels.dtype.kind not in 'iu' or labels.shape not in ((len(images),), (len(images), 1)):
        what = f'{label_name} is {labels.dtype} {labels.shape}'
        raise ConversionError(f'{path}: {what}, it must be integers ({len(images)},), one per image')
    if images.ndim == 3:
        images = images[..., None].repeat(3, axis=3)
    return Split(path, [f'{label:05}/{i:07}.png' for i, label in enumerate(labels.flat)], images)


def _find(path: Path, arrays: Dict[str, np.ndarray], names: Sequence[str], part: str) -> str:
    fits = [f'{name}_{part}' for name in names] + [f'{part}_{name}' for name in names] if part else names
    found = [name for name in arrays if name.lower() in fits]
    if len(found) != 1:
        raise ConversionError(f'{path}: must have one array of {list(fits)}, it has {list(arrays)}')
    return found[0]


def _read_folder(path: Path) -> Split:
    files = [each for each in path.glob('*/**/*') if each.suffix.lower() in ImageNet.IMG_EXTENSIONS]
    if not files:
        raise ConversionError(f'{path}: no images in class folders ({" ".join(ImageNet.IMG_EXTENSIONS)})')
    return Split(path, sorted(file.relative_to(path).as_posix() for file in files))


def _write_lines(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')


def _write_cifar100(split: Split, labels: List[int], path: Path, resize: bool) -> None:
    data = np.empty((len(labels), 3, 32, 32), np.uint8)
    for i in track(range(len(labels)), path.name, console=Console(stderr=True)):
        image = split.image(i)
        if resize:
            image = cv2.resize(image, (32, 32), interpolation=cv2.INTER_AREA)
        if image.shape[:2] != (32, 32):
            what = f'{split.source}: {split.files[i]} is {image.shape[1]}x{image.shape[0]}'
            raise ConversionError(f'{what}, cifar100 needs 32x32; --resize scales images')
        data[i] = image[..., ::-1].transpose(2, 0, 1)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(dict(data=data.reshape(-1, 3072), fine_labels=labels)))


def _write_images(split: Split, folder: Path) -> None:
    for i in track(range(len(split.files)), folder.name, console=Console(stderr=True)):
        image, path = split.image(i), folder / split.files[i]
        path.parent.mkdir(parents=True, exist_ok=True)
        if split.pixels is None:
            shutil.copyfile(split.source / split.files[i], path)
        else:
            cv2.imencode('.png', image)[1].tofile(path)
