"""What the input of a comparison says."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Dict, List, Optional, Union

from mmengine.config import Config

from dpk_mm.compare.budget import check_budget
from dpk_mm.compare.fairness import FIELDS
from dpk_mm.utils import teacher_cfg
from dpk_mm.utils.errors import shown
from dpk_mm.utils.hints import Range, Seed, check

Percent = Annotated[float, Range(least=0, most=100)]


@dataclass
class Row:
    """One row of the table.

    Attributes:
        name (str): In the table.
        allow (list[str]): In what it may differ from the student alone.
        is_alone (bool): Whether it is the student alone.
        seeds (list[int]): It is trained once a seed.
    """

    name: str
    allow: List[str]
    is_alone: bool
    seeds: List[int]


@dataclass
class Comparison:
    """What an input says.

    Attributes:
        base (str): Config of the student alone.
        methods (dict): Name -> None (the student alone), a config file, or a dict: fields to merge into the
            base, or into the file that its ``config`` names; ``allow``, fields that may differ; ``options``,
            as below; ``teacher`` and ``seeds``, others.
        seeds (list[int]): Each method is trained once a seed.
        teacher (dict, optional): Arguments of :class:`dpk_mm.FrozenTeacher`, for all; an input may also say
            ``'CONFIG:CHECKPOINT'``.
        budget (dict, optional): ``max_epochs`` or ``max_iters``, for all.
        options (dict): As ``--cfg-options``, for all; ``model.`` is the student.
        metric (str, optional): The metric of the table; by default top-1 accuracy, the box AP of COCO
            or VOC, or mIoU.
        reference (str, optional): A method that the others are compared with, beside the student alone.
        published (dict): Method -> what others report of it, in percent.
    """

    base: str
    methods: Dict[str, Any]
    seeds: List[int]
    teacher: Optional[dict] = None
    budget: Optional[dict] = None
    options: Dict[str, Any] = field(default_factory=dict)
    metric: Optional[str] = None
    reference: Optional[str] = None
    published: Dict[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> List[Row]:
        """The rows of the table, in the order of the input."""
        rows = []
        for name, spec in self.methods.items():
            own = spec if isinstance(spec, dict) else {}
            allow = [*own.get('allow', ()), *(['teacher'] if 'teacher' in own else [])]
            seeds = own.get('seeds', self.seeds)
            rows.append(Row(name, allow, spec in (None, self.base), list(seeds)))
        return rows


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
    for name, kind, words in (
        ('base', str, 'a config file'),
        ('methods', dict, 'a dict of at least one method'),
        ('seeds', (list, tuple), 'a list of at least one whole number'),
    ):
        if not isinstance(given.get(name), kind) or not given[name]:
            raise ValueError(f'{name} must be {words}, got {shown(given.get(name))}')
    kinds = dict(options=dict, metric=str, reference=str, published=dict)
    for name, kind in kinds.items():
        check(given.get(name), Optional[kind], name)
    comparison = Comparison(**{key: value for key, value in given.items() if value is not None})
    for key in comparison.options:
        check(key, str, 'options: a key')
    comparison.teacher = _teacher('teacher', comparison.teacher)
    _check_seeds('seeds', comparison.seeds)
    if comparison.reference is not None and comparison.reference not in comparison.methods:
        raise ValueError(f'reference={comparison.reference!r}: no such method')
    for name, number in comparison.published.items():
        if name not in comparison.methods:
            raise ValueError(f'published[{name!r}]: no such method')
        check(number, Percent, f'published[{name!r}]')
    if comparison.budget is not None:
        check_budget(comparison.budget)
    for name, spec in comparison.methods.items():
        # it becomes a cell of a table, and a part of the name of a folder
        if not (isinstance(name, str) and 0 < len(name) <= 100 and name.isprintable() and '|' not in name):
            raise ValueError(f'methods: a name must be a text of one line without |, got {name!r}')
        if not (spec is None or isinstance(spec, (str, dict))):
            raise ValueError(f'method {name!r} must be None, a config file or a dict, got {spec!r}')
        if not isinstance(spec, dict):
            continue
        for own, kind in (('config', str), ('options', dict)):
            check(spec.get(own), Optional[kind], f'method {name!r}: {own}')
        if 'seeds' in spec:
            _check_seeds(f'method {name!r}: seeds', spec['seeds'])
        _teacher(f'method {name!r}: teacher', spec.get('teacher'))
        allow = spec.get('allow', [])
        if not isinstance(allow, (list, tuple)) or any(str(one).split('.')[0] not in FIELDS for one in allow):
            raise ValueError(f'method {name!r}: allow is a list of {", ".join(FIELDS)}, got {allow!r}')
    return comparison


def _check_seeds(name: str, seeds: Any) -> None:
    """Refuse what is no list of different seeds."""
    if isinstance(seeds, (list, tuple)):
        check(seeds, List[Seed], name)
    if not (seeds and isinstance(seeds, (list, tuple)) and len(set(seeds)) == len(seeds)):
        raise ValueError(f'{name} must be different whole numbers, got {seeds!r}')


def _teacher(name: str, teacher: Union[str, dict, None]) -> Optional[dict]:
    """A teacher as a dict; refuses one without config."""
    if teacher is None:
        return None
    if not isinstance(teacher, str) and not (isinstance(teacher, dict) and 'config' in teacher):
        raise ValueError(
            f"{name} must be 'CONFIG:CHECKPOINT' or dict(config=..., checkpoint=...), got {shown(teacher)}"
        )
    return teacher_cfg(teacher)
