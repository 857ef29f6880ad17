"""SFTN: a teacher with student branches, whose file is a plain teacher's."""

from pathlib import Path

import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from torch import nn

from dpk_mm.models import SFTN
from dpk_mm.models.losses import DistillLoss
from dpk_mm.registry import MODELS
from dpk_mm.utils import load_model_cfg

ROOT = Path(__file__).parents[3] / 'configs'
LAYERS = [f'backbone.layer{i}' for i in (1, 2, 3)]
# one of each network
STUDENTS = ['resnet14', 'resnet8x4', 'resnet50', 'vgg8', 'wrn16-2', 'mobilenet-v2']
STUDENTS += ['shufflenet-v1', 'shufflenet-v2']
CONFIGS = sorted(path.name for path in (ROOT / 'sftn').glob('*.py'))


CFG = dict(
    type='dpk_mm.SFTN',
    teacher=tiny_cls.classifier(depth=14, width=6),
    student=tiny_cls.classifier(),
    blocks=LAYERS,
    input_shape=(32, 32),
)


def sftn(**changes):
    return tiny.build({**CFG, **changes})


def test_loss_is_the_papers():
    """1 CE(teacher) + 3 mean KL + 1 mean CE, worked out from the parts."""
    model = sftn().train()
    batch = tiny_cls.batch(model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    total, _ = model.parse_losses(model(**batch, mode='loss'))
    model.load_state_dict(state)  # running statistics
    labels = torch.cat([sample.gt_label for sample in batch['data_samples']])
    x, maps = batch['inputs'], []
    x = model.teacher.backbone.stem(x)
    for name in ('layer1', 'layer2', 'layer3'):
        x = getattr(model.teacher.backbone, name)(x)
        maps.append(x)
    head = model.teacher.head.fc
    logits = head(x.mean(dim=(2, 3)))
    expected = nn.functional.cross_entropy(logits, labels)
    for i, (branch, x) in enumerate(zip(model.branches.values(), maps)):
        x = branch.transform(x)
        for name in ('layer1', 'layer2', 'layer3')[i + 1 :]:
            x = getattr(branch.rest.backbone, name)(x)
        own = branch.rest.head.fc(x.mean(dim=(2, 3)))
        p, q = (logits / 4).softmax(1), (own / 4).softmax(1)
        kl = (p * (p.log() - q.log())).sum(1).mean()
        expected = expected + (3 * 16 * kl + nn.functional.cross_entropy(own, labels)) / 3
    torch.testing.assert_close(total, expected, rtol=1e-4, atol=1e-4)


def test_gradients_reach_the_teacher_and_all_branches():
    model = sftn().train()
    losses = model(**tiny_cls.batch(model), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize('part', ['loss_ce_backbone_layer2', 'loss_kl_backbone_layer2'])
def test_what_a_branch_asks_for_reaches_the_teacher(part):
    model = sftn().train()
    model(**tiny_cls.batch(model), mode='loss')[part].backward()
    wanted = model.teacher.backbone.layer1[0].conv1.weight.grad
    assert wanted is not None and wanted.any()
    # the KL asks the teacher's logits, too, to be like the branch's
    assert (model.teacher.head.fc.weight.grad is not None) == part.startswith('loss_kl')


def test_checkpoint_is_a_plain_teachers_with_the_same_outputs():
    model = sftn()
    model.init_weights()
    state = model.state_dict()
    plain = tiny.build(tiny_cls.classifier(depth=14, width=6), seed=5)
    assert set(plain.state_dict()) == {key for key in state if not key.startswith('branches.')}
    plain.load_state_dict({k: v for k, v in state.items() if not k.startswith('branches.')})
    batch = tiny_cls.batch(model)
    model.eval(), plain.eval()
    with torch.no_grad():
        assert torch.equal(model(batch['inputs']), plain(batch['inputs']))
        ours, theirs = (m(**tiny_cls.batch(m), mode='predict') for m in (model, plain))
    assert all(torch.equal(a.pred_score, b.pred_score) for a, b in zip(ours, theirs))


def test_starts_from_a_plain_teachers_checkpoint():
    plain = tiny.build(tiny_cls.classifier(depth=14, width=6), seed=5)
    model = sftn()
    missing, unexpected = model.load_state_dict(plain.state_dict(), strict=True)
    assert not missing and not unexpected
    assert torch.equal(model.teacher.head.fc.weight, plain.head.fc.weight)


def test_a_checkpoint_that_lacks_the_teachers_own_branches_is_incomplete():
    """HRNet has parts of that name: only those of the wrapper may be missing."""
    model = sftn()
    model.teacher.backbone.add_module('branches', nn.Linear(2, 2))
    state = model.teacher.state_dict()
    assert not any(model.load_state_dict(state))
    del state['backbone.branches.weight']
    with pytest.raises(RuntimeError, match='Missing key.*teacher.backbone.branches.weight'):
        model.load_state_dict(state)


def test_zero_weights_train_the_teacher_as_alone_bit_for_bit():
    kl = dict(type='dpk_mm.LogitsKLLoss', loss_weight=0.0)
    alone = tiny.build(tiny_cls.classifier(depth=14, width=6))
    for model in (alone, ours := sftn(branch_loss_weight=0, loss_kl=kl)):
        torch.manual_seed(1)
        model.init_weights()
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        for seed in range(2):
            losses = model(**tiny_cls.batch(model, seed=seed), mode='loss')
            optimizer.zero_grad()
            model.parse_losses(losses)[0].backward()
            optimizer.step()
    ours = ours.state_dict()
    assert [key for key, value in alone.state_dict().items() if not torch.equal(ours[key], value)] == []


def test_the_teacher_starts_as_it_does_alone():
    """Branches draw no random numbers, neither when they are built nor when they are initialised."""
    states, drawn = [], []
    for cfg in (tiny_cls.classifier(depth=14, width=6), CFG):
        model = tiny.build(cfg)  # seeds
        drawn.append(torch.get_rng_state())
        torch.manual_seed(1)
        model.init_weights()
        drawn.append(torch.get_rng_state())
        states.append(model.state_dict())
    alone, ours = states
    assert all(torch.equal(ours[key], value) for key, value in alone.items())
    assert torch.equal(drawn[0], drawn[2]) and torch.equal(drawn[1], drawn[3])


def test_trains_and_resumes_and_teaches(tmp_path):
    """The whole way: train it, kill and resume it, distil from its file with the teacher's plain config."""
    data, cfg = tiny_cls.write_cifar(tmp_path), CFG
    whole = tiny.train(tiny_cls.training_cfg(cfg, data, tmp_path / 'whole'))
    tiny.train_until_killed(tiny_cls.training_cfg(cfg, data, tmp_path / 'part'), 6)
    resumed = tiny.train(tiny_cls.training_cfg(cfg, data, tmp_path / 'part', resume=True))
    ours = resumed.model.state_dict()
    assert all(torch.equal(ours[key], value) for key, value in whole.model.state_dict().items())
    teacher = dict(
        config=tiny_cls.classifier(depth=14, width=6), checkpoint=str(tmp_path / 'whole/epoch_2.pth')
    )
    student = tiny.build(dict(tiny_cls.distiller(), teacher=teacher))
    assert torch.equal(student.teacher.model.head.fc.weight, whole.model.teacher.head.fc.weight)


@pytest.mark.parametrize('name', tiny.slow_but(STUDENTS, 'resnet14'))
def test_every_student_of_cifar_splits_at_its_layers(name):
    """No case per network: what is left of it gives what the whole gives, which the branch checks."""
    cfg = load_model_cfg(str(ROOT / f'dpk/cifar100/{name}_cifar100.py'))
    stage = 'layers.' if name == 'shufflenet-v2' else 'layer'
    blocks = [dict(teacher_at='backbone.layer2', student_at=f'backbone.{stage}{i}') for i in (1, 2)]
    for block in blocks:
        model = sftn(student=cfg, blocks=[block])
        (branch,) = model.branches.values()
        parameters = sum(p.numel() for p in branch.rest.parameters())
        assert 0 < parameters < sum(p.numel() for p in MODELS.build(cfg).parameters())


class Residual(BaseBackbone):
    """A backbone that does more than run its layers one after another."""

    def __init__(self):
        super().__init__()
        self.layer1, self.layer2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.skip = nn.Conv2d(3, 16, 1)

    def forward(self, x):
        return (self.layer2(self.layer1(x)) + self.skip(x),)


class Shared(BaseBackbone):
    """A backbone that runs one and the same activation after each of its layers."""

    def __init__(self):
        super().__init__()
        self.layer1, self.layer2, self.layer3 = (nn.Conv2d(c, 8, 3, padding=1) for c in (3, 8, 8))
        self.act = nn.ReLU()

    def forward(self, x):
        for layer in (self.layer1, self.layer2, self.layer3):
            x = self.act(layer(x))
        return (x,)


def test_a_module_that_runs_on_both_sides_of_the_cut_stays():
    MODELS.register_module(name='SharedForTest', module=Shared, force=True)
    student = tiny_cls.classifier()
    student.update(backbone=dict(type='dpk_mm.SharedForTest'))
    student['head']['in_channels'] = 8
    (branch,) = sftn(student=student, blocks=['backbone.layer2']).branches.values()
    kinds = [type(getattr(branch.rest.backbone, name)) for name in ('layer1', 'layer2', 'layer3', 'act')]
    assert kinds == [nn.Identity, nn.Identity, nn.Conv2d, nn.ReLU]


def with_classes(num):
    student = tiny_cls.classifier()
    student['head']['num_classes'] = num
    return student


def with_loss(loss):
    model = tiny_cls.classifier()
    model['head']['loss'] = loss
    return model


VIT = dict(
    type='ImageClassifier',
    _scope_='mmpretrain',
    backbone=dict(
        type='VisionTransformer',
        arch=dict(embed_dims=8, num_layers=2, num_heads=1, feedforward_channels=8),
        img_size=32,
        patch_size=8,
        out_type='cls_token',
    ),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=8),
)
UNFIT = {**tiny_cls.classifier(), 'neck': None}


class Learned(DistillLoss):
    takes = 'logits'

    def __init__(self):
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(()))

    def forward(self, student, teacher, data_samples=None):
        raise NotImplementedError


