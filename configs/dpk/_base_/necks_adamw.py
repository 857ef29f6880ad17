# The necks' own optimizer when classifiers distil, as in the authors' code: no decay of biases and norms.
necks = dict(
    optimizer=dict(type='AdamW', lr=1e-4, betas=(0.9, 0.95), weight_decay=1e-4),
    paramwise_cfg=dict(norm_decay_mult=0.0, flat_decay_mult=0.0),
)
