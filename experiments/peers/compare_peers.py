"""Measure dpk_mm and mmrazor side by side: RetinaNet R101 teaches RetinaNet R50.

From the checkout, in the environment that requirements.txt says how to make::

    export PYTHONPATH=. OMP_WAIT_POLICY=PASSIVE
    work_dirs/peers_env/bin/python -W ignore experiments/peers/compare_peers.py --threads 2
    work_dirs/peers_env/bin/python -W ignore experiments/peers/compare_peers.py --device cuda --rounds 30

CWD, PKD and MGD are there twice, from mmrazor and from dpk_mm, and only the code differs: the same student
and teacher, the same random weights, the same levels of the FPN, weights of the losses, optimizer, images
and boxes. FGD and DPK are dpk_mm's alone. Neither data nor checkpoints are needed. results.json says of each:

step_s
    Median seconds of a training step: preprocessing, forward, loss, backward, update; without a GPU of the
    processor's time. The rows take turns, so a change in the machine's speed meets all of them; ``seconds``
    has every round.
over_student
    That, over the step of the student alone.
peak_bytes
    The highest memory of a process that trains this row and no other. On a CPU it is resident memory, of
    which ``before_bytes`` were there before a model was, alike for all rows. Each row is measured once,
    and one at 800 x 1344, batch 1, varied by 100 MiB in three runs: repeat before reading smaller
    differences. On a GPU it is what torch allocated there.
checkpoint_bytes
    The tensors that are saved, without the optimizer's. mmrazor saves the teacher too, dpk_mm does not.
distill_loss
    The losses of distillation in the first step, summed, which shows that both compute the same. CWD agrees
    but for rounding. PKD differs as documented: mmrazor divides the variance by one less than N, the
    positions of a level in the batch, so its loss there is (N - 1) / N of ours. MGD cannot agree, as each
    code draws its own mask and weights.

mmrazor's teacher runs up to its neck (``FpnTeacherDistill``), as in mmrazor's configs of these methods.
"""

import argparse
import copy
import multiprocessing
import resource
import statistics
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable, Dict, List, Optional, Sequence

import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from torch import nn

from dpk_mm.profiling.cost import storage_bytes, take_turns
from dpk_mm.registry import MODELS
from dpk_mm.utils import load_model_cfg
from dpk_mm.utils.clock import clock
from dpk_mm.utils.files import write_json
from dpk_mm.utils.quiet import quiet

# mmrazor imports all that it has, and its quantization uses functions that torch has no more. It is not
# needed here, so that package is replaced by the two names which the rest imports from it.
sys.modules['mmrazor.structures.quantization'] = SimpleNamespace(
    __all__=[], BackendConfigs=None, QConfigHandler=None
)
with quiet():
    import mmrazor.models  # noqa: F401, E402  registers
    from mmrazor.registry import MODELS as RAZOR_MODELS  # noqa: E402

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
DPK = 'dpk/retinanet_r101_r50_coco.py'
BOXES, CLASSES = 7, 80  # COCO has 7.3 objects an image
CHANNELS = 256  # of RetinaNet's FPN


def alone() -> nn.Module:
    """The student that nobody teaches."""
    return MODELS.build(load_model_cfg('mmdet::retinanet/retinanet_r50_fpn_2x_coco.py'))


def ours(name: str) -> nn.Module:
    """The distiller of one of our configs, with a teacher of random weights."""
    cfg = Config.fromfile(CONFIGS / name).model
    cfg.teacher.update(checkpoint=None, allow_incomplete=True)
    return MODELS.build(cfg)


def razor(loss: dict, levels: int = 5, connector: Optional[dict] = None) -> nn.Module:
    """mmrazor's distiller with a loss on each of the lowest levels of the FPN, as its own configs have it."""
    student = alone()
    teacher = MODELS.build(load_model_cfg('mmdet::retinanet/retinanet_r101_fpn_2x_coco.py'))
    fpn = dict(fpn=dict(type='ModuleOutputs', source='neck'))
    connectors, mappings = {}, {}
    for i in range(levels):
        level = dict(recorder='fpn', data_idx=i)
        mappings[f'loss_{i}'] = dict(
            preds_S=dict(level, from_student=True), preds_T=dict(level, from_student=False)
        )
        if connector is not None:
            connectors[f'level_{i}'] = connector
            mappings[f'loss_{i}']['preds_S']['connector'] = f'level_{i}'
    distiller = dict(
        type='ConfigurableDistiller',
        student_recorders=fpn,
        teacher_recorders=fpn,
        connectors=connectors,
        distill_losses=dict.fromkeys(mappings, loss),
        loss_forward_mappings=mappings,
    )
    model = dict(type='FpnTeacherDistill', architecture=student, teacher=teacher, distiller=distiller)
    return RAZOR_MODELS.build(dict(model, _scope_='mmrazor'))


MGD_CONNECTOR = dict(
    type='MGDConnector', student_channels=CHANNELS, teacher_channels=CHANNELS, lambda_mgd=0.65
)
ROWS: Dict[str, Callable[[], nn.Module]] = {
    'student alone': alone,
    'CWD mmrazor': partial(razor, dict(type='ChannelWiseDivergence', tau=1, loss_weight=10)),
    'CWD dpk_mm': partial(ours, 'baselines/cwd_retinanet_r101_r50_coco.py'),
    'PKD mmrazor': partial(razor, dict(type='PKDLoss', loss_weight=10), levels=4),
    'PKD dpk_mm': partial(ours, 'baselines/pkd_retinanet_r101_r50_coco.py'),
    'MGD mmrazor': partial(razor, dict(type='MGDLoss', alpha_mgd=2e-5), connector=MGD_CONNECTOR),
    'MGD dpk_mm': partial(ours, 'baselines/mgd_retinanet_r101_r50_coco.py'),
    'FGD dpk_mm': partial(ours, 'baselines/fgd_retinanet_r101_r50_coco.py'),
    'DPK dpk_mm': partial(ours, DPK),
    'DPK lean dpk_mm': partial(ours, 'dpk/retinanet_r101_r50_lean_coco.py'),
}
STUDENT = next(iter(ROWS))


