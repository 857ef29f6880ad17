"""mmdet's detectors of masks: backbone, neck and pixel decoder give maps, the regions of a head do not."""

import pytest
import shrink
import tiny
from mmdet.testing import demo_mm_inputs

MASK2FORMER = 'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py'
MASK_RCNN = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'


def distiller(name, **more):
    model = shrink.detector(shrink.load_model(name))
    model.data_preprocessor.batch_augments = None
    if 'panoptic_head' in model:
        head = model.panoptic_head
        head.pixel_decoder.norm_cfg.num_groups = 4
        head.pixel_decoder.encoder.num_layers = 1
        head.transformer_decoder.num_layers = 1
    teacher = dict(config=model, allow_incomplete=True)
    return dict(type='dpk_mm.Distiller', student=model, teacher=teacher, input_shape=(64, 64), **more)


def step(model):
    """The losses of one step."""
    batch = demo_mm_inputs(2, [[3, 64, 64]] * 2, num_classes=3, with_mask=True)
    model.train()
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    model.parse_losses(losses)[0].backward()
    return {name: float(value) for name, value in losses.items() if name.startswith('loss_distill_')}


def test_mask2former_learns_by_its_pixel_decoder_and_by_name():
    at = 'panoptic_head.pixel_decoder'
    maps = (
        dict(at=f'{at}[0]', loss=dict(type='dpk_mm.CWDLoss')),
        dict(at=f'{at}[1][0]', loss=dict(type='dpk_mm.PKDLoss')),
    )
    model = tiny.build(distiller(MASK2FORMER, method='pkd', stages=dict(zip(('masks', 'memory'), maps))))
    assert len(model.layers) > 2 and model.layers['masks'] == (f'{at}[0]',) * 2
    # the student is its own teacher, with other weights
    assert all(value > 0 for value in step(model).values())


def test_mask_rcnn_learns_by_its_neck_and_its_mask_head_is_refused():
    assert len(step(tiny.build(distiller(MASK_RCNN, method='pkd')))) == 4
    stages = dict(masks=dict(at='roi_head.mask_head.conv_logits', loss=dict(type='dpk_mm.PKDLoss')))
    with pytest.raises(ValueError, match='stages.masks.student_at: .*conv_logits'):
        tiny.build(distiller(MASK_RCNN, stages=stages))
