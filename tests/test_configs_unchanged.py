"""All shipped configs train what they did when stages were lists, however a config is written down.

``tests/data/configs.json`` holds what counts of each. Where a number is to change, change it there too.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, Optional

import pytest
import shrink

from dpk_mm.utils import teacher_cfg

ROOT = Path(__file__).parents[1]
REFERENCE = json.loads((ROOT / 'tests/data/configs.json').read_text())
CONFIGS = sorted(
    str(path.relative_to(ROOT)) for path in ROOT.glob('configs/**/*.py') if '_base_' not in path.parts
)


def within(root: str, path: Any) -> Any:
    """A path of this machine as one of the repository; anything else as it is."""
    if isinstance(path, str) and path.startswith(f'{root}/'):
        return os.path.relpath(path, root)
    return path


def given(part: Optional[dict]) -> Optional[dict]:
    """A part of a stage without what is None."""
    return part and {key: value for key, value in part.items() if value is not None}


def stages(model: dict) -> list[list]:
    """Layers, neck, prior and loss of all stages in order."""
    rows = []
    for stage in model['stages'].values():
        at = stage.get('at')
        layers = [stage.get('student_at', at), stage.get('teacher_at', at)]
        rows.append([*layers, *(given(stage.get(part)) for part in ('neck', 'prior', 'loss'))])
    return rows


def what_counts(cfg: dict, root: str) -> dict:
    """All of a config that changes what is trained, in a form that does not depend on how it is written.

    Of a student it is the backbone: the rest comes from upstream.
    """
    model, scope = cfg['model'], {}
    if 'stages' in model:
        teacher = teacher_cfg(model['teacher'])
        scope = dict(
            teacher=[within(root, teacher['config']), teacher['checkpoint']],
            student=backbone(model['student']),
            init_student=bool(model.get('init_student', False)),
            task_loss_weight=model.get('task_loss_weight', 1.0),
            input_shape=model.get('input_shape'),
            stages=stages(model),
        )
    elif 'blocks' in model:
        scope = dict(
            teacher=backbone(model['teacher']), student=within(root, model['student']), blocks=model['blocks']
        )
    else:
        scope = dict(student=backbone(model))
    hook = cfg['default_hooks']['checkpoint']
    scope.update(
        optim_wrapper=cfg['optim_wrapper'],
        param_scheduler=cfg['param_scheduler'],
        checkpoint=hook,
        batch_size=cfg['train_dataloader']['batch_size'],
        train_cfg=cfg['train_cfg'],
        load_from=cfg.get('load_from'),
    )
    # The forks' packages name another host of the same weights.
    return json.loads(re.sub(r'"https://[^/"]+/', '"https://HOST/', json.dumps(scope)))


def backbone(model: dict) -> list:
    """What a config chooses of a model."""
    return [model['type'], model['backbone'], model.get('init_cfg')]


def test_every_config_has_a_reference():
    assert sorted(REFERENCE) == CONFIGS


@pytest.mark.parametrize('name', CONFIGS)
def test_config_trains_what_it_did(name):
    cfg = shrink.load(ROOT / name)
    assert what_counts(cfg._cfg_dict.to_dict(), str(ROOT)) == REFERENCE[name]
    # a shipped config states its numbers: none comes from a method's name
    if cfg.model.type == 'dpk_mm.DPKDistiller':
        assert cfg.model.method is None
    assert cfg.model.get('method') is None
