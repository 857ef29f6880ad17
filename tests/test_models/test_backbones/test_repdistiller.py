"""Weights of RepDistiller's networks: each is restated here under its own names, and must give its logits."""

from pathlib import Path

import pytest
import tiny
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn import functional as F

from dpk_mm.models.backbones import convert_repdistiller

MODELS = Path(__file__).parents[3] / 'configs/dpk/_base_/models'


class Original(nn.Module):
    """Layers under the original's names; ``add`` keeps their order."""

    def add(self, name, layer):
        self.add_module(name, layer)
        return layer

    def add_pair(self, i, *args, **kwargs):
        conv = self.add(f'conv{i}', conv_of(*args, **kwargs))
        self.add(f'bn{i}', nn.BatchNorm2d(conv.out_channels))

    def pair(self, i, x):
        return getattr(self, f'bn{i}')(getattr(self, f'conv{i}')(x))


def conv_of(channels, out_channels, kernel_size, stride=1, groups=1, bias=False):
    padding = kernel_size // 2
    return nn.Conv2d(channels, out_channels, kernel_size, stride, padding, groups=groups, bias=bias)


def shuffle(x, groups):
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


class ResidualBlock(Original):
    """Pairs of convolution and norm; ``sizes`` are their channels, kernels and strides."""

    def __init__(self, channels, sizes, shortcut):
        super().__init__()
        self.shortcut_name, before, total = shortcut, channels, 1
        for i, (out_channels, kernel_size, stride) in enumerate(sizes, 1):
            self.add_pair(i, before, out_channels, kernel_size, stride)
            before, total = out_channels, total * stride
        self.num_pairs, self.changes = len(sizes), total > 1 or channels != before
        if self.changes:
            pair = conv_of(channels, before, 1, total), nn.BatchNorm2d(before)
            self.add(shortcut, nn.Sequential(*pair))

    def forward(self, x):
        out = x
        for i in range(1, self.num_pairs + 1):
            out = self.pair(i, out)
            if i < self.num_pairs:
                out = F.relu(out)
        return F.relu(out + (getattr(self, self.shortcut_name)(x) if self.changes else x))


class ResNet(Original):
    def __init__(self, stem, widths, blocks, expansion=1):
        """``expansion`` 4: bottlenecks, of which the original is another file with other names."""
        super().__init__()
        self.add_pair(1, 3, stem, 3)
        channels, self.num_stages = stem, len(widths)
        for stage, (width, num) in enumerate(zip(widths, blocks), 1):
            layer = []
            for block in range(num):
                stride = 2 if stage > 1 and block == 0 else 1
                if expansion == 1:
                    sizes, shortcut = [(width, 3, stride), (width, 3, 1)], 'downsample'
                else:
                    sizes, shortcut = [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)], 'shortcut'
                layer.append(ResidualBlock(channels, sizes, shortcut))
                channels = expansion * width
            self.add(f'layer{stage}', nn.Sequential(*layer))
        self.last = 'fc' if expansion == 1 else 'linear'
        self.add(self.last, nn.Linear(channels, 100))

    def forward(self, x):
        x = F.relu(self.pair(1, x))
        for stage in range(1, self.num_stages + 1):
            x = getattr(self, f'layer{stage}')(x)
        return getattr(self, self.last)(x.mean((2, 3)))


class WideBlock(Original):
    def __init__(self, channels, out_channels, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = conv_of(channels, out_channels, 3, stride)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv2 = conv_of(out_channels, out_channels, 3)
        if channels != out_channels:
            self.convShortcut = conv_of(channels, out_channels, 1, stride)

    def forward(self, x):
        first = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(first))))
        return out + (self.convShortcut(first) if hasattr(self, 'convShortcut') else x)


