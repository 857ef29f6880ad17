# The authors' protocol: ResNet-18 starts from the weights upstream publishes for it,
# batch, schedule and augmentation are theirs. Compare it with a student that was trained on in the same way.
_base_ = './resnet152_resnet18_in1k.py'

model = dict(student=dict(init_cfg=_base_.dpk.authors.resnet18))
auto_scale_lr = _base_.dpk.authors.auto_scale_lr
train_dataloader = _base_.dpk.authors.train_dataloader
optim_wrapper = _base_.dpk.authors.optim_wrapper
param_scheduler = _base_.dpk.authors.param_scheduler
