"""The two forms of the dynamic prior, measured on the same features: positions and images as samples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import Subset

from dpk_mm.analysis.samples import Batch, batches, build_dataset, evenly_spaced
from dpk_mm.analysis.stats import LEAST_SAMPLES
from dpk_mm.models import CKAPrior, Distiller
from dpk_mm.registry import MODELS
from dpk_mm.utils import cka_from_hsics, hsics, is_distiller, load_weights, record, resize_like
from dpk_mm.utils.runner import type_name

UNTRAINED = 'untrained'
# name of a tap or stage -> maps (B, C, H, W)
Feats = dict[str, Tensor]
# (checkpoint, stage) -> ratio by positions, its standard deviation over batches, ratio by images
Ratios = dict[tuple[str, str], tuple[float, float, float]]


def build_distiller(cfg: Config) -> Distiller:
    """Build the distiller of a config, its student with the weights it starts training from.

    Args:
        cfg (Config): A whole config.

    Returns:
        Distiller: In eval mode, on the device that mmengine finds.

    Raises:
        ValueError: Its model is no distiller, or has a mistake.
        FileNotFoundError: A file that it names is not there.
        ImportError: A package is not installed.
    """
    if not is_distiller(cfg):
        kind = type_name(cfg.get('model', {}))
        raise ValueError(
            f'{cfg.filename}: a distiller is needed, the model is {kind or "missing"}. '
            'The config of a run is in its work dir.'
        )
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    MMLogger.get_instance('plot_priors', log_level='WARNING')  # else every weight's start is told
    set_random_seed(cfg.get('randomness', {}).get('seed') or 0)
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model.to(get_device()).eval()


def read_students(model: Distiller, paths: Sequence[str]) -> dict[str, Feats]:
    """Read the student's weights from every checkpoint.

    Args:
        model (Distiller): As :func:`build_distiller` gives it.
        paths (Sequence[str]): Checkpoints, or :data:`UNTRAINED` for the weights that ``model`` has now.

    Returns:
        dict: Label -> state dict; the label is the file's stem, with its folder or its whole path where
        these repeat.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It cannot be read, or is of another student.
    """
    # the shortest that tell them apart
    names = (
        [Path(path).stem for path in paths],
        [f'{Path(path).parent.name}/{Path(path).stem}' for path in paths],
    )
    labels = next((few for few in names if len(set(few)) == len(paths)), paths)
    students = {}
    start = {key: value.clone() for key, value in model.student.state_dict().items()}
    for path, label in zip(paths, labels):
        if path == UNTRAINED:
            students[label] = start
            continue
        weights = load_weights(path, field='CHECKPOINT')
        weights = {key: value for key, value in weights.items() if not key.startswith('distiller.')}
        try:
            missing, _ = model.student.load_state_dict(weights, strict=False)
        except RuntimeError as error:  # torch's way to say: other shapes
            problem = str(error).splitlines()[1].strip()
            raise ValueError(f'{path} is not of this student: {problem}') from error
        if missing:
            problem = f'{len(missing)} weights are missing, {missing[0]} first'
            raise ValueError(f'{path} is not of this student: {problem}')
        students[label] = weights
    return students


def read_train_batches(cfg: Config, model: Distiller, images: int, image_batch: int) -> list[Batch]:
    """Read images of the training set, evenly spread, in batches padded to one size each.

    Args:
        cfg (Config): With a ``train_dataloader``.
        model (Distiller): Whose preprocessor to use.
        images (int): How many, or all there are.
        image_batch (int): Most images a batch, at least 4; at least 4 are in each.

    Returns:
        list[tuple]: (n, 3, H, W) and n samples each.

    Raises:
        ValueError: The data set cannot be read, or has fewer than 4 images.
    """
    dataset = build_dataset(cfg, cfg.train_dataloader)
    if len(dataset) < LEAST_SAMPLES:
        raise ValueError(f'CKA over images needs 4 of them, the training set has {len(dataset)}')
    dataset = Subset(dataset, evenly_spaced(images, len(dataset)))
    return list(batches(dataset, model.data_preprocessor, image_batch))


def _student_maps(model: Distiller, inputs: Tensor, samples: list) -> Feats:
    """Run the student as far as stages need it."""
    with record(model.student, model.student_taps, stop_early=True) as feats:
        model.student(inputs, samples, mode='predict')
    return feats


def _on_maps(model: Distiller) -> list[str]:
    """Names of the stages that compare maps: no groups of layers, no logits, nothing that is not read."""
    return [
        name
        for name, (student_at, teacher_at) in model.layers.items()
        if not model.distiller[name].is_idle
        and isinstance(student_at, str)
        and len(model.shapes[1][teacher_at]) == 4
    ]


def _measure_batch(
    model: Distiller, stages: list[str], students: list[Feats], teachers: list[Feats]
) -> dict[str, tuple[list[float], np.ndarray]]:
    """Measure both forms on one batch of images.

    Args:
        model (Distiller): The distiller.
        stages (list[str]): Names of those that compare maps.
        students (list[dict]): Of every small batch, tap -> (b, C_s, H', W').
        teachers (list[dict]): Of every small batch, tap -> (b, C_t, H, W).

    Returns:
        dict: Stage -> ratios by positions of the small batches, and the (3,) HSICs by images of all.
    """
    measured = {}
    for name in stages:
        student_at, teacher_at = model.layers[name]
        most = getattr(model.distiller[name].prior, 'max_positions', 4096)
        prior = CKAPrior(samples='positions', max_positions=most)
        maps = ((student[student_at], teacher[teacher_at]) for student, teacher in zip(students, teachers))
        pairs = [(resize_like(x, y), y) for x, y in maps]
        by_positions = [prior.ratio(x, y) for x, y in pairs]
        measured[name] = by_positions, hsics(*(torch.cat(side) for side in zip(*pairs))).cpu().numpy()
    return measured


@torch.no_grad()
def measure_ratios(
    model: Distiller, students: dict[str, Feats], batches: Sequence[Batch], batch_size: int
) -> Ratios:
    """Measure both forms of the ratio, 1 - CKA before any bounds.

    Args:
        model (Distiller): The distiller.
        students (dict): Label -> the student's weights.
        batches (Sequence[tuple]): Of images, as :func:`read_train_batches` gives them.
        batch_size (int): Images a batch for positions.

    Returns:
        dict: (label, stage) -> mean over small batches by positions, their standard deviation, and the
        ratio by images, whose HSICs are summed over ``batches``; NaN where a map is (nearly) the same for
        all images, of which the unbiased HSIC may be negative.

    Raises:
        ValueError: No stage compares maps.
    """
    stages = _on_maps(model)
    if not stages:
        raise ValueError('stages: none of them compares maps, so there is no ratio to measure')
    positions: dict[tuple[str, str], list[float]] = {}
    sums: dict[tuple[str, str], np.ndarray] = {}
    for inputs, samples in track(batches, 'measuring', console=Console(stderr=True)):
        starts = range(0, len(inputs), batch_size)
        parts = [(inputs[i : i + batch_size], samples[i : i + batch_size]) for i in starts]
        teachers = [model.teacher(images, model.teacher_taps, own) for images, own in parts]
        for label, weights in students.items():
            model.student.load_state_dict(weights, strict=False)
            maps = [_student_maps(model, *part) for part in parts]
            found = _measure_batch(model, stages, maps, teachers)
            for stage, (by_positions, by_images) in found.items():
                positions.setdefault((label, stage), []).extend(by_positions)
                sums[label, stage] = sums.get((label, stage), 0) + by_images
    # by label, then stage
    keys = [(label, stage) for label in students for stage in stages]
    return {
        key: (
            float(np.mean(positions[key])),
            float(np.std(positions[key], ddof=min(1, len(positions[key]) - 1))),
            1 - cka_from_hsics(torch.from_numpy(sums[key])).item(),
        )
        for key in keys
    }
