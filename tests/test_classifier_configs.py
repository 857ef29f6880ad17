"""The shipped configs of classifiers, with tiny necks: each trains and leaves a plain student checkpoint."""

import pickle
import re
import runpy
import shutil
import sys
from pathlib import Path

import cv2
import mmpretrain
import numpy as np
import pytest
import shrink
import tiny
import tiny_cls
import torch
from mmengine.registry import PARAM_SCHEDULERS

from dpk_mm.registry import DATASETS, MODELS
from dpk_mm.utils import cli, load_model_cfg, record

ROOT = Path(__file__).parents[1] / 'configs'
CONFIGS = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob('dpk/*.py'))
FOLDERS = [ROOT / 'dpk/cifar100', ROOT / 'dpk/in1k']
PLAIN = sorted(str(path.relative_to(ROOT)) for folder in FOLDERS for path in folder.glob('*.py'))
SHORT_CONFIGS = '../experiments/cifar100_short/configs'
SHORT = sorted(f'{SHORT_CONFIGS}/{path.name}' for path in ROOT.glob(f'{SHORT_CONFIGS}/resnet*_*.py'))
CIFAR = [name for name in CONFIGS if name.endswith('_cifar100.py')]
IN1K = [name for name in CONFIGS if name.endswith('_in1k.py')]
# one of CIFAR-100 with two networks of a kind, one with two kinds, one of ImageNet
FAST = [
    *('dpk/resnet56_resnet20_cifar100.py', 'dpk/wrn40-2_shufflenet-v1_cifar100.py'),
    'dpk/resnet34_resnet18_in1k.py',
]
STOCK = Path(mmpretrain.__file__).parent / '.mim'


def one_a_student(names):
    """The first config of each kind of student: upstream's tools see nothing but the student."""
    kinds = {}
    for name in names:
        kinds.setdefault(re.sub(r'\d.*', '', name.split('_')[1]), name)
    return list(kinds.values())


