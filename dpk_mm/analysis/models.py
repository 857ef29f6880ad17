"""What the scripts that compare models share: naming them, building them, finding layers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmengine.runner import set_random_seed
from torch import nn

from dpk_mm.compare.run import run_folder
from dpk_mm.models import FrozenTeacher
from dpk_mm.utils import check_tap, main_model_cfg
from dpk_mm.utils.checkpoint import check_checkpoint
from dpk_mm.utils.outputs import run_outputs
from dpk_mm.utils.runner import load_config
from dpk_mm.utils.teacher_config import WITH_CHECKPOINT, hub_weights

_NAMED = re.compile(rf'(?:(?P<label>[^=/:]+)=)?{WITH_CHECKPOINT.pattern}')


@dataclass
class ModelSpec:
    """A model as the command line names it.

    Args:
        text (str): What was typed.
        config (Config): Its config; of a distiller's, the student is meant, of SFTN's the teacher.
        checkpoint (str, optional): Path or URL of its weights; None for random ones.
        label (str): Short name.
        trust (bool): Also open a checkpoint that could run code.
    """

    text: str
    config: Config
    checkpoint: Optional[str]
    label: str
    trust: bool = False

    @property
    def model(self) -> Any:
        """The config of the model."""
        return main_model_cfg(self.config)


def parse_spec(text: str, trust: bool = False) -> ModelSpec:
    """Read ``[LABEL=]CONFIG[:CHECKPOINT]``.

    Args:
        text (str): CONFIG is a file or ``pkg::path``; CHECKPOINT a path, a URL or ``'hub'``.
        trust (bool): Also open a checkpoint that could run code.

    Raises:
        ValueError: The text is of another form, the config cannot be read, or upstream publishes no weights.
        FileNotFoundError: There is no such checkpoint.
        ImportError: A package is not installed.
    """
    found = _NAMED.match(text)
    if found is None:
        raise ValueError(f'{text}: expected CONFIG.py or CONFIG.py:CHECKPOINT, after LABEL= or not')
    label, name, checkpoint = found['label'], found['config'], found['checkpoint']
    if label and Path(f'{label}={name}').exists():
        label, name = None, f'{label}={name}'  # of a folder that is so called
    config = load_config(name)
    if checkpoint == 'hub':
        checkpoint = hub_weights(name, text)
    check_checkpoint(checkpoint, text)
    return ModelSpec(text, config, checkpoint, label or Path(name).stem, trust)


def parse_specs(texts: Sequence[str], trust: bool = False) -> list[ModelSpec]:
    """As :func:`parse_spec`; labels that would repeat, also as names of files, tell more of the model.

    That is the checkpoint, then the place.
    """
    specs = [parse_spec(text, trust) for text in texts]
    labels = [spec.label for spec in specs]
    for i, spec in enumerate(specs):
        if labels.count(labels[i]) > 1:
            spec.label += f' {Path(spec.checkpoint).stem if spec.checkpoint else "random"}'
    files = [run_folder(Path(), spec.label, 0) for spec in specs]
    for i, spec in enumerate(specs):
        if files.count(files[i]) > 1:
            spec.label += f' ({i + 1})'
    return specs


def build_model(spec: ModelSpec) -> FrozenTeacher:
    """Build a model that shows its features; without a checkpoint its weights are random (seed 0).

    Args:
        spec (ModelSpec): The model.

    Raises:
        ValueError: It cannot be built, or its checkpoint does not fit.
    """
    init_default_scope(spec.config.get('default_scope', 'mmengine'))
    if not MMLogger.check_instance_created('compare_models'):
        MMLogger.get_instance('compare_models', log_level='ERROR')  # else every weight's start is told
    set_random_seed(0)
    try:
        model = FrozenTeacher(**as_teacher(spec))
        if spec.checkpoint is None:
            model.model.init_weights()
    except (ValueError, FileNotFoundError, ImportError) as error:
        # what it advises are settings of a distiller's config
        message = ' '.join(str(error).split()).partition(' allow_incomplete=')[0]
        message = message.replace('set trust_checkpoint=True', 'pass --trust-checkpoints')
        message = message.partition(f'checkpoint {spec.checkpoint!r}: ')[2] or message
        raise ValueError(f'{spec.text}: {message}') from error
    return model


def as_teacher(spec: ModelSpec) -> dict:
    """The arguments of :class:`dpk_mm.FrozenTeacher` for a model."""
    return dict(
        config=spec.model,
        checkpoint=spec.checkpoint,
        allow_incomplete=spec.checkpoint is None,
        trust_checkpoint=spec.trust,
    )


def check_layers(
    spec: ModelSpec,
    model: FrozenTeacher,
    layers: Sequence[str],
    flag: str,
    input_shape: Optional[tuple] = None,
) -> None:
    """Check that a model has some layers, and that each gives one tensor.

    Args:
        spec (ModelSpec): The model, for messages.
        model (FrozenTeacher): The same, built.
        layers (Sequence[str]): Taps.
        flag (str): Where they come from, for messages.
        input_shape (tuple, optional): Height and width of an image.

    Raises:
        ValueError: Names the layer.
    """
    try:
        for layer in layers:
            check_tap(model.model, layer, flag)
        model.probe(layers, input_shape)
    except ValueError as error:
        raise ValueError(f'{spec.text}: {error}') from error


def find_layers(
    model: nn.Module, input_shape: Optional[tuple[int, int]] = None, aliases: bool = False
) -> dict[str, torch.Size]:
    """Find the outputs that are worth a comparison: stages of the backbone, levels of the neck, logits.

    These are the maps (B, C, H, W) that modules made of others give, outside the heads, and the vectors
    (B, K), as taps of at most two names; see ``tools/analysis_tools/show_layers.py``.

    Args:
        model (nn.Module): A detector or a classifier.
        input_shape (tuple[int, int], optional): Height and width of the blank image that is shown.
        aliases (bool): Keep all names of one output, such as ``'backbone[0]'`` of ``'backbone.layer3'``,
            else the first.

    Returns:
        dict[str, torch.Size]: Tap -> shape of one image's, in the order the layers end.
    """
    modules = dict(model.named_modules())
    found: dict[str, torch.Size] = {}
    seen = set()
    for name, runs in run_outputs(model, 2, input_shape).items():
        # a layer that runs again has no one output
        for tap, tensor, version in runs[0] if len(runs) == 1 else ():
            if tap.count('[') > 1:
                continue  # an output of an output
            is_stage = tap != name or any(modules[name].children())
            is_map = tensor.ndim == 4 and is_stage and 'head' not in name.split('.')[0]
            # the outputs are all still held, so equal storage is the same output
            output = tensor.data_ptr(), tensor.shape
            if not (is_map or tensor.ndim == 2) or tensor.shape[0] != 1 or tensor._version != version:
                continue
            if aliases or output not in seen:
                found[tap] = tensor.shape
            seen.add(output)
    return found
