"""The teacher of a distiller."""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Optional, Union

import torch
from mmengine.logging import print_log
from mmengine.model import BaseAveragedModel, is_model_wrapper
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from dpk_mm.registry import MODELS
from dpk_mm.utils import (
    blank_shape,
    is_detector,
    load_main_cfg,
    predict,
    preserve_random_state,
    probe,
    record,
)
from dpk_mm.utils.blank import padded_size
from dpk_mm.utils.config import describe
from dpk_mm.utils.errors import FieldError, within
from dpk_mm.utils.hints import Count
from dpk_mm.utils.token_maps import patch_stride

from .compile import check_compile_options, compile_around
from .padding import crop_feature, pad_divisor, pad_to_divisor
from .renormalize import Renormalize, pad_value, unwrap_preprocessor
from .weights import check_finite, load_checkpoint

# Copies of a model that average its weights; like other wrappers they have it as ``module``.
_AVERAGED = (BaseAveragedModel, AveragedModel)

_PREPROCESSOR = dict(type='mmengine.ImgDataPreprocessor')


def _says_how(preprocessor: Optional[nn.Module]) -> bool:
    """Whether a model says how its images are normalised; where none does upstream builds a blank one."""
    own = unwrap_preprocessor(preprocessor)
    blank = ('BaseDataPreprocessor', 'ClsDataPreprocessor')
    return own is not None and (type(own).__name__ not in blank or getattr(own, '_enable_normalize', False))


