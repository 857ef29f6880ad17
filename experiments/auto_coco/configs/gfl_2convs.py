# The teacher: two convolutions in each branch of its head, and a longer training.
_base_ = ['./_base_/gfl_mobilenet-v2.py', './_base_/persons_teacher.py']
model = dict(bbox_head=dict(stacked_convs=2))
