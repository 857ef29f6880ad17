"""Compare the two forms of the dynamic prior over training: positions as samples, and images as samples.

The authors' ratio takes images as samples, of which detection has too few on a GPU; `dpk_mm.CKAPrior`
then takes positions. This measures both on the same features: positions at the small batch of a
detector, images at a large one, and says whether they order stages and checkpoints alike.
"""

import argparse
import csv
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Sequence, Tuple

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

from dpk_mm.analysis.samples import Batch, batches, build_dataset, spread
from dpk_mm.analysis.stats import LEAST_SAMPLES, rank_correlation
from dpk_mm.models import CKAPrior, DPKDistiller
from dpk_mm.registry import MODELS
from dpk_mm.utils import cka_from_hsics, cli, hsics, is_distiller, load_weights, record, resize_like
from dpk_mm.utils.plots import COLOURS, new_figure, set_style

UNTRAINED = 'untrained'
_COLUMNS = ('checkpoint', 'stage', 'positions', 'positions_sd', 'images')
# name of a tap or stage -> maps (B, C, H, W)
Feats = Dict[str, Tensor]
# (checkpoint, stage) -> ratio by positions, its standard deviation over batches, ratio by images
Ratios = Dict[Tuple[str, str], Tuple[float, float, float]]


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument('config', help='config of a distiller, or pkg::path such as dpk_mm::dpk/x.py')
    parser.add_argument(
        'checkpoints', nargs='+', metavar='CHECKPOINT', help=f'of one student, in order; or {UNTRAINED!r}'
    )
    parser.add_argument(
        '--out', type=cli.picture, default=Path('priors.png'), help='picture; a CSV goes beside it'
    )
    parser.add_argument('--batch-size', type=int, default=2, help='images a batch for positions')
    parser.add_argument('--images', type=int, default=64, help='images of the training set, evenly spread')
    parser.add_argument('--image-batch', type=int, default=32, help='images a batch for images as samples')
    cli.add_cfg_options(parser, 'override settings of the config, as in train.py')
    args = parser.parse_args(argv)
    if args.batch_size < 1:
        parser.error(f'--batch-size must be at least 1, got {args.batch_size}')
    if min(args.images, args.image_batch) < 4:
        parser.error('CKA over images needs 4 of them: --images and --image-batch must be at least 4')
    return args


def build_distiller(cfg: Config) -> DPKDistiller:
    """Build the distiller of a config, its student with the weights it starts training from."""
    if not is_distiller(cfg):
        kind = cli.type_name(cfg.get('model', {}))
        cli.die(f'{cfg.filename}: a distiller is needed, the model is {kind or "missing"}')
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    MMLogger.get_instance('plot_priors', log_level='WARNING')  # else every weight's start is told
    set_random_seed(cfg.get('randomness', {}).get('seed') or 0)
    if cfg.get('data_preprocessor') is not None:
        cfg.model.setdefault('data_preprocessor', cfg.data_preprocessor)
    try:
        model = MODELS.build(cfg.model)
    except (ValueError, FileNotFoundError, ImportError) as error:
        cli.die(str(error))
    model.init_weights()
    return model.to(get_device()).eval()


def read_students(model: DPKDistiller, paths: Sequence[str]) -> Dict[str, Feats]:
    """Read the student's weights from every checkpoint.

    Args:
        model (DPKDistiller): As :func:`build_distiller` gives it.
        paths (Sequence[str]): Checkpoints, or :data:`UNTRAINED` for the weights that ``model`` has now.

    Returns:
        dict: Label -> state dict; the label is the file's stem, with its folder where stems repeat.
    """
    stems = [Path(path).stem for path in paths]
    are_unique = len(set(stems)) == len(stems)
    students = {}
    start = {key: value.clone() for key, value in model.student.state_dict().items()}
    for path, stem in zip(paths, stems):
        label = stem if are_unique else f'{Path(path).parent.name}/{stem}'
        if path == UNTRAINED:
            students[label] = start
            continue
        cli.check_checkpoint(path, 'CHECKPOINT')
        try:
            weights = load_weights(path, field='CHECKPOINT')
            weights = {key: value for key, value in weights.items() if not key.startswith('distiller.')}
            missing, _ = model.student.load_state_dict(weights, strict=False)
        except (ValueError, FileNotFoundError) as error:
            cli.die(str(error))
        except RuntimeError as error:  # torch's way to say: other shapes
            cli.die(f'{path} is not of this student: {str(error).splitlines()[1].strip()}')
        if missing:
            cli.die(f'{path} is not of this student: {len(missing)} weights are missing, {missing[0]} first')
        students[label] = weights
    return students


