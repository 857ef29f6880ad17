import numpy as np
import pytest
import torch

from dpk_mm.models import FeatureMSELoss, LogitsKLLoss
from dpk_mm.registry import MODELS


def test_mse_is_the_mean_over_all_elements():
    student, teacher = torch.tensor([[[[1.0, 2.0]]]]), torch.tensor([[[[4.0, 0.0]]]])
    assert FeatureMSELoss()(student, teacher).item() == pytest.approx((9 + 4) / 2)
    assert FeatureMSELoss(0.2)(student, teacher, ['ignored']).item() == pytest.approx(0.2 * 6.5)


def kl_by_hand(student, teacher, temperature):
    total = 0
    for s, t in zip(student.double().numpy(), teacher.double().numpy()):
        p, q = (np.exp(z / temperature) / np.exp(z / temperature).sum() for z in (t, s))
        total += (p * np.log(p / q)).sum()
    return temperature**2 * total / len(student)


@pytest.mark.parametrize('temperature', [0.5, 1, 4])
def test_kl_by_hand(temperature):
    torch.manual_seed(0)
    student, teacher = torch.randn(3, 5), torch.randn(3, 5)
    expected = kl_by_hand(student, teacher, temperature)
    assert LogitsKLLoss(temperature)(student, teacher).item() == pytest.approx(expected, rel=1e-5)
    weighted = LogitsKLLoss(temperature, loss_weight=0.8)(student, teacher)
    assert weighted.item() == pytest.approx(0.8 * expected, rel=1e-5)


def test_kl_of_equals_is_zero_and_never_negative():
    logits = torch.randn(3, 5)
    assert LogitsKLLoss()(logits, logits + 7).item() == pytest.approx(0, abs=1e-6)
    assert LogitsKLLoss()(logits, torch.randn(3, 5)) > 0


@pytest.mark.parametrize('temperature', [0, -1])
def test_kl_refuses_temperatures_that_are_not_positive(temperature):
    with pytest.raises(ValueError, match=f'temperature must be a number above 0, got {temperature}'):
        LogitsKLLoss(temperature)


@pytest.mark.parametrize('name', ['FeatureMSELoss', 'LogitsKLLoss'])
def test_gradient_to_the_student_only_and_zero_where_they_agree(name):
    loss = MODELS.build(dict(type=f'dpk_mm.{name}'))
    student, teacher = torch.randn(4, 6, requires_grad=True), torch.randn(4, 6, requires_grad=True)
    loss(student, teacher).backward()
    assert student.grad.any() and teacher.grad is None
    student.grad = None
    loss(student, student.detach().clone()).backward()
    torch.testing.assert_close(student.grad, torch.zeros(4, 6))


@pytest.mark.parametrize('name', ['FeatureMSELoss', 'LogitsKLLoss'])
@pytest.mark.parametrize('autocast', [True, False])
def test_half_precision_is_computed_in_float32(name, autocast):
    loss = MODELS.build(dict(type=f'dpk_mm.{name}'))
    student, teacher = 600 * torch.randn(4, 600).half(), 600 * torch.randn(4, 600).half()
    with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
        value = loss(student, teacher)
    assert value.dtype == torch.float32 and value.isfinite()
    assert value.item() == pytest.approx(loss(student.float(), teacher.float()).item(), rel=1e-5)


@pytest.mark.parametrize('name', ['FeatureMSELoss', 'LogitsKLLoss'])
def test_weight_zero_is_zero(name):
    loss = MODELS.build(dict(type=f'dpk_mm.{name}', loss_weight=0))
    assert loss(torch.randn(4, 6), torch.randn(4, 6)) == 0
