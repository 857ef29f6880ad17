"""Segmentors of mmseg learn and teach; losses on logits compare labelled pixels."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import shrink
import tiny_seg
import torch
from mmengine.runner.checkpoint import get_state_dict

from dpk_mm.models.distillers.pixels import pixels_as_images
from dpk_mm.profiling.step import StepSetup
from dpk_mm.utils import main_model_cfg, predict, record
from dpk_mm.utils.teacher_config import hub_weights
from dpk_mm.utils.tta import add_tta

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(ROOT.glob('configs/seg/*.py'))
# what fits a segmentor whose head has a softmax
METHODS = 'kd dkd dist lskd lskd-dkd nkd rld wttm cwd pkd mgd fitnet at wkd-f spatial-cosine kr dpk dpk-paper'
REFUSED = {
    'fgd': 'FGD needs the boxes of a detector',
    'sp': 'of which a segmentor has too few',
    'crosskd': 'the student has a EncoderDecoder without bbox_head',
    'score-mse': 'it needs the class scores',
    'start': 'only a detector inherits',
}


def rows(logits, labels, ignore_index=255):
    """The logits and labels of each labelled pixel, in float64, by a loop: labels at the pixels' centres."""
    batch, _, height, width = logits.shape
    factors = labels.shape[1] / height, labels.shape[2] / width
    found, kept = [], []
    for b in range(batch):
        for y in range(height):
            for x in range(width):
                label = labels[b, int((y + 0.5) * factors[0]), int((x + 0.5) * factors[1])]
                if label != ignore_index:
                    found.append(logits[b, :, y, x].double())
                    kept.append(int(label))
    return torch.stack(found), kept


def kd(student, teacher, labels, t=1.0):
    """KL of softmaxes at temperature T by its definition, mean over rows."""
    p, q = ((z / t).exp() / (z / t).exp().sum(1, keepdim=True) for z in (teacher, student))
    return t * t * (p * (p / q).log()).sum(1).mean()


def dkd(student, teacher, labels, t=4.0, alpha=1.0, beta=8.0):
    """DKD by its definition, row by row."""
    total = 0.0
    for s, z, y in zip(student / t, teacher / t, labels):
        p, q = z.softmax(0), s.softmax(0)
        others = [k for k in range(len(p)) if k != y]
        target = sum(a * (a / b).log() for a, b in ((p[y], q[y]), (1 - p[y], 1 - q[y])))
        rest = sum(z[others].softmax(0) * (z[others].log_softmax(0) - s[others].log_softmax(0)))
        total += t * t * (alpha * target + beta * rest)
    return total / len(labels)


def step(model, **batch):
    """The losses of one step, which reaches all that is trained."""
    model.train()
    losses = model(**tiny_seg.batch(model, **batch), mode='loss')
    model.parse_losses(losses)[0].backward()
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    return losses


@pytest.mark.parametrize(
    'loss, settings, formula',
    [('LogitsKLLoss', {}, kd), ('DKDLoss', dict(warmup_epochs=0), dkd)],
    ids=['kd', 'dkd'],
)
@pytest.mark.parametrize('ignore_index', [255, 0])
def test_each_labelled_pixel_counts_as_an_image(loss, settings, formula, ignore_index):
    student = tiny_seg.segmentor(head=dict(ignore_index=ignore_index))
    model = tiny_seg.build(tiny_seg.distiller(student, stages=tiny_seg.stages(loss, **settings)))
    model.train()
    batch = tiny_seg.batch(model)
    for sample in batch['data_samples'] if ignore_index != 255 else ():
        sample.gt_sem_seg.data[sample.gt_sem_seg.data == 255] = ignore_index
    labels = torch.cat([sample.gt_sem_seg.data for sample in batch['data_samples']])
    with record(model.student, [tiny_seg.LOGITS]) as ours:
        found = model(**batch, mode='loss')['loss_distill_logits']
    theirs = model.teacher(batch['inputs'], [tiny_seg.LOGITS], batch['data_samples'])
    both = [feats[tiny_seg.LOGITS].detach() for feats in (ours, theirs)]
    assert both[0].shape == (2, tiny_seg.CLASSES, 6, 8)
    (student_rows, kept), (teacher_rows, _) = (rows(logits, labels, ignore_index) for logits in both)
    wanted = formula(student_rows, teacher_rows, kept)
    assert 30 < len(kept) < 96
    assert float(found.detach()) == pytest.approx(float(wanted), rel=1e-4)
    # all pixels, or the labels of the corners, give something else
    known = labels.clamp(max=tiny_seg.CLASSES - 1)
    every = formula(*(rows(logits, known, -1)[0] for logits in both), [0] * 96)
    assert float(wanted) != pytest.approx(float(every), rel=1e-3)


