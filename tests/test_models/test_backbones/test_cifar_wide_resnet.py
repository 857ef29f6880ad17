import pytest
import tiny
import torch
from torch.nn import functional as F

from dpk_mm.utils import record


def convs_and_norms(backbone):
    """Two iterators over the layers of ``backbone``, in the order in which it names them."""
    layers = list(backbone.modules())
    convs = iter([layer for layer in layers if isinstance(layer, torch.nn.Conv2d)])
    norms = iter([layer for layer in layers if isinstance(layer, torch.nn.BatchNorm2d)])
    return convs, norms


def reference(backbone, x, depth):
    """The published network, BN-ReLU-conv throughout, on the weights of ``backbone``.

    The first norm of a block is the next in line wherever it is registered.
    """
    convs, norms = convs_and_norms(backbone)

    def conv(x, stride=1):
        weight = next(convs).weight
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    def norm_relu(x):
        norm = next(norms)
        return F.relu(F.batch_norm(x, None, None, norm.weight, norm.bias, training=True))

    x, stages = conv(x), []
    for stage in range(3):
        for block in range((depth - 4) // 6):
            first = norm_relu(x)
            if stage and not block:
                stages.append(first)
            stride = 2 if stage and not block else 1
            residual = conv(norm_relu(conv(first, stride)))
            # the next convolution's shape tells whether the block has one in its shortcut
            changes = residual.shape[1] != x.shape[1]
            x = residual + (conv(first, stride) if changes else x)
    return [*stages, norm_relu(x)]


@pytest.mark.parametrize('depth, widen_factor', [(16, 1), (16, 2), (10, 3)])
def test_equals_the_published_network(depth, widen_factor):
    backbone = tiny.build(dict(type='dpk_mm.CIFARWideResNet', depth=depth, widen_factor=widen_factor))
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 2)
            torch.nn.init.uniform_(module.bias, -1, 1)
    x = torch.randn(3, 3, 16, 16)
    expected = reference(backbone, x, depth)
    x = backbone.stem(x)
    for stage, features in enumerate(expected, 1):
        x = getattr(backbone, f'layer{stage}')(x)
        torch.testing.assert_close(x, features, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('depth, blocks', [(16, 2), (40, 6)])
def test_the_norm_that_ends_a_stage_can_be_read(depth, blocks):
    """Its output is the map before the ReLU, which does not overwrite it: about half of it is negative."""
    backbone = tiny.build(dict(type='dpk_mm.CIFARWideResNet', depth=depth))
    norms = [f'layer{stage}.{blocks}' for stage in (1, 2, 3)]
    with record(backbone, [*norms, 'layer1', 'layer2', 'layer3']) as feats:
        backbone(torch.randn(2, 3, 16, 16))
    for stage, norm in enumerate(norms, 1):
        assert isinstance(backbone.get_submodule(norm), torch.nn.BatchNorm2d)
        assert 0.3 < (feats[norm] < 0).float().mean() < 0.7
        assert torch.equal(F.relu(feats[norm]), feats[f'layer{stage}'])


def test_first_stage_of_width_one_keeps_its_raw_input():
    """No norm between the stem and the sum of the first block, as everywhere inside a stage."""
    narrow, wide = (tiny.build(dict(type='dpk_mm.CIFARWideResNet', depth=10, widen_factor=w)) for w in (1, 2))
    x = torch.randn(2, 3, 8, 8)
    assert narrow.stem(x).min() < 0 == wide.stem(x).min()
