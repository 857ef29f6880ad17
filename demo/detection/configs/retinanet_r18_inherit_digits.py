# The student started from the neck and head of the teacher, without distillation: what inheriting is worth.
_base_ = './retinanet_r18_digits.py'
checkpoint = '{{ fileDirname }}/retinanet_r34_digits.pth'
model = dict(
    neck=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='neck.')),
    bbox_head=dict(init_cfg=dict(type='Pretrained', checkpoint=checkpoint, prefix='bbox_head.')),
)