def test_the_labels_are_those_at_the_centres():
    labels = torch.arange(8).repeat(8, 1)[None, None]
    logits = torch.zeros(1, 8, 2, 4)
    sample = type('Sample', (), dict(gt_sem_seg=type('Data', (), dict(data=labels[0]))))
    _, kept, (found,) = pixels_as_images(logits, logits, [sample], 3)
    assert found.gt_label.tolist() == [1, 5, 7] * 2 and kept.shape == (6, 8)


def test_cwd_compares_the_logits_of_all_pixels_as_a_map():
    model = tiny_seg.build(tiny_seg.distiller(method='cwd', loss_weight=5.0))
    assert model.layers == dict(logits=(tiny_seg.LOGITS, tiny_seg.LOGITS))
    batch = tiny_seg.batch(model)
    with record(model.student, [tiny_seg.LOGITS]) as ours:
        found = model(**batch, mode='loss')['loss_distill_logits'].detach()
    theirs = model.teacher(batch['inputs'], [tiny_seg.LOGITS], batch['data_samples'])
    student, teacher = (
        feats[tiny_seg.LOGITS].detach().double().reshape(2 * tiny_seg.CLASSES, -1) for feats in (ours, theirs)
    )
    p, q = (z.exp() / z.exp().sum(1, keepdim=True) for z in (teacher, student))
    assert float(found) == pytest.approx(float(5 * (p * (p / q).log()).sum(1).mean()), rel=1e-4)


def test_without_a_labelled_pixel_nothing_is_to_be_learned():
    model = tiny_seg.build(tiny_seg.distiller(method='kd', loss_weight=1.0))
    batch = tiny_seg.batch(model)
    for sample in batch['data_samples']:
        sample.gt_sem_seg.data.fill_(255)
    loss = model(**batch, mode='loss')['loss_distill_logits']
    assert loss == 0 and loss.requires_grad


def test_padding_has_no_label_and_the_teachers_own_look():
    """Images smaller than ``size`` are padded; the teacher's mean differs."""
    teacher = tiny_seg.segmentor(width=8, mean=[0.0] * 3, std=[255.0] * 3, bgr_to_rgb=False, pad_val=1)
    model = tiny_seg.build(tiny_seg.distiller(teacher=teacher, method='dkd'))
    batch = tiny_seg.batch(model, size=(40, 56))
    assert batch['inputs'].shape[2:] == tiny_seg.SIZE
    assert all((sample.gt_sem_seg.data[0, 40:] == 255).all() for sample in batch['data_samples'])
    shown = model.teacher.renormalize(batch['inputs'], batch['data_samples'])
    raw = batch['inputs'].flip(1) * 58.395 + 123.675
    torch.testing.assert_close(shown[..., :40, :56], raw[..., :40, :56] / 255)
    assert (shown[..., 40:, :] == 1).all() and (shown[..., 56:] == 1).all()
    assert model.loss(**batch)['loss_distill_logits'] > 0


