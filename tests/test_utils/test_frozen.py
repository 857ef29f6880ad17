import tiny
import tiny_cls
import torch
from torch import nn

from dpk_mm.utils.frozen import frozen_layers, layer_of


def test_layers_before_the_first_that_trains_are_frozen():
    model = tiny.build(tiny_cls.classifier(depth=14))
    assert frozen_layers(model, (32, 32)) == frozenset()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(
            not name.startswith(('backbone.stem', 'backbone.layer1', 'backbone.layer2.0'))
        )
    found = frozen_layers(model, (32, 32))
    assert {'backbone.stem', 'backbone.layer1', 'backbone.layer1.0'} <= found
    assert not {'backbone', 'backbone.layer2', 'backbone.layer3', 'neck', 'head'} & found
    model.requires_grad_(False)
    assert frozen_layers(model, (32, 32)) == frozenset()


class Tokens(nn.Module):
    """Its own parameter enters before its layers; the first layer runs once more in the end."""

    def __init__(self, learns):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(3, 1, 1), requires_grad=learns)
        self.first, self.second = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        self.first.requires_grad_(False)

    def forward(self, images):
        frozen = self.first(images + self.token)
        return self.first(self.second(frozen)) if images.shape[-1] == 8 else self.second(frozen)


def test_what_a_parent_holds_may_enter_before_its_parts():
    assert frozen_layers(Tokens(True), (16, 16)) == frozenset()
    assert frozen_layers(Tokens(False), (16, 16)) == {'first'}


def test_a_layer_that_runs_again_later_is_not_frozen():
    assert frozen_layers(Tokens(False), (8, 8)) == frozenset()


def test_the_layer_of_a_tap():
    assert [layer_of(tap) for tap in ('neck[0]', 'head.fc@2', 'backbone.a[tokens/14+1]')] == [
        'neck',
        'head.fc',
        'backbone.a',
    ]
