"""Stages that are groups of layers: what names them, what they do in a step, and what is refused."""

import pytest
import tiny
import tiny_cls
import torch
from torch import nn

from dpk_mm.models import GroupStage
from dpk_mm.models.losses import DistillLoss
from dpk_mm.registry import MODELS
from dpk_mm.utils import record

KR = dict(type='dpk_mm.KRLoss')
MSE = dict(type='dpk_mm.FeatureMSELoss')
# the teacher's blocks of a stage: two of depth 14
BLOCKS = ('backbone.layer2.0', 'backbone.layer2.1')


def distiller(depth=8, task_loss_weight=1.0, **stages):
    student = tiny_cls.classifier(depth=depth)
    return tiny_cls.distiller(student, stages=stages, task_loss_weight=task_loss_weight)


def train_steps(model, batch, num=2):
    """Train ``num`` steps; the weights, and the losses of the last."""
    torch.manual_seed(1)
    model.init_weights()
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.02, momentum=0.9)
    for seed in range(num):
        values = model(**batch(model, seed=seed), mode='loss')
        optimizer.zero_grad()
        model.parse_losses(values)[0].backward()
        optimizer.step()
    return model.state_dict(), values


@pytest.mark.parametrize(
    'at',
    [
        dict(at='backbone.layer2.*'),
        dict(student_at=['backbone.layer2.0'], teacher_at=list(BLOCKS)),
        dict(student_at=('backbone.layer2.0',), teacher_at='backbone.layer2.*'),
    ],
)
def test_the_loss_sees_the_layers_of_both(at):
    model = tiny.build(distiller(layer2=dict(at, loss=dict(KR, threshold=0.0))))
    assert model.layers == {'layer2': (('backbone.layer2.0',), BLOCKS)}
    assert (model.student_taps, model.teacher_taps) == (['backbone.layer2.0'], list(BLOCKS))
    data = tiny_cls.batch(model)
    model.eval()  # batch norm's statistics stay put
    stage = model.distiller['layer2']
    assert isinstance(stage, GroupStage) and isinstance(stage.loss.align, nn.Linear)
    with record(model.student, ['backbone.layer2.0']) as student:
        value = model(**data, mode='loss')['loss_distill_layer2']
    teacher = model.teacher(data['inputs'], BLOCKS)
    expected = stage.loss((student['backbone.layer2.0'],), tuple(teacher[tap] for tap in BLOCKS))
    assert torch.equal(value, expected) and value > 0


@pytest.mark.parametrize('depth, blocks', [(8, 1), (14, 2)])
def test_a_group_is_all_layers_below_one(depth, blocks):
    stages = {f'layer{i}': dict(at=f'backbone.layer{i}.*', loss=KR) for i in (1, 2, 3)}
    model = tiny.build(distiller(depth, **stages))
    assert [len(student) for student, _ in model.layers.values()] == [blocks] * 3


def test_levels_of_a_neck_are_a_group():
    levels = [f'neck[{i}]' for i in range(3)]
    model = tiny.build(tiny.distiller(stages=dict(pyramid=dict(at=levels, loss=KR))))
    values = model(**tiny.batch(model), mode='loss')
    assert values['loss_distill_pyramid'] > 0
    assert list(model.distiller.parameters()) == []  # both have eight channels


