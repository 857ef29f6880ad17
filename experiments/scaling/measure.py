"""Measure how the cost of distillation grows; writes prior.csv and memory.csv beside this file.

    python experiments/scaling/measure.py

Times are the processor's, on one thread, so that it matters little what else the machine does. Memory is
counted, not measured: the bytes that autograd keeps for the backward pass, at full size, of torch's fake
tensors, which have a size but no values. docs/scaling.md says what the files mean.
"""

import csv
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, List

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from rich.progress import track
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dpk_mm.models import CKAPrior, Distiller
from dpk_mm.profiling.cost import take_turns
from dpk_mm.registry import MODELS
from dpk_mm.utils import record, teacher_cfg

HERE = Path(__file__).parent
CONFIGS = HERE.parents[1] / 'configs/dpk'
# batch, student's and teacher's channels, height, width
IMAGES = [(b, c, 2 * c, s, s) for c, s in ((256, 14), (512, 7)) for b in (8, 32, 128, 256)]
POSITIONS = [
    (b, 256, 256, *size) for size in ((100, 168), (50, 84), (25, 42), (13, 21)) for b in (1, 2, 4, 8)
]
# config, images a GPU, their height and width
STEPS = [
    ('resnet34_resnet18_in1k.py', 256, 224, 224),
    ('resnet34_resnet18_lean_in1k.py', 256, 224, 224),
    ('retinanet_r101_r50_coco.py', 2, 800, 1344),
    ('retinanet_r101_r50_lean_coco.py', 2, 800, 1344),
]
MIB = 2**20


def processor_time(work: Callable[[], Any], rounds: int = 7) -> float:
    """The median of the milliseconds that the processor works, after a first round that is not counted."""
    return 1000 * statistics.median(take_turns({'': lambda: work}, rounds, timer=time.process_time)[''])


def measure_priors() -> List[Dict[str, Any]]:
    """Time CKA over images and over positions, of maps of many sizes."""
    rows = []
    cases = [('images', *case) for case in IMAGES] + [('positions', *case) for case in POSITIONS]
    for samples, batch, student, teacher, height, width in track(cases, 'priors'):
        prior = CKAPrior(samples)
        maps = [torch.randn(batch, channels, height, width) for channels in (student, teacher)]
        rows.append(
            dict(
                samples=samples,
                batch=batch,
                channels=f'{student}, {teacher}',
                map=f'{height} x {width}',
                ms=f'{processor_time(lambda prior=prior, maps=maps: prior(*maps)):.1f}',
            )
        )
    return rows


@contextmanager
def kept() -> Iterator[List[int]]:
    """Sum up what autograd keeps for the backward pass, each storage once; weights and inputs not."""
    storages: Dict[int, int] = {}
    total = [0]

    def pack(tensor: Tensor) -> Tensor:
        if not (tensor.is_leaf and tensor.requires_grad):
            # fake tensors have no address, but what shares memory shares this object
            storage = tensor.untyped_storage()
            storages[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total
    total[0] = sum(storages.values())


def build(name: str) -> Distiller:
    """A distiller of configs/dpk, untrained."""
    cfg = Config.fromfile(CONFIGS / name)
    init_default_scope(cfg.default_scope)
    cfg.model.teacher = dict(config=teacher_cfg(cfg.model.teacher)['config'], allow_incomplete=True)
    cfg.model.student.setdefault('_scope_', cfg.default_scope)
    if 'data_preprocessor' in cfg:
        cfg.model.student.data_preprocessor = cfg.data_preprocessor
    return MODELS.build(cfg.model).train()


def measure_memory(name: str, batch: int, height: int, width: int) -> List[Dict[str, Any]]:
    """Count weights, and what is kept for the backward pass, of the student and of each stage."""
    model = build(name)
    boxes = InstanceData(bboxes=torch.rand(7, 4) * height)
    samples = [DetDataSample(metainfo=dict(img_shape=(height, width)), gt_instances=boxes)] * batch
    with FakeTensorMode(allow_non_fake_inputs=True):
        inputs = torch.empty(batch, 3, height, width)
        with kept() as student_bytes, record(model.student, model.student_taps) as student_feats:
            outputs = model.student(inputs, mode='tensor')
        teacher_feats = model.teacher(inputs, model.teacher_taps, samples)
        rows = [count(name, batch, 'student', model.student, student_bytes[0])]
        for part, (student_at, teacher_at) in model.layers.items():
            stage = model.distiller[part]
            student_feat = student_feats[student_at].detach().requires_grad_()
            ratio = None if stage.prior is None else 0.5
            with kept() as stage_bytes:
                values = stage(student_feat, teacher_feats[teacher_at], samples, ratio)
            rows.append(count(name, batch, part, stage, stage_bytes[0]))
            del values
        # what was counted had to live until now, or its memory would have been given away
        del outputs
    return rows


def count(config: str, batch: int, part: str, module: nn.Module, kept_bytes: int) -> Dict[str, Any]:
    """A line of memory.csv."""
    weights = sum(parameter.numel() for parameter in module.parameters())
    return dict(config=config, batch=batch, part=part, weights=weights, kept_mib=round(kept_bytes / MIB, 1))


def write(name: str, rows: Sequence[Dict[str, Any]]) -> None:
    """Write a CSV file."""
    with (HERE / name).open('w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    print(f'wrote {name}')


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    write('memory.csv', [line for step in track(STEPS, 'memory') for line in measure_memory(*step)])
    write('prior.csv', measure_priors())


if __name__ == '__main__':
    main()
