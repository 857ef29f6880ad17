# FitNets (Romero et al., ICLR 2015): ResNet-32x4 teaches ResNet-8x4. The middle stage and weight 100 are the
# shared benchmark's (RepDistiller, mdistiller), as is one training instead of two. Theirs always has a 1x1
# convolution, batch norm and ReLU behind the student's map; ours a 1x1 convolution where channels differ,
# which these do not.
_base_ = './_base_/baselines_cifar100.py'

mse = dict(type='dpk_mm.FeatureMSELoss', loss_weight=100.0)
model = dict(stages=dict(layer2=dict(at='backbone.layer2', loss=mse)))
