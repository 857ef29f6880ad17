# Ours, not the paper's: lean residual necks and losses of features 333 times as heavy, of the last stage and
# of the one below. It led a search in short schedules (docs/results/cifar100_tuning.md).
lean = dict(preset='lean', residual=True, encoder=None, decoder=None)
tuned = dict(
    layer3=dict(neck=dict(lean, patch_size=1), loss=dict(loss_weight=100.0)),
    layer2=dict(neck=dict(lean, patch_size=2), loss=dict(loss_weight=60.0)),
)
