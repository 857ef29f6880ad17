"""What the input of a comparison says."""

from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Optional

from mmengine.config import Config

from dpk_mm.benchmark.budget import check_budget
from dpk_mm.benchmark.fairness import FIELDS


@dataclass
class Comparison:
    """What an input says.

    Attributes:
        base (str): Config of the student alone.
        methods (dict): Name -> None (the student alone), a config file, or a dict: fields to merge into the
            base, or into the file that its ``config`` names; ``allow``, fields that may differ; ``options``,
            as below; ``teacher``, another one.
        seeds (list[int]): Each method is trained once a seed.
        teacher (dict, optional): Arguments of :class:`dpk_mm.FrozenTeacher`, for all.
        budget (dict, optional): ``max_epochs`` or ``max_iters``, for all.
        options (dict): As ``--cfg-options``, for all; ``model.`` is the student.
        metric (str, optional): The metric of the table; by default top-1 accuracy or COCO's box AP.
        reference (str, optional): A method that the others are compared with, beside the student alone.
    """

    base: str
    methods: Dict[str, Any]
    seeds: List[int]
    teacher: Optional[dict] = None
    budget: Optional[dict] = None
    options: Dict[str, Any] = field(default_factory=dict)
    metric: Optional[str] = None
    reference: Optional[str] = None


def read(cfg: Config) -> Comparison:
    """Check an input.

    Args:
        cfg (Config): As loaded; fields that begin with ``_`` are the input's own helpers.

    Returns:
        Comparison: What it says.

    Raises:
        ValueError: A field is missing, unknown or of the wrong kind.
    """
    given = {key: value for key, value in cfg.to_dict().items() if not key.startswith('_')}
    known = [item.name for item in fields(Comparison)]
    for name in given:
        if name not in known:
            raise ValueError(
                f'no field {name!r}; there are {", ".join(known)}, and _names for your own helpers'
            )
    for name, kind in (('base', str), ('methods', dict), ('seeds', (list, tuple))):
        if not isinstance(given.get(name), kind) or not given[name]:
            raise ValueError(f'{name} must be a {getattr(kind, "__name__", "list")}, got {given.get(name)!r}')
    comparison = Comparison(**given)
    seeds = list(comparison.seeds)
    if not all(type(seed) is int for seed in seeds) or len(set(seeds)) < len(seeds):
        raise ValueError(f'seeds must be different whole numbers, got {seeds}')
    if comparison.reference is not None and comparison.reference not in comparison.methods:
        raise ValueError(f'reference={comparison.reference!r}: no such method')
    if comparison.budget is not None:
        check_budget(comparison.budget)
    for name, spec in comparison.methods.items():
        if not (spec is None or isinstance(spec, (str, dict))):
            raise ValueError(f'method {name!r} must be None, a config file or a dict, got {spec!r}')
        allow = spec.get('allow', []) if isinstance(spec, dict) else []
        if not isinstance(allow, (list, tuple)) or any(item.split('.')[0] not in FIELDS for item in allow):
            raise ValueError(f'method {name!r}: allow is a list of {", ".join(FIELDS)}, got {allow!r}')
    return comparison