@pytest.mark.parametrize('method', METHODS.split())
def test_a_method_by_name_takes_a_step(method):
    losses = step(tiny_seg.build(tiny_seg.distiller(method=method)))
    assert all(value > 0 for name, value in losses.items() if name.startswith('loss_distill_'))
    if 'loss_distill_logits' in losses:  # published weights are for images
        assert losses['weight_logits'] > 0


@pytest.mark.parametrize('method', REFUSED)
def test_a_method_that_does_not_fit_says_why_in_one_line(method):
    with pytest.raises(ValueError) as error:
        tiny_seg.build(tiny_seg.distiller(method=method))
    assert REFUSED[method] in str(error.value) and "What fits: 'at', " in str(error.value)
    assert "'kd'" in str(error.value).partition('What fits')[2] and '\n' not in str(error.value)


def test_logits_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match=r'logits must agree, but .*\(1, 5, 6, 8\).*\(1, 7, 6, 8\)'):
        tiny_seg.build(tiny_seg.distiller(teacher=tiny_seg.segmentor(classes=7), method='kd'))
    sigmoid = dict(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True))
    student = tiny_seg.segmentor()
    student['decode_head'].update(sigmoid)
    with pytest.raises(ValueError, match='it compares the logits of one softmax'):
        tiny_seg.build(tiny_seg.distiller(student, method='kd'))
    with pytest.raises(ValueError, match=r'logits.loss.* trains decode_head.conv_seg by CrossEntropyLoss'):
        tiny_seg.build(tiny_seg.distiller(student, stages=tiny_seg.stages('LogitsKLLoss')))
    features = dict(layer4=dict(at='backbone.layer4', loss=dict(type='dpk_mm.LogitsKLLoss')))
    with pytest.raises(ValueError, match='LogitsKLLoss compares logits, but'):
        tiny_seg.build(tiny_seg.distiller(stages=features))


def test_of_several_losses_one_softmax_is_enough():
    student = tiny_seg.segmentor()
    dice = dict(type='DiceLoss', use_sigmoid=True)
    student['decode_head']['loss_decode'] = [student['decode_head']['loss_decode'], dice]
    assert step(tiny_seg.build(tiny_seg.distiller(student, method='kd')))['loss_distill_logits'] > 0
    student['decode_head']['loss_decode'] = [dice]
    with pytest.raises(ValueError, match='it compares the logits of one softmax'):
        tiny_seg.build(tiny_seg.distiller(student, method='kd'))


def test_a_teacher_whose_tests_slide_over_the_image_sees_it_whole():
    teacher = tiny_seg.segmentor(width=8)
    teacher['test_cfg'] = dict(mode='slide', crop_size=(32, 32), stride=(16, 16))
    model = tiny_seg.build(tiny_seg.distiller(teacher=teacher, method='kd'))
    assert step(model)['loss_distill_logits'] > 0
    own = model.teacher.model
    assert own.test_cfg.mode == 'slide'
    with record(own, [tiny_seg.LOGITS]) as feats, torch.no_grad():
        predict(own, torch.zeros(1, 3, *tiny_seg.SIZE))
    assert feats[tiny_seg.LOGITS].shape[2:] == (6, 8)


def test_the_logits_of_a_cascade_are_those_of_its_last_head():
    student = tiny_seg.segmentor()
    first = dict(tiny_seg.HEAD, type='FCNHead', in_channels=32, num_classes=tiny_seg.CLASSES, num_convs=1)
    first.pop('pool_scales')
    last = dict(first, type='OCRHead', ocr_channels=8)
    last.pop('num_convs')
    student.update(type='CascadeEncoderDecoder', num_stages=2, decode_head=[first, last])
    model = tiny_seg.build(tiny_seg.distiller(student, student, method='kd'))
    assert model.layers == dict(logits=('decode_head.1.conv_seg',) * 2)
    assert step(model)['loss_distill_logits'] > 0


