# An optimizer of the necks' own, as the authors' code has it for classifiers: no decay of biases and norms.
necks = dict(
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.95), weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, flat_decay_mult=0.0),
)
# The same for detectors that train 300 epochs; the warm-up by steps is mmdet's.
necks_300e = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=1000),
    dict(type='CosineAnnealingLR', begin=0, end=300, eta_min=1e-5, convert_to_iter_based=True),
]
