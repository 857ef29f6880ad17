# A RetinaNet with MobileNetV2 learns to find blood cells from one with a deeper head, for five epochs. All
# rows but the first start with the teacher's neck and head (`init_student`):
#   python tools/train.py configs/bccd/retinanet_fpn128.py --cfg-options randomness.seed=0
#   python tools/compare.py benchmarks/bccd/compare.py --out benchmarks/bccd --jobs 2
_base_ = '../_base_/detection.py'
base = 'configs/bccd/retinanet_thin.py'
teacher = dict(
    config='configs/bccd/retinanet_fpn128.py', checkpoint='work_dirs/retinanet_fpn128/epoch_16.pth'
)
# Does the lean preset keep what the authors' sizes give? Both with their patches at P4, P5 and P6.
_dpk = _base_.methods['dpk, cka']


def _with_necks(*necks) -> dict:
    stages = [dict(stage) for stage in _dpk['model']['stages']]
    for stage, patch_size, neck in zip(stages[1:], (4, 2, 1), necks):
        stage['neck'] = dict(type='dpk_mm.FeatureMixingNeck', patch_size=patch_size, **neck)
    return dict(_dpk, model=dict(_dpk['model'], stages=stages))


def _full(encoder, decoder) -> dict:
    return {
        part: dict(embed_dims=width, num_layers=4, num_heads=8)
        for part, width in (('encoder', encoder), ('decoder', decoder))
    }


methods = {
    "dpk, cka, authors' necks": _with_necks(_full(512, 1024), _full(256, 512), _full(256, 256)),
    'dpk, cka, lean necks': _with_necks(*[dict(preset='lean')] * 3),
    # What was best on CIFAR-100's held-out images (benchmarks/cifar100_tuning); not searched for here.
    'dpk, cka, lean necks, residual': _with_necks(*[dict(preset='lean', residual=True)] * 3),
}
