# The student alone: an eighth of the width in its head. The schedule is retinanet_thin.py's, untuned here.
_base_ = ['./_base_/faster-rcnn_mobilenet-v2.py', './_base_/bccd.py', './_base_/short.py']
model = dict(roi_head=dict(bbox_head=dict(fc_out_channels=128)))
# At the full rate the last layers of the backbone die, as their batch norms are frozen.
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
