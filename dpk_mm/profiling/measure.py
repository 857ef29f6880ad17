"""Measure a step of distillation: times, arithmetic, parts and memory."""

import argparse
import time
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from dpk_mm.utils.clock import clock
from dpk_mm.utils.quiet import quiet

from .cost import count_flops, take_turns
from .parts import profile_step, time_parts
from .report import summarize
from .step import STEP, StepSetup


def measure_step(cfg: Config, args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Build student, teacher and distiller of a config, and measure them.

    Args:
        cfg (Config): Of a distiller.
        args (argparse.Namespace): Of the command: ``config``, ``cfg_options``, ``device`` (torch.device),
            ``batch_size``, ``input_shape``, ``amp``, ``rounds`` and ``threads``.

    Returns:
        tuple[dict, str]: All figures, see :func:`dpk_mm.profiling.report.summarize`, and a table of the
        operators that the step of distillation spends its time in.
    """
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    torch.set_num_threads(args.threads)
    with quiet():
        setup = StepSetup(cfg, args.device, args.batch_size, args.input_shape, args.amp)
        tasks, on_gpu = setup.tasks(), args.device.type == 'cuda'
        # of a processor, the time that it works for us: what else it does then matters little
        seconds = take_turns(tasks, args.rounds, clock if on_gpu else time.process_time)
        # after the first step: code that first runs while torch counts is never compiled
        flops = {name: count_flops(task()) for name, task in tasks.items()}
        profiler = profile_step(tasks[STEP], args.rounds, args.device)
        values = tasks[STEP]()()
        parts = time_parts(profiler.events(), args.device)
        report = summarize(
            settings=dict(
                config=args.config,
                cfg_options=args.cfg_options,
                batch_size=setup.batch_size,
                input_shape=setup.input_shape,
                rounds=args.rounds,
                threads=args.threads,
                device=torch.cuda.get_device_name() if on_gpu else 'CPU',
                amp=args.amp,
                torch=torch.__version__,
            ),
            seconds=seconds,
            flops=flops,
            part_seconds={part: spent / args.rounds for part, spent in parts.items()},
            peak_memory_bytes=setup.memory(),
            parameters=setup.parameters(),
            teacher_tokens={k[6:]: float(v) for k, v in values.items() if k.startswith('ratio_')},
        )
    order = 'self_cuda_time_total' if on_gpu else 'self_cpu_time_total'
    table = profiler.key_averages().table(sort_by=order, row_limit=50, max_name_column_width=70)
    return report, table
