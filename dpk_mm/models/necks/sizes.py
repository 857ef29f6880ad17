"""The sizes of a feature-mixing neck's transformers."""

from typing import Optional

from dpk_mm.utils.errors import FieldError

_SIZES = ('embed_dims', 'num_layers', 'num_heads')


def _lean(teacher_channels: int) -> dict:
    num_heads = min(max(teacher_channels // 64, 1), 8)
    return dict(embed_dims=32 * num_heads, num_layers=2, num_heads=num_heads)


def fill_sizes(preset: Optional[str], teacher_channels: int, **given: Optional[dict]) -> list[dict]:
    """Complete the sizes that were given by those of a preset.

    Args:
        preset (str, optional): ``'lean'``, see :class:`dpk_mm.FeatureMixingNeck`.
        teacher_channels (int): C_t.
        **given (dict, optional): Sizes of each transformer, by its name.

    Returns:
        list[dict]: ``embed_dims``, ``num_layers`` and ``num_heads`` of each.

    Raises:
        ValueError: Sizes left out without a preset.
    """
    usual = _lean(teacher_channels) if preset else {}
    filled = []
    for name, sizes in given.items():
        filled.append({**usual, **(sizes or {})})
        if missing := [size for size in _SIZES if size not in filled[-1]]:
            raise FieldError(name, f' needs {", ".join(missing)}, or the neck a preset.')
    return filled