def take_a_step(model, stages):
    """One training step; checks that every stage adds a loss and every parameter gets a gradient."""
    model.init_weights()
    model.train()
    losses = model(**tiny_cls.batch(model), mode='loss')
    assert len([key for key in losses if key.startswith('loss_distill_')]) == stages
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    assert [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    torch.optim.SGD(model.parameters(), lr=1e-3).step()


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Four images of CIFAR's size, and four as ImageNet keeps them."""
    root = tiny_cls.write_cifar(tmp_path_factory.mktemp('data'), num=4)
    (root / 'val').mkdir()
    (root / 'meta').mkdir()
    for i in range(4):
        image = np.random.default_rng(i).integers(0, 256, (48, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(root / f'val/{i}.png'), image)
    (root / 'meta/val.txt').write_text(''.join(f'{i}.png {i}\n' for i in range(4)))
    return root


def stock_predictions(config, checkpoint, dataset, out, monkeypatch):
    """Test with the tools/test.py that mmpretrain ships; the scores of all images, (4, num_classes)."""
    options = [f'test_dataloader.dataset.{key}={value}' for key, value in dataset.items()]
    options += ['test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False']
    options += ['log_level=WARNING']
    argv = ['test.py', str(config), str(checkpoint), '--work-dir', str(out), '--out', f'{out}/out.pkl']
    argv += ['--out-item', 'pred', '--cfg-options', *options]
    monkeypatch.setattr(sys, 'argv', argv)
    runpy.run_path(str(STOCK / 'tools/test.py'), run_name='__main__')
    return torch.stack([item['pred_score'] for item in pickle.loads((out / 'out.pkl').read_bytes())])


def plain_config(name):
    """The config of the student alone."""
    student = name.removesuffix('.py').split('_')[1]
    if name.endswith('_cifar100.py'):
        return ROOT / f'dpk/cifar100/{student}_cifar100.py'
    ours = ROOT / f'dpk/in1k/{student}_in1k.py'
    return ours if ours.exists() else STOCK / f'configs/resnet/{student}_8xb32_in1k.py'


@pytest.mark.parametrize('name', tiny.slow_but(CIFAR + IN1K, *FAST))
def test_classifier_takes_a_step(name):
    cfg = shrink.load(ROOT / name)
    model = tiny.build(shrink.distiller(cfg))
    take_a_step(model, len(cfg.model.stages))
    if Path(name).stem in SIZES:
        *_, student_channels, teacher_channels = SIZES[Path(name).stem].split()
        necks = [model.distiller[stage].neck for stage in model.distiller if stage != 'logits']
        assert '/'.join(str(neck.student_channels) for neck in necks) == student_channels
        assert '/'.join(str(neck.teacher_channels) for neck in necks) == teacher_channels


STUDENTS = one_a_student(CIFAR) + one_a_student(IN1K)


@pytest.mark.parametrize('name', tiny.slow_but(STUDENTS, STUDENTS[0]))
def test_stock_tools_open_the_checkpoint(name, data, tmp_path, monkeypatch):
    cfg = shrink.load(ROOT / name)
    model = tiny.build(shrink.distiller(cfg))
    # with the statistics of a batch, without which all images would be alike to a deep network
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
    take_a_step(model, len(cfg.model.stages))
    torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'epoch_1.pth')
    mine = dict(tiny_cls.NPZ if name in CIFAR else {}, data_root=str(data))
    scores = stock_predictions(plain_config(name), tmp_path / 'epoch_1.pth', mine, tmp_path, monkeypatch)
    model.eval()
    dataset = shrink.load(plain_config(name)).test_dataloader.dataset
    images = DATASETS.build({**dataset, **mine, '_scope_': 'mmpretrain'})
    with torch.no_grad():
        batch = model.data_preprocessor(dict(inputs=[image['inputs'] for image in images]))
        ours = torch.stack([sample.pred_score for sample in model(**batch, mode='predict')])
    torch.testing.assert_close(scores, ours)
    assert not torch.allclose(ours[0], ours[1])


@pytest.mark.parametrize('name', SHORT)
def test_short_schedule_differs_from_the_student_alone_by_the_distiller_only(name):
    cfg, alone = (
        shrink.load(ROOT / name),
        shrink.load(ROOT / f'{SHORT_CONFIGS}/resnet8.py'),
    )
    assert cfg.model.student == alone.model
    for field in ('train_dataloader', 'param_scheduler', 'train_cfg', 'custom_hooks', 'test_dataloader'):
        assert cfg[field] == alone[field], field
    assert cfg.optim_wrapper.optimizer == alone.optim_wrapper.optimizer
    assert Path(cfg.model.teacher.config).resolve().is_file()
    take_a_step(tiny.build(shrink.distiller(cfg)), len(cfg.model.stages))


def test_the_friendly_teacher_differs_from_the_standard_one_by_its_branches_only():
    cfg, plain = (
        shrink.load(ROOT / f'{SHORT_CONFIGS}/{name}.py') for name in ('sftn_resnet20_resnet8', 'resnet20')
    )
    assert cfg.model.pop('teacher') == plain.pop('model') and cfg.pop('model').type == 'dpk_mm.SFTN'
    assert cfg.to_dict() == plain.to_dict()


def test_short_schedule_chooses_on_images_that_are_neither_trained_nor_tested_on():
    cfg = shrink.load(ROOT / f'{SHORT_CONFIGS}/resnet8.py')
    train, val = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    assert train.split == val.split == 'train' and cfg.test_dataloader.dataset.split == 'test'
    assert min(val.indices) == train.indices  # the first so many train


@pytest.mark.parametrize('name', PLAIN)
def test_plain_config_builds_and_takes_a_step(name):
    cfg = shrink.load(ROOT / name)
    model = tiny.build(dict(load_model_cfg(str(ROOT / name))))
    model.init_weights()
    losses = model(**tiny_cls.batch(model), mode='loss')
    losses['loss'].backward()
    assert torch.isfinite(losses['loss'])
    assert (
        cfg.train_dataloader.batch_size and cfg.default_hooks.checkpoint.type == 'dpk_mm.PlainCheckpointHook'
    )


@pytest.fixture(scope='module')
def copied_folder(tmp_path_factory):
    return shutil.copytree(ROOT / 'dpk', tmp_path_factory.mktemp('copy') / 'dpk').parent


@pytest.mark.parametrize('name', tiny.slow_but(CONFIGS, *FAST, 'dpk/retinanet_r101_r50_coco.py'))
def test_config_runs_from_a_copied_folder(name, copied_folder):
    """The folder configs/dpk is complete: what a config inherits lies in it or in an installed package."""
    cfg = cli.load_config(str(copied_folder / name))
    assert cfg.train_dataloader and cfg.default_scope
    assert cfg.model.type == 'dpk_mm.DPKDistiller' and cfg.model.student.type
    load_model_cfg(cfg.model.teacher.config)


@pytest.mark.parametrize('name', CIFAR)
def test_cifar_pair_has_the_recipe_of_the_student_alone(name):
    """A gain over the student alone means something only if nothing else differs."""
    cfg, alone = shrink.load(ROOT / name), shrink.load(plain_config(name))
    assert cfg.model.student == alone.model
    assert cfg.param_scheduler.student == alone.param_scheduler
    for field in ('train_dataloader', 'train_cfg', 'data_preprocessor', 'test_dataloader', 'default_hooks'):
        assert cfg[field] == alone[field], field
    for field, value in alone.optim_wrapper.items():
        assert cfg.optim_wrapper[field] == value, field
    # the authors' code clips a student that is taught; experiments/_base_/cifar100.py leaves that out
    assert cfg.optim_wrapper.clip_grad.max_norm == 1.0 and 'clip_grad' not in alone.optim_wrapper
    teacher = name.split('/')[-1].split('_')[0]
    assert Path(cfg.model.teacher.config) == ROOT / f'dpk/cifar100/{teacher}_cifar100.py'
    epochs = shrink.load(cfg.model.teacher.config).train_cfg.max_epochs
    assert cfg.model.teacher.checkpoint == f'work_dirs/{teacher}_cifar100/epoch_{epochs}.pth'


# Width x depth / heads of encoders and decoders, for last and lower stage; channels of student and teacher.
SIZES = {
    'resnet56_resnet20_cifar100': '128x6/8 64x6/8 80x4/8 48x6/8 64/32 64/32',
    'resnet110_resnet32_cifar100': '128x6/8 64x6/8 128x4/8 64x6/8 64/32 64/32',
    'resnet110_resnet20_cifar100': '64x6/8 64x6/8 128x4/8 128x4/8 64/32 64/32',
    'wrn40-2_wrn16-2_cifar100': '256x6/8 128x6/8 256x4/8 128x4/8 128/64 128/64',
    'wrn40-2_wrn40-1_cifar100': '80x6/8 64x6/4 128x4/8 80x4/4 64/32 128/64',
    'resnet32x4_resnet8x4_cifar100': '180x6/4 160x6/4 256x4/8 128x4/8 256/128 256/128',
    'vgg13_vgg8_cifar100': '320x6/8 160x6/8 512x4/8 256x6/8 512/256 512/256',
    'resnet32x4_shufflenet-v1_cifar100': '512x6/8 256x6/8 256x4/8 128x4/8 960/480 256/128',
    'resnet32x4_shufflenet-v2_cifar100': '256x6/8 128x6/8 256x4/8 128x4/8 464/232 256/128',
    'wrn40-2_shufflenet-v1_cifar100': '320x6/8 256x6/8 128x4/8 128x4/8 960/480 128/64',
    'vgg13_mobilenet-v2_cifar100': '320x6/8 128x6/4 512x4/8 256x4/4 160/48 512/256',
    'resnet50_mobilenet-v2_cifar100': '640x6/8 512x6/8 1536x4/8 640x4/8 160/48 2048/1024',
    'resnet50_vgg8_cifar100': '640x6/8 512x6/8 1536x4/8 1024x4/8 512/256 2048/1024',
    'resnet34_resnet18_in1k': '512x6/8 256x6/8 512x4/8 256x4/8 512/256 512/256',
    'resnet50_resnet18_in1k': '640x6/8 512x4/8 1024x4/8 1024x4/8 512/256 2048/1024',
    'resnet101_resnet18_in1k': '640x6/8 512x4/8 1024x4/16 1024x4/16 512/256 2048/1024',
    'resnet152_resnet18_in1k': '640x6/8 512x6/8 1024x4/16 1024x4/16 512/256 2048/1024',
    'resnet50_mobilenet-v1_in1k': '640x4/8 512x4/8 1536x4/16 640x4/8 1024/512 2048/1024',
}


def test_every_pair_has_its_sizes():
    others = {name for name in CIFAR + IN1K if any(word in name for word in ('pretrained', 'lean', 'tuned'))}
    assert {f'dpk/{name}.py' for name in SIZES} == {*CIFAR, *IN1K} - others
    assert {n for n in IN1K if 'pretrained' in n} == {
        f'dpk/{name}.py'.replace('_in1k', '_pretrained-student_in1k') for name in SIZES if 'in1k' in name
    }


@pytest.mark.parametrize('name', SIZES)
def test_classifier_config_holds_the_authors_numbers(name):
    cfg = shrink.load(ROOT / f'dpk/{name}.py')
    *sizes, _, _ = SIZES[name].split()
    logits = cfg.model.stages.pop('logits').loss
    stages = list(cfg.model.stages.values())
    for i, stage in enumerate(stages):
        assert stage.neck.get('patch_size', 1) == 1
        assert stage.neck.get('min_teacher_tokens', 2) == (2 if 'cifar100' in name else 4)
        for part, text in ((stage.neck.encoder, sizes[i]), (stage.neck.decoder, sizes[2 + i])):
            width, rest = text.split('x')
            depth, heads = rest.split('/')
            assert part == dict(embed_dims=int(width), num_layers=int(depth), num_heads=int(heads))
    assert len(stages) == 2
    prior, losses = stages[0].prior, [stage.loss.loss_weight for stage in stages]
    gamma = cfg.model.get('task_loss_weight', 1.0)
    necks, (warm_up, cosine) = cfg.optim_wrapper.distiller, cfg.param_scheduler.distiller
    assert (prior.cap, logits.temperature) == (0.95, 1.0)
    assert dict(necks.optimizer) == dict(type='AdamW', lr=1e-4, betas=(0.9, 0.95), weight_decay=1e-4)
    assert warm_up.start_factor * 1e-4 == pytest.approx(1e-6) and warm_up.end == 20
    assert cosine.eta_min == 1e-5 and (cosine.begin, cosine.end) == (0, cfg.train_cfg.max_epochs)
    if 'cifar100' in name:
        assert (gamma, logits.loss_weight, losses) == (1.0, 1.0, [0.3, pytest.approx(0.3 * 0.6)])
        assert (prior.floor, prior.fallback, necks.clip_grad.max_norm) == (0.15, 0.9, 1.0)
        assert (cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size) == (240, 64)
    else:
        assert (gamma, logits.loss_weight, losses) == (0.8, 0.8, [0.2, 0.2])
        assert (prior.floor, prior.fallback, cfg.train_cfg.max_epochs) == (0.1, 0.8, 100)
        assert cfg.model.teacher.checkpoint == 'hub'


@pytest.mark.parametrize('name', [name for name in SIZES if name.startswith('wrn')])
def test_maps_of_wrns_are_taken_before_the_relu(name):
    """Of teachers and students; ShuffleNets are read after theirs."""
    model = tiny.build(shrink.distiller(shrink.load(ROOT / f'dpk/{name}.py')))
    places = [layers for stage, layers in model.layers.items() if stage != 'logits']
    for side, network in enumerate((model.student, model.teacher.model)):
        with record(network, [place[side] for place in places]) as feats:
            network.extract_feat(torch.randn(2, 3, 32, 32))
        is_wrn = type(network.backbone) is MODELS.get('dpk_mm.CIFARWideResNet')
        assert [bool(feat.min() < 0) for feat in feats.values()] == [is_wrn] * 2


LEAN = ['resnet34_resnet18_lean_in1k', 'retinanet_r101_r50_lean_coco']


@pytest.mark.parametrize('name', LEAN)
def test_lean_config_has_other_sizes_of_the_necks_only(name):
    lean, whole = (shrink.load(ROOT / f'dpk/{n}.py') for n in (name, name.replace('_lean', '')))
    for name, theirs in whole.model.stages.items():
        ours = lean.model.stages[name]
        if 'neck' in theirs:
            assert ours.neck.pop('preset') == 'lean'
            assert theirs.neck.pop('encoder') and theirs.neck.pop('decoder')
            assert ours.neck.pop('encoder') is ours.neck.pop('decoder') is None
    assert lean.to_dict() == whole.to_dict()


@pytest.mark.parametrize(
    'name', ['dpk/resnet56_resnet20{}_cifar100', f'{SHORT_CONFIGS}/resnet20_resnet8{{}}']
)
def test_tuned_config_has_other_necks_and_weights_only(name):
    whole = f'{SHORT_CONFIGS}/resnet20_resnet8_dpk' if 'short' in name else name.format('')
    tuned, whole = (shrink.load(ROOT / f'{n}.py') for n in (name.format('_tuned'), whole))
    for stage, patch_size, weight in (('layer3', 1, 100.0), ('layer2', 2, 60.0)):
        ours, theirs = tuned.model.stages[stage], whole.model.stages[stage]
        neck = dict(type=theirs.neck.type, preset='lean', patch_size=patch_size, residual=True)
        assert ours.neck == dict(neck, encoder=None, decoder=None) and ours.loss.loss_weight == weight
        ours.neck, ours.loss = theirs.neck, theirs.loss
    for name in ('tuned', 'lean'):  # where these come from
        tuned.pop(name)
    assert tuned.to_dict() == whole.to_dict()


def test_learning_rate_of_necks_is_a_cosine_of_the_whole_schedule():
    """With the warm-up laid over it: 1e-5 + 4.5e-5 (1 + cos(pi epoch / 240)) from epoch 20 on."""
    cfg = shrink.load(ROOT / 'dpk/resnet56_resnet20_cifar100.py')
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-4)
    given = dict(optimizer=optimizer, epoch_length=50)
    schedulers = [PARAM_SCHEDULERS.build(one, default_args=given) for one in cfg.param_scheduler.distiller]
    rates = []
    for _ in range(240):
        rates.append(optimizer.param_groups[0]['lr'])
        for _ in range(50):
            optimizer.step()
            for scheduler in schedulers:
                scheduler.step()
    for epoch, rate in {0: 1e-6, 10: 5.05e-5, 40: 9.397e-5, 60: 8.682e-5, 120: 5.5e-5, 180: 2.318e-5}.items():
        assert rates[epoch] == pytest.approx(rate, rel=0.005), epoch


