"""How the networks of this package are initialised unless a config says otherwise."""

KAIMING_INIT = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
    dict(type='Constant', layer='BatchNorm2d', val=1),
]
