"""Test-time augmentation, where a config does not describe it."""

from copy import deepcopy

from mmengine.config import Config, ConfigDict

# What upstream's script packs where the config has no `tta_pipeline`.
_DET_META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')
_DET_META_KEYS += ('flip', 'flip_direction')


def add_tta(cfg: Config) -> None:
    """Wrap the model and the pipeline for test-time augmentation.

    So upstream's test scripts do for ``--tta``. A config without ``tta_pipeline`` is tested on each image and
    its mirror image.

    Args:
        cfg (Config): A whole config; changed in place.
    """
    scope = cfg.get('default_scope')
    if 'tta_model' not in cfg:
        det = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
        others = dict(type='mmseg.SegTTAModel' if scope == 'mmseg' else 'mmpretrain.AverageClsScoreTTA')
        # unscoped: mmdet registers it with mmengine's registry, not its own
        cfg.tta_model = dict(type='DetTTAModel', tta_cfg=det) if scope == 'mmdet' else others
    # The pipeline may lie under wrappers of the data set.
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if 'tta_pipeline' not in cfg:
        *pipeline, pack = deepcopy(dataset.pipeline)
        if scope == 'mmdet':
            pack = dict(type='PackDetInputs', meta_keys=_DET_META_KEYS)
        flips = [dict(type='RandomFlip', prob=prob) for prob in (1.0, 0.0)]
        cfg.tta_pipeline = [*pipeline, dict(type='TestTimeAug', transforms=[flips, [pack]])]
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    dataset.pipeline = cfg.tta_pipeline
