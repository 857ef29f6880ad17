import pytest
import torch
from torch import nn

from dpk_mm.utils import TapError, check_tap, find_taps, record


class Pyramid(nn.Module):
    """A backbone, a neck with a tuple output, a head that runs on every level."""

    def __init__(self):
        super().__init__()
        self.backbone = nn.ModuleDict(dict(layer1=nn.Conv2d(1, 2, 1), layer2=nn.Conv2d(2, 3, 1)))
        self.neck = Neck()
        self.head = nn.Conv2d(3, 4, 1)
        self.idle = nn.Conv2d(1, 1, 1)
        self.ran = []
        for name, module in self.named_modules():
            module.register_forward_pre_hook(lambda *_, name=name: self.ran.append(name))

    def forward(self, x):
        x = self.backbone.layer2(self.backbone.layer1(x))
        levels, _ = self.neck(x)
        return [self.head(level) for level in levels]


class Neck(nn.Module):
    def forward(self, x):
        return (x + 1, x + 2, x + 3), 'text'


@pytest.fixture
def model():
    return Pyramid()


@pytest.fixture
def x():
    return torch.rand(2, 1, 4, 4)


def num_hooks(model):
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize('at', ['backbone.layer2', 'neck[0]', 'neck[0][-1]', 'head', 'idle'])
def test_layers_that_exist_pass(model, at):
    check_tap(model, at)


@pytest.mark.parametrize('at', ['', '[0]', 'neck[x]', 'neck[0', 'neck [0]', 'neck[0].a', 3, None])
def test_bad_syntax_names_the_field(model, at):
    with pytest.raises(ValueError, match=r'^stages\.p3\.at=.*expected a layer'):
        check_tap(model, at, 'stages.p3.at')


def test_an_unknown_layer_offers_near_names_and_the_top(model):
    with pytest.raises(ValueError) as error:
        check_tap(model, 'backbone.layer4', 'stages.p4.at')
    message = str(error.value)
    assert message.startswith("stages.p4.at='backbone.layer4': Pyramid has no layer")
    assert 'backbone.layer1' in message and 'backbone.layer2' in message
    assert 'At its top: backbone, neck, head, idle.' in message


def test_an_unknown_child_offers_its_siblings(model):
    with pytest.raises(ValueError, match=r'Near it: backbone\.layer1, backbone\.layer2'):
        check_tap(model, 'backbone.zzzzzzzzzzzzzzzzzzzz')


def test_a_layer_shared_under_two_names_is_found_by_both():
    model = nn.Module()
    model.a = model.b = nn.Identity()
    check_tap(model, 'a')
    check_tap(model, 'b')


def test_records_what_layers_give(model, x):
    taps = ['backbone.layer1', 'neck[0][1]', 'neck[0][-1]']
    with record(model, taps) as feats:
        model(x)
    layer1 = model.backbone.layer1(x)
    layer2 = model.backbone.layer2(layer1)
    assert list(feats) == taps
    assert torch.equal(feats['backbone.layer1'], layer1)
    assert torch.equal(feats['neck[0][1]'], layer2 + 2)
    assert torch.equal(feats['neck[0][-1]'], layer2 + 3)


def test_features_carry_their_graph(model, x):
    with record(model, ['backbone.layer2']) as feats:
        model(x)
    feats['backbone.layer2'].sum().backward()
    assert model.backbone.layer1.weight.grad is not None
    assert model.head.weight.grad is None


def test_the_same_tap_twice_is_one_feature(model, x):
    for stop_early in (True, False):
        with record(model, ['backbone.layer1', 'backbone.layer1'], stop_early) as feats:
            model(x)
        assert list(feats) == ['backbone.layer1']


def test_stop_early_skips_later_layers(model, x):
    with record(model, ['backbone.layer1'], stop_early=True) as feats:
        model(x)
    assert 'backbone.layer1' in feats
    assert 'backbone.layer1' in model.ran
    assert not {'backbone.layer2', 'neck', 'head'} & set(model.ran)


def test_stop_early_waits_for_the_last_tap(model, x):
    with record(model, ['neck[0][0]', 'backbone.layer1'], stop_early=True) as feats:
        model(x)
    assert set(feats) == {'neck[0][0]', 'backbone.layer1'}
    assert 'neck' in model.ran and 'head' not in model.ran


def test_without_stop_early_everything_runs(model, x):
    with record(model, ['backbone.layer1']):
        assert len(model(x)) == 3


def test_stop_early_leaves_grad_mode_alone(model, x):
    with torch.no_grad():
        with record(model, ['backbone.layer1'], stop_early=True):
            model(x)
        assert not torch.is_grad_enabled()
    assert torch.is_grad_enabled()


@pytest.mark.parametrize('stop_early', [True, False])
def test_hooks_are_removed(model, x, stop_early):
    with record(model, ['backbone.layer1', 'neck[0][0]'], stop_early):
        assert num_hooks(model) == 2
        model(x)
    assert num_hooks(model) == 0


