"""What the teachers of a comparison reach themselves."""

import copy
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from dpk_mm.compare import training
from dpk_mm.compare.digest import digest_settings, plain
from dpk_mm.compare.plan import Method
from dpk_mm.registry import MODELS
from dpk_mm.utils import is_distiller, load_main_cfg
from dpk_mm.utils.blank import is_detector, is_segmentor
from dpk_mm.utils.files import digest_file, read_json, write_json
from dpk_mm.utils.quiet import quiet
from dpk_mm.utils.teacher_config import hub_weights


def measure_teachers(
    methods: Iterable[Method], folder: Path
) -> tuple[dict[str, dict[int, dict[str, Any]]], dict[str, str]]:
    """Test each trained teacher once, on the data that the students are tested on.

    Args:
        methods (Iterable[Method]): Those that were run.
        folder (Path): Keeps what was found, for the next call.

    Returns:
        tuple: Method -> 0 -> ``metrics`` and ``params`` of its teacher, as results of a single seed; names of
        methods -> why their teacher could not be tested, as one of other classes cannot.
    """
    groups: dict[Path, list[Method]] = {}
    for method in methods:
        model = method.cfg.model
        # no teacher, or one that is random in part
        if (
            is_distiller(method.cfg)
            and model.teacher.get('checkpoint')
            and not model.teacher.get('allow_incomplete')
        ):
            path = folder / f'{_digest(model.teacher, method.test_cfg)}.json'
            groups.setdefault(path, []).append(method)
    found: dict[str, dict[int, dict[str, Any]]] = {}
    failures: dict[str, str] = {}
    for group in groups.values():
        try:
            result = measure_model(group[0].cfg.model.teacher, group[0].test_cfg, folder)
            found.update({method.name: {0: result} for method in group})
        except Exception as error:  # whatever it is, the students have their figures
            failures['; '.join(method.name for method in group)] = f'{type(error).__name__}: {error}'
    return found, failures


def measure_model(teacher: dict, test_cfg: Config, folder: Path) -> dict[str, Any]:
    """Test a trained model, unless an earlier call did with the same weights on the same data.

    Args:
        teacher (dict): Arguments of :class:`dpk_mm.FrozenTeacher`.
        test_cfg (Config): Whose test data and evaluator.
        folder (Path): Keeps what was found, for the next call.

    Returns:
        dict: ``metrics`` and ``params``.
    """
    path = folder / f'{_digest(teacher, test_cfg)}.json'
    if not path.exists():
        write_json(path, _test(teacher, test_cfg))
    return read_json(path, needed='metrics')


def _digest(teacher: dict, test_cfg: Config) -> str:
    """Of all that a teacher's figures hang on."""
    teacher = dict(teacher)
    path = Path(str(teacher['checkpoint']))
    if teacher['checkpoint'] == 'hub':
        teacher['checkpoint'] = hub_weights(teacher['config'], 'teacher.checkpoint')
    elif path.is_file():
        teacher['checkpoint'] = digest_file(path)
    teacher['config'] = _model_of(teacher, test_cfg)
    test = {key: test_cfg[key] for key in ('test_cfg', 'test_dataloader', 'test_evaluator')}
    return digest_settings(plain(dict(teacher=teacher, **test)))


def _model_of(teacher: dict, test_cfg: Config) -> ConfigDict:
    """The teacher's model; where it names no preprocessor it sees what the student sees, as in a training."""
    model = load_main_cfg(teacher['config'], 'teacher.config')
    if 'data_preprocessor' not in model and 'data_preprocessor' in test_cfg.model:
        model.data_preprocessor = copy.deepcopy(test_cfg.model.data_preprocessor)
    return model


def _test(teacher: dict, test_cfg: Config) -> dict[str, Any]:
    """Test a teacher."""
    print(f'testing the teacher {teacher["checkpoint"]}', flush=True)  # it may take a while
    with quiet(), DefaultScope.overwrite_default_scope(test_cfg.get('default_scope')):
        # as a training builds it, which checks the weights
        built = MODELS.build({'type': 'dpk_mm.FrozenTeacher', **teacher}).model
        student = MODELS.build(copy.deepcopy(test_cfg.model))
    if any(kind(built) != kind(student) for kind in (is_detector, is_segmentor)):
        raise ValueError(f'{type(built).__name__} has no figure on data of {type(student).__name__}')
    weights = built.state_dict()
    model = _model_of(teacher, test_cfg)
    if teacher.get('pad_size_divisor') and 'data_preprocessor' in model:
        model.data_preprocessor.pad_size_divisor = teacher['pad_size_divisor']
    cfg = Config({key: test_cfg[key] for key in test_cfg if not key.startswith('_')})
    cfg.merge_from_dict(dict(model=dict(model, _delete_=True), custom_hooks=[], randomness=dict(seed=0)))
    with tempfile.TemporaryDirectory() as place:
        cfg.work_dir = place  # of a log that nobody reads
        checkpoint = Path(place) / 'teacher.pth'
        torch.save(dict(state_dict=weights), checkpoint)
        return training.measure(cfg, checkpoint)
