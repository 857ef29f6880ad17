import math

import pytest
import torch

from dpk_mm.models.necks.vit import Attention, Block, Transformer, sincos_positions


@pytest.mark.parametrize('dims, heads', [(8, 1), (8, 2), (12, 3)])
def test_attention_is_the_formula(dims, heads):
    torch.manual_seed(0)
    attention = Attention(dims, heads).double()
    torch.nn.init.normal_(attention.qkv.q_bias)
    torch.nn.init.normal_(attention.qkv.v_bias)
    x = torch.randn(2, 5, dims, dtype=torch.float64)
    weight, d = attention.qkv.weight, dims // heads
    expected = torch.zeros(2, 5, dims, dtype=torch.float64)
    for b in range(2):
        q = x[b] @ weight[:dims].T + attention.qkv.q_bias
        k = x[b] @ weight[dims : 2 * dims].T  # no bias
        v = x[b] @ weight[2 * dims :].T + attention.qkv.v_bias
        for h in range(heads):
            part = slice(h * d, (h + 1) * d)
            scores = torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(d), dim=1)
            expected[b, :, part] = scores @ v[:, part]
    expected = expected @ attention.proj.weight.T + attention.proj.bias
    torch.testing.assert_close(attention(x), expected)


def test_attentions_parameters_are_the_snapshots():
    shapes = {name: tuple(p.shape) for name, p in Attention(8, 2).named_parameters()}
    assert shapes == {
        'qkv.q_bias': (8,),
        'qkv.v_bias': (8,),
        'qkv.weight': (24, 8),
        'proj.weight': (8, 8),
        'proj.bias': (8,),
    }


def test_block_is_pre_norm_with_residuals():
    torch.manual_seed(0)
    block = Block(8, 2).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)

    def norm(x):
        return (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-6).sqrt()

    middle = x + block.attn(norm(x))
    first, _, second = block.mlp
    hidden = norm(middle) @ first.weight.T + first.bias
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))  # GELU
    assert hidden.shape[-1] == 32
    torch.testing.assert_close(block(x), middle + hidden @ second.weight.T + second.bias)


def test_transformer_ends_with_a_norm():
    out = Transformer(16, 2, 4)(torch.randn(2, 5, 16))
    torch.testing.assert_close(out.mean(-1), torch.zeros(2, 5), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(-1, correction=0), torch.ones(2, 5), atol=1e-3, rtol=0)


def test_transformer_takes_no_tokens():
    assert Transformer(16, 2, 4)(torch.rand(2, 0, 16)).shape == (2, 0, 16)


def test_order_of_tokens_means_nothing_without_positions():
    transformer = Transformer(16, 2, 4)
    x, order = torch.randn(1, 6, 16), torch.randperm(6)
    torch.testing.assert_close(transformer(x[:, order]), transformer(x)[:, order])


@pytest.mark.parametrize(
    'sizes, message',
    [
        (dict(embed_dims=0), 'embed_dims must be a positive integer, got 0'),
        (dict(num_layers=0), 'num_layers must be a positive integer, got 0'),
        (dict(num_heads=-2), 'num_heads must be a positive integer, got -2'),
        (dict(embed_dims=16.0), 'embed_dims must be a positive integer, got 16.0'),
        (dict(embed_dims=9, num_heads=3), 'even and a multiple of num_heads, got 9 and 3'),
        (dict(embed_dims=16, num_heads=5), 'even and a multiple of num_heads, got 16 and 5'),
    ],
)
def test_sizes_that_do_not_fit_are_errors(sizes, message):
    with pytest.raises(ValueError, match=message):
        Transformer(**dict(dict(embed_dims=16, num_layers=1, num_heads=4), **sizes))


@pytest.mark.parametrize('num, dims', [(1, 2), (7, 8), (300, 64)])
def test_positions_are_the_sincos_formula(num, dims):
    table = sincos_positions(num, dims, torch.device('cpu'))
    assert table.shape == (num, dims) and table.dtype == torch.float32
    for position in (0, num // 2, num - 1):
        for i in range(dims // 2):
            angle = position / 10000 ** (i / (dims / 2))
            assert table[position, i].item() == pytest.approx(math.sin(angle), abs=1e-4)
            assert table[position, dims // 2 + i].item() == pytest.approx(math.cos(angle), abs=1e-4)


def test_positions_stay_exact_under_autocast():
    expected = sincos_positions(400, 16, torch.device('cpu'))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(sincos_positions(400, 16, torch.device('cpu')), expected)
