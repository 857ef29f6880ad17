"""Every network of the package: its size, the maps that are tapped, its gradients and initialisation."""

from pathlib import Path

import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn import functional as F

from dpk_mm.registry import MODELS
from dpk_mm.utils import record

CONFIGS = Path(__file__).parents[3] / 'configs/dpk'

# network: parameters in millions as published, and the stages worth a tap as channels and stride
RESNET = {'layer2': (32, 2), 'layer3': (64, 4)}
RESNET_X4 = {'layer2': (128, 2), 'layer3': (256, 4)}
WRN_2 = {'layer2': (64, 2), 'layer3': (128, 4)}
VGG = {'layer3': (256, 4), 'layer4': (512, 8), 'layer5': (512, 8)}
SHIPPED = {
    'resnet14_cifar': (0.18, RESNET),
    'resnet20_cifar': (0.28, RESNET),
    'resnet32_cifar': (0.47, RESNET),
    'resnet56_cifar': (0.86, RESNET),
    'resnet110_cifar': (1.74, RESNET),
    'resnet8x4_cifar': (1.23, RESNET_X4),
    'resnet32x4_cifar': (7.43, RESNET_X4),
    'resnet50_cifar': (23.7, {'layer3': (1024, 4), 'layer4': (2048, 8)}),
    'wrn16-2_cifar': (0.70, WRN_2),
    'wrn40-1_cifar': (0.57, RESNET),
    'wrn40-2_cifar': (2.26, WRN_2),
    'vgg8_cifar': (3.97, VGG),
    'vgg13_cifar': (9.46, VGG),
    'mobilenet-v2_cifar': (0.81, {'layer2': (12, 2), 'layer5': (48, 8), 'layer7': (160, 16)}),
    'shufflenet-v1_cifar': (0.95, {'layer2': (480, 4), 'layer3': (960, 8)}),
    'shufflenet-v2_cifar': (1.36, {'layers.1': (232, 4), 'layers.2': (464, 8)}),
    'mobilenet-v1': (4.2, {'layer4': (512, 16), 'layer5': (1024, 32)}),
}
# of depths and widths that no config has
OTHERS = {
    'resnet8': (dict(type='dpk_mm.CIFARResNet', depth=8), RESNET),
    'resnet44': (dict(type='dpk_mm.CIFARResNet', depth=44), RESNET),
    'wrn16-1': (dict(type='dpk_mm.CIFARWideResNet', depth=16), RESNET),
    'vgg11': (dict(type='dpk_mm.CIFARVGG', depth=11), VGG),
    'vgg16': (dict(type='dpk_mm.CIFARVGG', depth=16), VGG),
    'vgg19': (dict(type='dpk_mm.CIFARVGG', depth=19), VGG),
    'mobilenet-v2 x1.4': (
        dict(type='dpk_mm.CIFARMobileNetV2', widen_factor=1.4),
        {'layer7': (448, 16), 'last_conv': (1792, 16)},
    ),
    'shufflenet-v1 of one group': (
        dict(type='dpk_mm.CIFARShuffleNetV1', groups=1),
        {'layer2': (288, 4), 'layer3': (576, 8)},
    ),
    'shufflenet-v1 of two groups': (
        dict(type='dpk_mm.CIFARShuffleNetV1', groups=2),
        {'layer2': (400, 4), 'layer3': (800, 8)},
    ),
    'shufflenet-v2 x0.5': (
        dict(type='dpk_mm.CIFARShuffleNetV2', widen_factor=0.5),
        {'layers.1': (96, 4), 'layers.2': (192, 8)},
    ),
    'mobilenet-v1 x0.25': (
        dict(type='dpk_mm.MobileNetV1', widen_factor=0.25),
        {'layer4': (128, 16), 'layer5': (256, 32)},
    ),
}
# each family once, with the strides of all its stages
FAMILIES = {
    'resnet8x4_cifar': (1, 2, 4),
    'wrn16-2_cifar': (1, 2, 4),
    'vgg8_cifar': (1, 2, 4, 8, 8),
    'mobilenet-v2_cifar': (2, 2, 4, 8, 8, 16, 16),
    'shufflenet-v1_cifar': (2, 4, 8),
    'shufflenet-v2_cifar': (2, 4, 8),
    'mobilenet-v1': (2, 4, 8, 16, 32),
}


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')


def classifier(name):
    return tiny.build(Config.fromfile(CONFIGS / f'_base_/models/{name}.py').model)