def test_hooks_are_removed_after_an_exception(model):
    with pytest.raises(RuntimeError, match='expected input'):
        with record(model, ['backbone.layer1']):
            model(torch.rand(1, 5, 4, 4))
    assert num_hooks(model) == 0


def test_hooks_are_removed_if_a_tap_is_unknown(model):
    with pytest.raises(AttributeError):
        with record(model, ['backbone.layer1', 'nothing']):
            pass
    assert num_hooks(model) == 0


def test_a_layer_that_runs_twice_is_an_error(model, x):
    with pytest.raises(TapError, match="'head' ran more than once"):
        with record(model, ['head']):
            model(x)
    assert num_hooks(model) == 0


def test_runs_of_a_layer_are_told_apart(model, x):
    runs = []
    model.head.register_forward_hook(lambda module, args, output: runs.append(output))
    with record(model, ['head@1', 'head@0']) as features:
        model(x)
    assert torch.equal(features['head@0'], runs[0]) and torch.equal(features['head@1'], runs[1])
    assert not torch.equal(runs[0], runs[1])
    with pytest.raises(TapError, match="'head@9' did not run"):
        with record(model, ['head@9']):
            model(x)


def test_a_layer_that_does_not_run_is_an_error(model, x):
    with pytest.raises(TapError, match="^'idle' did not run"):
        with record(model, ['idle', 'neck[0][0]']):
            model(x)
    assert num_hooks(model) == 0


@pytest.mark.parametrize(
    'at, message',
    [
        ('neck[2]', 'gives 2 outputs, so there is no \\[2\\]'),
        ('neck[0][-4]', 'gives 3 outputs, so there is no \\[-4\\]'),
        ('backbone.layer1[0]', 'gives one output, so there is no \\[0\\]'),
        ('neck', 'a tensor is needed, the layer gives a tuple of 2: pick one, neck\\[0\\]'),
        ('neck[0]', 'gives a tuple of 3: pick one, neck\\[0\\]\\[0\\]'),
        ('neck[1]', 'a tensor is needed, the layer gives a str'),
    ],
)
def test_a_wrong_index_or_type_says_what_there_is(model, x, at, message):
    with pytest.raises(ValueError, match=message):
        with record(model, [at]):
            model(x)


@pytest.fixture
def overwriting():
    """Its second layer overwrites what its first gives."""
    return nn.Sequential(nn.BatchNorm2d(2), nn.ReLU(inplace=True)).eval()


def test_a_feature_that_a_later_layer_overwrites_is_refused(overwriting):
    with pytest.raises(TapError, match="'0' is overwritten in place by a later layer: tap that layer"):
        with record(overwriting, ['0']):
            overwriting(torch.randn(2, 2, 3, 3))
    assert num_hooks(overwriting) == 0


def test_a_pass_that_stops_before_the_overwriting_layer_gives_the_feature(overwriting):
    x = torch.randn(2, 2, 3, 3)
    with record(overwriting, ['0'], stop_early=True) as feats:
        overwriting(x)
    assert (feats['0'] < 0).any() and torch.equal(feats['0'], overwriting[0](x))


class Break(nn.Identity):
    """Ends what is compiled as one piece, as ``Tensor.item()`` does."""

    def forward(self, x):
        torch._dynamo.graph_break()
        return super().forward(x)


@pytest.mark.slow
@pytest.mark.parametrize('stop_early', [True, False])
def test_compiled_code_is_recorded(stop_early):
    """With an in-place layer: compiled code counts changes of a tensor in its own way."""
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(inplace=True), Break(), nn.Conv2d(2, 3, 1))

    def run(x):
        with record(model, ['1', '3'], stop_early) as feats:
            model(x)
        return feats

    x, compiled = torch.randn(2, 2, 3, 3), torch.compile(run, backend='aot_eager')
    for ours, theirs in zip(compiled(x).values(), run(x).values()):
        gradients = [
            torch.autograd.grad(feat.square().sum(), model[0].weight, retain_graph=True)
            for feat in (ours, theirs)
        ]
        torch.testing.assert_close((ours, gradients[0]), (theirs, gradients[1]))
    assert len(compiled(x)) == 2 and num_hooks(model) == 0


def test_groups_of_layers(model):
    below = ('backbone.layer1', 'backbone.layer2')
    assert find_taps(model, 'backbone.*') == find_taps(model, list(below)) == below
    assert find_taps(model, ('neck[0]',)) == ('neck[0]',)
    assert find_taps(model, 'neck[0]') == 'neck[0]'


@pytest.mark.parametrize('at', [[], ['head', 'head'], 'head.*', 'neck[0].*'])
def test_groups_that_are_none(model, at):
    with pytest.raises(ValueError, match=r'^stages\.p3\.at='):
        find_taps(model, at, 'stages.p3.at')


@pytest.mark.parametrize('at', ['*', '.*', ['neck', 'backbone.*'], None, 3])
def test_groups_of_bad_syntax(model, at):
    with pytest.raises(ValueError, match=r'^stages\.p3\.at.*expected a layer'):
        find_taps(model, at, 'stages.p3.at')
