"""What a training step costs on this device, by precision, kind of necks, and with a compiled teacher.

A detector and a classifier; the most wanted come first, and what no longer fits is left out. One JSON line
each: medians in seconds of the student's step alone, the teacher's forward, the whole step, and the optimizers'
share of the two steps, taken in turns on one batch that is made up and lies on the device; peaks of memory in
bytes; ``ratio``, the whole step over its floor, which is the student's step and the teacher's forward.
"""

import argparse
import json
import statistics
import time
import traceback
from functools import partial
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from dpk_mm.profiling.cost import take_turns
from dpk_mm.profiling.step import STEP, STUDENT, TEACHER, StepSetup
from dpk_mm.utils import teacher_cfg

CONFIGS = Path(__file__).resolve().parents[2] / 'configs/dpk'
MODELS = dict(
    detector=dict(
        paper='retinanet_r101_r50_coco.py', lean='retinanet_r101_r50_lean_coco.py',
        batch_size=2, input_shape=(800, 1344), toy=(64, 64), half='float16',  # mmcv's focal loss has no bfloat16
    ),
    classifier=dict(
        paper='resnet34_resnet18_in1k.py', lean='resnet34_resnet18_lean_in1k.py',
        batch_size=64, input_shape=(224, 224), toy=(64, 64), half='bfloat16',
    ),
)  # fmt: skip
# precision (half: that of the model), necks, whether the teacher is compiled
VARIANTS = (
    ('fp32', 'paper', False),
    ('half', 'paper', False),
    ('fp32', 'lean', False),
    ('half', 'lean', False),
    ('half', 'lean', True),
    ('tf32', 'paper', False),
    ('tf32', 'lean', False),
    ('half', 'paper', True),
)


def build(name, precision, necks, is_compiled, device, toy):
    settings = MODELS[name]
    cfg = Config.fromfile(CONFIGS / settings[necks])
    init_default_scope(cfg.default_scope)
    is_tf32 = precision == 'tf32'
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = is_tf32
    is_amp = precision in ('bfloat16', 'float16')
    if is_amp:
        cfg.optim_wrapper.dtype = precision
    cfg.model.teacher = dict(teacher_cfg(cfg.model.teacher), compile=is_compiled)
    torch.set_num_threads(8 if device == 'cuda' else 1)  # they build the models
    batch_size = 2 if toy else settings['batch_size']
    shape = settings['toy' if toy else 'input_shape']
    setup = StepSetup(cfg, torch.device(device), batch_size, shape, is_amp)
    setup.batch = setup.model.data_preprocessor.cast_data(setup.batch)
    return setup


def time_optimizers(setup, rounds):
    """Median seconds of the updates alone: of the student's optimizer, and of all of them."""
    wrappers = {"student's optimizer": setup.student_wrapper, 'all optimizers': setup.wrapper}
    tasks = {name: partial(_update, setup, wrapper) for name, wrapper in wrappers.items()}
    return take_turns(tasks, rounds)


def _update(setup, wrapper):
    model = setup.student if wrapper is setup.student_wrapper else setup.model
    for parameter in model.parameters():
        if parameter.requires_grad and parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return wrapper.step


def measure(setup, rounds):
    times = {**take_turns(setup.tasks(), rounds), **time_optimizers(setup, rounds)}
    median = {name: statistics.median(values) for name, values in times.items()}
    return dict(
        seconds={name: round(value, 6) for name, value in median.items()},
        spread={name: [round(min(v), 6), round(max(v), 6)] for name, v in times.items()},
        memory=setup.memory(),
        ratio=round(median[STEP] / (median[STUDENT] + median[TEACHER]), 3),
        rounds=rounds,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('out', type=Path)
    parser.add_argument('--seconds', type=float, default=120)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument('--toy', action='store_true', help='tiny images, 2 a batch')
    parser.add_argument('--compile-only', action='store_true', help='fill the cache of compiled code')
    parser.add_argument('--models', nargs='+', choices=MODELS, default=list(MODELS))
    args = parser.parse_args()
    end = time.time() + args.seconds
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    about = dict(device=torch.cuda.get_device_name() if device == 'cuda' else 'CPU', torch=torch.__version__)
    for variant, necks, is_compiled in VARIANTS:
        for name in args.models:
            precision = MODELS[name]['half'] if variant == 'half' else variant
            if args.compile_only and not (is_compiled and necks == 'lean'):
                continue  # the teacher is the same with other necks
            if device == 'cpu' and (precision != 'fp32' or is_compiled):
                continue
            line = dict(about, model=name, precision=precision, necks=necks, compiled_teacher=is_compiled)
            if time.time() > end:
                print(f'left out: {line}', flush=True)
                continue
            begin, setup = time.time(), None
            try:
                setup = build(name, precision, necks, is_compiled, device, args.toy)
                line.update(batch_size=setup.batch_size, input_shape=setup.input_shape)
                line['build_seconds'] = round(time.time() - begin, 1)
                if args.compile_only:
                    setup._look()()
                else:
                    line.update(measure(setup, args.rounds))
            except Exception:
                line['error'] = traceback.format_exc()[-3000:]
            line['all_seconds'] = round(time.time() - begin, 1)
            print(json.dumps(line), flush=True)
            if not args.compile_only:
                with open(args.out, 'a') as file:
                    file.write(json.dumps(line) + '\n')
            del setup
            if device == 'cuda':
                torch.cuda.empty_cache()


if __name__ == '__main__':
    main()
