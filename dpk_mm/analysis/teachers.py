"""What is known of a teacher for a student before the student is trained: metric, gap, cost."""

import argparse
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.optim import OptimWrapper

from dpk_mm.analysis.models import ModelSpec, as_teacher, build_model, check_layers, find_layers
from dpk_mm.analysis.samples import Sample, build_dataset, limit_evaluator
from dpk_mm.analysis.stats import LEAST_SAMPLES, pair_hsics
from dpk_mm.compare.digest import digest_settings, plain
from dpk_mm.compare.teachers import measure_model
from dpk_mm.models import FrozenTeacher
from dpk_mm.profiling.cost import take_turns
from dpk_mm.registry import MODELS
from dpk_mm.utils import cka_from_hsics
from dpk_mm.utils.files import digest_file, read_json, write_json
from dpk_mm.utils.runner import fill_dataloaders

# (student's layer, teacher's layer)
Pairs = list[tuple[str, str]]


@dataclass
class TeacherRow:
    """What is known of one model.

    Args:
        label (str): Its name.
        params (int): Number of parameters.
        metrics (dict[str, float], optional): All that the evaluator reports of it; None without a checkpoint.
        gap (dict[str, float]): Stage -> 1 - CKA to the student; NaN where CKA is undefined.
        cost (float): Time of its forward pass over that of a training step of the student.
    """

    label: str
    params: int
    metrics: Optional[dict[str, float]]
    gap: dict[str, float] = field(default_factory=dict)
    cost: float = float('nan')


class TeacherStudy:
    """A student, the images that its teachers are compared on, and where it is kept what was measured.

    Args:
        student (ModelSpec): The student; its config has the data.
        args (argparse.Namespace): With ``images``, ``batch_size``, ``stages`` and the folder ``out``.

    Raises:
        ValueError: The student's config lacks what is needed.

    Attributes:
        sample (Sample): Validation images.
        layers (dict[str, torch.Size]): The student's layers, see :func:`find_layers`.
        cfg (Config): The student's config, whose test data is the sample.
    """

    def __init__(self, student: ModelSpec, args: argparse.Namespace) -> None:
        if not student.config.get('train_dataloader'):
            raise ValueError(f'{student.text}: the config has no train_dataloader')
        self.student, self.wanted, self.folder = student, args.stages, args.out / 'measured'
        self.model = build_model(student)
        self.sample = Sample(student.config, self.model, args, student.text)
        self.layers = find_layers(self.model.model, self.sample.input_shape, aliases=True)
        self.cfg = cfg = copy.deepcopy(student.config)
        evaluator = cfg[f'{self.sample.part}_evaluator']
        evaluator = limit_evaluator(evaluator, self.sample.dataset, self.folder)
        cfg.merge_from_dict(dict.fromkeys(('val_cfg', 'val_dataloader', 'val_evaluator')))
        cfg.model, cfg.test_cfg, cfg.test_evaluator = student.model, dict(), evaluator
        cfg.test_dataloader = copy.deepcopy(self.sample.loader)
        fill_dataloaders(cfg)

    def pairs(self, spec: ModelSpec, teacher: FrozenTeacher) -> Pairs:
        """The layers that are compared: those given, or the last two maps of one name in both models.

        Raises:
            ValueError: A layer is not there, or no map has one name in both.
        """
        shape = self.sample.input_shape
        if self.wanted:
            split = (stage.partition('=') for stage in self.wanted)
            pairs = list(dict.fromkeys((own, other or own) for own, _, other in split))
            for one, model, names in zip((self.student, spec), (self.model, teacher), zip(*pairs)):
                check_layers(one, model, names, '--stages', shape)
            return pairs
        others = find_layers(teacher.model, shape, aliases=True)
        first_names = find_layers(self.model.model, shape)
        # an output has other names too, such as 'backbone[0]' of 'backbone.layer3'
        for names in (first_names, self.layers):
            shared = [name for name in names if len(self.layers[name]) == len(others.get(name, ())) == 4]
            if shared:
                return [(name, name) for name in shared[-2:]]
        raise ValueError(
            f'{spec.text}: no stage has one name in student and teacher; give --stages student=teacher '
            f'(student: {", ".join(first_names)}; teacher: {", ".join(others)})'
        )

    def measure_student(self) -> TeacherRow:
        """The student's own row, without gap and cost."""
        return TeacherRow(self.student.label, count_parameters(self.model), self._metrics(self.student))

    def measure(self, spec: ModelSpec, teacher: FrozenTeacher, pairs: Pairs) -> TeacherRow:
        """Measure what no earlier run measured of a teacher."""
        models = [dict(plain(one.model), weights=_weights(one)) for one in (self.student, spec)]
        settings = dict(models=models, data=plain(self.sample.loader), pairs=plain(pairs))
        settings['batch_size'] = self.sample.batch_size
        settings['cost'] = [plain(self.cfg.train_dataloader), str(get_device())]
        path = self.folder / f'{digest_settings(settings)}.json'
        if not path.exists():
            found = dict(gap=self._gap(teacher, pairs), cost=measure_cost(self, teacher, pairs))
            write_json(path, found)
        found = read_json(path, needed='gap')
        return TeacherRow(spec.label, count_parameters(teacher), self._metrics(spec), **found)

    def _metrics(self, spec: ModelSpec) -> Optional[dict[str, float]]:
        """All metrics of a trained model on the sample."""
        if spec.checkpoint is None:
            return None
        return measure_model(as_teacher(spec), self.cfg, self.folder)['metrics']

    def _gap(self, teacher: FrozenTeacher, pairs: Pairs) -> dict[str, float]:
        """Stage -> 1 - CKA of its layers over the whole sample; NaN where it is undefined.

        A stage has the name of the student's layer, with the teacher's where that layer is compared with
        several.
        """
        own_taps, other_taps = zip(*pairs)
        total = torch.zeros(len(pairs), 3, dtype=torch.float64)
        for inputs, samples in self.sample:
            own, other = self.model(inputs, own_taps, samples), teacher(inputs, other_taps, samples)
            for values, (own_at, other_at) in zip(total, pairs):
                values += pair_hsics(own[own_at], other[other_at], len(inputs) < LEAST_SAMPLES)
        names = [f'{own}={other}' if own_taps.count(own) > 1 else own for own, other in pairs]
        return {name: 1 - cka_from_hsics(values).item() for name, values in zip(names, total)}


