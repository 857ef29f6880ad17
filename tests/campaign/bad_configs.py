"""Make bad configs of good ones by stated mutations: each must be one line that names its field.

Nothing is trained: a config is built as tools/train.py builds it, up to the first step.
"""

import argparse
import contextlib
import copy
import io
import logging
import os
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import tiny
import tiny_cls
from mmengine.config import Config
from mmengine.logging import MMLogger

from dpk_mm.utils.build import build_parts, build_runner
from dpk_mm.utils.check_config import check_config
from dpk_mm.utils.checkpoint import check_checkpoint

N = 150
GONE = 'delete'
TEXT, NAN, INF = 'many', float('nan'), float('inf')
MSE = dict(type='dpk_mm.FeatureMSELoss')

# of both configs: field -> what it must not be
BOTH = {
    'optim_wrapper.optimizer.lr': [TEXT, -0.1, 0, NAN, INF, [1]],
    'optim_wrapper.optimizer.weight_decay': [TEXT, -1, NAN],
    'optim_wrapper.optimizer.momentum': [TEXT, -1, NAN],
    'optim_wrapper.optimizer.lrr': [0.1],
    'optim_wrapper.optimizer.type': ['SDG', 'ReLU', 3],
    'optim_wrapper.type': ['OptimWraper'],
    'optim_wrapper.constructor': ['NoConstructor'],
    'optim_wrapper.clip_grad.max_nrm': [1],
    'optim_wrapper.clip_grad.max_norm': [0, -1, TEXT],
    'optim_wrapper.accumulative_counts': [TEXT, 0, 1.5],
    'optim_wrapper.optimizer': [GONE],
    'param_scheduler.0.milestone': [[1]],
    'param_scheduler.0.milestones': [TEXT, GONE, 3],
    'param_scheduler.0.by_epoch': [TEXT],
    'param_scheduler.0.type': ['MultiStep', 'SGD'],
    'param_scheduler.0.gamma': [TEXT, NAN],
    'train_cfg.max_epochs': [TEXT, -1, 0, 1.5, NAN],
    'train_cfg.max_epoch': [3],
    'train_cfg.val_interval': [TEXT, 0, -1],
    'train_dataloader.batch_size': [TEXT, -1, 0, 1.5],
    'train_dataloader.num_workers': [-1, TEXT],
    'train_dataloader.batchsize': [2],
    'train_dataloader.sampler.type': ['NoSampler'],
    'train_dataloader.sampler.shufle': [True],
    'train_dataloader.dataset.type': ['NoDataset', 'ResNet'],
    'train_dataloader.dataset.data_root': ['/nowhere'],
    'train_dataloader.dataset.ann_file': ['gone.file'],
    'train_dataloader.dataset.anfile': ['x'],
    'train_dataloader.dataset.pipeline.0.type': ['NoTransform'],
    'train_dataloader.dataset.pipeline.0.foo': [1],
    'train_dataloader.dataset': [GONE],
    'val_evaluator.type': ['NoMetric'],
    'val_evaluator.foo': [1],
    'val_dataloader.dataset.ann_file': ['gone.file'],
    'default_hooks.checkpoint.interval': [TEXT, 0],
    'default_hooks.checkpoint.intervall': [1],
    'default_hooks.checkpoint.type': ['NoHook'],
    'default_hooks.logger.interval': [TEXT, 0, -1],
    'default_hooks.logger.intervall': [1],
    'custom_hooks': [[dict(type='NoHook')], TEXT, [3], dict(type='EMAHook')],
    'randomness.seed': [TEXT, 1.5, -1],
    'find_unused_parameters': ['no'],
    'default_scope': ['nowhere', 3],
    'log_processor.window_size': [-1],
    'compile': [3, TEXT],
    'default_hooks.checkpoint.filename_tmpl': ['x.pth'],
    'default_hooks.logger': [3],
    'optim_wrapper.paramwise_cfg.custom_keys': [3],
    'optim_wrapper.paramwise_cfg.norm_decay': [0],
    'train_cfg.by_epoch': [3],
    'train_dataloader.sampler': [3],
    'train_dataloader.collate_fn.type': ['no_function'],
    'train_dataloader.dataset.lazy_init': ['no'],
    'train_dataloader.dataset.pipeline': [3, [3]],
    'train_dataloader.dataset.indices': [TEXT],
    'model.student.data_preprocessor.std': [[0, 0, 0]],
    'model.student.backbone.init_cfg.checkpoint': ['gone.pth'],
    'randomness.sed': [1],
    'load_from': ['gone.pth', 3],
    'work_dir': [3],
    'model.type': ['dpk_mm.Distillr', 'dpk_mm.FeatureMSELoss'],
    'model.foo': [1],
    'model.task_loss_weight': [TEXT, -1, NAN, INF, True],
    'model.init_student': [TEXT, 1],
    'model.input_shape': [TEXT, 64, (64, -1), (64, 64, 3), (0, 0)],
    'model.method': ['dpq', 3, 'kd+'],
    'model.stages': [TEXT, {}, [1]],
    'model.optimizer': [TEXT, dict(lr=-1), dict(lrr=1)],
    'model.student': [TEXT, 3, {}],
    'model.student.backbone': [GONE],
    'model.student.backbone.type': ['NoNet'],
    'model.student.backbone.depth': [7, TEXT],
    'model.student.backbone.dept': [8],
    'model.student.type': ['NoModel'],
    'model.teacher': [3, {}, 'gone.py', 'gone.py:gone.pth', GONE],
    'model.teacher.checkpoint': ['gone.pth', 3],
    'model.teacher.allow_incomplete': [False, TEXT, 1],
    'model.teacher.dtype': ['float7', 3],
    'model.teacher.pad_size_divisor': [0, TEXT],
    'model.teacher.compile': [TEXT, dict(bakend='x')],
    'model.teacher.config.backbone.type': ['NoNet'],
    'model.teacher.foo': [1],
    'model.stages.a.at': ['nek', 3, 'backbone.layer9', '', 'data_preprocessor', GONE],
    'model.stages.a.loss': [GONE, 3, {}, dict(type='dpk_mm.CKAPrior'), dict(type='NoLoss')],
    'model.stages.a.loss.loss_weight': [TEXT, -1, NAN, INF, [1], True, dict(type='auto', share=0)],
    'model.stages.a.loss.loss_wieght': [1],
    'model.stages.a.foo': [1],
    'model.stages.a.neck': [TEXT, MSE, dict(type='mmdet.FPN')],
    'model.stages.a.neck.type': ['dpk_mm.NoNeck'],
    'model.stages.a.neck.patch_size': [TEXT, 0, -1, 1.5, True],
    'model.stages.a.neck.encoder': [GONE, TEXT, dict(embed_dims=15, num_layers=1, num_heads=1)],
    'model.stages.a.neck.encoder.num_heads': [0, 3, TEXT],
    'model.stages.a.neck.decoder.embed_dim': [16],
    'model.stages.a.neck.student_channels': [7],
    'model.stages.a.neck.min_teacher_tokens': [0, TEXT],
    'model.stages.a.neck.preset': ['fat'],
    'model.stages.a.neck.residual': [TEXT],
    'model.stages.a.neck.mask': ['dpk_mm.CKAPrior', 'NoMask', 3],
    'model.stages.a.prior': [MSE, TEXT, dict(type='dpk_mm.NoPrior')],
    'model.stages.a.prior.floor': [-0.1, 1.5, NAN, TEXT],
    'model.stages.a.prior.cap': [-0.1, 1.5, 0.01],
    'model.stages.a.prior.samples': ['rows', 3],
    'model.stages.a.prior.max_positions': [0, TEXT],
    'model.stages.a.prior.sync': [TEXT],
    'model.stages.a.prior.flor': [0.1],
}
CLASSIFIER = {
    'train_dataloader.dataset.split': ['nope'],
    'val_evaluator.topk': [TEXT],
    'model.student.head.num_classes': [7, 0, TEXT],
    'model.student.head.in_channels': [7, TEXT],
    'model.student.head.type': ['NoHead', 'ResNet'],
    'model.student.head.loss.type': ['NoLoss'],
    'model.student.head': [GONE],
    'model.student.neck.type': ['NoNeck'],
    'model.stages.logits.loss.temperature': [TEXT, 0, -1, NAN, INF, True],
    'model.stages.logits.loss.type': ['dpk_mm.CWDLoss', 'dpk_mm.FGDLoss', 'mmpretrain.CrossEntropyLoss'],
    'model.stages.logits.at': ['backbone.layer3', 'heads'],
    'model.stages.logits.neck': [tiny_cls.NECK],
    'model.teacher.config.head.num_classes': [7],
}
DETECTOR = {
    'train_dataloader.dataset.metainfo.classes': [('a', 'b', 'c', 'd'), ('x', 'y', 'z'), [], 3],
    'train_dataloader.dataset.data_prefix.img': ['gone/'],
    'model.student.train_cfg.assigner.pos_iou_thr': [TEXT],
    'val_evaluator.metric': ['bocks', 3],
    'val_evaluator.ann_file': ['gone.json'],
    'model.student.bbox_head.type': ['NoHead'],
    'model.student.bbox_head.num_classes': [1],
    'model.student.bbox_head.in_channels': [7],
    'model.student.neck.in_channels': [[1, 2, 3], TEXT],
    'model.student.neck.out_channels': [TEXT],
    'model.student.neck.out_chanels': [8],
    'model.stages.b.at': ['neck', 'neck[9]', 'bbox_head.retina_cls', 'neck[x]'],
    'model.stages.b.loss.alpha_fg': [TEXT, -1, NAN],
    'model.stages.b.loss': [dict(type='dpk_mm.KRLoss')],
    'model.stages.b.loss.temp': [0, -1, TEXT],
    'model.stages.b.loss.channels': [7],
    'model.stages.b.loss.type': ['dpk_mm.LogitsKLLoss'],
}
# where the message may name another field than the one that was changed
ALSO = {
    'train_dataloader.dataset.data_root': ('ann_file',),
    'train_dataloader.dataset.data_prefix.img': ('train_dataloader.dataset.data_prefix',),
    'train_dataloader.dataset.split': ('ann_file',),
    'train_dataloader.dataset.metainfo.classes': ('num_classes', 'classes'),
    'model.student.backbone.depth': ('student', 'neck.in_channels'),
    'model.student.head.in_channels': ('student',),
    'model.student.bbox_head.in_channels': ('student',),
    'model.student.head.num_classes': ('logits',),
    'model.teacher.config.head.num_classes': ('logits',),
    'model.stages.logits.at': ('stages.logits.loss',),
    'model.teacher.allow_incomplete': ('teacher.checkpoint',),
    'model.student.neck.in_channels': ('student',),
    'model.stages.b.loss': ('stages.b: KRLoss',),
    'model.stages.logits.neck': ('stages.logits',),
}


