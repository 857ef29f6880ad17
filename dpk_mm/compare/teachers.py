"""What the teachers of a comparison reach themselves."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Dict, List, Tuple

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from dpk_mm.compare import training
from dpk_mm.compare.digest import digest_file, digest_settings, plain
from dpk_mm.compare.plan import Method
from dpk_mm.registry import MODELS
from dpk_mm.utils import is_distiller, load_model_cfg
from dpk_mm.utils.config import hub_weights
from dpk_mm.utils.files import read_json, write_json
from dpk_mm.utils.quiet import quiet


def measure_teachers(
    methods: Iterable[Method], folder: Path
) -> Tuple[Dict[str, Dict[int, Dict[str, Any]]], Dict[str, str]]:
    """Test each trained teacher once, on the data that the students are tested on.

    Args:
        methods (Iterable[Method]): Those that were run.
        folder (Path): Keeps what was found, for the next call.

    Returns:
        tuple: Method -> 0 -> ``metrics`` and ``params`` of its teacher, as results of a single seed; names of
        methods -> why their teacher could not be tested, as one of other classes cannot.
    """
    groups: Dict[Path, List[Method]] = {}
    for method in methods:
        model = method.cfg.model
        # no teacher, or one that is random in part
        if (
            is_distiller(method.cfg)
            and model.teacher.get('checkpoint')
            and not model.teacher.get('allow_incomplete')
        ):
            groups.setdefault(folder / f'{_digest(method)}.json', []).append(method)
    found: Dict[str, Dict[int, Dict[str, Any]]] = {}
    failures: Dict[str, str] = {}
    for path, group in groups.items():
        try:
            if not path.exists():
                write_json(path, _test(group[0]))
            found.update({method.name: {0: read_json(path, needed='metrics')} for method in group})
        except Exception as error:  # whatever it is, the students have their figures
            failures['; '.join(method.name for method in group)] = f'{type(error).__name__}: {error}'
    return found, failures


def _digest(method: Method) -> str:
    """Of all that a teacher's figures hang on."""
    teacher = dict(method.cfg.model.teacher)
    path = Path(str(teacher['checkpoint']))
    if teacher['checkpoint'] == 'hub':
        teacher['checkpoint'] = hub_weights(teacher['config'], 'teacher.checkpoint')
    elif path.is_file():
        teacher['checkpoint'] = digest_file(path)
    teacher['config'] = load_model_cfg(teacher['config'], 'teacher.config')
    test = {key: method.test_cfg[key] for key in ('test_cfg', 'test_dataloader', 'test_evaluator')}
    return digest_settings(plain(dict(teacher=teacher, **test)))


def _test(method: Method) -> Dict[str, Any]:
    """Test the teacher of a method."""
    teacher, test_cfg = method.cfg.model.teacher, method.test_cfg
    print(f'testing the teacher {teacher.checkpoint}', flush=True)  # it may take a while
    with quiet(), DefaultScope.overwrite_default_scope(test_cfg.get('default_scope')):
        # as a training builds it, which checks the weights
        weights = MODELS.build({'type': 'dpk_mm.FrozenTeacher', **teacher}).model.state_dict()
    model = load_model_cfg(teacher.config, 'teacher.config')
    if teacher.get('pad_size_divisor'):
        model.data_preprocessor.pad_size_divisor = teacher.pad_size_divisor
    cfg = Config({key: test_cfg[key] for key in test_cfg if not key.startswith('_')})
    cfg.merge_from_dict(dict(model=dict(model, _delete_=True), custom_hooks=[], randomness=dict(seed=0)))
    with tempfile.TemporaryDirectory() as place:
        cfg.work_dir = place  # of a log that nobody reads
        checkpoint = Path(place) / 'teacher.pth'
        torch.save(dict(state_dict=weights), checkpoint)
        return training.measure(cfg, checkpoint)
