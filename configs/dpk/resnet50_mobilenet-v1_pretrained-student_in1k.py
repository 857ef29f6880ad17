# The authors' protocol: MobileNetV1 starts from trained weights,
# batch, schedule and augmentation are theirs. Compare it with a student that was trained on in the same way.
# Upstream publishes none, so train them first: configs/dpk/in1k/mobilenet-v1_in1k.py.
_base_ = './resnet50_mobilenet-v1_in1k.py'

model = dict(
    student=dict(init_cfg=dict(type='Pretrained', checkpoint='work_dirs/mobilenet-v1_in1k/epoch_100.pth'))
)
auto_scale_lr = _base_.dpk.authors.auto_scale_lr
train_dataloader = _base_.dpk.authors.train_dataloader
optim_wrapper = _base_.dpk.authors.optim_wrapper
param_scheduler = _base_.dpk.authors.param_scheduler
