"""Shipped configs made small: the same models with an eighth of the widths and few layers."""

import copy
import functools
from pathlib import Path
from typing import Union

from mmengine.config import Config, ConfigDict

from dpk_mm.utils import cli, load_model_cfg, teacher_cfg

FACTOR = 8
# Fields of mmdet's models that hold a number of channels, or a list of them.
WIDTHS = {
    *('in_channels', 'out_channels', 'feat_channels', 'point_feat_channels', 'conv_out_channels'),
    *('fc_out_channels', 'embed_dims', 'feedforward_channels', 'num_feats'),
}
FEWER = dict(
    stacked_convs=1,
    point_base_scale=4,
    num_queries=20,
    num_dn_queries=4,
    num_groups=4,
    num_csp_blocks=1,
    frozen_stages=-1,
    score_thr=0.0,
    nms_pre=50,
    max_per_img=20,
)


_read = functools.lru_cache(maxsize=None)(cli.load_config)
_read_model = functools.lru_cache(maxsize=None)(load_model_cfg)


def load(path: Union[str, Path]) -> Config:
    """A config, read once: reading takes as long as a step of its small models. Its teacher is a dict."""
    return copy.deepcopy(_read(str(path)))


def load_model(path: str) -> ConfigDict:
    """The model of a config, read once."""
    return copy.deepcopy(_read_model(path))


def distiller(cfg: Config) -> dict:
    """The distiller of a config of ``configs/dpk``, with tiny necks, a random teacher, tiny detectors."""
    model = cfg.model
    config = load_model(teacher_cfg(model.teacher)['config'])
    if is_detector(cfg):
        model.student = detector(model.student)
        config = vit(config) if config.backbone.type == 'VisionTransformer' else detector(config)
        if 'crosskd' in model.get('stages', {}):  # it enters heads before the last convolution
            model.student.bbox_head.stacked_convs = config.bbox_head.stacked_convs = 4
        model.input_shape = (64, 64)
    else:
        # what the runner does
        model.data_preprocessor, model.student._scope_ = cfg.data_preprocessor, cfg.default_scope
        model.student.init_cfg = None
        model.input_shape = (32, 32)
    model.teacher = dict(config=config, allow_incomplete=True)
    for stage in model.get('stages', {}).values():
        if 'neck' in stage:
            small = dict(embed_dims=16, num_layers=1, num_heads=2)
            stage.neck.update(encoder=small, decoder=small)
    return model


def is_detector(cfg: Config) -> bool:
    return cfg.default_scope == 'mmdet'


def detector(model: dict) -> dict:
    """A detector of mmdet's with an eighth of its widths, initialised at random."""
    backbone = model.backbone
    if backbone.type == 'ResNet':
        backbone.base_channels = 64 // FACTOR
    if 'widen_factor' in backbone:
        backbone.widen_factor /= FACTOR
        backbone.deepen_factor = 0.1
    if 'depths' in backbone:
        backbone.depths = [1] * 4
        backbone.with_cp = False
    for name in ('encoder', 'decoder'):
        if name in model:
            model[name].num_layers = 1
    if model.get('bbox_head', {}).get('type') in ('ATSSHead', 'FCOSHead', 'GFLHead'):
        model.bbox_head.norm_cfg = dict(type='GN', num_groups=4)
    # The width of DINO's transformer is written down in mmdet's code, so only what comes before it shrinks.
    kept = {'embed_dims', 'out_channels', 'num_feats'} if model.type == 'DINO' else set()
    _shrink(model.pop('backbone'), WIDTHS)
    _shrink(model, WIDTHS - kept)
    model.backbone = backbone
    return model


def segmentation(cfg: Config) -> dict:
    """The distiller of a config of ``configs/seg`` with a random teacher, and an eighth of all widths."""
    model = cfg.model
    model.student = segmentor(model.student)
    model.teacher = dict(
        config=segmentor(load_model(teacher_cfg(model.teacher)['config'])), allow_incomplete=True
    )
    model.student._scope_ = 'mmseg'
    model.input_shape = model.student.data_preprocessor.size = (64, 64)
    return model


def segmentor(model: dict) -> dict:
    """A segmentor of mmseg's with an eighth of its widths, initialised at random, for images of (64, 64)."""
    model.pretrained = None
    model.test_cfg = dict(mode='whole')
    if 'depth' in model.backbone:
        model.backbone.base_channels = model.backbone.stem_channels = 64 // FACTOR
    if 'num_layers' in model.backbone:
        model.backbone.num_layers = [1] * 4
    _shrink(model.backbone, {'embed_dims'})
    for name in ('decode_head', 'auxiliary_head'):
        if name in model:
            _shrink(model[name], {'in_channels', 'channels'})
            model[name].norm_cfg = dict(type='BN')  # synchronised ones do not train on a CPU
    if 'norm_cfg' in model.backbone:
        model.backbone.norm_cfg = dict(type='BN')
    return model


def vit(model: dict) -> dict:
    """A ViT of mmpretrain's with one thin layer."""
    model.backbone.arch = dict(embed_dims=16, num_layers=1, num_heads=2, feedforward_channels=16)
    model.backbone.img_size = 2 * model.backbone.patch_size
    return model


def _shrink(node: object, widths: set[str]) -> None:
    if isinstance(node, (list, tuple)):
        for item in node:
            _shrink(item, widths)
    if not isinstance(node, dict):
        return
    for key, value in list(node.items()):
        if key in widths:
            node[key] = [v // FACTOR for v in value] if isinstance(value, list) else value // FACTOR
        elif key in FEWER and value is not None:
            node[key] = FEWER[key]
        elif key == 'init_cfg' and 'Pretrained' in str(value):
            node[key] = None
        else:
            _shrink(value, widths)
