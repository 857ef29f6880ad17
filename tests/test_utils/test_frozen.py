import pytest
import tiny
import tiny_cls
import torch
from torch import nn

from dpk_mm.utils.frozen import frozen_taps, output_of


def test_layers_before_the_first_that_trains_are_frozen():
    model = tiny.build(tiny_cls.classifier(depth=14))
    assert frozen_taps(model, (32, 32)) == frozenset()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(
            not name.startswith(('backbone.stem', 'backbone.layer1', 'backbone.layer2.0'))
        )
    found = frozen_taps(model, (32, 32))
    assert {'backbone.stem', 'backbone.layer1', 'backbone.layer1.0'} <= found
    assert not {'backbone', 'backbone.layer2', 'backbone.layer3', 'neck', 'head'} & found
    model.requires_grad_(False)
    assert frozen_taps(model, (32, 32)) == frozenset()


class Prompts(nn.Module):
    """Prompts enter before frozen layers; the first layer may run once more in the end."""

    def __init__(self, learns):
        super().__init__()
        self.prompts = nn.ParameterList([torch.zeros(3, 1, 1)]).requires_grad_(learns)
        self.first, self.second, self.pair = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1), Pair()
        self.first.requires_grad_(False)

    def forward(self, images):
        first = self.first(images + self.prompts[0])
        self.pair(first, self.second(first))
        return self.first(self.second(first)) if images.shape[-1] == 8 else first


class Pair(nn.Module):
    def forward(self, *maps):
        return maps


def test_prompts_train_what_comes_behind_them():
    assert frozen_taps(Prompts(True), (16, 16)) == frozenset()


def test_each_output_of_a_layer_is_looked_at():
    assert frozen_taps(Prompts(False), (16, 16)) == {'first', 'pair[0]'}


def test_a_layer_that_runs_again_later_is_not_frozen():
    assert frozen_taps(Prompts(False), (8, 8)) == {'pair[0]'}


def test_what_ran_until_a_failure_counts():
    model = Prompts(False)
    model.pair.forward = None
    assert frozen_taps(model, (16, 16)) == {'first'}


@pytest.mark.parametrize(
    'tap, output',
    [('neck[0]', 'neck[0]'), ('head.fc@2', 'head.fc'), ('backbone.a[1][tokens/14+1]', 'backbone.a[1]')],
)
def test_the_output_of_a_tap(tap, output):
    assert output_of(tap) == output