@MODELS.register_module()
class FrozenTeacher(nn.Module):
    """A trained model that never changes and shows the features it is asked for.

    It stays in eval mode, takes no gradient, and is shared, not copied, when the model around it is
    copied. It is built and loaded on the CPU and follows the batch's device and dtype when it first
    runs, so a run that only tests never moves it.

    Args:
        config (str, dict or nn.Module): ``'pkg::path'``, a local config file, a model dict, or a trained
            model, which is frozen where it is. One that names no data preprocessor, such as a backbone, gets
            the student's batch, unless ``data_preprocessor`` says what it was trained on.
        checkpoint (str, optional): A path, a URL, or ``'hub'``: the weights that upstream publishes for
            ``config``.
        allow_incomplete (bool): Accept no checkpoint, or one that leaves weights of the teacher unset or
            has other shapes; what it does not set stays random. One that sets none is always refused.
        trust_checkpoint (bool): Also open a checkpoint that can run code; see
            :func:`dpk_mm.utils.load_weights`.
        dtype (str, optional): Dtype of its own, e.g. ``'bfloat16'``. Defaults to the batch's.
        pad_size_divisor (int, optional): What height and width of its images must be multiples of, in
            pixels. Defaults to what its data preprocessor pads to; RTMDet, say, needs 32 and does not say so.
            The patches of a layer that is read as tokens count as well.
        data_preprocessor (dict, optional): How images were normalised for the teacher, where its model does
            not say so: ``mean``, ``std``, ``bgr_to_rgb``, ... of mmengine's ``ImgDataPreprocessor``, or of
            another ``type``. It takes the place of the model's own.
        compile (bool or dict): Compile it by ``torch.compile``, with these options if a dict, as mmengine's
            runner does with the student; the first steps take longer.

    Raises:
        FileNotFoundError: No such config or checkpoint, or it cannot be fetched.
        ValueError: No checkpoint, a damaged one, or one that does not set every weight; names config,
            checkpoint and the first keys.
    """

    def __init__(
        self,
        config: Union[str, dict, nn.Module],
        checkpoint: Optional[str] = None,
        allow_incomplete: bool = False,
        trust_checkpoint: bool = False,
        dtype: Optional[str] = None,
        pad_size_divisor: Optional[Count] = None,
        data_preprocessor: Optional[dict] = None,
        compile: Union[bool, dict] = False,
    ) -> None:
        super().__init__()
        self.dtype = getattr(torch, str(dtype).removeprefix('torch.'), dtype)
        if dtype is not None and not (isinstance(self.dtype, torch.dtype) and self.dtype.is_floating_point):
            raise FieldError('dtype', f" must be a floating type such as 'float16', got {dtype!r}.")
        self.pad_size_divisor = pad_size_divisor
        self.compile_options = {} if compile is True else compile
        if self.compile_options is not False:
            check_compile_options(self.compile_options, 'teacher.compile')
        self._compiled_for: Optional[set[str]] = None
        self.source = f'teacher {describe(config)}, checkpoint {checkpoint!r}'
        self.renormalize: Optional[Renormalize] = None
        trained = isinstance(config, nn.Module)
        if checkpoint is None and not allow_incomplete and not trained:
            raise ValueError(
                f'{self.source}: a teacher needs trained weights. Give teacher.checkpoint a path, a URL or '
                "'hub', or set allow_incomplete=True for a random teacher."
            )
        if isinstance(config, torch.jit.ScriptModule):
            raise FieldError(
                'config', ': the layers of a TorchScript module cannot be read; give the model itself.'
            )
        if trained:
            while is_model_wrapper(config) or hasattr(config, '_orig_mod') or isinstance(config, _AVERAGED):
                config = getattr(config, '_orig_mod', None) or config.module
            self.model = config
            check_finite(config.state_dict(), config, self.source)
            self._has_preprocessor = _says_how(getattr(config, 'data_preprocessor', None))
        else:
            model_cfg = load_main_cfg(config, 'teacher.config')
            # where none is named upstream builds one that changes nothing
            self._has_preprocessor = model_cfg.get('data_preprocessor') is not None
            with preserve_random_state(), within('config', model_cfg):
                self.model = MODELS.build(model_cfg)
        self.own_preprocessor: Optional[nn.Module] = None
        if data_preprocessor is not None:
            with within('data_preprocessor', data_preprocessor):
                self.own_preprocessor = MODELS.build({**_PREPROCESSOR, **data_preprocessor})
        if checkpoint is not None:
            load_checkpoint(self.model, checkpoint, config, self.source, trust_checkpoint, allow_incomplete)
        self.requires_grad_(False)
        self.eval()

    def _compile(self, taps: Sequence[str]) -> None:
        """Compile where that is wanted, around the taps of the first step."""
        if self._compiled_for is None:
            self._compiled_for = set(taps)
            compile_around(self.model, taps, **self.compile_options)
        elif not self._compiled_for.issuperset(taps):
            shown = ', '.join(sorted(self._compiled_for))
            raise ValueError(f'{self.source} was compiled to show {shown}, not {", ".join(taps)}.')

    def match_input_normalization(self, data_preprocessor: nn.Module) -> None:
        """Expect batches made by ``data_preprocessor``, the student's."""
        own = self._preprocessor
        if own is not None:
            self.renormalize = Renormalize(data_preprocessor, own).eval()
        else:
            print_log(
                f"{self.source} names no data_preprocessor: its images are normalised as the student's.",
                'current',
            )

    @property
    def detects(self) -> bool:
        """Whether it is a detector."""
        return is_detector(self.model)

    @property
    def _preprocessor(self) -> Optional[nn.Module]:
        own = self.model.data_preprocessor if self._has_preprocessor else None
        return unwrap_preprocessor(self.own_preprocessor or own)

    def divisor_of(self, taps: Sequence[str]) -> int:
        """What sides of its images must be multiples of, in pixels; layers of tokens need whole patches."""
        return math.lcm(self.pad_size_divisor or pad_divisor(self._preprocessor), *map(patch_stride, taps))

    def padded(self, size: Sequence[int], taps: Sequence[str] = ()) -> tuple[int, int]:
        """Height and width, in pixels, that a batch of a size is padded to."""
        return padded_size(size, self.divisor_of(taps))

    def probe(
        self, taps: Sequence[str], input_shape: Optional[tuple[int, int]] = None
    ) -> dict[str, torch.Size]:
        """The shapes of its features, as :meth:`forward` pads and cuts; see :func:`dpk_mm.utils.probe`."""
        size = blank_shape(self.model, input_shape)
        padded = self.padded(size, taps)
        return self.cropped(probe(self.model, taps, padded), size, padded)

    def cropped(
        self, shapes: dict[str, torch.Size], size: tuple[int, int], padded: Optional[tuple[int, int]] = None
    ) -> dict[str, torch.Size]:
        """The shapes of features, layer -> shape, less the padding of images of a size."""
        padded = padded or self.padded(size)
        return {
            tap: crop_feature(torch.empty(shape, device='meta'), padded, size).shape
            for tap, shape in shapes.items()
        }

    @torch.no_grad()  # not inference_mode: the necks save these features for their backward pass
    def forward(
        self,
        inputs: Tensor,
        taps: Sequence[str],
        data_samples: Optional[Sequence] = None,
    ) -> dict[str, Tensor]:
        """The features of one batch; computes nothing beyond the last tap.

        Where the teacher's preprocessor pads to multiples of more pixels than the student's, the batch is
        padded on, and the features are cut back to the part that shows the batch.

        Args:
            inputs (Tensor): (B, C, H, W), as the student's preprocessor made it.
            taps (Sequence[str]): Names of layers, see :func:`dpk_mm.utils.check_tap`.
            data_samples (Sequence, optional): B samples.

        Returns:
            dict[str, Tensor]: tap -> (B, C, H', W'), without gradient.
        """
        if not taps:
            return {}
        device, wanted = inputs.device, inputs.dtype
        dtype = self.dtype or wanted
        current = next(self.model.parameters(), None)  # one that is quantised may have none
        if current is not None and (current.device, current.dtype) != (device, dtype):
            self.model.to(device, dtype)
            self.model.eval()  # some of upstream, such as LeViT, keep a tensor from here on
            if self.renormalize is not None:
                self.renormalize.to(device)  # its constants keep their precision
        if self.renormalize is not None:
            inputs = self.renormalize(inputs, data_samples)
        if self.compile_options is not False:
            self._compile(taps)
        size = tuple(inputs.shape[-2:])
        value, divisor = pad_value(self._preprocessor), self.divisor_of(taps)
        inputs, data_samples = pad_to_divisor(inputs, data_samples, divisor, value)
        padded = tuple(inputs.shape[-2:])
        # the samples of a detector say nothing to another model
        samples = data_samples if self.detects else None
        with self._precision(device), record(self.model, taps, stop_early=True) as features:
            predict(self.model, inputs.to(dtype), samples)
        if padded != size:
            features = {tap: crop_feature(feat, padded, size) for tap, feat in features.items()}
        if self.dtype is not None:
            features = {tap: feat.to(wanted) for tap, feat in features.items()}
        return features

    def _precision(self, device: torch.device) -> AbstractContextManager:
        """Keep to a dtype of its own, whatever the student's mixed precision is."""
        if self.dtype is None:
            return nullcontext()
        # in half precision some of upstream, such as Swin, keep a mask in float32
        is_half = self.dtype in (torch.float16, torch.bfloat16)
        return torch.autocast(device.type, dtype=self.dtype if is_half else None, enabled=is_half)

    def train(self, mode: bool = True) -> 'FrozenTeacher':
        """Stays in eval mode, whatever ``mode``."""
        return super().train(False)

    def __deepcopy__(self, memo: dict) -> 'FrozenTeacher':
        """Itself: what never changes need not be copied (EMA copies the whole model)."""
        return self
