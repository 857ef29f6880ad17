"""The layers of a model, and the shapes they give."""

from collections.abc import Iterator
from typing import Any, Optional

from mmengine.config import Config
from torch import Tensor, nn

from dpk_mm.utils import is_distiller, main_field, main_model_cfg, run_blank

# layer -> shape, or what else is to be said of it
Layers = dict[str, str]


def list_layers(model: nn.Module, depth: int, input_shape: Optional[tuple[int, int]] = None) -> Layers:
    """Run a model on a blank image and note what its layers give, in the order they end.

    Args:
        model (nn.Module): A detector or a classifier.
        depth (int): Most names in a layer's path.
        input_shape (tuple[int, int], optional): Height and width of the image; see
            :func:`dpk_mm.utils.run_blank`.

    Returns:
        dict[str, str]: Name as a tap, e.g. ``'neck[0]'``, to shape, e.g. ``'256 x 32 x 32'`` (channels,
        height, width of one image).
    """
    layers: Layers = {}
    for name, runs in run_outputs(model, depth, input_shape).items():
        if len(runs) > 1:
            layers[name] = f'runs {len(runs)} times: no tap'
            continue
        for tap, tensor, version in runs[0]:
            layers[tap] = ' x '.join(str(side) for side in tensor.shape[1:])
            if tensor._version != version:
                layers[tap] = 'overwritten by a later layer: no tap'
            elif tensor.dim() not in (2, 4):
                layers[tap] += ': no map'
            elif len(tensor) != 1:
                layers[tap] += f' of {len(tensor)} regions: no map'
    return layers


def run_outputs(
    model: nn.Module, depth: int, input_shape: Optional[tuple[int, int]] = None
) -> dict[str, list[list[tuple[str, Tensor, int]]]]:
    """Run a model on a blank image and keep what its layers give.

    Args:
        model (nn.Module): A detector or a classifier.
        depth (int): Most names in a layer's path.
        input_shape (tuple[int, int], optional): As for :func:`list_layers`.

    Returns:
        dict: Layer -> for each time it ran, its tensors: tap, tensor and version, which grows when the tensor
        is overwritten. In the order the layers end for the last time.
    """
    outputs: dict[str, list[list[tuple[str, Tensor, int]]]] = {}
    handles = []

    def hook_for(name: str) -> Any:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            run = [(tap, tensor, tensor._version) for tap, tensor in _tensors(name, output)]
            outputs[name] = [*outputs.pop(name, []), run]

        return hook

    try:
        for name, module in model.named_modules():
            if name and name.count('.') < depth and name != 'data_preprocessor':
                handles.append(module.register_forward_hook(hook_for(name)))
        run_blank(model, input_shape)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _tensors(tap: str, output: Any) -> Iterator[tuple[str, Tensor]]:
    """All tensors of an output, with the taps that pick them."""
    if isinstance(output, Tensor):
        yield tap, output
    elif isinstance(output, (list, tuple)):
        for i, part in enumerate(output):
            yield from _tensors(f'{tap}[{i}]', part)


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
    teacher = model.teacher.get('config') if is_distiller(cfg) else model.teacher
    return {**dict(student=model.student, teacher=teacher), field: main_model_cfg(cfg)}
