# A teacher that is no detector: a backbone of ImageNet teaches a RetinaNet that starts from nothing to find blood
# cells. The data and weights are those of experiments/bccd.
#   python tools/compare.py experiments/bccd_foundation/compare.py --out experiments/bccd_foundation
base = 'experiments/bccd_foundation/configs/retinanet_scratch.py'
teacher = dict(
    config='experiments/bccd_foundation/configs/mobilenet-v2_imagenet.py',
    checkpoint='data/mobilenet_v2_imagenet/mobilenet_v2_mmpretrain.pth',
)
methods = {
    'alone': None,
    **{
        name: dict(model=dict(method=name, input_shape=(240, 320)))
        for name in ('spatial-cosine', 'pkd', 'fitnet', 'dpk')
    },
}
seeds = [0, 1, 2]
