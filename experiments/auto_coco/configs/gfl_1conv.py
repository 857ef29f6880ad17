# The student alone, with the teacher's width and half the layers of its head.
_base_ = ['./_base_/gfl_mobilenet-v2.py', './_base_/persons.py']
model = dict(bbox_head=dict(stacked_convs=1))
