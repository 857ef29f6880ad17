"""How the networks of this package are initialised unless a config says otherwise.

For ShuffleNets the choice is ours: the benchmark has torch's default, which is about half as wide. It has
torch's default for the linear layer of all networks too; MMPretrain's head has a standard deviation of 0.01.
"""

KAIMING_INIT = [
    dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu'),
    dict(type='Constant', layer='BatchNorm2d', val=1),
]
