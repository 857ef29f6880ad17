# What does DPK bring a small RetinaNet? `make demo` makes the data, compares, and draws the pictures.
base = 'demo/detection/configs/retinanet_r18_digits.py'
teacher = 'demo/detection/configs/retinanet_r34_digits.py:demo/detection/configs/retinanet_r34_digits.pth'
# A loss that weighs nothing: the student starts with the teacher's neck and head, and is then trained alone.
_idle = dict(at='neck[0]', loss=dict(type='dpk_mm.FGDLoss', loss_weight=0.0))
methods = {
    'student alone': None,
    'student with DPK': dict(
        allow=['init_student'], config='demo/detection/configs/retinanet_r34_r18_digits.py'
    ),
    # which part is whose?
    'student, inherited start': dict(
        allow=['init_student'], model=dict(init_student=True, stages=dict(p3=_idle))
    ),
    'student with FGD alone': dict(
        allow=['init_student'], config='demo/detection/configs/retinanet_r34_r18_fgd_digits.py'
    ),
}
seeds = [0]
