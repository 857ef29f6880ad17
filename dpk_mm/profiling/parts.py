"""The parts of a distiller's stages, each able to run alone on what it got in a real step."""

import copy
import itertools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Dict, List

import torch
from torch import Tensor, nn

from dpk_mm.models.distillers import BaseDistiller, BaseStage

PRIOR, REST, ADAPTER, LOSS = 'prior', 'mask, gather, stitch', 'adapter', 'loss'
STUDENT, TEACHER, DECODER = 'student stem and encoder', 'teacher stem and encoder', 'decoder and head'
_ORDER = (PRIOR, REST, STUDENT, TEACHER, DECODER, ADAPTER, LOSS)
_OF_THE_DECODER = ('to_decoder', 'decoder', 'head')

# stage -> part -> what runs it, forward and backward
Parts = Dict[str, Dict[str, Callable[[], None]]]
# Gives the context of a forward pass, such as mixed precision.
Context = Callable[[], AbstractContextManager]
# A piece of a part.
Piece = Callable[[Context], None]


class Call:
    """One call of a module as it was in a step, to be repeated: forward, and backward where there is one.

    Gradients are thrown away, so no weight changes, and the next ones are added to nothing, as in a step.

    Args:
        module (nn.Module): What was called.
        args (tuple): With what; tensors are taken out of the graph they are part of.
        kwargs (dict): The same by name.
        output (Tensor): What it gave.
    """

    def __init__(self, module: nn.Module, args: tuple, kwargs: dict, output: Tensor) -> None:
        self.module, self.args, self.kwargs = module, _cut(args), _cut(kwargs)
        self.output = output.detach()
        self.grad_enabled = torch.is_grad_enabled()
        self.grad_output = torch.full_like(self.output, 1e-3)

    def of(self, module: nn.Module) -> 'Call':
        """The same call of another module."""
        other = copy.copy(self)
        other.module = module
        return other

    def __call__(self, context: Context) -> None:
        """Repeat it."""
        with context(), torch.set_grad_enabled(self.grad_enabled):
            output = self.module(*self.args, **self.kwargs)
        wanted = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        wanted += [tensor for tensor in _tensors((self.args, self.kwargs)) if tensor.requires_grad]
        if output.requires_grad:
            # not autograd.grad(), which torch's counter of FLOPs cannot follow
            output.backward(self.grad_output)
        for tensor in wanted:
            tensor.grad = None


def find_parts(model: BaseDistiller, step: Callable[[], Any], context: Context) -> Parts:
    """Run a step, and cut its stages into parts.

    A neck's modules (stems, encoders, decoder) are parts, and so is what it does beside them, which is the
    neck with modules that give at once what the real ones gave: mask, gather and stitch.

    Args:
        model (BaseDistiller): The model.
        step (Callable): A training step of it.
        context (Callable): Gives the context of its forward pass.

    Returns:
        dict: Stage -> part -> what runs it. A stage without a neck has no more than an adapter and a loss.
    """
    stages = {name: stage for name, stage in model.distiller.items() if isinstance(stage, BaseStage)}
    watched = [module for stage in stages.values() for module in _modules(stage)]
    calls = _record(watched, step)
    parts: Parts = {}
    for name, stage in stages.items():
        found = {part: made for part, made in _cut_stage(stage, calls).items() if made}
        parts[name] = {part: _in_turn(found[part], context) for part in sorted(found, key=place)}
    return parts


def place(part: str) -> int:
    """Where a part stands among the others.

    Args:
        part (str): Its name.

    Returns:
        int: From 0 on, in the order of a step; a neck's unknown module stands with the decoder.
    """
    return _ORDER.index(part if part in _ORDER else DECODER)


def _modules(stage: BaseStage) -> List[nn.Module]:
    """The modules of a stage whose calls are recorded."""
    neck = getattr(stage, 'neck', None)
    own = [neck, getattr(stage, 'adapter', None), stage.loss]
    own += [] if neck is None else neck.children()
    return [module for module in own if isinstance(module, nn.Module)]