MISTAKES = {
    'other classes': (dict(student=with_classes(10)), r'teacher gives \(1, 100\), the student \(1, 10\)'),
    'a map as logits': (
        dict(logits_at='backbone.layer3'),
        "logits_at='backbone.layer3': logits .* are needed",
    ),
    'a tuple': (dict(blocks=['backbone[0]']), r'blocks \(backbone\[0\]\): .* cannot run alone'),
    'tokens': (
        dict(student=VIT, blocks=[dict(teacher_at='backbone.layer3', student_at='backbone.layers.0')]),
        r'blocks \(backbone.layer3\): .* cannot run alone',
    ),
    'a student that does not run': (
        dict(student=UNFIT),
        r'student: .* blank image of \(32, 32\) .*: mat1',
    ),
    'a teacher that does not run': (
        dict(teacher=UNFIT),
        r'teacher: .* blank image of \(32, 32\) .*: mat1',
    ),
    'loss_kl': (dict(loss_kl='dpk_mm.LogitsKLLoss'), "loss_kl must be a dict, got 'dpk_mm.Log"),
    'maps': (dict(loss_kl=dict(type='dpk_mm.CWDLoss')), 'loss_kl: CWDLoss does not compare logits'),
    'weights': (
        dict(loss_kl=dict(type=Learned)),
        'loss_kl: Learned has weights, and',
    ),
    'sigmoids': (
        dict(teacher=with_loss(dict(type='CrossEntropyLoss', use_sigmoid=True))),
        'loss_kl: it compares softmaxes, but head.fc is trained by CrossEntropyLoss, by sigmoids',
    ),
    'one class': (dict(teacher=with_classes(1), student=with_classes(1)), 'logits of one class say nothing'),
    'no type': (dict(loss_kl={}), 'loss_kl must be a dict with a type, got {}'),
    'task weight': (dict(task_loss_weight=-1), 'task_loss_weight must be a number from 0 on, got -1'),
    'branch weight': (dict(branch_loss_weight='1'), "branch_loss_weight must be .* from 0 on, got '1'"),
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_mistakes_fail_at_build(mistake):
    changes, message = MISTAKES[mistake]
    with pytest.raises(ValueError, match=message):
        sftn(**changes)


@pytest.mark.parametrize('detach', [False, True, None])
def test_the_kl_asks_the_teachers_logits_unless_told_not_to(detach):
    kl = dict(type='dpk_mm.LogitsKLLoss', temperature=2.0)
    model = sftn(loss_kl=kl if detach is None else dict(kl, detach_teacher=detach)).train()
    model(**tiny_cls.batch(model), mode='loss')['loss_kl_backbone_layer2'].backward()
    assert (model.teacher.head.fc.weight.grad is None) == (detach is True)


@pytest.mark.parametrize('loss', ['DKDLoss', 'DISTLoss'])
def test_other_losses_on_logits_in_place_of_the_kl(loss):
    model = sftn(loss_kl=dict(type=f'dpk_mm.{loss}')).train()
    model(**tiny_cls.batch(model), mode='loss')['loss_kl_backbone_layer2'].backward()
    assert model.branches['backbone_layer2'].transform.conv.weight.grad.any()
    assert model.teacher.backbone.layer1[0].conv1.weight.grad.any()


def test_splits_with_a_torch_that_has_no_set_submodule(monkeypatch):
    """It came with 2.5; 2.0 is supported."""
    monkeypatch.delattr(nn.Module, 'set_submodule', raising=False)
    assert len(sftn().branches) == 3


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"blocks\[0\]='backbone.layer9': ImageClassifier has no layer"):
        sftn(blocks=['backbone.layer9'])
    with pytest.raises(ValueError, match=r'blocks\[0\] must be .*, got 3'):
        sftn(blocks=[3])
    with pytest.raises(ValueError, match='blocks must be a list of layers'):
        sftn(blocks=[])
    with pytest.raises(ValueError, match='named twice'):
        sftn(blocks=LAYERS[:1] * 2)
    with pytest.raises(ValueError, match='logits_at='):
        sftn(logits_at='head.logits')
    with pytest.raises(ValueError, match=r"student.*'backbone.layer9'"):
        sftn(blocks=[dict(teacher_at='backbone.layer1', student_at='backbone.layer9')])
    with pytest.raises(ValueError, match=r'maps are needed, but the teacher gives \(1, 24\)'):
        sftn(blocks=[dict(teacher_at='neck[0]', student_at='backbone.layer3')])
    MODELS.register_module(name='ResidualForTest', module=Residual, force=True)
    student = tiny_cls.classifier()
    student.update(backbone=dict(type='dpk_mm.ResidualForTest'))
    with pytest.raises(ValueError, match='cannot run alone'):
        sftn(student=student, blocks=['backbone.layer1'])


