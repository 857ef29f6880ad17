# A narrow MobileNetV2 that starts from nothing learns to segment blood cells from a full one on ImageNet weights:
#   python tools/train.py experiments/bccd_seg/configs/mobilenet-v2.py --cfg-options randomness.seed=0
#   python tools/compare.py experiments/bccd_seg/compare.py --out experiments/bccd_seg
base = 'experiments/bccd_seg/configs/mobilenet-v2_x0.25.py'
teacher = 'experiments/bccd_seg/configs/mobilenet-v2.py:work_dirs/mobilenet-v2/epoch_8.pth'
# All weights find themselves; no row was chosen among others.
methods = {
    'alone': None,
    **{name: dict(model=dict(method=name, input_shape=(96, 128))) for name in ('kd', 'cwd', 'pkd')},
}
seeds = [0, 1, 2]
