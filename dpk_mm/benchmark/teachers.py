"""What the teachers of a comparison reach themselves."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Dict, Tuple

import torch
from mmengine.config import Config

from dpk_mm.benchmark.digest import digest_file, digest_settings, plain
from dpk_mm.benchmark.plan import Method
from dpk_mm.benchmark.run import read_json, write_json
from dpk_mm.demo import training
from dpk_mm.utils import is_distiller, load_model_cfg, load_weights
from dpk_mm.utils.config import hub_weights


def measure_teachers(
    methods: Iterable[Method], folder: Path
) -> Tuple[Dict[str, Dict[int, Dict[str, Any]]], Dict[str, str]]:
    """Test each trained teacher once, on the data that the students are tested on.

    Args:
        methods (Iterable[Method]): Those that were run.
        folder (Path): Keeps what was found, for the next call.

    Returns:
        tuple: Method -> 0 -> ``metrics`` and ``params`` of its teacher, as results of a single seed; method
        -> why its teacher could not be tested.
    """
    found: Dict[str, Dict[int, Dict[str, Any]]] = {}
    failures: Dict[str, str] = {}
    for method in methods:
        if not is_distiller(method.cfg.model) or method.cfg.model.teacher.get('checkpoint') is None:
            continue  # no teacher, or a random one
        try:
            found[method.name] = {0: _find(method.cfg.model.teacher, method.test_cfg, folder)}
        except Exception as error:  # whatever it is, the students have their figures
            failures[method.name] = f'its teacher was not tested: {type(error).__name__}: {error}'
    return found, failures


def _find(teacher: dict, test_cfg: Config, folder: Path) -> Dict[str, Any]:
    """Metrics and size of a teacher, from an earlier call where there was one."""
    model, checkpoint = load_model_cfg(teacher['config'], 'teacher.config'), teacher['checkpoint']
    if checkpoint == 'hub':
        checkpoint = hub_weights(teacher['config'], 'teacher.checkpoint')
    is_file = Path(str(checkpoint)).is_file()
    settings = {key: test_cfg[key] for key in ('test_cfg', 'test_dataloader', 'test_evaluator')}
    settings.update(model=model, checkpoint=digest_file(Path(checkpoint)) if is_file else checkpoint)
    path = folder / f'{digest_settings(plain(settings))}.json'
    if not path.exists():
        print(f'testing the teacher {checkpoint}', flush=True)  # it may take a while
        weights = load_weights(checkpoint, teacher.get('trust_checkpoint', False), 'teacher.checkpoint')
        write_json(path, _test(model, weights, test_cfg))
    return read_json(path, needed='metrics')


def _test(model: dict, weights: Dict[str, torch.Tensor], test_cfg: Config) -> Dict[str, Any]:
    cfg = Config({key: test_cfg[key] for key in test_cfg if not key.startswith('_')})
    cfg.merge_from_dict(dict(model=dict(model, _delete_=True), custom_hooks=[], randomness=dict(seed=0)))
    with tempfile.TemporaryDirectory() as place:
        cfg.work_dir = place  # of a log that nobody reads
        checkpoint = Path(place) / 'teacher.pth'
        torch.save(dict(state_dict=weights), checkpoint)
        metrics = training.evaluate(cfg, checkpoint)
    params = metrics.pop('params')
    return dict(metrics=training.numbers(metrics), params=params)
