"""What a stage of DPK sees and predicts: student's map, chosen tokens, prediction and teacher's map."""

from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor

from dpk_mm.analysis.samples import Batch
from dpk_mm.models import Distiller, FeatureMixingNeck
from dpk_mm.models.losses.pkd_loss import PKDLoss, standardize
from dpk_mm.utils import load_weights, record
from dpk_mm.utils.plots import COLOURS, new_figure


@dataclass
class StageMaps:
    """Of one batch.

    Attributes:
        images (Tensor): (B, 3, H', W') as the models see them.
        student (Tensor): (B, C_s, H, W), resized to the teacher's map.
        tokens (Tensor): (B, h, w) bool, whether the teacher fills the token.
        predicted (Tensor): (B, C_t, H, W), what the neck makes of it. PKD's loss sees neither mean nor
            deviation of a channel: there both are the teacher's.
        teacher (Tensor): (B, C_t, H, W).
        ratio (float): The share that the prior asked for.
    """

    images: Tensor
    student: Tensor
    tokens: Tensor
    predicted: Tensor
    teacher: Tensor
    ratio: float


def choose_stage(model: Distiller, name: Optional[str] = None) -> str:
    """The stage of this name, or the first with a feature-mixing neck.

    Raises:
        ValueError: There is none; names those that there are.
    """
    mixing = [
        stage for stage, part in model.distiller.items()
        if isinstance(getattr(part, 'neck', None), FeatureMixingNeck)
    ]  # fmt: skip
    if (name or (mixing or [None])[0]) not in mixing:
        raise ValueError(
            f'--stage {name}: the stages with a FeatureMixingNeck are {", ".join(mixing) or "none"}'
        )
    return name or mixing[0]


def load_trained(model: Distiller, path: str, stage: str) -> None:
    """Load student and neck from a checkpoint of a training.

    Args:
        model (Distiller): Is changed.
        path (str): The checkpoint.
        stage (str): Whose neck is needed.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It is of another model, or of an exported student.
    """
    weights = load_weights(path, field='CHECKPOINT')
    try:
        missing, _ = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # torch's way to say: other shapes
        raise ValueError(
            f'{path} is not of this config: {str(error).splitlines()[1].strip()}. '
            'The config of a run is in its work dir.'
        ) from error
    own = f'distiller.{stage}.'
    if lacking := [
        *missing,
        *(key for key in model.state_dict() if key.startswith(own) and key not in weights),
    ]:
        raise ValueError(
            f'{path} lacks {len(lacking)} weights, {lacking[0]} first: give a checkpoint of this training, '
            'which has the necks'
        )


@torch.no_grad()
def stage_maps(model: Distiller, batch: Batch, stage: str) -> StageMaps:
    """Run both models on a batch, and then the stage.

    Args:
        model (Distiller): In eval mode.
        batch (tuple): (B, 3, H', W') and B samples.
        stage (str): With a feature-mixing neck.
    """
    inputs, samples = batch
    (student_at, teacher_at), part = model.layers[stage], model.distiller[stage]
    with record(model.student, [student_at], stop_early=True) as feats:
        model.student(inputs, samples, mode='predict')
    seen = model.teacher(inputs, [teacher_at], samples)
    student, teacher = part.align(feats[student_at], seen[teacher_at])
    ratio, mask, scores = float(part.prior(student, teacher)), part.neck.mask, []
    part.neck.mask = lambda *args: scores.append(mask(*args)) or scores[0]
    try:
        predicted = part.neck(student, teacher, ratio)
    finally:
        part.neck.mask = mask
    if isinstance(part.loss, PKDLoss):
        predicted = _scaled_like(predicted, teacher)
    (scores,) = scores
    count = part.neck.num_teacher_tokens(scores.shape[1], ratio)
    filled = torch.zeros_like(scores, dtype=torch.bool)
    filled.scatter_(1, scores.argsort(dim=1, descending=True, stable=True)[:, :count], True)
    rows = -(-teacher.shape[2] // part.neck.patch_size)
    return StageMaps(inputs, student, filled.unflatten(1, (rows, -1)), predicted, teacher, ratio)


def _scaled_like(feat: Tensor, other: Tensor) -> Tensor:
    """A map (B, C, H, W) whose channels have mean and deviation of another's."""
    over = dict(dim=(0, 2, 3), keepdim=True)
    return standardize(feat) * other.std(**over, unbiased=False) + other.mean(**over)


def draw_stage(maps: StageMaps, title: str) -> Any:
    """Draw a row for each image; of a map the root mean square over the channels.

    Args:
        maps (StageMaps): Of a batch.
        title (str): Of the picture.

    Returns:
        matplotlib.figure.Figure: The picture; prediction and teacher's map share their colours.
    """
    from matplotlib.colors import ListedColormap

    kinds = ListedColormap([COLOURS[0], COLOURS[1]])
    tokens = f"tokens: {maps.ratio:.0%} teacher's (orange)"
    columns = ['image', "student's map", tokens, 'predicted map', "teacher's map"]
    student, predicted, teacher = (
        feat.float().square().mean(1).sqrt().cpu() for feat in (maps.student, maps.predicted, maps.teacher)
    )
    height, width = maps.images.shape[2:]
    figure = new_figure(2.4 * len(columns), 2.4 * len(teacher) * min(2, height / width) + 0.5)
    grid = figure.subplots(len(teacher), len(columns), squeeze=False)
    for i, row in enumerate(grid):
        image = maps.images[i].float().cpu()
        image = (image - image.min()) / (image.max() - image.min()).clamp(min=1e-6)
        row[0].imshow(image.movedim(0, -1)[..., :3])
        row[1].imshow(student[i])
        row[2].imshow(maps.tokens[i].cpu(), cmap=kinds, vmin=0, vmax=1)
        for axes, feat in zip(row[3:], (predicted, teacher)):
            axes.imshow(feat[i], vmin=0, vmax=teacher[i].max())
        for axes, head in zip(row, columns if i == 0 else [''] * len(columns)):
            axes.set(xticks=[], yticks=[])
            axes.set_title(head, fontsize=9)
    hint = 'bright: large values; prediction and teacher share their colours'
    figure.suptitle(f'{title} ({hint})', fontsize=10)
    return figure
