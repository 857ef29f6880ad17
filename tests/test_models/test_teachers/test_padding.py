"""A batch that the teacher cannot take as it is: padded for it, and its features cut back."""

import pytest
import tiny
import torch
from mmdet.structures import DetDataSample

from dpk_mm.models import FrozenTeacher
from dpk_mm.models.teachers.padding import crop_feature, pad_to_divisor


def test_pads_below_and_to_the_right():
    inputs = torch.rand(2, 3, 33, 64)
    padded, _ = pad_to_divisor(inputs, None, 32, value=7.0)
    assert padded.shape == (2, 3, 64, 64)
    assert torch.equal(padded[:, :, :33], inputs) and (padded[:, :, 33:] == 7).all()


def test_leaves_alone_what_fits():
    inputs, samples = torch.rand(1, 3, 32, 64), [DetDataSample()]
    padded, same = pad_to_divisor(inputs, samples, 16)
    assert padded is inputs and same is samples


def test_samples_say_the_new_shape_and_the_students_stay():
    sample = DetDataSample(metainfo=dict(batch_input_shape=(33, 60), img_shape=(30, 60)))
    _, (shown,) = pad_to_divisor(torch.rand(1, 3, 33, 60), [sample], 32)
    assert shown.batch_input_shape == (64, 64) and shown.img_shape == (30, 60)
    assert sample.batch_input_shape == (33, 60)
    bare = DetDataSample()
    assert pad_to_divisor(torch.rand(1, 3, 33, 60), [bare], 32)[1] == [bare]


@pytest.mark.parametrize('stride', [1, 4, 8, 16, 32, 64])
@pytest.mark.parametrize('side', [1, 31, 33, 100, 128])
def test_crop_leaves_what_a_convolution_of_that_stride_gives(side, stride):
    padded = -(-side // 64) * 64
    feat = torch.rand(1, 2, padded // stride, padded // stride)
    expected = -(-side // stride)
    assert crop_feature(feat, (padded, padded), (side, side)).shape == (1, 2, expected, expected)


def test_crop_keeps_logits():
    logits = torch.rand(2, 10)
    assert crop_feature(logits, (64, 64), (33, 33)) is logits


def test_teacher_pads_as_its_preprocessor_does():
    config = tiny.retinanet(pad_size_divisor=64, pad_value=0)
    teacher = FrozenTeacher(config, allow_incomplete=True)
    inputs = torch.rand(1, 3, 70, 90)
    seen = teacher(torch.nn.functional.pad(inputs, (0, 38, 0, 58)), ['neck[0]'])['neck[0]']
    feat = teacher(inputs, ['neck[0]'])['neck[0]']
    assert feat.shape[-2:] == (9, 12) and torch.equal(feat, seen[:, :, :9, :12])
    own = FrozenTeacher(config, allow_incomplete=True, pad_size_divisor=1)
    assert own(inputs, ['neck[0]'])['neck[0]'].shape == feat.shape
    with pytest.raises(ValueError, match='pad_size_divisor must be a positive integer, got 0'):
        FrozenTeacher(config, allow_incomplete=True, pad_size_divisor=0)
