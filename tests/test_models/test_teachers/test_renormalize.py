import copy

import pytest
import torch
from mmdet.models import DetDataPreprocessor
from mmdet.structures import DetDataSample

from dpk_mm.models.teachers import Renormalize, renormalize

IMAGENET = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])
CAFFE = dict(mean=[103.53, 116.28, 123.675], std=[1.0, 1.0, 1.0])
SIZES = [(10, 14), (13, 9), (16, 16)]


def det(convert=False, **kwargs):
    return DetDataPreprocessor(bgr_to_rgb=convert, pad_size_divisor=8, **kwargs)


def cls(convert=False, **kwargs):
    pretrain = pytest.importorskip('mmpretrain.models')
    return pretrain.ClsDataPreprocessor(to_rgb=convert, **kwargs)


def raw(sizes):
    """Images as they leave a pipeline, and samples that know their sizes."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes]
    samples = [DetDataSample(metainfo=dict(img_shape=size)) for size in sizes]
    return dict(inputs=inputs, data_samples=samples)


def run(preprocessor, batch):
    data = preprocessor(copy.deepcopy(batch), training=True)
    return data['inputs'], data['data_samples']


PREPROCESSORS = {
    'imagenet': lambda make: make(True, **IMAGENET),
    'caffe': lambda make: make(False, **CAFFE),
    'bgr imagenet': lambda make: make(False, **IMAGENET),
    'rgb, other mean': lambda make: make(True, mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0]),
    'one value': lambda make: make(True, mean=[127.5], std=[127.5]),
    'raw': lambda make: make(False),
    'raw rgb': lambda make: make(True),
    'padded with 114': lambda make: make(False, pad_value=114, **CAFFE),
}


@pytest.mark.parametrize(
    'source, values, told',
    [('raw', 2.6, True), ('raw', 255, False), ('imagenet', 2.6, False), ('zero to one', 1.0, False)],
)
def test_images_that_are_normalised_elsewhere_are_told_once(monkeypatch, source, values, told):
    """In the pipeline, say: the teacher's preprocessor would take them for pixels."""
    said = []
    monkeypatch.setattr(renormalize, 'print_log', lambda text, *args: said.append(text))
    to_one = dict(mean=[0.0] * 3, std=[255.0] * 3)
    source = det(False, **to_one) if source == 'zero to one' else PREPROCESSORS[source](det)
    shown = Renormalize(source, PREPROCESSORS['imagenet'](det))
    for _ in range(2):
        shown(values * torch.linspace(-1, 1, 3 * 64).reshape(1, 3, 8, 8))
    assert len(said) == told
    assert not told or 'values up to 2.6: they seem to be normalised elsewhere' in said[0]


@pytest.mark.parametrize('target', PREPROCESSORS)
@pytest.mark.parametrize('source', PREPROCESSORS)
def test_the_teacher_sees_its_own_preprocessors_batch(source, target):
    source, target = PREPROCESSORS[source](det), PREPROCESSORS[target](det)
    batch = raw(SIZES)
    inputs, samples = run(source, batch)
    expected, _ = run(target, batch)
    before = inputs.clone()
    result = Renormalize(source, target)(inputs, samples)
    torch.testing.assert_close(result, expected, atol=2e-4, rtol=1e-5)
    assert torch.equal(inputs, before)


@pytest.mark.parametrize('target', PREPROCESSORS)
@pytest.mark.parametrize('source', PREPROCESSORS)
def test_between_detectors_and_classifiers(source, target):
    """Images of one size: mmpretrain's batches need no padding."""
    source, target = PREPROCESSORS[source](det), PREPROCESSORS[target](cls)
    batch = raw([(16, 16)] * 2)
    for a, b in ((source, target), (target, source)):
        inputs, samples = run(a, batch)
        expected, _ = run(b, batch)
        result = Renormalize(a, b)(inputs, samples)
        torch.testing.assert_close(result, expected, atol=2e-4, rtol=1e-5)


def test_equal_preprocessors_pass_the_batch_itself():
    inputs, samples = run(det(True, **IMAGENET), raw(SIZES))
    renormalize = Renormalize(det(True, **IMAGENET), det(True, **IMAGENET))
    assert renormalize(inputs, samples) is inputs


def test_two_ways_to_convert_channels_are_one():
    """Both swap what the pipeline loaded, whatever they call it."""
    a = DetDataPreprocessor(bgr_to_rgb=True, **IMAGENET)
    b = DetDataPreprocessor(rgb_to_bgr=True, **IMAGENET)
    assert not Renormalize(a, b).needed


def test_without_samples_all_is_image():
    source, target = det(True, **IMAGENET), det(False, **CAFFE)
    batch = raw([(16, 16)] * 2)
    inputs, _ = run(source, batch)
    expected, _ = run(target, batch)
    torch.testing.assert_close(Renormalize(source, target)(inputs), expected, atol=2e-4, rtol=1e-5)


def test_nothing_is_saved():
    renormalize = Renormalize(det(True, **IMAGENET), det(False, **CAFFE))
    assert not renormalize.state_dict() and not list(renormalize.parameters())


def test_a_preprocessor_of_several_branches_is_looked_into():
    from mmdet.models import DetDataPreprocessor, MultiBranchDataPreprocessor

    usual = dict(type='mmdet.DetDataPreprocessor', mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0], pad_value=7)
    inner = DetDataPreprocessor(**{key: value for key, value in usual.items() if key != 'type'})
    wrapped = MultiBranchDataPreprocessor(usual)
    student = DetDataPreprocessor(mean=[0.0] * 3, std=[1.0] * 3)
    inputs = torch.rand(2, 3, 4, 4)
    expected = Renormalize(student, inner)(inputs)
    assert torch.equal(Renormalize(student, wrapped)(inputs), expected)
    assert not torch.equal(expected, inputs)
