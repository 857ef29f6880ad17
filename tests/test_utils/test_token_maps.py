"""Tokens, and maps whose channels stand last, become maps by the name of their layer."""

import pytest
import torch
from torch import nn

from dpk_mm.utils import TapError, check_tap, probe, record
from dpk_mm.utils.token_maps import find_layouts, patch_stride, patches_of, to_map


class Patches(nn.Module):
    """Tokens of patches, of which each knows where it lies: channel 0 is the row, channel 1 the column."""

    def __init__(self, stride, extra=0, ceil_mode=False):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=ceil_mode)
        self.tokens = nn.Identity()
        self.last = nn.Identity()
        self.extra = extra

    def forward(self, images):
        pooled = self.pool(images)
        rows, columns = (torch.arange(float(side)) for side in pooled.shape[2:])
        grid = torch.stack(torch.meshgrid(rows, columns, indexing='ij'), -1) * self.scale
        grid = grid.expand(len(images), *grid.shape)
        self.last(grid)
        return self.tokens(
            torch.cat([grid.new_full((len(images), self.extra, 2), -1), grid.flatten(1, 2)], 1)
        )


@pytest.mark.parametrize('extra', [0, 1, 5])
@pytest.mark.parametrize('size, ceil_mode', [((56, 84), False), ((60, 90), False), ((60, 90), True)])
def test_each_token_is_where_its_patch_was(extra, size, ceil_mode):
    model = Patches(14, extra, ceil_mode)
    taps = [f'tokens[tokens/14{f"+{extra}" * (extra > 0)}]', 'last[channels_last]']
    with record(model, taps) as feats:
        model(torch.zeros(2, 3, *size))
    rows, columns = (-(-side // 14) if ceil_mode else side // 14 for side in size)
    for feat in feats.values():
        assert feat.shape == (2, 2, rows, columns)
        assert torch.equal(feat[1, 0], torch.arange(rows).float()[:, None].expand(-1, columns))
        assert torch.equal(feat[1, 1], torch.arange(columns).float().expand(rows, -1))
    feats[taps[0]].sum().backward()
    assert model.scale.grad is not None


def test_the_size_of_the_image_may_be_a_keyword():
    with record(model := Patches(8), ['tokens[tokens/8]']) as feats:
        model(images=torch.zeros(1, 3, 16, 24))
    assert feats['tokens[tokens/8]'].shape == (1, 2, 2, 3)


@pytest.mark.parametrize(
    'at, message',
    [
        (
            'tokens[tokens/16]',
            r'gives 17 tokens for an image of \(64, 64\), where \[tokens/16\] needs 4 x 4\.',
        ),
        ('tokens[tokens/14+3]', r'gives 17 tokens .* needs 3 \+ 4 x 4 or 3 \+ 5 x 5'),
        ('last[tokens/16]', r'gives \(1, 4, 4, 2\), where \[tokens/16\] needs 3 axes'),
        ('tokens[channels_last]', r'gives \(1, 17, 2\), where \[channels_last\] needs 4 axes'),
    ],
)
def test_tokens_that_do_not_fit_are_refused(at, message):
    model = Patches(16, 1)
    with pytest.raises(TapError, match=message) as error, record(model, [at]):
        model(torch.zeros(1, 3, 64, 64))
    assert error.value.tap == at


@pytest.mark.parametrize(
    'at', ['tokens[tokens]', 'tokens[tokens/0]', 'tokens[tokens/14][0]', 'last[channels-last]']
)
def test_bad_syntax_offers_a_name_that_fits(at):
    with pytest.raises(ValueError, match=r"^stages\.a\.at=.*'backbone\.ln1\[tokens/14\+1\]'"):
        check_tap(Patches(14), at, 'stages.a.at')


VIT = ((224, 224), (96, 160))
FIXED = ((224, 224), (224, 224))


@pytest.mark.parametrize(
    'first, second, sizes, layouts',
    [
        ((1, 197, 8), (2, 61, 8), VIT, ['tokens/16+1']),
        ((1, 196, 8), (2, 60, 8), VIT, ['tokens/16']),
        ((1, 261, 8), (2, 71, 8), VIT, ['tokens/14+5']),  # registers; patches that are not whole are left out
        ((1, 261, 8), (2, 89, 8), VIT, ['tokens/14+5']),  # or padded
        ((1, 197, 8), (2, 197, 8), FIXED, ['tokens/16+1']),
        ((1, 100, 8), (2, 100, 8), VIT, []),  # queries
        ((1, 17, 8), (2, 5, 8), ((64, 64), (32, 32)), ['tokens/16+1']),
        ((1, 26, 8), (2, 10, 8), ((64, 64), (32, 32)), ['tokens/13+1', 'tokens/14+1', 'tokens/15+1']),
        ((1, 7, 7, 96), (2, 3, 5, 96), VIT, ['channels_last']),
        ((1, 96, 7, 7), (2, 96, 3, 5), VIT, []),
        ((1, 10), (2, 10), VIT, []),
        ((197, 1, 8), (61, 2, 8), VIT, []),
        ((1, 8, 196), (2, 8, 60), VIT, []),
    ],
)
def test_two_images_of_two_sizes_say_the_layout(first, second, sizes, layouts):
    assert find_layouts(first, second, sizes) == layouts


def test_of_several_grids_the_one_of_the_models_patches_counts():
    shapes, sizes = ((1, 26, 8), (2, 10, 8)), ((64, 64), (32, 32))
    model = nn.Sequential(nn.Conv2d(3, 8, 14, 14), nn.Conv2d(8, 8, 3, 2), nn.Conv2d(8, 8, 1))
    assert patches_of(model) == {14, 1}
    assert find_layouts(*shapes, sizes, patches_of(model)) == ['tokens/14+1']


def test_the_dry_run_names_the_layout_and_takes_it():
    model = Patches(14, 1)
    with pytest.raises(
        TapError, match=r"'tokens' gives tokens, \(1, 257, 2\) .* with \[tokens/14\+1\] behind it"
    ):
        probe(model, ['tokens'], (224, 224))
    assert probe(model, ['tokens[tokens/14+1]'], (224, 224))['tokens[tokens/14+1]'] == (1, 2, 16, 16)


def test_the_patch_is_read_off_the_name():
    names = ['neck[1]', 'a.b[0][tokens/14+1]', 'a[channels_last]', 'a[tokens/8]']
    assert [patch_stride(name) for name in names] == [1, 14, 1, 8]


def test_a_map_is_a_view():
    tokens = torch.zeros(2, 7, 3)
    to_map(tokens, 'tokens/2+1', (4, 6))[:] = 1
    assert tokens[:, 0].sum() == 0 and tokens.sum() == 36
