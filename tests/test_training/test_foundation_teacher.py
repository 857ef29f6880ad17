"""A teacher that is no detector, such as DINOv2 or a backbone of ImageNet, teaches a detector."""

from pathlib import Path

import pytest
import shrink
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from torch import nn

from dpk_mm.utils import load_model_cfg
from dpk_mm.utils.teacher_config import hub_weights

CONFIG = Path(__file__).parents[2] / 'configs/foundation/retinanet_dinov2-s_r50_coco.py'
DINOV2 = 'mmpretrain::dinov2/vit-small-p14_dinov2-pre_headless.py'
RESNET = dict(type='mmpretrain.ResNet', depth=18, base_channels=8, stem_channels=8)
IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def dinov2():
    return shrink.vit(load_model_cfg(DINOV2))


def distiller(teacher, method='spatial-cosine', **more):
    if isinstance(teacher, dict):
        teacher = dict(allow_incomplete=True, **teacher)
    return dict(
        type='dpk_mm.Distiller',
        student=tiny.retinanet(),
        teacher=teacher,
        method=method,
        **{'input_shape': (96, 80), **more},
    )


def step(model):
    """The losses of one step, which reaches all that is trained."""
    model.train()
    losses = model(**tiny.batch(model), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    return losses


def test_the_shipped_config_made_small():
    cfg = shrink.load(CONFIG)
    assert cfg.model.teacher == dict(config=DINOV2, checkpoint='hub')
    # the forks' packages name another host
    assert hub_weights(DINOV2).rpartition('/')[2] in CONFIG.read_text(encoding='utf-8')
    model = tiny.build(shrink.distiller(cfg))
    assert model.layers == dict(layer4=('backbone.layer4', 'backbone.ln1[tokens/14+1]'))
    losses = step(model)
    assert 0 < losses['loss_distill_layer4'] and 0 < losses['weight_layer4']


def test_offline_the_file_to_fetch_is_named(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise OSError('no route to host')

    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, 'download_url_to_file', offline)
    with pytest.raises(
        FileNotFoundError, match=r'checkpoint: could not fetch https://.*no route.* put it at'
    ) as error:
        tiny.build(distiller(DINOV2))
    assert hub_weights(DINOV2) in str(error.value)


@pytest.mark.parametrize('method', ['spatial-cosine', 'pkd', 'fgd', 'dpk'])
def test_a_vit_teaches_the_last_map_of_the_backbone(method):
    model = tiny.build(distiller(dict(config=dinov2()), method))
    assert model.layers == dict(layer4=('backbone.layer4', 'backbone.ln1[tokens/14+1]'))
    assert not model.init_student
    step(model)


@pytest.mark.parametrize('config', [tiny_cls.classifier(), RESNET], ids=['classifier', 'backbone'])
def test_so_does_a_classifier_or_its_backbone(config):
    model = tiny.build(distiller(dict(config=config), 'pkd'))
    ((own, other),) = model.layers.values()
    assert own == 'backbone.layer4'
    assert other == ('backbone.layer3' if config is not RESNET else 'layer4')
    step(model)


def test_all_forms_of_a_teacher_are_one(tmp_path):
    torch.manual_seed(1)
    trained = tiny.build(dinov2(), seed=1)
    trained.init_weights()
    torch.save(trained.state_dict(), tmp_path / 'vit.pth')
    Config(dict(model=dinov2())).dump(tmp_path / 'vit.py')
    where = dict(config=dinov2(), checkpoint=str(tmp_path / 'vit.pth'))
    losses = [
        step(tiny.build(distiller(teacher)))['loss_distill_layer4']
        for teacher in (f'{tmp_path}/vit.py:{tmp_path}/vit.pth', where, trained)
    ]
    assert losses[0] > 0 and losses[0] == losses[1] == losses[2]


def seen_by(model, *parts):
    """What the parts of a teacher get in a step, by their names."""
    seen = {}
    hooks = [
        part.register_forward_pre_hook(lambda _, args, name=name: seen.update({name: args[0]}))
        for name, part in model.teacher.model.named_modules()
        if name in parts
    ]
    batch = tiny.batch(model)
    model.teacher(batch['inputs'], model.teacher_taps, batch['data_samples'])
    for hook in hooks:
        hook.remove()
    return batch, seen


def test_it_sees_its_own_normalisation_and_whole_patches():
    model = tiny.build(distiller(dict(config=dinov2())))
    batch, seen = seen_by(model, '', 'backbone')
    student, inputs = model.data_preprocessor, seen['backbone']
    assert batch['inputs'].shape == (2, 3, 96, 96) and inputs.shape == (2, 3, 98, 98)
    first, second = batch['data_samples']
    height, width = second.img_shape
    assert height < first.img_shape[0]
    pixels = batch['inputs'][1] * student.std + student.mean  # in RGB, as both models want it
    mean, std = (torch.tensor(IMAGENET[name]).view(3, 1, 1) for name in ('mean', 'std'))
    expected = torch.zeros(3, 98, 98)
    expected[:, :height, :width] = ((pixels - mean) / std)[:, :height, :width]
    torch.testing.assert_close(inputs[1], expected, rtol=1e-4, atol=1e-4)


def test_a_module_is_told_what_it_was_trained_on():
    class Seen(nn.Sequential):
        def forward(self, inputs):
            self.inputs = inputs
            return super().forward(inputs)

    backbone = Seen(nn.Conv2d(3, 8, 16, 16), nn.ReLU())
    stages = dict(p5=dict(student_at='neck[2]', teacher_at='1', loss=dict(type='dpk_mm.PKDLoss')))
    said = dict(mean=[10.0, 20.0, 30.0], std=[2.0, 4.0, 5.0])  # as BGR images are read
    teacher = dict(config=backbone, data_preprocessor=said, pad_size_divisor=16)
    model = tiny.build(distiller(teacher, None, stages=stages))
    batch, _ = seen_by(model)
    pixels = (batch['inputs'] * model.data_preprocessor.std + model.data_preprocessor.mean).flip(1)
    mean, std = (torch.tensor(said[name]).view(3, 1, 1) for name in ('mean', 'std'))
    height, width = batch['data_samples'][1].img_shape
    seen = model.teacher.model.inputs[1, :, :height, :width]
    torch.testing.assert_close(seen, ((pixels - mean) / std)[1, :, :height, :width], rtol=1e-4, atol=1e-4)
    step(model)


@pytest.mark.parametrize(
    'preprocessor, message',
    [
        (dict(mean=[1.0, 2.0]), r'teacher\.data_preprocessor'),
        (dict(type='Nonesuch'), r'teacher\.data_preprocessor'),
        (3, r'teacher\.data_preprocessor'),
    ],
)
def test_a_mistake_in_its_preprocessor_names_the_field(preprocessor, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(distiller(dict(config=RESNET, data_preprocessor=preprocessor)))


def test_only_the_backbone_runs():
    model = tiny.build(distiller(dict(config=tiny_cls.classifier()), 'pkd'))
    _, seen = seen_by(model, 'backbone', 'neck', 'head', 'head.fc')
    assert list(seen) == ['backbone']


@pytest.mark.parametrize('method', ['kd', 'score-mse', 'crosskd', 'start'])
def test_a_method_that_needs_a_detector_is_refused(method):
    with pytest.raises(ValueError, match='does not fit.* What fits: .*fgd'):
        tiny.build(distiller(dict(config=dinov2()), method))


def test_zero_weights_train_the_plain_student_bit_for_bit():
    states = []
    for cfg in (tiny.retinanet(), distiller(dict(config=dinov2()), loss_weight=0.0)):
        model = tiny.build(cfg)
        model.init_weights()
        model.train()
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
        for seed in range(2):
            losses = model(**tiny.batch(model, seed=seed), mode='loss')
            optimizer.zero_grad()
            model.parse_losses(losses)[0].backward()
            optimizer.step()
        states.append(model.state_dict())
    plain, ours = states
    assert [key for key in ours if not key.startswith('distiller.')] == list(plain)
    assert all(torch.equal(ours[key], value) for key, value in plain.items())