def _record(modules: Sequence[nn.Module], step: Callable[[], Any]) -> Dict[nn.Module, List[Call]]:
    """Module -> its calls in a step."""
    calls: Dict[nn.Module, List[Call]] = {module: [] for module in modules}

    def hook(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        if isinstance(output, Tensor):
            calls[module].append(Call(module, args, kwargs, output))

    handles = [module.register_forward_hook(hook, with_kwargs=True) for module in calls]
    try:
        step()
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _cut_stage(stage: BaseStage, calls: Dict[nn.Module, List[Call]]) -> Dict[str, List[Piece]]:
    """Part -> what it consists of."""
    parts: Dict[str, List[Piece]] = {}
    neck, adapter = getattr(stage, 'neck', None), getattr(stage, 'adapter', None)
    if neck is not None:
        parts[PRIOR] = [_ask(stage.prior, *call.args[:2]) for call in calls[neck]]
        bare = _without_modules(neck, calls)
        parts[REST] = [call.of(bare) for call in calls[neck]]
        for name, child in neck.named_children():
            if name != 'mask':
                parts.setdefault(_part_of(name), []).extend(calls[child])
    if adapter is not None and any(True for _ in adapter.parameters()):
        parts[ADAPTER] = calls[adapter]
    parts[LOSS] = calls.get(stage.loss, [])
    return parts


def _part_of(name: str) -> str:
    """The part that a module of a neck belongs to; of its own where another neck is built otherwise."""
    if name in _OF_THE_DECODER:
        return DECODER
    return next((part for part in (STUDENT, TEACHER) if name.startswith(part.split()[0])), f'neck.{name}')


def _ask(prior: Callable[[Tensor, Tensor], float], student_feat: Tensor, teacher_feat: Tensor) -> Piece:
    """A prior, which gives no gradient."""

    def run(context: Context) -> None:
        with context():
            prior(student_feat, teacher_feat)

    return run


def _in_turn(pieces: Sequence[Piece], context: Context) -> Callable[[], None]:
    """One after the other."""

    def run() -> None:
        for piece in pieces:
            piece(context)

    return run


def _without_modules(neck: nn.Module, calls: Dict[nn.Module, List[Call]]) -> nn.Module:
    """A neck that does all but what its modules do; the mask is no such module, whether it is one or not."""
    bare = copy.copy(neck)
    bare._modules = {
        name: child if name == 'mask' or not calls.get(child) else _StandIn(calls[child])
        for name, child in neck._modules.items()
    }
    return bare


class _StandIn(nn.Module):
    """Gives what a module gave, at once, and gradients to all that it got."""

    def __init__(self, calls: Sequence[Call]) -> None:
        super().__init__()
        # as a module's weights do, this makes the output one with a gradient
        self.anchor = nn.Parameter(calls[0].output.new_zeros(()))
        self.given = itertools.cycle(
            [(call.output, [torch.zeros_like(tensor) for tensor in _tensors(call.args)]) for call in calls]
        )

    def forward(self, *args: Any) -> Tensor:
        return _Given.apply(self.anchor, *next(self.given), *_tensors(args))


class _Given(torch.autograd.Function):
    """A tensor instead of a computation, and tensors instead of its gradients."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, output: Tensor, grads: List[Tensor], *inputs: Tensor) -> Tensor:
        ctx.grads, ctx.anchor_grad = grads, anchor
        return output.detach()

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple:
        return (ctx.anchor_grad.detach(), None, None, *ctx.grads)


def _cut(value: Any) -> Any:
    """The same value, tensors in tuples, lists and dicts being the beginning of a graph of their own."""
    if isinstance(value, Tensor):
        return value.detach().requires_grad_(value.requires_grad)
    if type(value) in (tuple, list):
        return type(value)(_cut(item) for item in value)
    if type(value) is dict:
        return {key: _cut(item) for key, item in value.items()}
    return value


def _tensors(value: Any) -> List[Tensor]:
    """The tensors in tuples, lists and dicts."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [tensor for item in value for tensor in _tensors(item)] if type(value) in (tuple, list) else []
