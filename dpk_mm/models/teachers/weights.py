"""Set the weights of a teacher, all of them."""

import logging

from mmengine.logging import print_log
from torch import Tensor, nn

from dpk_mm.stack import check_stack


def set_weights(model: nn.Module, weights: dict[str, Tensor], source: str, allow_incomplete: bool) -> None:
    """Load a state dict into a teacher, and refuse one that leaves weights unset.

    Args:
        model (nn.Module): The teacher.
        weights (dict[str, Tensor]): Its state dict.
        source (str): Names config and checkpoint in messages.
        allow_incomplete (bool): Warn of weights that are not set or have other shapes, instead.

    Raises:
        ValueError: A weight is not set, or has another shape. Always where no weight fits, or one is no
            finite number.
    """
    own = model.state_dict()
    broken = [k for k, v in weights.items() if k in own and v.is_floating_point() and not v.isfinite().all()]
    if broken:
        raise ValueError(
            f'{source}: {len(broken)} weights are not finite, as its training has diverged: '
            f'{", ".join(broken[:5])}'
        )
    if own.keys().isdisjoint(weights):
        theirs, ours = next(iter(weights)), next(iter(own))
        raise ValueError(
            f'{source}: no weight fits: the checkpoint has {theirs!r}, ..., the teacher {ours!r}, '
            '... Is this the checkpoint of that config? One of RepDistiller or mdistiller must be '
            'converted, by tools/model_converters/repdistiller2dpk_mm.py.'
        )
    try:
        missing, _ = model.load_state_dict(weights, strict=False)
        problems = []
    except RuntimeError as error:  # torch's way to say: other shapes
        problems = [line.strip() for line in str(error).splitlines()[1:]]
        fitting = {k: v for k, v in weights.items() if k not in own or v.shape == own[k].shape}
        missing, _ = model.load_state_dict(fitting, strict=False)
        missing = [key for key in missing if key not in weights]  # the others are said already
    # Old checkpoints lack the batch counter, which a model in eval mode does not read.
    problems += [f'{key} is not set' for key in missing if 'num_batches_tracked' not in key]
    if not problems:
        return
    message = f'{source}: {len(problems)} weights do not fit: {"; ".join(problems[:5])}'
    if not allow_incomplete:
        raise ValueError(
            f'{message}. Is this the checkpoint of that config? {_other_stack(problems)}'
            'allow_incomplete=True accepts it, leaving those weights random.'
        )
    print_log(message, logger='current', level=logging.WARNING)


def _other_stack(problems: list[str]) -> str:
    """Which mmdet the weights of a DINO want: the two stacks build different layers of the same name."""
    if not any('ref_point_head' in problem and 'size mismatch' in problem for problem in problems):
        return ''
    wanted = {'upstream': 'onedl-mmdetection of the maintained forks', 'onedl': "upstream's mmdet 3.3"}
    return f'These are weights of a DINO that want {wanted[check_stack()]}. '
