"""What every loss keeps to, alone and on a stage."""

import inspect

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample

from dpk_mm.models import DistillStage, losses
from dpk_mm.registry import MODELS

FGD = dict(alpha_fg=0.1, beta_bg=0.1, gamma_mask=0.1, lambda_rela=0.1)
# What differs from the defaults: no warm-up, and no network of its own that would have to learn first.
CASES = {
    'LogitsKLLoss': dict(temperature=2.0),
    'DKDLoss': dict(warmup_epochs=0),
    'DISTLoss': dict(temperature=2.0),
    'NKDLoss': dict(temperature=2.0),
    'WTTMLoss': dict(gamma=1.0),
    'RLDLoss': {},
    'FeatureMSELoss': {},
    'ATLoss': {},
    'SPLoss': {},
    'PKDLoss': {},
    'CWDLoss': {},
    'WKDFLoss': {},
    'SpatialCosineLoss': {},
    'MGDLoss': dict(mask_ratio=0.3),
    'FGDLoss': FGD,
}
LOGITS = [name for name in CASES if losses.__dict__[name].takes == 'logits']
MAPS = [name for name in CASES if name not in LOGITS]
OF_ANY_CHANNELS = ['ATLoss', 'SPLoss']
# MGD's network is to learn; NKD is a cross-entropy; RLD takes the label's side where the teacher is wrong.
NOT_ZERO = ('MGDLoss', 'NKDLoss', 'RLDLoss')


def build(name, **kwargs):
    kwargs = {**CASES[name], **kwargs}
    if 'channels' in inspect.signature(getattr(losses, name).__init__).parameters:
        kwargs['channels'] = 6
    torch.manual_seed(0)
    return MODELS.build(dict(type=f'dpk_mm.{name}', **kwargs))


def pair(name, scale=1.0, seed=0):
    """Student, teacher and samples of a batch of four."""
    generator = torch.Generator().manual_seed(seed)
    shape = (4, 6) if name in LOGITS else (4, 6, 8, 8)
    student, teacher = scale * torch.randn(2, *shape, generator=generator)
    if name == 'FGDLoss':
        boxes = InstanceData(bboxes=torch.tensor([[8.0, 8.0, 40.0, 24.0]]))
        sample = DetDataSample(metainfo=dict(batch_input_shape=(64, 64)), gt_instances=boxes)
        return student, teacher, [sample] * 4
    return student, teacher, [DataSample().set_gt_label(i) for i in range(4)]


def test_every_loss_is_here():
    # of groups, which have tests of their own
    groups = {name for name in losses.__all__ if getattr(losses, name).takes == 'groups'}
    assert groups == {'KRLoss', 'ScoreWeightedMSELoss', 'CrossKDLoss'}
    assert set(CASES) == set(losses.__all__) - groups - {'DistillLoss'}


@pytest.mark.parametrize('name', CASES)
def test_scalar_whose_gradient_reaches_the_student_only(name):
    student, teacher, samples = pair(name)
    student.requires_grad_()
    teacher.requires_grad_()
    value = build(name)(student, teacher, samples)
    assert value.shape == () and value.dtype == torch.float32 and value > 0
    value.backward()
    assert teacher.grad is None and student.grad.any()


@pytest.mark.parametrize('name', CASES)
def test_a_step_along_the_gradient_brings_it_down(name):
    student, teacher, samples = pair(name)
    loss = build(name)
    value = loss(student.requires_grad_(), teacher, samples)
    value.backward()
    # a thousandth of the loss, were it a plane
    step = 1e-3 * value.detach() / student.grad.square().sum() * student.grad
    assert loss(student.detach() - step, teacher, samples) < value


@pytest.mark.parametrize('name', [name for name in CASES if name not in NOT_ZERO])
def test_equals_cost_nothing(name):
    _, teacher, samples = pair(name)
    student = teacher.clone().requires_grad_()
    value = build(name, loss_weight=1.0)(student, teacher, samples)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-5)
    assert student.grad.abs().max() < 1e-5


@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize('name', CASES)
def test_half_precision_is_compared_in_float32(name, dtype, autocast):
    """At values whose squares, and sums of products, half precision cannot hold."""
    student, teacher, samples = pair(name, scale=1000)
    student, teacher = student.to(dtype), teacher.to(dtype)
    loss = build(name)
    expected = loss(student.float(), teacher.float(), samples)
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
        value = loss(student.requires_grad_(), teacher, samples)
    assert value.dtype == torch.float32 and value.isfinite()
    # MGD's own convolutions are left to autocast, as an adapter is.
    tolerance = 0.02 if name == 'MGDLoss' and autocast else 1e-5
    assert value.item() == pytest.approx(expected.item(), rel=tolerance)
    value.backward()
    assert student.grad.isfinite().all()


