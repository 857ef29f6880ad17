"""What the runs found: their metrics, gains and costs."""

import math
import statistics
from typing import Any, Dict, List, Optional

# method -> seed -> what its run found
Results = Dict[str, Dict[int, Dict[str, Any]]]
_USUAL = (
    'accuracy/top1', 'coco/bbox_mAP', 'pascal_voc/mAP', 'lvis/bbox_AP', 'cityscapes/mAP', 'crowd_human/mAP',
    'mIoU',
)  # fmt: skip
# the metrics of mmdet that are fractions; all others of OpenMMLab are in percent
_FRACTIONS = {
    'coco', 'pascal_voc', 'lvis', 'lvis_fixed_ap', 'cityscapes', 'openimages', 'crowd_human', 'dod',
    'youtube_vis',
}  # fmt: skip


def find_metric(results: Results, wanted: Optional[str] = None) -> str:
    """Find the metric of the table.

    Args:
        results (dict): Of all runs.
        wanted (str, optional): What the input names.

    Returns:
        str: Its name upstream.

    Raises:
        ValueError: There is no such metric, or it must be named.
    """
    names = sorted(
        {name for seeds in results.values() for result in seeds.values() for name in result['metrics']}
    )
    if wanted is not None:
        if wanted not in names:
            raise ValueError(f'metric={wanted!r}: the tests gave {", ".join(names) or "none"}')
        return wanted
    usual = [name for name in _USUAL if name in names]
    if not usual and len(names) > 1:
        raise ValueError(
            'the tests gave several metrics, give metric= (with --baseline: --metric) one of '
            f'{", ".join(names)}'
        )
    if not names:
        raise ValueError('the tests gave no metric')
    return (usual or names)[0]


def value(result: Dict[str, Any], metric: str) -> float:
    """Get a metric in percent.

    Args:
        result (dict): Of one run.
        metric (str): Its name.

    Returns:
        float: 0 where a detector's test gives none, as mmdet does where nothing was detected; NaN where any
        other test gives none.
    """
    # a set of several, or a prefix of the user's, stands before
    *prefixes, name = metric.split('/')
    is_detection = not _FRACTIONS.isdisjoint(prefixes) or name.startswith(('bbox_', 'segm_'))
    number = result['metrics'].get(metric, 0.0 if is_detection else math.nan)
    return 100 * number if is_detection else number


def values(results: Results, metric: str) -> Dict[str, Dict[int, float]]:
    """Get a metric of all runs.

    Args:
        results (dict): Of all runs.
        metric (str): Its name.

    Returns:
        dict: Method -> seed -> value, in percent.
    """
    return {
        name: {seed: value(result, metric) for seed, result in seeds.items()}
        for name, seeds in results.items()
    }


def gains(found: Dict[str, Dict[int, float]], name: str, other: str) -> List[float]:
    """Subtract the values of a method from those of another, seed by seed.

    Args:
        found (dict): From :func:`values`.
        name (str): The method that gains.
        other (str): The method it is compared with.

    Returns:
        list[float]: One a seed that both have.
    """
    own, theirs = found.get(name, {}), found.get(other, {})
    return [own[seed] - theirs[seed] for seed in own if seed in theirs]


def step_costs(results: Results, alone: Optional[str] = None) -> Dict[str, float]:
    """Get what a step of each method costs.

    Args:
        results (dict): Of all runs.
        alone (str, optional): The student alone, in whose steps the costs are told; seconds without.

    Returns:
        dict: Method -> median of its runs.
    """
    costs = medians(results, step_time(results))
    unit = costs.get(alone, 1.0)
    return {name: cost / unit for name, cost in costs.items()}


def medians(results: Results, key: str) -> Dict[str, float]:
    """Get the median of a figure over the runs of each method.

    Args:
        results (dict): Of all runs.
        key (str): Name of the figure.

    Returns:
        dict: Method -> median; without methods that have no run.
    """
    return {
        name: statistics.median(result[key] for result in own.values())
        for name, own in results.items()
        if own
    }


def step_time(results: Results) -> str:
    """Name the figure by which the times of steps are compared.

    Args:
        results (dict): Of all runs.

    Returns:
        str: ``'seconds'`` on a GPU; else ``'cpu_seconds'``, which suffer little from what runs beside.
    """
    on_gpu = any(result['memory_kind'] == 'CUDA' for own in results.values() for result in own.values())
    return 'seconds' if on_gpu else 'cpu_seconds'
