"""What is the same for all teachers that rank_teachers.py compares."""

import argparse
from functools import cached_property
from typing import List, Tuple

from mmengine.dataset import pseudo_collate
from rich.progress import Progress

from dpk_mm.analysis.models import ModelSpec, build_model, check_layers, find_layers
from dpk_mm.analysis.ranking.rows import fingerprint
from dpk_mm.analysis.samples import Sample, build_dataset
from dpk_mm.models import FrozenTeacher
from dpk_mm.utils import cli

# (student's layer, teacher's layer)
Stages = List[Tuple[str, str]]


class Study:
    """The student, its images, the command line, and where to tell of progress."""

    def __init__(self, args: argparse.Namespace, student: ModelSpec, progress: Progress) -> None:
        self.args, self.student, self.progress = args, student, progress
        self.cfg = student.config
        if not self.cfg.get('train_dataloader'):
            cli.die(f'{student.text}: the config has no train_dataloader')
        self.model = build_model(student)
        self.sample = Sample(self.cfg, self.model, args, student.text)
        self.layers = find_layers(self.model.model, self.sample.input_shape, aliases=True)

    @cached_property
    def train_batch(self) -> dict:
        """The first training images, as many as the config trains on at a time."""
        loader = self.cfg.train_dataloader
        dataset = build_dataset(self.cfg, loader)
        return pseudo_collate([dataset[i] for i in range(min(len(dataset), loader.get('batch_size', 1)))])

    def settings(self, named: ModelSpec) -> dict:
        """What a row depends on beside the probe: configs, weights, images, places."""
        return dict(
            student=fingerprint(self.student),
            model=fingerprint(named),
            images=len(self.sample),
            batch_size=self.sample.batch_size,
            stages=self.args.stages,
        )

    def stages(self, named: ModelSpec, teacher: FrozenTeacher) -> Stages:
        """The places that are compared: those given, or the last two maps of one name in both models."""
        if self.args.stages:
            pairs = [(own, other or own) for own, _, other in (s.partition('=') for s in self.args.stages)]
            pairs = list(dict.fromkeys(pairs))
            for one, model, names in zip((self.student, named), (self.model, teacher), zip(*pairs)):
                check_layers(one, model, names, '--stages', self.sample.input_shape)
            shapes = teacher.probe([other for _, other in pairs], self.sample.input_shape)
            flat = [name for name, shape in shapes.items() if len(shape) != 4]
            if self.args.probe and flat:
                cli.die(f'--stages {flat[0]}: a probe teaches at maps, the logits it takes by itself')
            return pairs
        others = find_layers(teacher.model, self.sample.input_shape, aliases=True)
        first_names = find_layers(self.model.model, self.sample.input_shape)
        # an output has other names too, such as 'backbone[0]' of 'backbone.layer3'
        for names in (first_names, self.layers):
            shared = [name for name in names if len(self.layers[name]) == len(others.get(name, ())) == 4]
            if shared:
                return [(name, name) for name in shared[-2:]]
        cli.die(
            f'{named.text}: no stage has one name in student and teacher; give --stages student=teacher '
            f'(student: {", ".join(first_names)}; teacher: {", ".join(others)})'
        )
