# The student: a quarter of the width, from nothing.
_base_ = ['./_base_/segformer-head_mobilenet-v2.py', './_base_/bccd_seg.py', './_base_/short.py']
model = dict(
    backbone=dict(widen_factor=0.25),
    decode_head=dict(in_channels=[8, 8, 24, 80], channels=32),
)