def test_a_classifier_of_images_teaches_the_backbone():
    teacher = dict(type='mmpretrain.ResNet', depth=18, base_channels=8, stem_channels=8)
    model = tiny_seg.build(tiny_seg.distiller(teacher=teacher, method='pkd'))
    assert step(model)['loss_distill_layer4'] > 0


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_shipped_config_made_small_takes_a_step(path):
    cfg = shrink.load(path)
    assert hub_weights(cfg.model.teacher.config).startswith('https://')
    model = tiny_seg.build(shrink.segmentation(cfg))
    losses = step(model, size=model.input_shape)
    assert losses['loss_distill_logits'] > 0 and losses['decode.loss_ce'] > 0


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return tiny_seg.write_masks(tmp_path_factory.mktemp('masks'))


@pytest.fixture(scope='module')
def trained(data, tmp_path_factory):
    """A student alone, and one beside a stage of weight 0: their runners."""
    found, folder = [], tmp_path_factory.mktemp('trained')
    for name, model in (
        ('plain', tiny_seg.segmentor()),
        ('ours', tiny_seg.distiller(method='kd+pkd', loss_weight=0.0)),
    ):
        found.append(tiny_seg.train(tiny_seg.training_cfg(model, data, folder / name)))
    return found


def test_zero_weights_train_the_plain_student_bit_for_bit(trained):
    plain, ours = (get_state_dict(runner.model) for runner in trained)
    assert list(plain) == [key for key in ours if not key.startswith('distiller.')]
    assert [key for key in plain if not torch.equal(plain[key], ours[key])] == []


@pytest.mark.slow
def test_dpk_mm_does_not_import_mmseg():
    code = 'import sys, dpk_mm, dpk_mm.methods; assert "mmseg" not in sys.modules'
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


WITHOUT_US = """
import sys
sys.modules['dpk_mm'] = None  # an import fails
from mmseg.apis import inference_model, init_model
import numpy as np
model = init_model('plain.py', 'checkpoint.pth', device='cpu')
print(inference_model(model, np.zeros((48, 64, 3), np.uint8)).seg_logits.data.double().sum().item())
"""


@pytest.mark.slow
def test_mmseg_opens_a_checkpoint_without_dpk_mm(trained, data, tmp_path):
    runner = trained[1]
    cfg = tiny_seg.training_cfg(tiny_seg.segmentor(), data, tmp_path)
    cfg.test_pipeline = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
    cfg.dump(tmp_path / 'plain.py')
    (tmp_path / 'checkpoint.pth').symlink_to(Path(runner.work_dir) / 'epoch_2.pth')
    env = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='', PYTHONWARNINGS='ignore')
    done = subprocess.run(
        [sys.executable, '-c', WITHOUT_US], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    from mmseg.apis import inference_model

    model = runner.model.eval()
    model.cfg = cfg
    import numpy as np

    wanted = inference_model(model, np.zeros((*tiny_seg.SIZE, 3), np.uint8)).seg_logits.data.double().sum()
    assert float(done.stdout.split()[-1]) == pytest.approx(float(wanted), rel=1e-6)


def test_our_tools_know_segmentors(data, tmp_path, test):
    cfg = tiny_seg.training_cfg(tiny_seg.distiller(method='kd'), data, tmp_path)
    cost = StepSetup(cfg, 'cpu', batch_size=2).tasks()
    assert all(task()() for task in (cost['student'], cost['step']))
    cfg.default_hooks.visualization = dict(type='SegVisualizationHook')
    cfg.visualizer = dict(type='SegLocalVisualizer', name='seg', vis_backends=[dict(type='LocalVisBackend')])
    args = test.parse_args(['config.py', 'a.pth', '--show-dir', str(tmp_path / 'shown'), '--interval', '1'])
    test.show(cfg, args)
    cfg.model = main_model_cfg(cfg)
    add_tta(cfg)
    runner = tiny_seg.tiny.build_runner(cfg)
    assert 'mIoU' in runner.test()
    assert len(list((tmp_path / 'shown').rglob('*.png'))) == 8
