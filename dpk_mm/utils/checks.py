"""Checks of numbers and switches in configs."""

import math
from typing import Any, Optional


def check_number(
    value: Any, field: str, least: Optional[float] = None, above: Optional[float] = None
) -> float:
    """Check a number of a config.

    Args:
        value (Any): What the config says.
        field (str): Its name there, for the message.
        least (float, optional): The smallest number that fits.
        above (float, optional): A number that it must exceed.

    Returns:
        float: The value as it came.

    Raises:
        ValueError: It is no finite number, or too small; names the field, what came and what would fit.
    """
    wanted = 'a number'
    if least is not None:
        wanted += f' from {least:g} on'
    if above is not None:
        wanted += f' above {above:g}'
    fits = (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and (least is None or value >= least)
        and (above is None or value > above)
    )
    if not fits:
        raise ValueError(f'{field} must be {wanted}, got {value!r}.')
    return value


def check_bool(value: Any, field: str) -> bool:
    """Check a switch of a config: the command line gives a text for anything but True and False.

    Args:
        value (Any): What the config says.
        field (str): Its name there, for the message.

    Returns:
        bool: The value as it came.

    Raises:
        ValueError: It is neither True nor False; names the field and what came.
    """
    if not isinstance(value, bool):
        raise ValueError(f'{field} must be True or False, got {value!r}.')
    return value


def check_shape(value: Any, field: str) -> tuple[int, int]:
    """Check a height and a width.

    Args:
        value (Any): What the config says.
        field (str): Its name there, for the message.

    Returns:
        tuple[int, int]: The two.

    Raises:
        ValueError: They are not two positive integers; names the field and what came.
    """
    fits = isinstance(value, (list, tuple)) and len(value) == 2
    if not fits or not all(type(side) is int and side > 0 for side in value):
        raise ValueError(f'{field} must be a height and a width, such as (800, 1344), got {value!r}.')
    return tuple(value)
