"""A short training of a student alone and with each of its teachers, as the input of a comparison."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.config import Config

from dpk_mm.analysis.models import ModelSpec, as_teacher, find_layers
from dpk_mm.analysis.teachers import Pairs, TeacherStudy
from dpk_mm.compare.budget import set_budget
from dpk_mm.compare.digest import digest_tensors
from dpk_mm.compare.fairness import student_optimizer
from dpk_mm.models import FrozenTeacher
from dpk_mm.utils import load_main_cfg


def make_method(
    study: TeacherStudy, spec: ModelSpec, teacher: FrozenTeacher, pairs: Pairs, width: int
) -> dict[str, Any]:
    """The method of one teacher.

    A classifier learns from its stages by squared error (weights 0.3 for the last, 0.18 for others, as the
    authors' for CIFAR) and, where student and teacher both have ``head.fc``, from the logits; a detector by
    FGD. Necks are two layers deep, with patches that leave about 8 x 8 tokens. Necks have AdamW at 1e-3, ten
    times the authors' rate, as they have few steps to learn in.

    Args:
        study (TeacherStudy): The student.
        spec (ModelSpec): The teacher.
        teacher (FrozenTeacher): The same, built.
        pairs (list[tuple[str, str]]): The layers to teach at; all must give maps.
        width (int): Embedding dimensions of the necks.

    Returns:
        dict: Of a comparison's ``methods``.

    Raises:
        ValueError: A layer that gives no map.
    """
    shape, is_detector = study.sample.input_shape, study.sample.is_detector
    shapes = teacher.probe([other for _, other in pairs], shape)
    flat = [name for name, one in shapes.items() if len(one) != 4]
    if flat:
        raise ValueError(f'--stages {flat[0]}: a short run teaches at maps, the logits it takes by itself')
    vit = dict(embed_dims=width, num_layers=2, num_heads=math.gcd(width, max(1, width // 16)))
    stages = {}
    owns = [own for own, _ in pairs]
    for i, (own, other) in enumerate(pairs):
        mse = dict(type='dpk_mm.FeatureMSELoss', loss_weight=0.3 if i == len(pairs) - 1 else 0.18)
        patch = max(1, min(shapes[other][2:]) // 8)
        neck = dict(type='dpk_mm.FeatureMixingNeck', patch_size=patch, encoder=vit, decoder=vit)
        loss = dict(type='dpk_mm.FGDLoss') if is_detector else mse
        # called by the student's layer, 'neck[0]' as 'neck_0', where that is of one stage alone
        name = re.sub(r'\W+', '_', own).strip('_') if owns.count(own) == 1 else f'stage_{i}'
        stages[name] = dict(student_at=own, teacher_at=other, neck=neck, loss=loss)
    model = dict(stages=stages, input_shape=shape)
    own, other = (layers.get('head.fc') for layers in (study.layers, find_layers(teacher.model, shape, True)))
    if own and own == other and not is_detector:
        stages['logits'] = dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=4.0))
    adam = dict(type='AdamW', lr=1e-3, betas=(0.9, 0.95), weight_decay=1e-4)
    wrapper = dict(
        constructor='dpk_mm.DistillOptimWrapperConstructor',
        student_constructor=student_optimizer(study.cfg.optim_wrapper).get('constructor'),
        distiller=dict(optimizer=adam, clip_grad=dict(max_norm=1.0)),
    )
    arguments = dict(as_teacher(spec), config=load_main_cfg(spec.model))
    return dict(teacher=arguments, model=model, optim_wrapper=wrapper)


def write_short_run(
    study: TeacherStudy,
    methods: dict[str, Any],
    steps: int,
    seeds: Sequence[int],
    metric: Optional[str],
    folder: Path,
) -> Path:
    """Write the input of a comparison, for tools/compare.py too, and the config of the student alone.

    That config is the student's own, but for five fields: the length, a schedule that fits the length
    (warm-up over a tenth, then a cosine to 0), the sample as test data, no custom hooks, which are for long
    runs, and the student's checkpoint as start.

    Args:
        study (TeacherStudy): The student.
        methods (dict): Name -> method; the student alone is None.
        steps (int): Iterations of a run.
        seeds (Sequence[int]): Each method is trained once a seed.
        metric (str, optional): That of the comparison's table.
        folder (Path): Where to write.

    Returns:
        Path: The input.
    """
    cfg = Config(study.cfg.to_dict())
    cfg.param_scheduler = None
    set_budget(cfg, dict(max_iters=steps))
    warm = max(1, steps // 10)
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=warm),
        dict(type='CosineAnnealingLR', by_epoch=False, begin=warm, end=max(warm + 1, steps), eta_min=0),
    ]
    # the student may have been taken from a distiller's config
    wrapper = student_optimizer(cfg.optim_wrapper)
    cfg.optim_wrapper = {key: value for key, value in wrapper.items() if value is not None}
    cfg.custom_hooks, cfg.load_from = [], None
    folder.mkdir(parents=True, exist_ok=True)
    if study.student.checkpoint is not None:
        weights = study.model.model.state_dict()
        start = folder / f'start_{digest_tensors(weights)[:8]}.pth'
        torch.save(dict(state_dict=weights), start)
        cfg.load_from = str(start)
    base, path = folder / 'student.py', folder / 'compare.py'
    cfg.dump(base)
    fields = dict(base=str(base), methods=methods, seeds=list(seeds), budget=dict(max_iters=steps))
    Config(dict(fields, metric=metric)).dump(path)
    return path
