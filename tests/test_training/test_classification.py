"""What must hold of whole training runs of classifiers."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny
import tiny_cls
import torch
from mmengine.runner.checkpoint import get_state_dict

MIX = dict(augments=[dict(type='Mixup', alpha=0.8), dict(type='CutMix', alpha=1.0)])


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tiny_cls.write_cifar(tmp_path_factory.mktemp('cifar'))


def mixing():
    """A classifier that trains on mixed images with soft labels."""
    student = tiny_cls.classifier(train_cfg=MIX)
    student['head']['loss'] = dict(type='CrossEntropyLoss', use_soft=True)
    return student


def log(work_dir):
    lines = next(work_dir.rglob('scalars.json')).read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if 'loss' in entry]


def test_zero_weights_train_the_plain_student_bit_for_bit(data, tmp_path):
    """One that draws random numbers in every step."""
    student = mixing()
    plain = tiny.train(tiny_cls.training_cfg(student, data, tmp_path / 'plain'))
    model = tiny_cls.distiller(student, loss_weight=0.0)
    ours = tiny.train(tiny_cls.training_cfg(model, data, tmp_path / 'dpk'))
    weights = get_state_dict(ours.model)
    for name, value in get_state_dict(plain.model).items():
        assert torch.equal(weights[name], value), name
    assert plain.val_loop.run() == ours.val_loop.run()
    for a, b in zip(log(tmp_path / 'plain'), log(tmp_path / 'dpk')):
        assert a['loss'] == b['loss'] and a['grad_norm'] == b['grad_norm']


def test_teacher_sees_the_mixed_images(data):
    model = tiny.build(tiny_cls.distiller(mixing()))
    batch = tiny_cls.batch(model)
    assert all((sample.gt_score < 1).all() for sample in batch['data_samples'])  # soft labels
    seen = []
    model.teacher.model.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    losses = model(**batch, mode='loss')
    assert torch.equal(seen[0], batch['inputs'])
    assert set(losses) == {
        'loss_task',
        *(f'{kind}_backbone_layer{i}' for kind in ('loss_distill', 'ratio') for i in (2, 3)),
        'loss_distill_logits',
    }


def test_distillation_trains_and_logs(data, tmp_path):
    """Without the task's loss, so that the random teacher is all there is to learn."""
    cfg = tiny_cls.training_cfg(tiny_cls.distiller(task_loss_weight=0), data, tmp_path, epochs=6)
    cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=3e-3)
    cfg.log_processor = dict(window_size=1)
    runner = tiny.train(cfg)
    first, *_, last = log(tmp_path)
    parts = ('loss_distill_backbone_layer3', 'loss_distill_backbone_layer2', 'loss_distill_logits')
    for name in parts:
        assert last[name] < 0.9 * first[name], name
    assert last['loss'] == pytest.approx(sum(last[name] for name in parts)) and last['loss_task'] == 0
    assert 'accuracy/top1' in runner.val_loop.run()


def test_task_loss_weight(data):
    losses = {}
    for weight in (1.0, 0.25):
        model = tiny.build(tiny_cls.distiller(task_loss_weight=weight))
        losses[weight] = model(**tiny_cls.batch(model), mode='loss')
    assert losses[0.25]['loss_task'].item() == pytest.approx(0.25 * losses[1.0]['loss_task'].item())
    for name in set(losses[1.0]) - {'loss_task'}:
        assert torch.equal(losses[0.25][name], losses[1.0][name]), name


def test_task_loss_weight_of_a_detector_with_losses_by_level():
    values = {}
    for weight in (1.0, 0.5):
        model = tiny.build(tiny.distiller(task_loss_weight=weight))
        values[weight] = model(**tiny.batch(model), mode='loss')
    assert isinstance(values[1.0]['loss_cls'], list)
    for name in ('loss_cls', 'loss_bbox'):
        for full, half in zip(values[1.0][name], values[0.5][name]):
            torch.testing.assert_close(half, 0.5 * full)


@pytest.mark.parametrize('weight', [-1, 'half', None, float('nan'), float('inf')])
def test_bad_task_loss_weight(weight):
    with pytest.raises(ValueError, match='task_loss_weight must be a number from 0 on'):
        tiny.build(tiny_cls.distiller(task_loss_weight=weight))


def test_tensorboard_shows_ratios_weights_and_losses_by_stage(data, tmp_path, monkeypatch):
    """Through mmengine's own backend; a stand-in writes, as the package of tensorboard is large."""
    shown = {}

    class SummaryWriter:
        def __init__(self, folder):
            assert (tmp_path in Path(folder).parents) and folder.endswith('vis_data')

        def add_scalar(self, name, value, step):
            shown.setdefault(name, []).append((step, value))

        def __getattr__(self, name):
            return lambda *args: None

    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', SimpleNamespace(SummaryWriter=SummaryWriter))
    model = tiny_cls.distiller(loss_weight='auto')
    cfg = tiny_cls.training_cfg(model, data, tmp_path, epochs=1)
    cfg.visualizer = dict(
        type='Visualizer', name=tmp_path.name, vis_backends=[dict(type='TensorboardVisBackend')]
    )
    runner = tiny.train(cfg)
    kinds = ('loss_distill', 'ratio', 'weight')
    stages = ('backbone_layer3', 'backbone_layer2')
    wanted = {f'{kind}_{stage}' for kind in kinds for stage in stages} | {'loss_distill_logits'}
    assert wanted <= set(shown)
    for name in wanted:
        assert [step for step, _ in shown[name]] == list(range(1, runner.max_iters + 1))
        assert all(value > 0 for _, value in shown[name])