def good_configs(folder):
    """Good configs that train, by their name."""
    data, coco = tiny_cls.write_cifar(folder / 'data'), tiny.write_coco(folder / 'coco')
    with_all = dict(neck=tiny_cls.NECK, prior=dict(type='dpk_mm.CKAPrior'), loss=MSE)
    stages = dict(a=dict(at='backbone.layer3', **with_all), logits=tiny_cls.logits())
    classifier = tiny_cls.training_cfg(tiny_cls.distiller(stages=stages), data, folder / 'run')
    stages = dict(a=dict(with_all, at='neck[2]', neck=tiny.NECK), b=dict(at='neck[0]', loss=tiny.FGD))
    detector = tiny.training_cfg(tiny.distiller(stages=stages, input_shape=(64, 64)), coco, folder / 'run')
    return dict(classifier=classifier, detector=detector)


def mutations():
    """All mutations: name of the good config, field, value."""
    for name, own in (('classifier', CLASSIFIER), ('detector', DETECTOR)):
        for field, values in {**BOTH, **own}.items():
            for value in values:
                yield name, field, value


def mutate(cfg, field, value):
    """A copy of a config with one field changed, or taken away."""
    cfg = copy.deepcopy(cfg.to_dict())
    *path, last = [int(key) if key.isdigit() else key for key in field.split('.')]
    node = cfg
    for key in path:
        node = node[key] if isinstance(key, int) or key in node else node.setdefault(key, {})
    if value == GONE:
        del node[last]
    else:
        node[last] = value
    return Config(cfg)