def measure_cost(study: TeacherStudy, teacher: FrozenTeacher, pairs: Pairs) -> float:
    """Time of the teacher's forward pass, as far as stages need it, over that of a student's training step.

    The two take turns on the first training batch, so that a change in the machine's speed meets both.
    """
    loader = study.cfg.train_dataloader
    dataset = build_dataset(study.cfg, loader)
    batch = pseudo_collate([dataset[i] for i in range(min(len(dataset), loader.get('batch_size', 1)))])
    student = MODELS.build(copy.deepcopy(study.student.model)).to(get_device()).train()
    wrapper = OptimWrapper(torch.optim.SGD(student.parameters(), lr=0.0))
    taps = [other for _, other in pairs]

    def step() -> Callable[[], Any]:
        return partial(student.train_step, copy.deepcopy(batch), optim_wrapper=wrapper)

    def look() -> Callable[[], Any]:
        images = study.sample.preprocessor(copy.deepcopy(batch), True)
        return partial(teacher, images['inputs'], taps, images.get('data_samples'))

    seconds = take_turns(dict(step=step, look=look), rounds=7)
    # whatever else the machine does can only add time
    return min(seconds['look']) / min(seconds['step'])


def count_parameters(model: FrozenTeacher) -> int:
    """The number of a model's parameters."""
    return sum(weight.numel() for weight in model.model.parameters())


def _weights(spec: ModelSpec) -> str:
    """What says which weights a model has."""
    path = Path(str(spec.checkpoint))
    return digest_file(path) if path.is_file() else str(spec.checkpoint)
