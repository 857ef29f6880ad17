"""Weights that find themselves."""

import copy
import math

import pytest
import tiny
import tiny_cls
import torch
from mmengine.logging import MessageHub
from mmengine.optim import build_optim_wrapper
from torch import nn

from dpk_mm.models.distillers.auto_weight import apply_auto_weights
from dpk_mm.models.losses import FeatureMSELoss
from dpk_mm.models.losses.auto_share import AutoShare


@pytest.fixture(autouse=True)
def hub():
    hub = MessageHub.get_current_instance()
    hub.update_info('iter', 0)
    hub.update_info('max_iters', 1000)
    yield hub
    for name in ('iter', 'max_iters'):
        hub.runtime_info.pop(name, None)


def auto(share=None, **more):
    return dict(type='auto', **({} if share is None else dict(share=share)), **more)


class Stage(nn.Module):
    """What apply_auto_weights asks of a stage."""

    def __init__(self, share):
        super().__init__()
        self.loss = FeatureMSELoss(loss_weight=auto(share))


def test_the_weight_is_the_share_of_norms_by_hand():
    student = nn.Linear(2, 1, bias=False)
    student.weight.data = torch.tensor([[1.0, 2.0]])
    # gradients by the weights: (3, 4) of the task, (0, 2) of the stage
    losses = dict(loss_cls=(student.weight * torch.tensor([3.0, 4.0])).sum(), acc=torch.tensor(9.0))
    losses['loss_distill_p3'] = 2 * student.weight[0, 1]
    stages = nn.ModuleDict(dict(p3=Stage(0.5)))
    found = apply_auto_weights(losses, stages, student)
    assert found['weight_p3'].item() == pytest.approx(0.5 * 5 / 2)
    assert found['loss_distill_p3'].item() == pytest.approx(1.25 * 4)
    assert found['loss_cls'].item() == 11 and found['acc'].item() == 9
    assert student.weight.grad is None


def test_lists_of_losses_are_of_the_task_and_frozen_weights_do_not_count():
    student = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False))
    student[0].requires_grad_(False)
    weight = student[1].weight.sum()
    losses = dict(
        loss_bbox=[weight * 3, weight * 1], loss_distill_p3=weight * 8 + student[0].weight.sum() * 99
    )
    found = apply_auto_weights(losses, nn.ModuleDict(dict(p3=Stage(1.0))), student)
    assert found['weight_p3'].item() == pytest.approx(4 / 8)


def test_the_second_measurement_takes_the_place_of_the_first():
    share = AutoShare(share=1.0)
    assert share.is_due(0, 1000)
    share.update(torch.tensor(1.0), torch.tensor(10.0), 1000)
    assert share.weight.item() == pytest.approx(0.1)
    share.update(torch.tensor(1.0), torch.tensor(1.0), 1000)
    assert share.weight.item() == pytest.approx(1.0)
    # 4 of 1000 steps measure when there are 5 stages: pace 1 / (1 + 4 / 8)
    share.number = 5
    share.update(torch.tensor(8.0), torch.tensor(1.0), 1000)
    assert share.weight.item() == pytest.approx(8 ** (1 / 1.5))


def test_a_new_training_forgets_the_weight_of_its_checkpoint():
    student, stages = nn.Linear(1, 1), nn.ModuleDict(dict(p3=Stage(1.0)))
    stages.p3.loss.auto.load_state_dict(dict(weight=torch.tensor(64.0), count=torch.tensor(9)))
    losses = dict(loss_cls=student.weight.sum(), loss_distill_p3=student.weight.sum())
    assert apply_auto_weights(dict(losses), stages, student)['weight_p3'].item() == pytest.approx(1.0)
    # a loop that does not count its steps goes on averaging
    apply_auto_weights(losses, stages, student)
    assert stages.p3.loss.auto.count == 2


@pytest.mark.parametrize(
    'task, stage', [(math.nan, 1.0), (math.inf, 1.0), (0.0, 1.0), (1.0, 0.0), (1.0, math.nan)]
)
def test_what_is_not_finite_is_left_out(task, stage):
    share = AutoShare(share=1.0)
    share.update(torch.tensor(task), torch.tensor(float(stage)), 1000)
    assert share.weight.item() == 0 and not share.started
    assert share.is_due(7, 1000)  # until there is a weight


def test_measurements_cost_less_than_a_hundredth_of_a_run():
    share = AutoShare(share=1.0)
    share.count += 1
    for number, steps in ((1, 20_000), (5, 180_000), (3, 10_000)):
        share.number = number
        due = [step for step in range(steps) if share.is_due(step, steps)]
        backward_passes = len(due) * (number + 1)
        assert backward_passes <= steps / 100 + number + 1
        assert due[0] == 0 and due[1] == round(steps / 64) and due[-1] == round(steps * 0.75)
    share.iters = 3
    assert sum(share.is_due(step, 1000) for step in range(1000)) == 3
    assert [step for step in range(100) if share.is_due(step, None)] == [0, 16, 32, 64]


@pytest.mark.parametrize(
    'weight, message',
    [
        ('automatic', 'loss_weight must be a number'),
        (dict(type='fixed'), "loss_weight.type must be 'auto', got 'fixed'"),
        (auto(share=0), 'loss_weight.share must be a number above 0'),
        (auto(share='x'), 'loss_weight.share must be a number above 0'),
        (auto(iters=1), 'loss_weight.iters must be an integer from 2 on'),
        (auto(weight=2), 'loss_weight.weight: AutoShare has no such field, but type, share, iters'),
        (-1.0, 'loss_weight must be a number from 0 on'),
        (math.nan, 'loss_weight must be a number from 0 on'),
    ],
)
def test_other_weights_are_refused(weight, message):
    with pytest.raises(ValueError, match=message):
        FeatureMSELoss(loss_weight=weight)