def test_groups_dpk_and_logits_in_one_config():
    """A layer may also serve two stages."""
    stages = dict(
        kr3=dict(at='backbone.layer3.*', loss=KR),
        **tiny_cls.stages(),
        kr2=dict(at='backbone.layer2.*', loss=KR),
        fitnet=dict(student_at='backbone.layer2.0', teacher_at='backbone.layer2.1', loss=MSE),
        logits=tiny_cls.logits(),
    )
    model = tiny.build(distiller(**stages))
    runs = []
    model.student.backbone.register_forward_hook(lambda *_: runs.append('student'))
    model.teacher.model.backbone.register_forward_hook(lambda *_: runs.append('teacher'))
    model.init_weights()
    model.train()
    values = model(**tiny_cls.batch(model), mode='loss')
    names = ['kr3', 'backbone_layer3', 'backbone_layer2', 'kr2', 'fitnet', 'logits']
    assert [key for key in values if key.startswith('loss_distill_')] == [
        f'loss_distill_{name}' for name in names
    ]
    assert {key for key in values if key.startswith('ratio_')} == {
        'ratio_backbone_layer3', 'ratio_backbone_layer2'
    }  # fmt: skip
    assert runs == ['teacher', 'student']
    model.parse_losses(values)[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []
    plain = tiny.build(tiny_cls.classifier())
    own = {key: value for key, value in model.state_dict().items() if not key.startswith('distiller.')}
    plain.load_state_dict(own)


def test_a_stage_is_the_same_in_company():
    """Places do not get mixed up: each stage's loss is the one that it has alone."""
    stages = {f'kr{i}': dict(at=f'backbone.layer{i}.*', loss=KR) for i in (3, 1, 2)}
    stages['plain'] = dict(at='backbone.layer3', loss=MSE)

    def values(**stages):
        model = tiny.build(distiller(**stages))
        for module in model.distiller.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d)):
                nn.init.constant_(module.weight, 0.1)
                nn.init.zeros_(module.bias)
        model.eval()
        losses = model(**tiny_cls.batch(model), mode='loss')
        return {key: value.item() for key, value in losses.items() if key.startswith('loss_distill')}

    together = values(**stages)
    alone = [values(**{name: stage}) for name, stage in stages.items()]
    assert together == {key: value for one in alone for key, value in one.items()}
    assert len(set(together.values())) == 4


@pytest.mark.parametrize('kind', ['classifier', 'detector'])
def test_weight_zero_only_watches_and_trains_as_the_student_alone(kind):
    loss = dict(KR, loss_weight=0.0)
    stages = {f'layer{i}': dict(at=f'backbone.layer{i}.*', loss=loss) for i in (2, 3)}
    if kind == 'classifier':
        student, model, batch = tiny_cls.classifier(), distiller(**stages), tiny_cls.batch
    else:
        student, model, batch = tiny.retinanet(), tiny.distiller(stages=stages), tiny.batch
    alone, _ = train_steps(tiny.build(student), batch)
    model = tiny.build(model)
    ours, values = train_steps(model, batch)
    assert [name for name, value in alone.items() if not torch.equal(ours[name], value)] == []
    watched = values['loss_distill_layer2']
    assert watched == 0 and not watched.requires_grad
    assert not any(p.requires_grad for p in model.distiller.parameters())
    loss['loss_weight'] = 1.0
    model = tiny.build(distiller(**stages) if kind == 'classifier' else tiny.distiller(stages=stages))
    assert model(**batch(model), mode='loss')['loss_distill_layer2'] > 0


def test_a_loss_that_asks_is_told_the_stage():
    """As on a stage of one layer: what a loss draws at random depends on it."""

    class Asking(DistillLoss):
        takes = 'groups'

        def forward(self, student, teacher, data_samples=None):
            raise AssertionError('only built')

    MODELS.register_module(name='AskingForTest', module=Asking, force=True)
    stage = GroupStage('kr2', [(1, 3, 4, 4)], [(1, 5, 4, 4)], dict(type='dpk_mm.AskingForTest'))
    assert stage.loss.stage == 'kr2'


def test_training_lowers_the_loss():
    loss = dict(KR, loss_weight=100.0, temperature=0.5)
    model = tiny.build(distiller(layer2=dict(at='backbone.layer2.*', loss=loss), task_loss_weight=0.0))
    model.init_weights()
    model.train()
    optimizer = torch.optim.SGD(model.student.parameters(), lr=0.01)
    values = []
    for _ in range(15):
        optimizer.zero_grad()
        total, _ = model.parse_losses(model(**tiny_cls.batch(model), mode='loss'))
        total.backward()
        optimizer.step()
        values.append(total.item())
    assert values[-1] < 0.5 * values[0]


