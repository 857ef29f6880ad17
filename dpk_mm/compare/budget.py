"""Give a training another length, and its schedule with it."""

from typing import Any, Dict, List, Tuple

from mmengine.config import Config

from dpk_mm.utils.runner import type_name

_BOUNDS = ('begin', 'end', 'T_max')  # may lie within an epoch where a schedule goes by iterations
_COUNTS = ('step_size', 'total_steps', 'milestones', 'periods')
_FOREVER = 1e9  # mmengine's own for an `end` that never comes


def counts_epochs(cfg: Config) -> bool:
    """Whether a config's training is so many epochs long, not so many iterations.

    Args:
        cfg (Config): With a ``train_cfg``.

    Returns:
        bool: True for epochs.
    """
    return cfg.train_cfg.get('by_epoch', not type_name(cfg.train_cfg).endswith('IterBasedTrainLoop'))


def check_budget(budget: Any) -> Tuple[str, int]:
    """Take a budget apart.

    Args:
        budget (Any): ``dict(max_epochs=...)`` or ``dict(max_iters=...)``.

    Returns:
        tuple[str, int]: Its one field.

    Raises:
        ValueError: It is something else.
    """
    if isinstance(budget, dict) and len(budget) == 1:
        ((unit, length),) = budget.items()
        if unit in ('max_epochs', 'max_iters') and type(length) is int and length > 0:
            return unit, length
    raise ValueError(f'budget must be dict(max_epochs=N) or dict(max_iters=N), got {budget!r}')


def set_budget(cfg: Config, budget: Dict[str, int]) -> None:
    """Change the length of a training; what its schedule counts in the same unit is scaled with it.

    A warm-up that counts iterations in a training that counts epochs stays as it is, as do hooks that wait
    for an epoch. Parts of a schedule that would last no time are dropped.

    Args:
        cfg (Config): Is changed.
        budget (dict): ``max_epochs`` or ``max_iters``.

    Raises:
        ValueError: Epochs are asked of a training that counts iterations.
    """
    unit, length = check_budget(budget)
    by_epoch = counts_epochs(cfg)
    if unit == 'max_epochs' and not by_epoch:
        raise ValueError('budget: the training counts iterations, give dict(max_iters=N)')
    scale = length / cfg.train_cfg['max_epochs' if by_epoch else 'max_iters']
    to_iters = by_epoch and unit == 'max_iters'
    if to_iters:
        cfg.train_cfg = dict(by_epoch=False, max_iters=length)
        cfg.log_processor = dict(cfg.get('log_processor') or {}, by_epoch=False)
    else:
        cfg.train_cfg[unit] = length
    schedule = cfg.get('param_scheduler')
    if isinstance(schedule, dict) and 'type' not in schedule:  # one for each optimizer
        cfg.param_scheduler = {
            name: _scaled(part, scale, by_epoch, to_iters) for name, part in schedule.items()
        }
    elif schedule:
        cfg.param_scheduler = _scaled(schedule, scale, by_epoch, to_iters)


def _scaled(schedule: Any, scale: float, by_epoch: bool, to_iters: bool) -> List[dict]:
    """Scale the parts of a schedule that count in the training's unit."""
    parts = []
    for part in schedule if isinstance(schedule, (list, tuple)) else [schedule]:
        part = dict(part)
        if part.get('by_epoch', True) == by_epoch:
            fine = part.get('convert_to_iter_based', False) and not to_iters
            for name in _BOUNDS:
                if part.get(name) is not None and part[name] < _FOREVER:
                    part[name] = part[name] * scale if fine else round(part[name] * scale)
            for name in set(_COUNTS) & set(part):
                part[name] = _counts(part[name], scale)
            if to_iters:
                part.pop('convert_to_iter_based', None)
                part['by_epoch'] = False
        period = part.get('T_max')
        if part.get('end', _FOREVER) > part.get('begin', 0) and (period is None or period > 0):
            parts.append(part)
    return parts


def _counts(value: Any, scale: float) -> Any:
    if isinstance(value, (list, tuple)):
        return [_counts(item, scale) for item in value]
    return max(1, round(value * scale))