def check_taps(backbone, name, taps):
    """Tapped maps have the right shapes, are above zero after a ReLU, and are all that was asked for."""
    size = 64 if name.startswith('mobilenet-v1') else 32
    with record(backbone, list(taps)) as feats:
        out = backbone(torch.randn(2, 3, size, size))
    for tap, (channels, stride) in taps.items():
        assert feats[tap].shape == (2, channels, size // stride, size // stride)
        if name.startswith('mobilenet-v2') and tap.startswith('layer'):  # linear by design
            assert feats[tap].min() < 0
        else:
            assert feats[tap].min() == 0 < feats[tap].max()
    assert isinstance(out, tuple) and len(out) == 1
    return out[0]


@pytest.mark.parametrize('name', SHIPPED)
def test_shipped_network(name):
    millions, taps = SHIPPED[name]
    model = classifier(name)
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.01)
    feats = check_taps(model.backbone, name, taps)
    assert feats.shape[1] == model.head.in_channels


@pytest.mark.parametrize('name', OTHERS)
def test_other_depths_and_widths(name):
    cfg, taps = OTHERS[name]
    check_taps(tiny.build(cfg), name, taps)


@pytest.mark.parametrize('name', FAMILIES)
def test_strides_of_all_stages(name):
    backbone, strides = classifier(name).backbone, FAMILIES[name]
    stages = [f'layers.{i}' if hasattr(backbone, 'layers') else f'layer{i + 1}' for i in range(len(strides))]
    with record(backbone, stages) as feats:
        backbone(torch.randn(2, 3, 64, 32))
    assert [feat.shape[2:] for feat in feats.values()] == [(64 // s, 32 // s) for s in strides]


@pytest.mark.parametrize('name', FAMILIES)
def test_gradient_reaches_all_parameters(name):
    model = classifier(name)
    F.cross_entropy(model(torch.randn(4, 3, 32, 32), mode='tensor'), torch.arange(4)).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize('name', FAMILIES)
def test_initialisation_is_kaiming_by_fan_out(name):
    backbone = classifier(name).backbone
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.constant_(module.weight, 0.3)
    backbone.init_weights()
    checked = 0
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 1000:
            fan_out = module.out_channels * module.kernel_size[0] ** 2
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.15)
            checked += 1
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all() and (module.bias == 0).all()
    assert checked > 3


@pytest.mark.parametrize('name, count', [('mobilenet-v1', 27), ('mobilenet-v2_cifar', 35)])
def test_mobilenets_have_plain_relus(name, count):
    """V1 after each convolution, V2 after each but those that end its blocks."""
    backbone = classifier(name).backbone
    assert sum(type(module) is nn.ReLU for module in backbone.modules()) == count
    assert not any(isinstance(module, nn.ReLU6) for module in backbone.modules())


def test_vgg_pools_the_largest_between_the_first_four_blocks():
    backbone = classifier('vgg8_cifar').backbone
    with record(backbone, [f'layer{i}' for i in range(1, 6)]) as feats:
        backbone(torch.randn(2, 3, 32, 32))
    for i in range(1, 5):
        before = feats[f'layer{i}']
        after = getattr(backbone, f'layer{i + 1}')(F.max_pool2d(before, 2) if i < 4 else before)
        torch.testing.assert_close(after, feats[f'layer{i + 1}'])


@pytest.mark.parametrize(
    'kind, kwargs',
    [
        ('CIFARResNet', dict(depth=2)),
        ('CIFARResNet', dict(depth=18)),
        ('CIFARWideResNet', dict(depth=4)),
        ('CIFARWideResNet', dict(depth=20)),
        ('CIFARWideResNet', dict(widen_factor=0)),
        ('CIFARWideResNet', dict(widen_factor=1.5)),
        ('CIFARVGG', dict(depth=12)),
        ('CIFARMobileNetV2', dict(widen_factor=0.05)),
        ('CIFARMobileNetV2', dict(widen_factor=-1)),
        ('CIFARShuffleNetV1', dict(groups=4)),
        ('CIFARShuffleNetV2', dict(widen_factor=0.7)),
        ('MobileNetV1', dict(widen_factor=0.01)),
        ('MobileNetV1', dict(widen_factor=float('nan'))),
    ],
)
def test_bad_arguments_are_errors(kind, kwargs):
    ((name, value),) = kwargs.items()
    needed = dict(depth=16) if kind == 'CIFARWideResNet' else {}
    with pytest.raises(ValueError, match=f'{name} must.*{value}'):
        MODELS.build(dict(dict(type=f'dpk_mm.{kind}', **needed), **kwargs))


@pytest.mark.parametrize('name', [name for name in SHIPPED if name.endswith('_cifar')])
def test_plain_training_config(name):
    """A network alone, with the benchmark's learning rate."""
    cfg = Config.fromfile(CONFIGS / f'cifar100/{name}100.py')
    assert cfg.model == Config.fromfile(CONFIGS / f'_base_/models/{name}.py').model
    assert cfg.optim_wrapper.optimizer.lr == (0.01 if name.startswith(('mobile', 'shuffle')) else 0.05)
    assert cfg.train_cfg.max_epochs == 240