class Row:
    """A model, an optimizer and a batch, all of which depend on the row's name and the arguments alone."""

    def __init__(self, name: str, args: argparse.Namespace) -> None:
        torch.set_num_threads(args.threads)
        init_default_scope('mmdet')
        # the student draws its weights first and the teacher next, so all rows have the same
        set_random_seed(0)
        with quiet():
            self.model = ROWS[name]().to(args.device)
        self.model.train()  # which in mmrazor returns nothing
        # DPK's for all: the config of the student, with clipping
        optimizer = Config.fromfile(CONFIGS / DPK).optim_wrapper
        # a thousandth, so that made-up images at full rate, without warm-up, lead to no overflow
        optimizer.optimizer.lr *= 1e-3
        self.wrapper = build_optim_wrapper(self.model, optimizer)
        shape = (3, *args.input_shape)
        # draws the same whenever it is called, labels from 1 on
        self.batch = demo_mm_inputs(
            args.batch_size,
            [shape] * args.batch_size,
            num_items=[BOXES] * args.batch_size,
            num_classes=CLASSES + 1,
        )
        for sample in self.batch['data_samples']:
            sample.gt_instances.labels -= 1
            sample.ignored_instances = sample.ignored_instances[:0]  # crowds, which are rare
        self.steps = 0

    def step(self) -> Callable[[], Dict[str, Any]]:
        """Get a training step ready: preprocessing, forward, loss, backward, update."""
        self.steps += 1
        # what dpk_mm draws depends on this
        MessageHub.get_current_instance().update_info('iter', self.steps)
        return partial(self.model.train_step, copy.deepcopy(self.batch), self.wrapper)


def measure(name: str, args: argparse.Namespace) -> Dict[str, float]:
    """All but the time of a row, in a process that has no other."""
    before = _peak_bytes(args.device)
    row = Row(name, args)
    first = row.step()()
    row.step()()  # in the first there is no momentum yet
    return dict(
        peak_bytes=_peak_bytes(args.device),
        before_bytes=before,
        checkpoint_bytes=storage_bytes(row.model.state_dict().values()),
        distill_loss=sum(
            value.item() for key, value in first.items() if key.startswith(('distill.', 'loss_distill_'))
        ),
    )


def _peak_bytes(device: str) -> int:
    """The highest memory of this process so far."""
    if torch.device(device).type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    # Linux counts in KiB, macOS in bytes
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def compare(args: argparse.Namespace) -> List[Dict[str, Any]]:
    """Measure all rows."""
    # Before a model is built here: Linux hands a parent's resident memory down to the peak of its children.
    with multiprocessing.get_context('spawn').Pool(1, maxtasksperchild=1) as pool:
        results = pool.map(partial(measure, args=args), args.rows, chunksize=1)
    rows = {name: Row(name, args) for name in args.rows}
    timer = clock if torch.device(args.device).type == 'cuda' else time.process_time
    steps = {name: row.step for name, row in rows.items()}
    seconds = take_turns(steps, args.rounds, timer)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return [
        dict(
            method=name,
            step_s=medians[name],
            over_student=medians[name] / medians[STUDENT],
            **result,
            seconds=seconds[name],
        )
        for name, result in zip(args.rows, results)
    ]


def write(args: argparse.Namespace, results: List[Dict[str, Any]]) -> None:
    """Write results.json, and print the table."""
    settings = {key: value for key, value in vars(args).items() if key not in ('out', 'rows')}
    packages = 'torch', 'mmengine', 'mmcv', 'mmdet', 'mmrazor'
    settings['versions'] = {package: version(package) for package in packages}
    is_cuda = torch.device(args.device).type == 'cuda'
    settings['machine'] = torch.cuda.get_device_name(args.device) if is_cuda else 'CPU'
    write_json(args.out / 'results.json', dict(settings=settings, rows=results))
    print('| | a step, s | over the student | peak, MiB | checkpoint, MiB | loss of distillation |')
    print('|---|---:|---:|---:|---:|---:|')
    for row in results:
        times = f'{row["step_s"]:.3f} | {row["over_student"]:.2f}'
        sizes = f'{row["peak_bytes"] / 2**20:,.0f} | {row["checkpoint_bytes"] / 2**20:,.1f}'
        print(f'| {row["method"]} | {times} | {sizes} | {row["distill_loss"]:.6g} |')
    print(f'\nwrote results.json in {args.out}')


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--batch-size', type=int, default=2, help='images (default: 2)')
    shape = dict(type=int, nargs=2, metavar=('H', 'W'), default=(800, 1344))
    parser.add_argument('--input-shape', **shape, help='of the images (default: 800 1344)')
    parser.add_argument('--rounds', type=int, default=10, help='how often each is timed (default: 10)')
    parser.add_argument('--threads', type=int, default=1, help='processor threads (default: 1)')
    parser.add_argument('--device', default='cpu', help='cpu or cuda (default: cpu)')
    rows = dict(nargs='+', choices=list(ROWS), default=list(ROWS), metavar='ROW')
    parser.add_argument('--rows', **rows, help=f'of {", ".join(ROWS)} (default: all)')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/peers'), help='folder to write')
    args = parser.parse_args(argv)
    args.rows = [name for name in ROWS if name == STUDENT or name in args.rows]
    write(args, compare(args))


if __name__ == '__main__':
    main()
