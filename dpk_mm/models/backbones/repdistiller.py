"""Weights of the CIFAR networks of RepDistiller and mdistiller, for the networks of this package."""

from torch import Tensor, nn

from .cifar_mobilenet_v2 import CIFARMobileNetV2


def convert_repdistiller(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Give the weights of a network of RepDistiller or mdistiller the names that the same network has here.

    Both projects list the layers of ResNets, WRNs, VGGs and ShuffleNets in the order of ours, so the layers
    are matched one by one. The convolutions of their VGGs have a bias, which batch norm takes back: it is
    subtracted from the norm's running mean.

    Args:
        weights (dict[str, Tensor]): Their state dict, in its own order; without DDP's ``module.``.
        model (nn.Module): The classifier that is to take them, such as MMPretrain's ``ImageClassifier`` on a
            :class:`dpk_mm.CIFARResNet`.

    Returns:
        dict[str, Tensor]: A complete state dict of ``model``. Every tensor of ``weights`` is in it; counters
        of batches that old files lack are the model's own.

    Raises:
        ValueError: The first layer that does not fit; or a MobileNetV2, which is another network there.
    """
    if isinstance(getattr(model, 'backbone', None), CIFARMobileNetV2):
        raise ValueError(
            'a MobileNetV2 cannot be converted: the first stage of theirs has one convolution more than '
            'dpk_mm.CIFARMobileNetV2.'
        )
    theirs, ours = _layers(weights), _layers(model.state_dict())
    _fold_biases(list(theirs.values()))
    converted = {}
    for (source, given), (target, own) in zip(theirs.items(), ours.items()):
        if 'num_batches_tracked' in own:
            given.setdefault('num_batches_tracked', own['num_batches_tracked'])
        if _shapes(given) != _shapes(own):
            raise ValueError(
                f'{source!r} with {_shapes(given)} does not fit {target!r} with {_shapes(own)}. Is this the '
                'checkpoint of that network?'
            )
        converted.update({f'{target}.{name}': value for name, value in given.items()})
    if len(theirs) != len(ours):
        raise ValueError(f'the checkpoint has {len(theirs)} layers, the model {len(ours)}.')
    return converted


def _layers(weights: dict[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Name of a layer -> its tensors by their own names, in the order of ``weights``."""
    layers: dict[str, dict[str, Tensor]] = {}
    for key, value in weights.items():
        layer, _, name = key.rpartition('.')
        layers.setdefault(layer, {})[name] = value
    return layers


def _fold_biases(layers: list[dict[str, Tensor]]) -> None:
    """Move the bias of each convolution into the running mean of the norm behind it."""
    for conv, norm in zip(layers, layers[1:]):
        if 'bias' in conv and 'running_mean' not in conv and 'running_mean' in norm:
            norm['running_mean'] = norm['running_mean'] - conv.pop('bias')


def _shapes(layer: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in sorted(layer.items())}
