"""A whole config is checked before anything is built; one that trains is not refused."""

import math
from contextlib import nullcontext

import pytest
import shrink
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmengine.hub import get_config
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import Registry

from dpk_mm.utils.check_built import check_trained
from dpk_mm.utils.check_config import check_config
from dpk_mm.utils.errors import FieldError

GOOD = [
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py',
    'mmdet::yolox/yolox_s_8xb8-300e_coco.py',
    'mmdet::v3det/dino-4scale_r50_8xb2_sample1e-3_v3det_36e.py',  # an interval that is a whole float
    'mmdet::bytetrack/bytetrack_yolox_x_8xb4-80e_crowdhuman-mot20train_test-mot20test.py',  # metric not there
    'mmpretrain::resnet/resnet50_8xb256-rsb-a1-600e_in1k.py',
    'mmpretrain::resnet/resnet50_8xb32-fp16_in1k.py',  # a number where upstream is annotated for a text
    'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py',
    'dpk_mm::dpk/retinanet_r101_r50_coco.py',
    'dpk_mm::dpk/resnet110_resnet20_cifar100.py',
]
BAD = {
    'optim_wrapper.optimizer.lr': math.nan,
    'optim_wrapper.optimizer.momentum': -1,
    'param_scheduler[0].end': 'x',
    'train_cfg.val_interval': 'x',
    'train_dataloader.num_workers': 'x',
    'model.bbox_head.in_channels': 'x',
    'default_hooks.checkpoint.foo': 1,
    'default_hooks.timer.type': 'NoHook',
    'default_hooks.logger.intervall': 1,
    'param_scheduler[1].milestone': [1],
    'val_evaluator.metrik': 'bbox',
    'train_cfg.max_epoch': 2,
    'randomness.seed': -1,
    'val_cfg.fp61': True,
    'optim_wrapper.optimizer.weigth_decay': 0.1,
    'train_dataloader.dataset.metainfo': dict(classes='cat'),
    'custom_hooks': 'x',
    'optim_wrapper.clip_grad.type': 'x',
    'optim_wrapper.clip_grad.max_norm': 0,
    # a rate of 0, and what would be true
    'optim_wrapper.optimizer.lr ': 0,
    'find_unused_parameters': 'no',
    'env_cfg.cudnn_benchmark': 'False',
    'train_dataloader.sampler.shuffle': 'off',
    'train_dataloader.sampler.seed': 'x',
    'train_dataloader.sampler.round_up': 3,
    'train_dataloader.sampler ': 3,
    'train_dataloader.collate_fn.type': 'no_function',
    'train_dataloader.dataset.lazy_init': 1,
    'train_dataloader.dataset.pipeline': [3],
    'train_dataloader.dataset.indices': 'x',
    'train_dataloader.dataset.metainfo ': dict(classes=[]),
    'val_dataloader.dataset.metainfo': dict(classes=3),
    'val_dataloader.dataset.filter_cfg': 3,
    'train_cfg.by_epoch': 3,
    'train_cfg.val_interval ': -1,
    'param_scheduler[0].begin': -1,
    'default_hooks.checkpoint.interval': 0,
    'default_hooks.logger.interval': -1,
    'default_hooks.logger': 3,
    'default_hooks.checkpoint.filename_tmpl': 'newest.pth',
    'custom_hooks ': dict(type='EMAHook'),
    'log_processor.window_size': -1,
    'default_scope': 'no_package',
    'compile': 'x',
    'model.data_preprocessor.std': [0, 0, 0],
    'model.backbone.init_cfg': 3,
    'model.neck.init_cfg': dict(type='Pretrained', checkpoint='gone.pth'),
    'model.neck.init_cfg ': dict(type='NoInit'),
    'model.train_cfg.assigner.pos_iou_thr': 'x',
    'model.type': 'dpk_mm.FeatureMSELoss',
    'optim_wrapper.paramwise_cfg': dict(custom_keys=3),
    'optim_wrapper.paramwise_cfg.norm_decay': 0,
    'optim_wrapper.paramwise_cfg.custom_keys.backbone': dict(lrmult=0.1),
    'optim_wrapper.paramwise_cfg.custom_keys.neck': dict(lr_mult='x'),
}
# of a config with an optimizer for the student and one for the necks
TWO = 'dpk_mm::dpk/resnet110_resnet20_cifar100.py'
BAD_OF_TWO = {
    'optim_wrapper.distiller.optimizer.lr': 0.0,
    'optim_wrapper.distiller.optimizer.weight_deca': 0.1,
    'optim_wrapper.distiller.clip_grad': dict(max_norm=0),
    'optim_wrapper.distiller.clip_grad.max_nrom': 1.0,
    'optim_wrapper.distiller.paramwise_cfg.norm_decay_mul': 0,
    'optim_wrapper.paramwise_cfg.norm_decay_mult': 'x',
    'param_scheduler.student[0].milestone': [1],
    'param_scheduler.distiller[0].begin': -5,
}