class WideResNet(Original):
    def __init__(self, depth, width):
        super().__init__()
        self.conv1, channels = conv_of(3, 16, 3), 16
        for stage in range(3):
            layer = []
            for block in range((depth - 4) // 6):
                out_channels = 16 * width * 2**stage
                layer.append(WideBlock(channels, out_channels, 2 if stage and not block else 1))
                channels = out_channels
            self.add(f'block{stage + 1}', nn.Module()).layer = nn.Sequential(*layer)
        self.bn1, self.fc = nn.BatchNorm2d(channels), nn.Linear(channels, 100)

    def forward(self, x):
        x = self.conv1(x)
        for stage in (self.block1, self.block2, self.block3):
            x = stage.layer(x)
        return self.fc(F.relu(self.bn1(x)).mean((2, 3)))


class VGG(Original):
    """Convolutions with a bias; the ReLU that ends a block lies outside of it."""

    def __init__(self, convs):
        super().__init__()
        channels = 3
        for block, (width, num) in enumerate(zip((64, 128, 256, 512, 512), convs)):
            layers = []
            for _ in range(num):
                layers += [conv_of(channels, width, 3, bias=True), nn.BatchNorm2d(width), nn.ReLU()]
                channels = width
            self.add(f'block{block}', nn.Sequential(*layers[:-1]))
        self.classifier = nn.Linear(512, 100)

    def forward(self, x):
        for block in range(5):
            x = F.relu(getattr(self, f'block{block}')(x))
            x = F.max_pool2d(x, 2) if block < 3 else x
        return self.classifier(x.mean((2, 3)))


class ShuffleV1Block(Original):
    def __init__(self, channels, out_channels, stride):
        super().__init__()
        self.stride, self.groups = stride, 1 if channels == 24 else 3
        middle = out_channels // 4
        self.add_pair(1, channels, middle, 1, groups=self.groups)
        self.add_pair(2, middle, middle, 3, stride, groups=middle)
        self.add_pair(3, middle, out_channels, 1, groups=3)

    def forward(self, x):
        out = F.relu(self.pair(2, shuffle(F.relu(self.pair(1, x)), self.groups)))
        out = self.pair(3, out)
        if self.stride == 1:
            return F.relu(out + x)
        return F.relu(torch.cat([out, F.avg_pool2d(x, 3, 2, 1)], 1))


class ShuffleV1(Original):
    def __init__(self):
        super().__init__()
        self.add_pair(1, 3, 24, 1)
        channels = 24
        for stage, (width, num) in enumerate(zip((240, 480, 960), (4, 8, 4)), 1):
            layer = [ShuffleV1Block(channels, width - channels, 2)]
            layer += [ShuffleV1Block(width, width, 1) for _ in range(num - 1)]
            self.add(f'layer{stage}', nn.Sequential(*layer))
            channels = width
        self.linear = nn.Linear(960, 100)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.pair(1, x)))))
        return self.linear(x.mean((2, 3)))


class ShuffleV2Block(Original):
    """Half of the channels pass."""

    def __init__(self, channels):
        super().__init__()
        half = channels // 2
        self.add_pair(1, half, half, 1)
        self.add_pair(2, half, half, 3, groups=half)
        self.add_pair(3, half, half, 1)

    def forward(self, x):
        kept, out = x.chunk(2, 1)
        out = F.relu(self.pair(3, self.pair(2, F.relu(self.pair(1, out)))))
        return shuffle(torch.cat([kept, out], 1), 2)


class ShuffleV2Down(Original):
    """Two branches of half the channels each."""

    def __init__(self, channels, out_channels):
        super().__init__()
        half = out_channels // 2
        self.add_pair(1, channels, channels, 3, 2, groups=channels)
        self.add_pair(2, channels, half, 1)
        self.add_pair(3, channels, half, 1)
        self.add_pair(4, half, half, 3, 2, groups=half)
        self.add_pair(5, half, half, 1)

    def forward(self, x):
        left = F.relu(self.pair(2, self.pair(1, x)))
        right = F.relu(self.pair(5, self.pair(4, F.relu(self.pair(3, x)))))
        return shuffle(torch.cat([left, right], 1), 2)


class ShuffleV2(Original):
    def __init__(self):
        super().__init__()
        self.add_pair(1, 3, 24, 1)
        channels = 24
        for stage, (width, num) in enumerate(zip((116, 232, 464), (3, 7, 3)), 1):
            layer = [ShuffleV2Down(channels, width), *(ShuffleV2Block(width) for _ in range(num))]
            self.add(f'layer{stage}', nn.Sequential(*layer))
            channels = width
        self.add_pair(2, 464, 1024, 1)
        self.linear = nn.Linear(1024, 100)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.pair(1, x)))))
        return self.linear(F.relu(self.pair(2, x)).mean((2, 3)))


def resnet50():
    return ResNet(64, (64, 128, 256, 512), (3, 4, 6, 3), expansion=4)


# config of ours -> the original
FAMILIES = {
    'resnet20': lambda: ResNet(16, (16, 32, 64), (3, 3, 3)),
    'resnet8x4': lambda: ResNet(32, (64, 128, 256), (1, 1, 1)),
    'resnet50': resnet50,
    'wrn16-2': lambda: WideResNet(16, 2),
    'wrn40-1': lambda: WideResNet(40, 1),
    'vgg8': lambda: VGG((1, 1, 1, 1, 1)),
    'vgg13': lambda: VGG((2, 2, 2, 2, 2)),
    'shufflenet-v1': ShuffleV1,
    'shufflenet-v2': ShuffleV2,
}


