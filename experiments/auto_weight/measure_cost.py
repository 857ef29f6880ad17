"""Measure how much longer a step takes that measures gradients for auto weights.

The pair is that of experiments/bccd with random weights: four levels, 4 images of 240 x 320.

usage: OMP_NUM_THREADS=1 python experiments/auto_weight/measure_cost.py [METHOD]     (default: pkd)
"""

import statistics
import sys
import time

import torch
from mmdet.testing import demo_mm_inputs
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from dpk_mm.registry import MODELS

ROUNDS = 8


def main(method: str = 'pkd') -> None:
    """Print the ratio of processor times, measuring over plain, in turns."""
    init_default_scope('mmdet')
    student, teacher = (
        Config.fromfile(f'experiments/bccd/configs/{name}.py').model
        for name in ('retinanet_thin', 'retinanet_fpn128')
    )
    student.backbone.init_cfg = teacher.backbone.init_cfg = None
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='dpk_mm.Distiller',
            student=student,
            teacher=dict(config=teacher, allow_incomplete=True),
            method=method,
            input_shape=(240, 320),
        )
    ).train()
    wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=1e-6)))
    batch = model.data_preprocessor(demo_mm_inputs(4, [[3, 240, 320]] * 4, num_classes=3), True)
    hub = MessageHub.get_current_instance()
    hub.update_info('max_iters', 10**6)
    times = {0: [], 3: []}  # step 0 measures, step 3 does not
    for _ in range(ROUNDS):
        for step, taken in times.items():
            hub.update_info('iter', step)
            begin = time.process_time()
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
            wrapper.update_params(loss)
            taken.append(time.process_time() - begin)
    measuring, plain = (statistics.median(taken[1:]) for taken in times.values())
    print(f'{method}, {len(model.distiller)} stages: {measuring / plain:.2f} times a step of {plain:.3f} s')


if __name__ == '__main__':
    main(*sys.argv[1:])
