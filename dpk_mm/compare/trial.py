"""Build what the runs of a comparison will build, before the first of them begins."""

import copy
import tempfile
import time
from collections.abc import Sequence

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import EVALUATOR, DefaultScope
from torch.utils.data import Dataset

from dpk_mm.compare.fairness import digest_start, digest_student, must_share_start
from dpk_mm.compare.run import Run
from dpk_mm.registry import DATASETS
from dpk_mm.utils.build import build_parts, build_runner, part_errors
from dpk_mm.utils.check_config import check_config


@DATASETS.register_module()
class StandIn(Dataset):
    """Data of which only the number counts: the data themselves are read once for all methods.

    Args:
        length (int): Number of samples.
    """

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        """Number of samples."""
        return self.length


def try_builds(runs: Sequence[Run], base: Config) -> dict[str, str]:
    """Build all of each method once, on data that are not there, and compare the students' first weights.

    Args:
        runs (Sequence[Run]): Those to do; the first of each method is tried. The others differ by their seed
            alone, and each is checked again in its first step.
        base (Config): The student alone, whose metrics all are tested by.

    Returns:
        dict[str, str]: Method -> what is wrong with it; ``''`` stands for the student alone.
    """
    problems, starts, firsts = {}, {}, {}
    for run in runs:
        firsts.setdefault(run.method.name, run)
    for name, run in firsts.items():
        try:
            starts[name] = _build(run.cfg)
        except (ValueError, OSError, ImportError) as error:
            problems[name] = f'method {name!r}: {error}'
    alone = {run.seed: starts[name] for name, run in firsts.items() if run.method.is_alone and name in starts}
    for name, run in firsts.items():
        if name not in starts or not must_share_start(run.method.allow):
            continue
        if run.seed not in alone:
            alone[run.seed] = digest_start(base, run.seed)
        if starts[name] != alone[run.seed]:
            problems[name] = (
                f"method {name!r}: the student's first weights (seed {run.seed}) are not those of "
                "the student alone; a method that may differ there says allow=['student']"
            )
    try:
        with part_errors(base, 'test_evaluator'):
            check_config(base)
            with DefaultScope.overwrite_default_scope(base.get('default_scope')):
                evaluator = copy.deepcopy(base.test_evaluator)
                if isinstance(evaluator, dict) and 'metrics' in evaluator:
                    EVALUATOR.build({'type': 'Evaluator', **evaluator})
                else:
                    Evaluator(evaluator)
    except (ValueError, OSError, ImportError) as error:
        problems[''] = str(error)
    return problems


def _build(cfg: Config) -> str:
    """Build the parts of a training; a hash of the student's first weights."""
    cfg = Config(cfg.to_dict(), format_python_code=False)
    cfg.experiment_name = f'trial_{time.time_ns()}'
    # without backends, some of which would open an experiment on their server
    cfg.visualizer = dict(type='Visualizer', name=cfg.experiment_name, vis_backends=[])
    batch = cfg.train_dataloader.get('batch_size', 1)
    cfg.train_dataloader.dataset = dict(type='dpk_mm.StandIn', length=100 * batch)
    # that of the config may read the data
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    cfg.train_dataloader.pop('batch_sampler', None)
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = folder
        check_config(cfg)
        runner = build_runner(cfg)
        runner.model.cpu()  # the workers need the device
        with part_errors(cfg, 'model'):
            runner.model.init_weights()
        start = digest_student(runner.model)
        build_parts(runner)
    del runner
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return start
