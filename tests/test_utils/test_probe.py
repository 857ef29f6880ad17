"""The blank image leaves no trace in a model."""

import pytest
import tiny
import tiny_cls
import torch

from dpk_mm.utils import probe
from dpk_mm.utils.probe import look_twice, misfit


@pytest.mark.parametrize('make, tap', [(tiny.retinanet, 'neck[0]'), (tiny_cls.classifier, 'backbone.layer3')])
def test_the_dry_run_leaves_modes_gradients_and_random_state(make, tap):
    model = tiny.build(make()).train()
    model.backbone.layer1.eval()  # as `norm_eval` and frozen stages have it
    modes = {name: module.training for name, module in model.named_modules()}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    probe(model, [tap], (64, 64))
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert set(modes.values()) == {True, False}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state) and torch.is_grad_enabled()


SIZES = ((224, 224), (96, 160))


@pytest.mark.parametrize(
    'first, second, sizes, problem',
    [
        ((1, 96, 7, 7), (2, 96, 3, 5), SIZES, None),
        ((1, 96, 1, 1), (2, 96, 1, 1), SIZES, None),
        ((1, 96, 7, 7), (2, 96, 7, 7), SIZES, None),  # pooled to one size
        ((1, 10), (2, 10), SIZES, None),
        ((1, 49, 96), (2, 15, 96), SIZES, 'gives tokens, .* with [tokens/32] behind it'),
        ((1, 100, 96), (2, 100, 96), SIZES, 'nor tokens of one grid'),  # queries
        ((1, 7, 7, 96), (2, 3, 5, 96), SIZES, 'channels last'),
        ((1, 7, 7, 96), (2, 7, 7, 96), ((224, 224),) * 2, 'channels last'),  # takes one size alone
        ((1, 96, 7, 7), (2, 96, 7, 7), ((224, 224),) * 2, None),
        ((1, 8, 5, 8), (2, 8, 5, 8), ((160, 256),) * 2, None),
        ((1, 1, 100, 80), (1, 2, 100, 80), SIZES, 'one row an image'),
        ((6, 1, 100, 80), (6, 2, 100, 80), SIZES, 'one row an image'),
        ((50, 256, 7, 7), (100, 256, 7, 7), SIZES, 'one row an image'),
        ((1, 4704), (2, 1440), SIZES, 'a width that follows the size'),
        ((1, 49, 7, 7), (2, 15, 3, 5), SIZES, 'a width that follows the size'),
        ((1, 96, 14, 14), (2, 96, 10, 6), SIZES, 'its width before its height'),
        ((1, 0, 7, 7), (2, 0, 3, 5), SIZES, 'gives nothing'),
    ],
)
def test_two_images_of_two_sizes_say_what_the_axes_are(first, second, sizes, problem):
    found = misfit(torch.Size(first), torch.Size(second), sizes)
    assert found is None if problem is None else all(part in found for part in problem.split('.*'))


def test_a_model_of_one_size_is_shown_two_images_of_it():
    def look(size, images):
        assert size == (32, 32)
        return images

    assert look_twice(look, (32, 32)) == (1, 2, ((32, 32), (32, 32)))
