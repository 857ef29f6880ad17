import torch
from torch.nn import functional as F

from dpk_mm.models.backbones.cifar_shufflenet_v1 import NarrowShuffleUnit
from dpk_mm.utils import record


def branch(unit, x):
    """What the unit's last convolution gives."""
    with record(unit, ['expand']) as features:
        unit(x)
    return features['expand']


def reached(unit, channels, output):
    """The input channels that channel ``output`` of the residual branch depends on."""
    x = torch.randn(1, channels, 6, 6, requires_grad=True)
    unit.eval()
    (gradient,) = torch.autograd.grad(branch(unit, x)[0, output].sum(), x)
    return gradient.abs().sum((0, 2, 3)).nonzero().flatten().tolist()


def test_groups_are_shuffled():
    torch.manual_seed(0)
    unit = NarrowShuffleUnit(36, 36, groups=3)
    for output in (0, 35):
        groups = {channel // 12 for channel in reached(unit, 36, output)}
        assert groups == {0, 1, 2}


def test_stride_two_appends_the_pooled_input():
    torch.manual_seed(0)
    unit = NarrowShuffleUnit(24, 60, groups=3, stride=2)
    x = torch.rand(2, 24, 8, 8)
    out = unit(x)
    assert out.shape == (2, 60, 4, 4)
    torch.testing.assert_close(out[:, 36:], F.avg_pool2d(x, 3, 2, 1))
    assert unit.squeeze.conv.groups == 1 and unit.expand.conv.groups == 3
    assert unit.depthwise.out_channels == 9


def test_stride_one_adds_the_input():
    torch.manual_seed(0)
    unit = NarrowShuffleUnit(36, 36, groups=3)
    x = torch.randn(2, 36, 4, 4)
    torch.testing.assert_close(unit(x), F.relu(branch(unit, x) + x))