def build(cfg):
    """Build a training up to its first step; a mistake is an error."""
    cfg.experiment_name = f'campaign_{time.time_ns()}'
    if isinstance(cfg.get('load_from'), str):
        check_checkpoint(cfg.load_from, 'load_from')
    check_config(cfg)
    build_parts(build_runner(cfg))


def judge(cfg, field):
    """What becomes of a bad config: its kind, and the message."""
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            build(cfg)
    except (ValueError, OSError, ImportError) as error:
        text = str(error)
        names = (field.replace('.0.', '[0].').removeprefix('model.'), *ALSO.get(field, ()))
        if '\n' in text or len(text) > 600:
            return 'no_line', text
        parent, _, last = names[0].rpartition('.')  # of which a message may say what is wrong in it
        is_named = any(name in text for name in names) or (
            parent and parent in text and (last == 'type' or last in text.split(parent)[1])
        )
        return ('clear' if is_named else 'without_field'), text
    except Exception as error:
        return 'traceback', f'{type(error).__name__}: {error}'
    return 'silent', ''


def run(seed, n, verbose=False):
    """Judge ``n`` bad configs, drawn by the seed; all there are where ``n`` is larger."""
    drawn = list(mutations())
    random.Random(seed).shuffle(drawn)
    level = MMLogger.get_current_instance().level
    logging.disable(logging.CRITICAL)
    counts, here = Counter(), os.getcwd()
    try:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            good = good_configs(Path(folder))
            for cfg in good.values():
                build(mutate(cfg, 'log_level', 'ERROR'))
            for name, field, value in drawn[:n]:
                kind, text = judge(mutate(good[name], field, value), field)
                counts[kind] += 1
                if verbose or kind != 'clear':
                    print(f'{kind}: {name}: {field}={value!r}: {" ".join(text.split())[:300]}', flush=True)
            os.chdir(here)
    finally:
        os.chdir(here)
        logging.disable(logging.NOTSET)
        MMLogger.get_current_instance().setLevel(level)
    kinds = ('clear', 'without_field', 'no_line', 'traceback', 'silent')
    return dict(configs=sum(counts.values()), **{kind: counts[kind] for kind in kinds})


def main():
    """Run it alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--n', type=int, default=N)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--verbose', action='store_true', help='also print the messages that are clear')
    args = parser.parse_args()
    print(run(args.seed, args.n, args.verbose))


if __name__ == '__main__':
    main()
