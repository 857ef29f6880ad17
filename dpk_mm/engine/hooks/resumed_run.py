"""What a checkpoint says of the training that wrote it, and whether another one can go on from it."""

import logging
from typing import Any

from mmengine.dist import all_gather_object, get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import DATA_SAMPLERS
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.runner.base_loop import BaseLoop

from dpk_mm.models.distillers.inner_adamw import InnerAdamW
from dpk_mm.utils.errors import DivergedError, FieldError
from dpk_mm.utils.norms import norm_statistics
from dpk_mm.utils.unwrap import unwrap

# Settings that newer versions of torch have and fill in.
_NEWER = ('foreach', 'maximize', 'capturable', 'differentiable', 'fused', 'decoupled_weight_decay')


def describe_run(runner: Runner) -> dict[str, Any]:
    """What a step is made of, in numbers: with others, a training goes on otherwise.

    Args:
        runner (Runner): In training.

    Returns:
        dict[str, Any]: Plain values by the names that a config has for them.
    """
    loader = runner.train_dataloader
    size = getattr(loader, 'batch_size', None) or getattr(
        getattr(loader, 'batch_sampler', 0), 'batch_size', 0
    )
    return dict(
        batch_size=size,
        processes=get_world_size(),
        accumulative_counts=getattr(runner.optim_wrapper, '_accumulative_counts', 1),
    )


def tell_changes(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Say in one line what a step is made of now, where the checkpoint's training had something else.

    Args:
        now (dict): From :func:`describe_run`.
        before (dict): The same, in the checkpoint.

    Returns:
        bool: Whether it had.
    """
    changed = [f'{name} was {before[name]} and is {now[name]}' for name in now if before[name] != now[name]]
    if changed:
        print_log(
            f'Resume: {", ".join(changed)}. The learning rate and its schedule are those of the checkpoint, '
            'and the training does not end as it would have.',
            'current',
            logging.WARNING,
        )
    return bool(changed)


def count_in_epochs_of_now(runner: Runner, meta: dict[str, Any]) -> None:
    """Count the steps that are done in epochs of today's length, as the loop counts those that are left.

    With more processes or larger batches an epoch has fewer steps. mmengine keeps the old count, which may
    lie past the end of the schedule. Then it divides accumulated gradients by a wrong number, or fails.

    Args:
        runner (Runner): About to resume.
        meta (dict): Of the checkpoint; its ``iter`` changes where it is not in the epoch that it names.
    """
    loop = runner._train_loop
    if isinstance(loop, EpochBasedTrainLoop) and {'epoch', 'iter'} <= meta.keys():
        length = len(loop.dataloader)
        if meta['iter'] // length != meta['epoch']:
            meta['iter'] = meta['epoch'] * length


def keep_order(runner: Runner, meta: dict[str, Any]) -> None:
    """Give the data the order that they would have had, where the config names no seed.

    mmengine resumes the seed that was drawn, but the sampler has one already that was drawn at this start.

    Args:
        runner (Runner): About to resume.
        meta (dict): Of the checkpoint.
    """
    loop, given = runner._train_loop, getattr(runner, '_randomness_cfg', {})
    cfg = runner.cfg.get('train_dataloader')
    drawn = given.get('seed') is None and not given.get('diff_rank_seed')  # which gives samplers none
    if not drawn or meta.get('seed') is None or not isinstance(loop, BaseLoop):
        return
    if not isinstance(cfg, dict) or not isinstance(cfg.get('sampler'), dict):
        return  # built by the user
    loader = loop.dataloader
    again = DATA_SAMPLERS.build(cfg['sampler'], default_args=dict(dataset=loader.dataset, seed=meta['seed']))
    vars(loader.sampler).update(vars(again))  # in place: a loader does not take another
    if hasattr(loop, 'dataloader_iterator'):  # its workers may have begun
        loop.dataloader_iterator = type(loop.dataloader_iterator)(loader)


def check_optimizer(runner: Runner, checkpoint: dict) -> None:
    """Refuse to go on with the state of another optimizer: torch takes it, or fails in the first step.

    Args:
        runner (Runner): With its optimizers.
        checkpoint (dict): To resume from.

    Raises:
        FieldError: They have other settings, or other numbers of weights.
    """
    if not isinstance(runner, Runner):
        return  # strategies keep states in forms of their own
    wrapper, saved = runner.optim_wrapper, checkpoint.get('optimizer')
    if not hasattr(wrapper, 'load_state_dict') or not isinstance(saved, dict):
        return
    several = isinstance(wrapper, OptimWrapperDict)
    for name, one in wrapper.items() if several else [('', wrapper)]:
        theirs = (saved.get(name) or {}) if several else saved
        known, ours = theirs.get('param_groups'), one.optimizer.param_groups
        if known is None:  # the wrapper of several says which there are
            continue
        kind = type(one.optimizer).__name__
        lacking = [key for key in ours[0] if key not in {*known[0], *_NEWER}] if known else []
        if lacking:
            problem = f'has no {", ".join(lacking)}, as {kind} has'
        elif [len(group['params']) for group in ours] != [len(group['params']) for group in known]:
            numbers = [sum(len(group['params']) for group in groups) for groups in (known, ours)]
            problem = f'has {numbers[0]} weights in {len(known)} groups, not {numbers[1]} in {len(ours)}'
        elif strange := _not_of_inner(runner, one, theirs):
            problem = f'has no {strange} of the modules of distillation, as model.optimizer has'
        else:
            continue
        raise FieldError(
            '.'.join(filter(None, ['optim_wrapper', name])),
            f': the state in the checkpoint {problem}. Resume with the config of that training, or start '
            'anew from its weights with load_from.',
        )


def _not_of_inner(runner: Runner, wrapper: OptimWrapper, saved: dict) -> str:
    """What the saved state of the modules of distillation lacks for an AdamW of their own; or ''."""
    model = unwrap(runner.model)
    inner = getattr(model, 'inner', None)
    own = set(map(id, inner.parameters)) if isinstance(inner, InnerAdamW) else ()
    weights = (one for group in wrapper.optimizer.param_groups for one in group['params'])
    states = [(saved.get('state') or {}).get(i) for i, one in enumerate(weights) if id(one) in own]
    return next((key for key in ('exp_avg', 'exp_avg_sq') for one in states if one and key not in one), '')


def check_finite_weights(runner: Runner, last: str) -> None:
    """Refuse to save weights that are no numbers: they would take the place of good ones.

    Args:
        runner (Runner): In training.
        last (str): The last checkpoint, or ''.

    Raises:
        DivergedError: In all processes, where a parameter, or a statistic of a norm, is not finite in any.
    """
    model = unwrap(runner.model)
    # not all buffers, as a mask may hold -inf
    saved = {**dict(model.named_parameters()), **norm_statistics(model)}
    broken = [name for name, one in saved.items() if one.is_floating_point() and not one.isfinite().all()]
    everywhere = max(all_gather_object(broken), key=len)
    if everywhere:
        kept = f'{last} stays' if last else 'there is none before'
        raise DivergedError(
            f'The training has diverged: {len(everywhere)} weights are not finite, such as {everywhere[0]}. '
            f'No checkpoint of them is written; {kept}. Go on with a lower learning rate, clipped gradients, '
            'or a lower loss_weight.'
        )
