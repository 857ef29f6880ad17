"""A student that learns from a teacher, and is otherwise just the student."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Optional, Union

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel, BaseModule
from torch import Tensor, nn

from dpk_mm.registry import MODELS
from dpk_mm.utils import load_model_cfg, preserve_random_state, record, run_blank

STUDENT, OWN = 'student.', 'distiller.'


class BaseDistiller(BaseModel):
    """Student, teacher and taps: everything but what is distilled, which a subclass says.

    In validation, test and prediction it *is* the student; hooks that reach for the model's attributes
    find the student's. Its checkpoints are student checkpoints: the student's weights under their own
    names, the modules of distillation under ``distiller.``, the teacher never. Building it draws no
    random numbers beyond those the student draws.

    A subclass sets :attr:`student_taps` and :attr:`teacher_taps`, puts modules of its own into
    ``self.distiller``, and gives :meth:`distill`.

    Args:
        student (str or dict): The student: ``'pkg::path'``, a local config file, or a model dict.
        teacher (dict): Arguments of :class:`dpk_mm.FrozenTeacher`: ``config``, ``checkpoint``, ...
        input_shape (tuple[int, int], optional): Height and width of the blank image that is shown to
            both models at build time to learn the shapes of their features. Defaults to (256, 256) for
            detectors, (224, 224) for other models.
        task_loss_weight (float): Factor of the student's own losses (gamma of the authors' code [A]).
        data_preprocessor (dict, optional): For a student that has none of its own: mmengine's runner
            passes a config's top-level one.

    Attributes:
        student (nn.Module): The model that is trained.
        teacher (FrozenTeacher): No submodule, so no optimizer, EMA, DDP bucket or checkpoint sees it.
        distiller (nn.ModuleDict): Modules of distillation.
        student_taps, teacher_taps (list[str]): The layers that are read.
    """

    def __init__(
        self,
        student: Union[str, dict],
        teacher: dict,
        input_shape: Optional[tuple[int, int]] = None,
        task_loss_weight: float = 1.0,
        data_preprocessor: Optional[dict] = None,
    ) -> None:
        if not isinstance(task_loss_weight, (int, float)) or not 0 <= task_loss_weight < float('inf'):
            raise ValueError(f'task_loss_weight must be a number from 0 on, got {task_loss_weight!r}.')
        student_cfg = load_model_cfg(student, 'student')
        if data_preprocessor is not None:
            student_cfg.setdefault('data_preprocessor', data_preprocessor)
        student_model = MODELS.build(student_cfg)
        for name, _ in student_model.named_children():
            if f'{name}.' in (STUDENT, OWN):
                raise ValueError(f'student: a model with a part called {name!r} cannot be distilled.')
        super().__init__()
        # The property below stands in for the one that BaseModel makes.
        del self._modules['data_preprocessor']
        self.student = student_model
        self.distiller = nn.ModuleDict()
        self.student_taps: list[str] = []
        self.teacher_taps: list[str] = []
        self.input_shape = input_shape
        self.task_loss_weight = task_loss_weight
        if not isinstance(teacher, dict):
            raise ValueError(f'teacher must be a dict with config and checkpoint, got {teacher!r}.')
        teacher_model = MODELS.build({'type': 'dpk_mm.FrozenTeacher', **teacher})
        teacher_model.accept(self.data_preprocessor)
        # Past nn.Module's own __setattr__, which would make it a submodule.
        self.__dict__['teacher'] = teacher_model
        self._register_state_dict_hook(_name_as_student)
        self.register_load_state_dict_post_hook(_excuse_plain_student)

    @property
    def data_preprocessor(self) -> nn.Module:
        """The student's."""
        return self.student.data_preprocessor

    def named_parameters(self, prefix: str = '', *args: Any, **kwargs: Any) -> Iterator[tuple[str, Tensor]]:
        """Under the names of checkpoints, which optimizer constructors such as layer-wise decay go by."""
        prefix = f'{prefix}.' if prefix else ''
        for name, parameter in super().named_parameters('', *args, **kwargs):
            yield prefix + name.removeprefix(STUDENT), parameter

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """The student's, for mmpretrain's layer-wise decay, which walks down the modules itself."""
        return self.student.get_layer_depth(param_name.removeprefix(STUDENT))

    def __getattr__(self, name: str) -> Any:
        """Attributes the distiller does not have are the student's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == 'student' or name.startswith('__'):
                raise
            return getattr(self.student, name)

    def forward(self, inputs: Tensor, data_samples: Optional[Sequence] = None, mode: str = 'tensor') -> Any:
        """The student's own, with the losses of distillation added in mode ``'loss'``.

        Args:
            inputs (Tensor): (B, 3, H, W), from the data preprocessor.
            data_samples (Sequence, optional): B samples.
            mode (str): ``'loss'``, ``'predict'`` or ``'tensor'``, see mmengine's ``BaseModel``.

        Returns:
            What the student returns; in mode ``'loss'`` a dict of losses.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        return self.student(inputs, data_samples, mode=mode)

    def loss(self, inputs: Tensor, data_samples: Optional[Sequence] = None) -> dict[str, Tensor]:
        """The student's losses under upstream's names, weighted, and those of :meth:`distill`.

        A classifier's ``loss`` is called ``loss_task``, as the log's ``loss`` is the sum of all.

        Args:
            inputs (Tensor): (B, 3, H, W).
            data_samples (Sequence, optional): B samples.

        Returns:
            dict[str, Tensor]: Losses and values to log.
        """
        with record(self.student, self.student_taps) as student_feats:
            losses = self.student(inputs, data_samples, mode='loss')
        if 'loss' in losses:
            # mmpretrain's name for the one loss of a classifier, and mmengine's for the sum in the log
            losses['loss_task'] = losses.pop('loss')
        if self.task_loss_weight != 1:
            losses = {name: _weighted(name, value, self.task_loss_weight) for name, value in losses.items()}
        like = next(self.student.parameters())
        teacher_feats = self.teacher(inputs, self.teacher_taps, data_samples, like)
        losses.update(self.distill(student_feats, teacher_feats, data_samples))
        return losses

    @abstractmethod
    def distill(
        self,
        student_feats: dict[str, Tensor],
        teacher_feats: dict[str, Tensor],
        data_samples: Optional[Sequence],
    ) -> dict[str, Tensor]:
        """The losses of distillation (keys with 'loss') and values to log (keys without).

        Args:
            student_feats (dict[str, Tensor]): What :attr:`student_taps` gave, with gradient.
            teacher_feats (dict[str, Tensor]): What :attr:`teacher_taps` gave, without.
            data_samples (Sequence, optional): B samples.

        Returns:
            dict[str, Tensor]: Scalars.
        """

    def init_weights(self) -> None:
        """Initialise the student as upstream does, then what is the distiller's own."""
        self.student.init_weights()
        with preserve_random_state():
            for module in self.distiller.modules():
                if isinstance(module, BaseModule) and not module.is_init:
                    module.init_weights()
        self._is_init = True

    def probe(self, model: nn.Module, taps: Sequence[str]) -> dict[str, torch.Size]:
        """Learn the shapes of features from one blank image.

        Args:
            model (nn.Module): The student or the teacher's model, on the CPU.
            taps (Sequence[str]): Checked names of layers.

        Returns:
            dict[str, torch.Size]: tap -> (1, C, H', W').
        """
        with record(model, taps) as features:
            run_blank(model, self.input_shape)
        return {tap: feat.shape for tap, feat in features.items()}

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Take a student's checkpoint: its names are the student's own."""
        for key in [k for k in state_dict if k.startswith(prefix)]:
            name = key[len(prefix) :]
            if not name.startswith((STUDENT, OWN)):
                state_dict[f'{prefix}{STUDENT}{name}'] = state_dict.pop(key)
        # Versions decide how modules read old checkpoints; they are kept by module name.
        versions = getattr(state_dict, '_metadata', None)
        if versions is not None and not prefix:
            for name in [n for n in versions if n and not f'{n}.'.startswith((STUDENT, OWN))]:
                versions[f'{STUDENT}{name}'] = versions[name]
        super()._load_from_state_dict(state_dict, prefix, *args)


def _name_as_student(module: BaseDistiller, state_dict: dict, prefix: str, local_metadata: dict) -> None:
    """Hook of ``state_dict()``: the student's weights under the names they have without a distiller."""
    for key in [k for k in state_dict if k.startswith(prefix)]:
        # all are put back in turn, so that the student's stay in front
        state_dict[prefix + key[len(prefix) :].removeprefix(STUDENT)] = state_dict.pop(key)
    # 'student' itself becomes '', and 'student.neck' becomes 'neck'
    start, versions = prefix + STUDENT, state_dict._metadata
    for name in [n for n in versions if f'{n}.'.startswith(start)]:
        versions[(prefix + name[len(start) :]).rstrip('.')] = versions.pop(name)


def _excuse_plain_student(module: BaseDistiller, incompatible_keys: Any) -> None:
    """Hook of ``load_state_dict()``: a plain student's checkpoint need not know of distillation."""
    own = {key for key in module.state_dict() if key.startswith(OWN)}
    missing = [key for key in incompatible_keys.missing_keys if OWN in key]
    if own and len(missing) == len(own):
        for key in missing:
            incompatible_keys.missing_keys.remove(key)
        print_log('A plain student checkpoint: the modules of distillation start anew', 'current')


def _weighted(name: str, value: Any, weight: float) -> Any:
    """A loss, or a list of them, times ``weight``; values that are only logged are left as they are."""
    if 'loss' not in name:
        return value
    return weight * value if isinstance(value, Tensor) else [weight * part for part in value]