BAD = {
    'teacher widths': (
        dict(
            student_at=['backbone.layer1.0'], teacher_at=['backbone.layer1.1', 'backbone.layer2.0'], loss=KR
        ),
        r'stages\.kr \(backbone.layer1.0\): all layers of a group must have one width, but the teacher '
        r'gives \(1, 6, 32, 32\) and \(1, 12, 16, 16\)',
    ),
    'student widths': (
        dict(student_at=['backbone.layer1', 'backbone.layer3'], teacher_at='backbone.layer1.*', loss=KR),
        r'stages\.kr \(backbone.layer1, backbone.layer3\): .*the student gives '
        r'\(1, 4, 32, 32\) and \(1, 16, 8, 8\)',
    ),
    'group and layer': (
        dict(student_at='backbone.layer1', teacher_at='backbone.layer1.*', loss=KR),
        r'stages\.kr: teacher_at is a group of layers, the other side one layer',
    ),
    'neck': (dict(at='backbone.layer1.*', loss=KR, neck=tiny_cls.NECK), r'stages\.kr: .* takes no neck'),
    'prior': (
        dict(at='backbone.layer1.*', loss=KR, prior=dict(type='dpk_mm.CKAPrior')),
        r'stages\.kr: .* takes no prior',
    ),
    'loss of one layer': (
        dict(at='backbone.layer1.*', loss=MSE),
        r'stages\.kr: FeatureMSELoss compares one layer with one',
    ),
    'loss of groups': (
        dict(at='backbone.layer1', loss=KR),
        r"stages\.kr: KRLoss compares groups of layers: .*'backbone.layer1.\*'.*got 'backbone.layer1'",
    ),
    'empty': (dict(at=[], loss=KR), r'stages\.kr.at=\[\]: a group needs one layer or more'),
    'twice': (dict(at=['backbone.layer1'] * 2, loss=KR), r'stages\.kr.at=\[.*\]: .*each once'),
    'unknown layer': (
        dict(student_at='backbone.layer1.*', teacher_at=['backbone.layer1.0', 'backbone.layer1.7'], loss=KR),
        r"stages\.kr.teacher_at\[1\]='backbone.layer1.7': ImageClassifier has no layer",
    ),
    'unknown parent': (dict(at='backbone.layer9.*', loss=KR), r"stages\.kr.at='backbone.layer9'.*no layer"),
    'nothing below': (
        dict(at='backbone.layer1.0.conv1.*', loss=KR),
        r"stages\.kr.at='backbone.layer1.0.conv1.\*': .*no layers below 'backbone.layer1.0.conv1'",
    ),
    'below an output': (dict(at='backbone[0].*', loss=KR), r"no layers below 'backbone\[0\]'"),
    'star in the middle': (
        dict(at='backbone.*.0', loss=KR),
        r"stages\.kr.at='backbone.\*.0': expected a layer",
    ),
    'star in a list': (dict(at=['backbone.layer1.*'], loss=KR), r'stages\.kr.at\[0\]=.*expected a layer'),
    'no text': (dict(at=[3], loss=KR), r'stages\.kr.at\[0\]=3: expected a layer'),
    'runs twice': (
        dict(at='backbone.layer1.0.*', loss=KR),
        r"stages\.kr.student_at: layer 'backbone.layer1.0.relu' ran more than once",
    ),
    'temperature': (
        dict(at='backbone.layer1.*', loss=dict(KR, temperature=0)),
        r'stages\.kr\.loss\.temperature must be a number above 0, got 0',
    ),
    'no loss type': (
        dict(at='backbone.layer1.*', loss=dict(weight=1)),
        r'stages\.kr\.loss must be a dict with a type',
    ),
    'unknown loss': (dict(at='backbone.layer1.*', loss=dict(type='dpk_mm.NoLoss')), 'NoLoss'),
    'unknown argument': (
        dict(at='backbone.layer1.*', loss=dict(KR, alpha=1)),
        r'stages\.kr\.loss\.alpha: KRLoss has',
    ),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_group_fails_at_build_in_one_message(case):
    stage, message = BAD[case]
    with pytest.raises(ValueError, match=message) as error:
        tiny.build(distiller(kr=stage))
    assert '\n' not in str(error.value)


def test_logits_are_no_group():
    with pytest.raises(ValueError, match='logits: KRLoss compares groups'):
        tiny.build(distiller(logits=dict(at='head.fc', loss=KR)))
    with pytest.raises(ValueError, match=r'logits \(head.fc\): a group takes maps.*student gives \(1, 100\)'):
        tiny.build(distiller(logits=dict(at=['head.fc'], loss=KR)))