def read_batches(cfg: Config, model: DPKDistiller, images: int, image_batch: int) -> List[Batch]:
    """Read images of the training set, evenly spread, in batches padded to one size each.

    Args:
        cfg (Config): With a ``train_dataloader``.
        model (DPKDistiller): Whose preprocessor to use.
        images (int): How many, or all there are.
        image_batch (int): Most images a batch, at least 4; at least 4 are in each.

    Returns:
        list[tuple]: (n, 3, H, W) and n samples each.
    """
    dataset = build_dataset(cfg, cfg.train_dataloader)
    if len(dataset) < LEAST_SAMPLES:
        cli.die(f'CKA over images needs 4 of them, the training set has {len(dataset)}')
    dataset = Subset(dataset, spread(images, len(dataset)))
    return list(batches(dataset, model.data_preprocessor, image_batch))


def split(batch: Batch, size: int) -> Iterator[Batch]:
    """Split a batch: ``size`` images and their samples at a time."""
    inputs, samples = batch
    for begin in range(0, len(inputs), size):
        yield inputs[begin : begin + size], samples[begin : begin + size]


@torch.no_grad()
def teacher_maps(model: DPKDistiller, batch: Batch, size: int) -> List[Feats]:
    """Run the teacher on ``size`` images at a time.

    Returns:
        list[dict]: For each of them, tap -> (size, C_t, H, W).
    """
    return [model.teacher(inputs, model.teacher_taps, samples) for inputs, samples in split(batch, size)]


@torch.no_grad()
def student_maps(model: DPKDistiller, batch: Batch, size: int) -> List[Feats]:
    """Run the student; as :func:`teacher_maps`."""
    maps = []
    for inputs, samples in split(batch, size):
        with record(model.student, model.student_taps, stop_early=True) as feats:
            model.student(inputs, samples, mode='predict')
        maps.append(feats)
    return maps


def measure_batch(
    model: DPKDistiller, students: List[Feats], teachers: List[Feats]
) -> Dict[str, Tuple[List[float], np.ndarray]]:
    """Measure both forms on one batch of images, for every stage that compares maps.

    Args:
        model (DPKDistiller): The distiller.
        students (list[dict]): Of every small batch, tap -> (b, C_s, H', W').
        teachers (list[dict]): Of every small batch, tap -> (b, C_t, H, W).

    Returns:
        dict: Stage -> ratios by positions of the small batches, and the (3,) HSICs by images of all.
    """
    measured = {}
    for name, (student_at, teacher_at) in model.layers.items():
        stage = model.distiller[name]
        if stage.is_idle or not isinstance(student_at, str) or teachers[0][teacher_at].ndim != 4:
            continue  # nothing is read there; a group of layers; logits
        prior = CKAPrior(samples='positions', max_positions=getattr(stage.prior, 'max_positions', 4096))
        maps = ((student[student_at], teacher[teacher_at]) for student, teacher in zip(students, teachers))
        pairs = [(resize_like(x, y), y) for x, y in maps]
        by_positions = [prior.ratio(x, y) for x, y in pairs]
        measured[name] = by_positions, hsics(*(torch.cat(side) for side in zip(*pairs))).cpu().numpy()
    return measured


def measure(
    model: DPKDistiller, students: Dict[str, Feats], batches: Sequence[Batch], batch_size: int
) -> Ratios:
    """Measure both forms of the ratio, 1 - CKA before any bounds.

    Args:
        model (DPKDistiller): The distiller.
        students (dict): Label -> the student's weights.
        batches (Sequence[tuple]): Of images, as :func:`read_batches` gives them.
        batch_size (int): Images a batch for positions.

    Returns:
        dict: (label, stage) -> mean over small batches by positions, their standard deviation, and the
        ratio by images, whose HSICs are summed over ``batches``; NaN where a map is (nearly) the same for
        all images, of which the unbiased HSIC may be negative.
    """
    positions: Dict[Tuple[str, str], List[float]] = {}
    sums: Dict[Tuple[str, str], np.ndarray] = {}
    rounds = [(batch, label) for batch in batches for label in students]
    teachers: List[Feats] = []
    for i, (batch, label) in enumerate(track(rounds, 'measuring', console=Console(stderr=True))):
        if i % len(students) == 0:
            teachers = teacher_maps(model, batch, batch_size)
        model.student.load_state_dict(students[label], strict=False)
        found = measure_batch(model, student_maps(model, batch, batch_size), teachers)
        for stage, (by_positions, by_images) in found.items():
            positions.setdefault((label, stage), []).extend(by_positions)
            sums[label, stage] = sums.get((label, stage), 0) + by_images
    # by label, then stage
    keys = [(label, stage) for label in students for stage in found]
    return {
        key: (
            float(np.mean(positions[key])),
            float(np.std(positions[key], ddof=min(1, len(positions[key]) - 1))),
            1 - cka_from_hsics(torch.from_numpy(sums[key])).item(),
        )
        for key in keys
    }


