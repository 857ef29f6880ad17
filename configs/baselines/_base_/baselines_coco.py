# What the baselines on COCO share: all of configs/dpk's pair but its stages.
_base_ = '../../dpk/retinanet_r101_r50_coco.py'

model = dict(type='dpk_mm.Distiller', stages=dict(_delete_=True))
levels = dict(p3='neck[0]', p4='neck[1]', p5='neck[2]', p6='neck[3]', p7='neck[4]')