@pytest.mark.parametrize('name', IN1K)
def test_upstream_publishes_the_teacher_and_offline_says_what_to_fetch(name, monkeypatch, tmp_path):
    teacher = shrink.load(ROOT / name).model.teacher
    depth = Path(name).name.split('_')[0]

    def offline(url, path):
        raise OSError('no route')

    monkeypatch.setattr(torch.hub, 'download_url_to_file', offline)
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    place = re.escape(str(tmp_path / 'checkpoints'))
    message = rf'could not fetch \S+/{depth}_8xb32_in1k\S+\.pth .* put it at {place}/{depth}_8xb32_in1k'
    with pytest.raises(FileNotFoundError, match=message):
        MODELS.build(dict(type='dpk_mm.FrozenTeacher', **teacher))


@pytest.mark.parametrize('name', [name for name in IN1K if 'pretrained' in name])
def test_pretrained_student_follows_the_authors_protocol(name):
    cfg = shrink.load(ROOT / name)
    usual = shrink.load(ROOT / name.replace('_pretrained-student', ''))
    assert cfg.model.student.pop('init_cfg').type == 'Pretrained'
    assert cfg.model == usual.model and 'init_cfg' not in usual.model.student
    assert cfg.train_dataloader.batch_size == 256 and cfg.optim_wrapper.accumulative_counts == 2
    assert cfg.auto_scale_lr.base_batch_size == 8 * 256 and usual.auto_scale_lr.base_batch_size == 8 * 32
    assert cfg.param_scheduler.student == dict(type='StepLR', step_size=25, gamma=0.5)
    assert cfg.param_scheduler.distiller == usual.param_scheduler.distiller
    steps = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert steps[-3:] == ['RandAugment', 'RandomErasing', 'PackInputs']
    assert usual.optim_wrapper.get('accumulative_counts', 1) == 1
