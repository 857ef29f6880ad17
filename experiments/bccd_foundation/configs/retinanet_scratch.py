# The student of experiments/bccd without weights of ImageNet, as of a network for which nobody publishes any: all
# of it trains, at one rate.
_base_ = '../../bccd/configs/retinanet_thin.py'
model = dict(
    backbone=dict(
        frozen_stages=-1, norm_eval=False, init_cfg=dict(_delete_=True, type='Kaiming', layer='Conv2d')
    )
)
optim_wrapper = dict(paramwise_cfg=None)