def load(name):
    return shrink.load(name) if name.startswith('dpk_mm') else get_config(name)


@pytest.mark.parametrize('name', GOOD)
def test_configs_that_train_are_not_refused(name):
    check_config(load(name))


@pytest.mark.parametrize(
    'name, field, value',
    [(name, *item) for name, bad in ((GOOD[0], BAD), (TWO, BAD_OF_TWO)) for item in bad.items()],
)
def test_what_upstream_finds_late_or_never(name, field, value):
    node = cfg = load(name).to_dict()
    *path, last = field.strip().replace('[', '.').replace(']', '').split('.')
    for key in path:
        node = node[int(key)] if key.isdigit() else node.setdefault(key, {})
    node[last] = value
    with pytest.raises(FieldError) as error:
        check_config(Config(cfg))
    assert str(error.value).startswith(field.strip())


@pytest.mark.parametrize(
    'hook, message',
    [
        (dict(type='EMAHook', momentum=0.1, interval=2, update_buffers=True), None),
        (
            dict(type='EMAHook', ema_type='ExpMomentumEMA', gamma=1000, mmentum=0.1),
            'mmentum: .* Is momentum m',
        ),
        (dict(type='NumClassCheckHook', priority=3), None),
        (dict(type='EMAHook', momentum=2), 'momentum must be a number above 0 to below 1, got 2'),
        (dict(type='EMAHook', interval=0), 'interval must be a positive integer'),
        (dict(type='NumClassCheckHook', x=3), 'x: NumClassCheckHook has no such field, nor any other'),
    ],
)
def test_fields_of_hooks(hook, message):
    cfg = get_config(GOOD[0])
    cfg.custom_hooks = [hook]
    with pytest.raises(FieldError, match=rf'^custom_hooks\[0\]\.{message}') if message else nullcontext():
        check_config(cfg)


def test_names_of_classes_may_be_in_a_file(tmp_path):
    cfg = get_config(GOOD[0])
    cfg.train_dataloader.dataset.metainfo = dict(classes=str(tmp_path / 'names.txt'))
    with pytest.raises(
        FieldError, match=r'^train_dataloader.dataset.metainfo.classes must be a list of names'
    ):
        check_config(cfg)
    (tmp_path / 'names.txt').write_text('cat')
    check_config(cfg)


def test_what_upstream_takes_is_taken():
    cfg = shrink.load('dpk_mm::dpk/retinanet_r101_r50_coco.py')
    cfg.val_evaluator = cfg.test_evaluator = dict(
        type='MultiDatasetsEvaluator', metrics=[dict(type='CocoMetric')], dataset_prefixes=['a']
    )
    cfg.param_scheduler = [
        dict(type='LinearLR', start_factor=0.1, end=0.5, convert_to_iter_based=True),
        dict(type='MultiStepLR', milestones=[0.5, 1], convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', T_max=150.0),
    ]
    check_config(cfg)
    cfg.optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='NotHere', lr=0.1))
    with pytest.raises(ValueError, match='NotHere'):
        check_config(cfg)
    check_config(cfg, training=False)
    cfg.train_dataloader.num_workers = 2.5
    with pytest.raises(ValueError, match='num_workers must be an integer'):
        check_config(cfg, training=False)


def test_a_scope_below_that_of_a_package_is_known(monkeypatch):
    """A registry of the user's own may be a child of mmpretrain's."""
    from mmpretrain.registry import MODELS as PARENT

    monkeypatch.setattr(PARENT, '_children', dict(PARENT.children))
    Registry('model', parent=PARENT, scope='acme')
    check_config(Config(dict(default_scope='acme', model=tiny_cls.classifier())))


def test_what_an_optimizer_leaves_out_is_told():
    """Modules of distillation that stay as they began, and a student of which all is frozen."""
    model = tiny.build(tiny_cls.distiller())
    names = dict(model.named_parameters())
    all_of_it = torch.optim.SGD(model.parameters(), 0.1)
    check_trained(model, OptimWrapper(all_of_it))
    check_trained(model, OptimWrapperDict(a=OptimWrapper(all_of_it)))
    left = [name for name in names if name.startswith('distiller.')]
    some = torch.optim.SGD([value for name, value in names.items() if name not in left], 0.1)
    with pytest.raises(
        FieldError, match=rf'^optim_wrapper leaves out {len(left)} weights .* {left[0]}: give'
    ):
        check_trained(model, OptimWrapper(some))
    model.student.requires_grad_(False)
    with pytest.raises(FieldError, match='^model: all weights of the model that is trained are frozen'):
        check_trained(model, OptimWrapper(all_of_it))
    check_trained(model.student, OptimWrapper(some))