def original(name):
    """An original whose every number is random, in float64."""
    torch.manual_seed(0)
    network = FAMILIES[name]().double().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.3)
            nn.init.normal_(layer.running_mean, std=0.3)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            layer.num_batches_tracked.fill_(int(torch.randint(1, 99, ())))
    return network


def ours(name):
    init_default_scope('mmpretrain')
    return tiny.build(Config.fromfile(MODELS / f'{name}_cifar.py').model, seed=1).double().eval()


@pytest.mark.parametrize('name', FAMILIES)
@torch.no_grad()
def test_a_converted_network_gives_the_originals_logits(name):
    theirs, model, images = original(name), ours(name), torch.randn(3, 3, 32, 32, dtype=torch.float64)
    weights = theirs.state_dict()
    converted = convert_repdistiller(weights, model)
    assert list(converted) == list(model.state_dict())
    biases = [key for key in weights if key.startswith('block') and key.endswith('bias')]
    folded = sum(f'{key[:-4]}running_mean' not in weights for key in biases) if 'vgg' in name else 0
    assert len(converted) == len(weights) - folded
    model.load_state_dict(converted)
    logits = theirs(images)
    assert logits.std() > 0.01
    torch.testing.assert_close(model(images, mode='tensor'), logits, rtol=1e-9, atol=1e-9)


def test_names_are_the_originals():
    """Of what the restatements above say, the part that a file shows."""
    keys = {name: original(name).state_dict() for name in ('resnet8x4', 'resnet50', 'wrn16-2', 'vgg8')}
    assert {'conv1.weight', 'layer1.0.downsample.0.weight', 'fc.bias'} <= set(keys['resnet8x4'])
    assert {'layer4.2.bn3.running_var', 'layer1.0.shortcut.1.weight', 'linear.bias'} <= set(keys['resnet50'])
    assert {'block1.layer.0.convShortcut.weight', 'block3.layer.1.bn2.weight'} <= set(keys['wrn16-2'])
    assert {'block0.0.bias', 'block4.1.running_mean', 'classifier.weight'} <= set(keys['vgg8'])


def test_weights_are_left_as_they_are():
    theirs = original('vgg8')
    before = {key: value.clone() for key, value in theirs.state_dict().items()}
    weights = theirs.state_dict()
    convert_repdistiller(weights, ours('vgg8'))
    assert list(weights) == list(before)
    assert all(torch.equal(weights[key], value) for key, value in before.items())


def test_counters_of_batches_may_be_missing():
    weights = {k: v for k, v in original('resnet20').state_dict().items() if 'num_batches' not in k}
    model = ours('resnet20')
    model.load_state_dict(convert_repdistiller(weights, model), strict=True)


@pytest.mark.parametrize(
    'given, wanted, message',
    [
        ('resnet20', 'resnet8x4', r"'conv1' with .*\(16, 3, 3, 3\).* does not fit 'backbone.stem.conv' with"),
        ('resnet20', 'resnet56', r"'layer2.0.conv1' with .* does not fit 'backbone.layer1.3.conv1' with"),
        ('wrn16-2', 'resnet20', "'block1.layer.0.conv1' with .* does not fit 'backbone.layer1.0.conv1'"),
        ('resnet20', 'mobilenet-v2', 'a MobileNetV2 cannot be converted'),
    ],
)
def test_another_network_is_refused(given, wanted, message):
    with pytest.raises(ValueError, match=message):
        convert_repdistiller(original(given).state_dict(), ours(wanted))


def test_every_tensor_is_accounted_for():
    weights, model = original('resnet20').state_dict(), ours('resnet20')
    with pytest.raises(ValueError, match='the checkpoint has 44 layers, the model 43'):
        convert_repdistiller({**weights, 'extra.weight': torch.zeros(2)}, model)
    with pytest.raises(ValueError, match="'layer3.2.bn2' with .* does not fit"):
        convert_repdistiller({k: v for k, v in weights.items() if k != 'layer3.2.bn2.running_var'}, model)
    with pytest.raises(ValueError, match='the checkpoint has 42 layers, the model 43'):
        convert_repdistiller({k: v for k, v in weights.items() if not k.startswith('fc')}, model)
