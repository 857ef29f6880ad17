# CIFAR-100 as distillation papers train it: 240 epochs, batches of 64, SGD, x0.1 at 150, 180 and 210. The
# momentum is Nesterov's, as DPK's authors have it; the benchmark that the other papers share has it plain.
_base_ = ['mmpretrain::_base_/datasets/cifar100_bs16.py', 'mmpretrain::_base_/default_runtime.py']

train_dataloader = dict(batch_size=64, drop_last=False)
val_dataloader = dict(batch_size=200)
test_dataloader = val_dataloader
val_evaluator = dict(topk=(1, 5))
test_evaluator = val_evaluator

optim_wrapper = dict(
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True),
)
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[150, 180, 210], gamma=0.1)]
auto_scale_lr = dict(base_batch_size=64)
train_cfg = dict(by_epoch=True, max_epochs=240, val_interval=10)
val_cfg = dict()
test_cfg = dict()

default_hooks = dict(checkpoint=dict(type='dpk_mm.PlainCheckpointHook', interval=10, max_keep_ckpts=3))
