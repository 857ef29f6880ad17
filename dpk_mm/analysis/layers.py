"""The layers of a model, and the shapes they give."""

from collections.abc import Iterator
from typing import Any, Optional

from mmengine.config import Config
from torch import Tensor, nn

from dpk_mm.utils import blank_shape, is_distiller, main_field, main_model_cfg, teacher_cfg
from dpk_mm.utils.outputs import run_outputs
from dpk_mm.utils.probe import look_twice
from dpk_mm.utils.token_maps import find_layouts, patches_of, to_map

# layer -> shape, or what else is to be said of it
Layers = dict[str, str]


def list_layers(model: nn.Module, depth: int, input_shape: Optional[tuple[int, int]] = None) -> Layers:
    """Run a model on blank images and note what its layers give, in the order they end.

    Args:
        model (nn.Module): A detector or a classifier.
        depth (int): Most names in a layer's path.
        input_shape (tuple[int, int], optional): Height and width of the image; see
            :func:`dpk_mm.utils.run_blank`.

    Returns:
        dict[str, str]: Name as a tap, e.g. ``'neck[0]'``, to shape, e.g. ``'256 x 32 x 32'`` (channels,
        height, width of one image). Tokens have the name that makes a map of them.
    """
    layers: Layers = {}
    size, patches = blank_shape(model, input_shape), patches_of(model)
    ran, sizes = run_outputs(model, depth, size), (size, size)
    second = {tap: (2, *tensor.shape[1:]) for tap, tensor in _all(ran)}
    if any(tensor.ndim == 3 for _, tensor in _all(ran)):  # the patches are seen at a second size
        _, again, sizes = look_twice(lambda *look: run_outputs(model, depth, look[0], images=look[1]), size)
        second = {tap: tensor.shape for tap, tensor in _all(again)}
    for name, runs in ran.items():
        if len(runs) > 1:
            layers[name] = f'runs {len(runs)} times: no layer of a stage'
            continue
        for tap, tensor, version in runs[0]:
            layouts = find_layouts(tensor.shape, second.get(tap, ()), sizes, patches)
            if len(layouts) == 1:
                tap, tensor = f'{tap}[{layouts[0]}]', to_map(tensor, layouts[0], sizes[0])
            layers[tap] = ' x '.join(str(side) for side in tensor.shape[1:])
            if tensor._version != version:
                layers[tap] = 'overwritten by a later layer: no layer of a stage'
            elif tensor.dim() not in (2, 4):
                layers[tap] += ': no map'
            elif len(tensor) != 1:
                layers[tap] += f' of {len(tensor)} regions: no map'
    return layers


def _all(outputs: dict[str, list]) -> Iterator[tuple[str, Tensor]]:
    """All tensors of a run, with their taps."""
    return ((tap, tensor) for runs in outputs.values() for run in runs for tap, tensor, _ in run)


def stages_of(distiller: nn.Module) -> tuple[dict[str, str], dict[str, str]]:
    """Which stages of a distiller read a layer.

    Args:
        distiller (nn.Module): With ``layers``, as :class:`dpk_mm.Distiller` has them.

    Returns:
        tuple[dict[str, str], dict[str, str]]: Of the student and of the teacher: layer -> names of stages.
    """
    found: tuple[dict[str, list[str]], ...] = ({}, {})
    for name, sides in getattr(distiller, 'layers', {}).items():
        for side, at in zip(found, sides):
            for layer in (at,) if isinstance(at, str) else at:
                side.setdefault(layer, []).append(name)
    return tuple({layer: ', '.join(names) for layer, names in side.items()} for side in found)


def models_of(cfg: Config) -> dict[str, Any]:
    """The models of a config that can be built, by the headings of a table.

    Args:
        cfg (Config): Of a model, of a distiller, or of :class:`dpk_mm.SFTN`.

    Returns:
        dict: ``'student'`` and ``'teacher'``, of a plain config ``'student'`` alone, to what
        :func:`dpk_mm.utils.load_model_cfg` takes.
    """
    field, model = main_field(cfg), cfg.get('model')
    if field is None:
        return dict(student=main_model_cfg(cfg))
    teacher = teacher_cfg(model.teacher)['config'] if is_distiller(cfg) else model.teacher
    return {**dict(student=model.student, teacher=teacher), field: main_model_cfg(cfg)}
