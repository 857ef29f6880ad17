# Attention transfer (Zagoruyko and Komodakis, ICLR 2017): ResNet-32x4 teaches ResNet-8x4. The three stages
# with weight 1000 each are the shared benchmark's (RepDistiller, mdistiller).
_base_ = './_base_/baselines_cifar100.py'

at = dict(type='dpk_mm.ATLoss', loss_weight=1000.0)
model = dict(stages={f'layer{i}': dict(at=f'backbone.layer{i}', loss=at) for i in (1, 2, 3)})