def test_a_share_is_divided_among_stages_of_a_kind():
    mse = dict(type='dpk_mm.FeatureMSELoss', loss_weight='auto')
    stages = {f'l{i}': dict(at=f'backbone.layer{i}', loss=mse) for i in (1, 2)}
    stages['l3'] = dict(at='backbone.layer3', loss=dict(mse, loss_weight=auto(share=6.0)))
    stages['logits'] = dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', loss_weight='auto'))
    model = tiny.build(tiny_cls.distiller(stages=stages))
    shares = {name: stage.loss.auto.share for name, stage in model.distiller.items()}
    assert shares == dict(l1=1.0, l2=1.0, l3=2.0, logits=1.0)
    model = tiny.build(tiny.distiller(method='pkd', stages=None, input_shape=(128, 128)))
    assert {stage.loss.auto.share for stage in model.distiller.values()} == {0.3 / len(model.distiller)}
    own = tiny.distiller(method='pkd', loss_weight=auto(1.5), stages=None, input_shape=(128, 128))
    model = tiny.build(own)
    assert {stage.loss.auto.share for stage in model.distiller.values()} == {1.5 / len(model.distiller)}


def test_gradients_have_the_share_that_was_asked_for():
    stages = dict(
        l2=dict(at='backbone.layer2', loss=dict(type='dpk_mm.ATLoss', loss_weight=auto(share=0.25)))
    )
    model = tiny.build(tiny_cls.distiller(stages=stages))
    losses = model(**tiny_cls.batch(model), mode='loss')

    def norm(loss):
        model.zero_grad()
        loss.backward(retain_graph=True)
        grads = [p.grad for p in model.student.parameters() if p.grad is not None]
        return torch.stack([grad.norm() for grad in grads]).norm()

    assert norm(losses['loss_distill_l2']) == pytest.approx(0.25 * norm(losses['loss_task']).item(), rel=1e-4)


def test_a_layer_out_of_the_graph_is_an_error():
    stages = dict(l1=dict(at='backbone.layer1', loss=dict(type='dpk_mm.ATLoss', loss_weight='auto')))
    model = tiny.build(tiny_cls.distiller(stages=stages))
    for name, parameter in model.student.backbone.named_parameters():
        parameter.requires_grad_(name.startswith(('layer2', 'layer3')))
    with pytest.raises(ValueError, match='stages.l1: no gradient goes from backbone.layer1 into the student'):
        model(**tiny_cls.batch(model), mode='loss')


def test_nothing_to_go_by_is_refused():
    stages = dict(l1=dict(at='backbone.layer1', loss=dict(type='dpk_mm.ATLoss', loss_weight='auto')))
    with pytest.raises(ValueError, match='task_loss_weight=0 leaves'):
        tiny.build(tiny_cls.distiller(stages=stages, task_loss_weight=0))


def test_measuring_leaves_no_trace():
    """The step after a measurement is that of a fixed weight of the same size."""
    weights = []
    for weight in ('auto', None):
        loss = dict(type='dpk_mm.ATLoss', loss_weight=weight or weights[0][1])
        model = tiny.build(tiny_cls.distiller(stages=dict(l2=dict(at='backbone.layer2', loss=loss))))
        wrapper = build_optim_wrapper(model, dict(optimizer=dict(type='SGD', lr=0.1)))
        losses = model(**tiny_cls.batch(model), mode='loss')
        found = losses.get('weight_l2')
        loss, _ = model.parse_losses(losses)
        wrapper.update_params(loss)
        state = torch.cat([value.flatten().float() for value in model.student.state_dict().values()])
        weights.append((state, float(found) if found is not None else None))
    assert torch.allclose(weights[0][0], weights[1][0], atol=1e-7)


def test_a_checkpointed_backbone_is_named():
    config = tiny.retinanet()
    config.backbone.with_cp = True
    model = tiny.build(tiny.distiller(config, method='pkd', stages=None, input_shape=(128, 128)))
    model.train()
    with pytest.raises(ValueError, match='with_cp'):
        model(**tiny.batch(model), mode='loss')


def test_weights_are_in_the_checkpoint_and_plain_ones_load():
    model = tiny.build(tiny.distiller(method='pkd', stages=None, input_shape=(128, 128)))
    model(**tiny.batch(model), mode='loss')
    state = copy.deepcopy(model.state_dict())
    assert state['distiller.p3.loss.auto.weight'] > 0
    other = tiny.build(tiny.distiller(method='pkd', stages=None, input_shape=(128, 128)), seed=1)
    other.load_state_dict(state)
    assert torch.equal(other.distiller['p3'].loss.auto.weight, state['distiller.p3.loss.auto.weight'])
    assert not other.distiller['p3'].loss.auto.is_due(5, 1000)
    other.load_state_dict(model.student.state_dict())


def test_a_loss_without_a_gradient_is_an_error():
    student = nn.Linear(2, 1, bias=False)
    losses = dict(loss_cls=student.weight.sum(), loss_distill_p3=student.weight.sum() * 0)
    stages = nn.ModuleDict(dict(p3=Stage(1.0)))
    for _ in range(9):  # as of batches without a labelled pixel
        assert apply_auto_weights(dict(losses), stages, student)['weight_p3'] == 0
    with pytest.raises(ValueError, match="stages.p3: loss_weight='auto' finds no gradient"):
        apply_auto_weights(losses, stages, student)
