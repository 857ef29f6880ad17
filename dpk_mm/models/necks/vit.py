"""The plain vision transformer that feature-mixing necks are made of (authors' code).

Norms have an epsilon of 1e-6 everywhere (ours); the authors' code has 1e-5 in detection.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dpk_mm.utils.checks import checked
from dpk_mm.utils.hints import Count


class QKV(nn.Linear):
    """The projection to q, k and v: learned biases for q and v, none for k.

    A module, as FSDP gathers what is called.

    Args:
        embed_dims (int): Width D.
    """

    def __init__(self, embed_dims: int) -> None:
        super().__init__(embed_dims, 3 * embed_dims, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(embed_dims))
        self.v_bias = nn.Parameter(torch.zeros(embed_dims))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, 3D)."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])
        return F.linear(x, self.weight, bias)


class Attention(nn.Module):
    """Multi-head self-attention.

    Args:
        embed_dims (int): Width D, a multiple of ``num_heads``.
        num_heads (int): Number of heads.
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = QKV(embed_dims)
        self.proj = nn.Linear(embed_dims, embed_dims)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        # (B, N, 3D) -> three of (B, heads, N, D / heads)
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj(x.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Pre-norm transformer block with an MLP of four times the width; no dropout, no layer scale.

    Args:
        embed_dims (int): Width D.
        num_heads (int): Number of heads.
    """

    def __init__(self, embed_dims: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.attn = Attention(embed_dims, num_heads)
        self.norm2 = nn.LayerNorm(embed_dims, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(embed_dims, 4 * embed_dims), nn.GELU(), nn.Linear(4 * embed_dims, embed_dims)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Sequential):
    """``num_layers`` blocks and a final norm; (B, N, D) -> (B, N, D), any N, none included.

    Args:
        embed_dims (int): Width D, even (the position table halves it), a multiple of ``num_heads``.
        num_layers (int): Number of blocks.
        num_heads (int): Heads a block.

    Raises:
        ValueError: A number that does not fit.
    """

    @checked
    def __init__(self, embed_dims: Count, num_layers: Count, num_heads: Count) -> None:
        if embed_dims % num_heads or embed_dims % 2:
            raise ValueError(
                f'embed_dims must be even and a multiple of num_heads, got {embed_dims} and {num_heads}.'
            )
        super().__init__(
            *(Block(embed_dims, num_heads) for _ in range(num_layers)),
            nn.LayerNorm(embed_dims, eps=1e-6),
        )


def sincos_positions(num: int, dims: int, device: torch.device) -> Tensor:
    """Fixed 1-D sine-cosine table over the flattened grid, base 10000 (authors' code).

    All sines come before all cosines (ours). The authors' code interleaves them, which permutes the widths
    and changes nothing else.

    Args:
        num (int): Number of positions N.
        dims (int): Width D, even: D / 2 sines, then D / 2 cosines.
        device (torch.device): Where to build it.

    Returns:
        Tensor: (N, D) float32.
    """
    frequency = 10000 ** (-torch.arange(0, dims, 2, device=device, dtype=torch.float32) / dims)
    angle = torch.arange(num, device=device, dtype=torch.float32)[:, None] * frequency
    return torch.cat([angle.sin(), angle.cos()], dim=1)
