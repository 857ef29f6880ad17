"""The probe of rank_teachers.py: a short training of the student, with a teacher or alone."""

import math
from pathlib import Path
from typing import Dict, Optional

import torch
from mmengine.config import Config, ConfigDict

from dpk_mm.analysis.models import ModelSpec, as_teacher, build_model, find_layers, slug
from dpk_mm.analysis.ranking.measure import copy_without, evaluate, make_runner
from dpk_mm.analysis.ranking.study import Stages, Study
from dpk_mm.compare.fairness import student_optimizer
from dpk_mm.compare.training import ProgressHook
from dpk_mm.models import FrozenTeacher
from dpk_mm.utils import cli, load_model_cfg
from dpk_mm.utils.quiet import quiet


def probe_model(study: Study, named: ModelSpec, teacher: FrozenTeacher, stages: Stages) -> dict:
    """The config of the distiller that a probe trains.

    A classifier learns from its stages by squared error (weights 0.3 for the last, 0.18 for others, as the
    authors' for CIFAR) and, where student and teacher both have ``head.fc``, from the logits; a detector by
    FGD. Necks are two layers deep, with patches that leave about 8 x 8 tokens.
    """
    shape, is_detector = study.sample.input_shape, study.sample.is_detector
    width = study.args.embed_dims
    vit = dict(embed_dims=width, num_layers=2, num_heads=math.gcd(width, max(1, width // 16)))
    shapes = teacher.probe([other for _, other in stages], shape)
    places = []
    owns = [own for own, _ in stages]
    for i, (own, other) in enumerate(stages):
        weight = 0.3 if (own, other) == stages[-1] else 0.18
        mse = dict(type='dpk_mm.FeatureMSELoss', loss_weight=weight)
        patch = max(1, min(shapes[other][2:]) // 8)
        neck = dict(type='dpk_mm.FeatureMixingNeck', patch_size=patch, encoder=vit, decoder=vit)
        loss = dict(type='dpk_mm.FGDLoss') if is_detector else mse
        places.append(dict(student_at=own, teacher_at=other, neck=neck, loss=loss))
        if owns.count(own) > 1:  # a stage's usual name is that of the student's layer
            places[-1]['name'] = f'stage_{i}'
    own, other = (layers.get('head.fc') for layers in (study.layers, find_layers(teacher.model, shape, True)))
    logits = dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=4.0))
    return dict(
        type='dpk_mm.DPKDistiller',
        student=load_model_cfg(study.student.model),
        teacher=dict(as_teacher(named), config=load_model_cfg(named.model)),
        stages=places,
        logits=logits if own and own == other and not is_detector else None,
        input_shape=shape,
    )


def probe_cfg(study: Study, distiller: Optional[dict], seed: int) -> Config:
    """The config of a short training; ``distiller`` is None for the student alone.

    The student's own, but for the length, a schedule that fits it (warm-up over a tenth, then a cosine to
    0), the seed, and weights to start from. The necks have AdamW at 1e-3, ten times the authors', as they
    have few steps to learn in.
    """
    cfg, steps = copy_without(study.cfg, 'val_', 'test_'), study.args.probe
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps, val_interval=steps + 1)
    warm = max(1, steps // 10)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=warm),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=warm, end=max(warm + 1, steps), eta_min=0),
    ]
    cfg.log_processor = dict(by_epoch=False)
    cfg.randomness = dict(cfg.get('randomness') or {}, seed=seed)
    cfg.load_from = str(start_file(study, seed))
    # the student may have been taken from a distiller's config
    cfg.optim_wrapper = student_optimizer(cfg.optim_wrapper)
    wrapper = cfg.optim_wrapper
    constructor = wrapper.get('constructor')
    if distiller is None:
        cfg.model = load_model_cfg(study.student.model)
        wrapper.constructor = constructor or 'DefaultOptimWrapperConstructor'
    else:
        cfg.model = ConfigDict(distiller)
        wrapper.constructor = 'dpk_mm.DistillOptimWrapperConstructor'
        wrapper.student_constructor = constructor
        adam = dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=1e-4)
        wrapper.distiller = dict(optimizer=adam, clip_grad=dict(max_norm=1.0))
    return cfg


def start_file(study: Study, seed: int) -> Path:
    """The weights that the student starts from with a seed, the same for every teacher."""
    return study.args.out / 'runs' / f'start_{seed}.pth'


def keep_start(study: Study, seed: int) -> None:
    """Write :func:`start_file`: the student's checkpoint, or what the seed makes of its config."""
    path = start_file(study, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(dict(state_dict=build_model(study.student, seed).model.state_dict()), path)


def run_probe(study: Study, label: str, distiller: Optional[dict], seed: int) -> Dict[str, float]:
    """Train the student for a few steps, with a teacher or alone, and test it."""
    keep_start(study, seed)
    name = slug(f'{label}_{seed}')
    runner = make_runner(probe_cfg(study, distiller, seed), study.args.out / 'runs' / name)
    cli.build_optimizers(runner)
    task = study.progress.add_task(f'{label}: probe, seed {seed}', total=study.args.probe)
    runner.register_hook(ProgressHook(lambda done, _: study.progress.update(task, completed=done)))
    with quiet():
        model = runner.train()
    student = model if distiller is None else model.student
    return evaluate(study, study.student.model, student.state_dict(), f'{name}_test')
