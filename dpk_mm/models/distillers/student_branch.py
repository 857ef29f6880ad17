"""The student branch of SFTN: the rest of a student, behind a layer of the teacher."""

from typing import Any

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from dpk_mm.utils import check_tap, eval_without_side_effects, record
from dpk_mm.utils.blank import image_channels
from dpk_mm.utils.outputs import watch_outputs


class StudentBranch(nn.Module):
    """A transform to the student's channels and size, and the student's layers after a tap.

    What runs before the tap is replaced by ``nn.Identity``, so any classifier whose layers are modules that
    run one after another can be split at any of them, without knowing its class; the rest is checked to give
    what the whole gives. The transform is convolution, batch norm, ReLU: strided where the teacher's map is
    larger, transposed where it is smaller, 1x1 where they are equal (ours, after what is known of SFTN's
    code).

    Args:
        student (nn.Module): A classifier, which this becomes a part of.
        at (str): The layer whose output the branch makes up, see :func:`dpk_mm.utils.check_tap`.
        in_shape (torch.Size): (1, C_t, H_t, W_t) of the teacher's map.
        input_shape (tuple[int, int]): Height and width of the images.

    Raises:
        ValueError: No such layer, no map, sizes that are no multiples of each other, or a student whose rest
            cannot run alone.
    """

    def __init__(
        self, student: nn.Module, at: str, in_shape: torch.Size, input_shape: tuple[int, int]
    ) -> None:
        super().__init__()
        check_tap(student, at)
        self.rest = student
        out_shape = self._cut(at, input_shape)
        if not len(in_shape) == len(out_shape) == 4:
            raise ValueError(
                f'{at}: maps are needed, but the teacher gives {tuple(in_shape)}, the student '
                f'{tuple(out_shape)}.'
            )
        self.transform = _transform(in_shape, out_shape, at)

    def forward(self, feat: Tensor, data_samples: Any, logits_at: str) -> tuple[Tensor, Tensor]:
        """Finish what the teacher began.

        Args:
            feat (Tensor): (B, C_t, H_t, W_t), the teacher's map.
            data_samples (Sequence): B samples.
            logits_at (str): The student's layer that gives the logits.

        Returns:
            tuple[Tensor, Tensor]: The student's own loss, a scalar, and its logits (B, K).
        """
        with record(self.rest, [logits_at]) as found:
            losses = self.rest(self.transform(feat), data_samples, mode='loss')
        return sum(value for name, value in losses.items() if 'loss' in name), found[logits_at]

    def _cut(self, at: str, input_shape: tuple[int, int]) -> torch.Size:
        """Replace what runs up to the layer ``at``; the shape of that layer's output for one image."""
        path = at.split('[')[0]
        # two, as a rest that takes the batch for something else may yet do for one
        images = torch.rand(
            2, image_channels(self.rest), *input_shape, generator=torch.Generator().manual_seed(0)
        )
        done: list[str] = []
        later: set[str] = set()

        def see(name: str, _: Any) -> None:
            (later.add if path in done else done.append)(name)

        with watch_outputs(self.rest, see), record(self.rest, [at]) as found:
            whole = _predict(self.rest, images)
        for name in set(done) - later:
            if not any(name.startswith(f'{other}.') for other in done):
                parent, _, child = name.rpartition('.')
                # Module.set_submodule came with torch 2.5
                setattr(self.rest.get_submodule(parent), child, nn.Identity())
        try:
            alone = torch.allclose(_predict(self.rest, found[at]), whole, rtol=1e-4, atol=1e-5)
        except Exception:  # each network has its own way to trip over what it does not expect
            alone = False
        if not alone:
            raise ValueError(
                f'at={at!r}: {type(self.rest).__name__} does more than run its layers one after another, so '
                'what follows this layer cannot run alone. Take another layer.'
            )
        return found[at][:1].shape


def _predict(model: nn.Module, inputs: Tensor) -> Tensor:
    """The logits (B, K) of a model in eval mode, leaving no trace."""
    with eval_without_side_effects(model):
        return model(inputs, mode='tensor')


def _transform(in_shape: torch.Size, out_shape: torch.Size, at: str) -> nn.Module:
    """From (1, C_t, H_t, W_t) to (1, C_s, H_s, W_s)."""
    (channels, height, width), (out_channels, out_height, out_width) = in_shape[1:], out_shape[1:]
    settings = dict(norm_cfg=dict(type='BN'), bias=False)
    if (height, width) == (out_height, out_width):
        return ConvModule(channels, out_channels, 1, **settings)
    down, up = height // out_height, out_height // height
    if (out_height * down, out_width * down) == (height, width):
        return ConvModule(channels, out_channels, 3, stride=down, padding=1, **settings)
    if (height * up, width * up) == (out_height, out_width):
        settings['conv_cfg'] = dict(type='deconv')
        return ConvModule(channels, out_channels, up, stride=up, **settings)
    raise ValueError(
        f"{at}: one map's size must be a multiple of the other's, but the teacher's is {tuple(in_shape)} and "
        f"the student's {tuple(out_shape)}."
    )