def summarise(ratios: Ratios) -> Dict[str, float]:
    """Say how far the two forms agree.

    Returns:
        dict: What is ordered -> rank correlation of the two forms: over all, over the checkpoints of each
        stage, and over the stages of a checkpoint (the mean over checkpoints); those that are defined.
    """

    def of(values: Sequence[Tuple[float, float, float]]) -> float:
        return rank_correlation([v[0] for v in values], [v[2] for v in values])

    labels, stages = (list(dict.fromkeys(key[i] for key in ratios)) for i in (0, 1))
    found = {f'over {len(ratios)} (stage, checkpoint)': of(list(ratios.values()))}
    found.update({f'over checkpoints, {stage}': of([ratios[lb, stage] for lb in labels]) for stage in stages})
    of_stages = [of([ratios[label, stage] for stage in stages]) for label in labels]
    found['over stages, mean of checkpoints'] = float(
        np.mean([r for r in of_stages if np.isfinite(r)] or np.nan)
    )
    return {what: value for what, value in found.items() if np.isfinite(value)}


def plot(ratios: Ratios, batch_size: int, path: Path) -> None:
    """Draw each form over the checkpoints, and one against the other.

    Args:
        ratios (dict): As :func:`measure` gives them.
        batch_size (int): Named in the title.
        path (Path): Picture to write.
    """
    labels, stages = (list(dict.fromkeys(key[i] for key in ratios)) for i in (0, 1))
    figure = new_figure(11, 3.8)
    left, middle, right = figure.subplots(1, 3)
    steps = np.arange(len(labels))
    for stage, colour in zip(stages, COLOURS * len(stages)):
        mean, sd, images = np.array([ratios[label, stage] for label in labels]).T
        left.plot(steps, mean, 'o-', color=colour, label=stage, linewidth=1.5, markersize=4)
        left.fill_between(steps, mean - sd, mean + sd, color=colour, alpha=0.15, linewidth=0)
        middle.plot(steps, images, 'o-', color=colour, label=stage, linewidth=1.5, markersize=4)
        right.plot(images, mean, 'o', color=colour, label=stage, markersize=4)
    left.set_title(f'positions, {batch_size} images a batch', fontsize=10)
    left.set_ylabel('ratio before bounds: 1 - CKA')
    middle.set_title('images', fontsize=10)
    low = min(*left.get_ylim(), *middle.get_ylim())
    high = max(*left.get_ylim(), *middle.get_ylim())
    for axes in (left, middle):
        axes.set(xticks=steps, ylim=(low, high))
        axes.set_xticklabels(labels, rotation=30, ha='right', fontsize=8)
    right.plot([low, high], [low, high], color='#999999', linewidth=0.8, zorder=0)
    right.set(xlabel='by images', ylabel='by positions', xlim=(low, high), ylim=(low, high))
    right.set_title('one against the other', fontsize=10)
    for axes in (left, middle, right):
        set_style(axes)
    left.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def write_csv(ratios: Ratios, path: Path) -> None:
    """Write one line for each checkpoint and stage."""
    with path.open('w', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(_COLUMNS)
        for key, values in ratios.items():
            writer.writerow([*key, *(f'{value:.4f}' for value in values)])


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure, draw and tell."""
    args = parse_args(argv)
    cfg = cli.load_config(args.config)
    cfg.merge_from_dict(args.cfg_options or {})
    model = build_distiller(cfg)
    students = read_students(model, args.checkpoints)
    shown = read_batches(cfg, model, args.images, args.image_batch)
    ratios = measure(model, students, shown, args.batch_size)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    plot(ratios, args.batch_size, args.out)
    write_csv(ratios, args.out.with_suffix('.csv'))
    for (label, stage), (mean, sd, images) in ratios.items():
        print(f'{label}, {stage}: positions {mean:.3f} ± {sd:.3f}, images {images:.3f}')
    if any(np.isnan(images) for _, _, images in ratios.values()):
        print("nan: a map that does not differ between images, the student's or the teacher's")
    for what, value in summarise(ratios).items():
        print(f'rank correlation {what}: {value:.2f}')
    print(f'wrote {args.out} and {args.out.with_suffix(".csv")}')


if __name__ == '__main__':
    main()