@pytest.mark.parametrize('name', CASES)
def test_loss_weight(name):
    args = pair(name)
    whole, half, none = (build(name, loss_weight=weight) for weight in (1.0, 0.5, 0.0))
    assert half(*args).item() == pytest.approx(whole(*args).item() / 2, rel=1e-5)
    assert none.loss_weight == 0 and none(*args) == 0


@pytest.mark.parametrize('name', MAPS)
def test_maps_in_channels_last_layout(name):
    student, teacher, samples = pair(name)
    loss, layout = build(name), dict(memory_format=torch.channels_last)
    expected = loss(student, teacher, samples).item()
    value = loss(student.contiguous(**layout), teacher.contiguous(**layout), samples)
    assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('name', MAPS)
def test_an_adapter_only_where_the_loss_needs_equal_channels(name):
    loss = dict(type=f'dpk_mm.{name}', **CASES[name])
    stage = DistillStage('s', (1, 3, 8, 8), (1, 6, 8, 8), loss)
    adapter = torch.nn.Identity if name in OF_ANY_CHANNELS else torch.nn.Conv2d
    assert isinstance(stage.adapter, adapter)
    assert name not in OF_ANY_CHANNELS or list(stage.parameters()) == []
    student, teacher, samples = pair(name)
    student = student[:, :3].clone().requires_grad_()
    stage(student, teacher, samples)['loss_distill_s'].backward()
    assert student.grad.any()


def test_logits_of_any_number_of_classes_still_have_to_agree():
    with pytest.raises(ValueError, match='logits must agree'):
        DistillStage('s', (1, 3), (1, 6), dict(type='dpk_mm.DISTLoss'))


@pytest.mark.parametrize('name', [name for name in CASES if name != 'FeatureMSELoss'])  # which takes both
def test_a_loss_on_the_other_kind_of_features_is_refused_at_build(name):
    shape, takes = ((1, 6, 8, 8), 'logits') if name in LOGITS else ((1, 6), 'maps')
    with pytest.raises(ValueError, match=rf"{name} compares {takes}, but the student's is \(1, 6"):
        DistillStage('s', shape, shape, dict(type=f'dpk_mm.{name}'))


@pytest.mark.parametrize('loss', ['dpk_mm.ATLoss', {}])
def test_a_loss_that_is_no_config_is_refused_as_before(loss):
    with pytest.raises(ValueError, match='loss must be a dict with a type'):
        DistillStage('s', (1, 3, 8, 8), (1, 6, 8, 8), loss)


@pytest.mark.parametrize('name', CASES)
def test_weight_zero_leaves_a_stage_idle(name):
    """It asks for no maps and trains nothing; tests/test_training has what follows from it."""
    loss = dict(type=f'dpk_mm.{name}', **{**CASES[name], 'loss_weight': 0.0})
    shape = (1, 6) if name in LOGITS else (1, 6, 8, 8)
    stage = DistillStage('s', shape, shape, loss)
    assert stage.is_idle and not any(parameter.requires_grad for parameter in stage.parameters())
    assert {key: value.item() for key, value in stage(None, None).items()} == {'loss_distill_s': 0.0}


WEIGHTS = [('DISTLoss', 'gamma'), ('DKDLoss', 'alpha'), ('FGDLoss', 'beta_bg'), ('PKDLoss', 'loss_weight')]


@pytest.mark.parametrize('name, field', WEIGHTS)
@pytest.mark.parametrize('value', [-1, float('nan'), float('inf'), '1', True])
def test_weights_are_numbers_from_0_on(name, field, value):
    with pytest.raises(ValueError, match=f'{field} must be a number from 0 on(, .auto., or .*)?, got'):
        build(name, **{field: value})


POSITIVE = [(name, 'temperature') for name in LOGITS if name != 'WTTMLoss']
POSITIVE += [('WTTMLoss', 'gamma'), ('CWDLoss', 'temperature'), ('FGDLoss', 'temp')]


@pytest.mark.parametrize('name, field', POSITIVE)
@pytest.mark.parametrize('value', [0, -1])
def test_temperatures_and_exponents_are_above_0(name, field, value):
    with pytest.raises(ValueError, match=f'{field} must be a number above 0, got {value}'):
        build(name, **{field: value})


def test_a_loss_of_a_user_may_find_its_weight():
    """Though its own annotation says that the weight is a number."""

    @MODELS.register_module(force=True)
    class OwnLoss(losses.DistillLoss):
        def __init__(self, loss_weight: float = 1.0) -> None:
            super().__init__(loss_weight)

        def forward(self, student, teacher, data_samples=None):
            return (student - teacher).mean()

    assert MODELS.build(dict(type='dpk_mm.OwnLoss', loss_weight='auto')).auto is not None
    with pytest.raises(ValueError, match='loss_weight must be'):
        MODELS.build(dict(type='dpk_mm.OwnLoss', loss_weight='fast'))
