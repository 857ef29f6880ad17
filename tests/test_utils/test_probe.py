"""The blank image leaves no trace in a model."""

import pytest
import tiny
import tiny_cls
import torch

from dpk_mm.utils import probe


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