def test_sizes_that_do_not_fit_are_named():
    from dpk_mm.models.distillers.student_branch import _transform

    for ours, theirs in [
        ((8, 8), (8, 8)),
        ((16, 8), (8, 4)),
        ((4, 4), (8, 8)),
        ((8, 8), (2, 2)),
        ((6, 6), (3, 3)),
    ]:
        layer = _transform(torch.Size((1, 3, *ours)), torch.Size((1, 5, *theirs)), 'x')
        assert layer(torch.rand(2, 3, *ours)).shape == (2, 5, *theirs)
    with pytest.raises(ValueError, match=r'is \(1, 3, 8, 8\) and the student\'s \(1, 5, 3, 3\)'):
        _transform(torch.Size((1, 3, 8, 8)), torch.Size((1, 5, 3, 3)), 'x')


def test_a_part_whose_name_is_taken():
    model = sftn()
    teacher = model.teacher
    teacher.add_module('branches', nn.Identity())
    with pytest.raises(ValueError, match="teacher: a model with a part called 'branches' cannot be wrapped"):
        model.wrap(teacher, nn.ModuleDict())


@pytest.mark.parametrize('name', tiny.slow_but(CONFIGS, CONFIGS[0]))
def test_config_takes_a_step(name):
    cfg = Config.fromfile(ROOT / 'sftn' / name)
    plain = f'dpk/cifar100/{name.split("_")[1]}_cifar100.py' if 'cifar100' in name else None
    if plain:
        alone = Config.fromfile(ROOT / plain)
        assert cfg.model.teacher == alone.model
        if 'finetune' not in name:
            assert cfg.param_scheduler == alone.param_scheduler and cfg.optim_wrapper == alone.optim_wrapper
    assert cfg.default_hooks.checkpoint.type == 'dpk_mm.PlainCheckpointHook'
    cfg.model.update(data_preprocessor=cfg.data_preprocessor, input_shape=(32, 32))
    cfg.model.teacher._scope_ = cfg.default_scope
    model = MODELS.build(cfg.model).train()
    assert isinstance(model, SFTN)
    losses = model(**tiny_cls.batch(model, num=2), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
