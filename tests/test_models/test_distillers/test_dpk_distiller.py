"""DPKDistiller: building it, what it does in a step, and what it refuses."""

import copy
import random

import numpy as np
import pytest
import tiny
import tiny_cls
import torch
from torch import nn

from dpk_mm.models import DistillStage, FrozenTeacher
from dpk_mm.registry import MODELS


@pytest.fixture(scope='module')
def model():
    model = tiny.build(tiny.distiller())
    model.init_weights()
    return model.train()


def losses(model, **kwargs):
    return model(**tiny.batch(model, **kwargs), mode='loss')


def test_a_step_gives_upstreams_losses_and_ours(model):
    values = losses(model)
    assert set(values) == {
        'loss_cls', 'loss_bbox', 'loss_distill_neck_0', 'loss_distill_neck_2', 'ratio_neck_2'
    }  # fmt: skip
    assert 0.15 <= values['ratio_neck_2'] <= 0.95
    total, logs = model.parse_losses(values)
    assert torch.isfinite(total) and not total.isnan()
    # the ratio is logged, not trained
    without = {k: v for k, v in values.items() if not k.startswith('ratio')}
    assert torch.equal(total, model.parse_losses(without)[0])


def test_every_parameter_of_student_and_necks_gets_a_gradient(model):
    model.zero_grad()
    model.parse_losses(losses(model))[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    # distillation alone reaches the student's backbone
    model.zero_grad()
    losses(model)['loss_distill_neck_2'].backward()
    assert model.student.backbone.conv1.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in model.teacher.parameters())


def test_teacher_runs_once_up_to_the_last_tap_and_before_the_student(model):
    """So that what it computes on the way does not lie beside the student's graph."""
    ran = []
    watched = {
        'student': model.student.backbone,
        'teacher': model.teacher.model.backbone,
        'teacher head': model.teacher.model.bbox_head,
    }
    handles = [
        module.register_forward_hook(lambda *args, name=name: ran.append(name))
        for name, module in watched.items()
    ]
    losses(model)
    for handle in handles:
        handle.remove()
    assert ran == ['teacher', 'student']


def test_prediction_is_the_students_and_the_teacher_sleeps(model):
    plain = copy.deepcopy(model.student).eval()
    teacher = model.teacher
    ours = copy.deepcopy(model).eval()
    data = tiny.batch(plain)

    def awake(*args):
        raise AssertionError('the teacher ran')

    handle = teacher.model.backbone.register_forward_pre_hook(awake)
    with torch.no_grad():
        expected = plain(**copy.deepcopy(data), mode='predict')
        got = ours(**copy.deepcopy(data), mode='predict')
        tensors = ours(**data, mode='tensor')
    handle.remove()
    assert [type(s) for s in got] == [type(s) for s in expected]
    for a, b in zip(got, expected):
        assert len(b.pred_instances) > 0
        for key in ('bboxes', 'scores', 'labels'):
            assert torch.equal(a.pred_instances[key], b.pred_instances[key])
    assert torch.equal(tensors[0][0], plain(data['inputs'])[0][0])


def test_same_step_same_masks_other_step_other_masks(model):
    from mmengine.logging import MessageHub

    def neck_loss(iteration):
        MessageHub.get_current_instance().update_info('iter', iteration)
        return losses(model)['loss_distill_neck_2'].item()

    model.eval()  # BN statistics stay put; the mode says which path is taken
    first, other, again = neck_loss(1), neck_loss(2), neck_loss(1)
    model.train()
    assert first == again != other


def test_building_and_stepping_draw_no_random_numbers_of_upstreams():
    def states():
        return torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()

    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    plain = MODELS.build(tiny.retinanet())
    plain.init_weights()
    expected, expected_weights = states(), plain.state_dict()

    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    ours = MODELS.build(tiny.distiller())
    ours.init_weights()
    got = states()
    assert torch.equal(expected[0], got[0])
    assert (expected[1] == got[1]).all() and expected[2] == got[2]
    for key, value in ours.student.state_dict().items():
        assert torch.equal(value, expected_weights[key]), key

    data = tiny.batch(ours)
    before = states()
    ours(**data, mode='loss')
    after = states()
    assert torch.equal(before[0], after[0])
    assert (before[1] == after[1]).all() and before[2] == after[2]


def test_the_dry_run_leaves_the_student_as_upstream_builds_it():
    plain, ours = tiny.build(tiny.retinanet()), tiny.build(tiny.distiller())
    modes = {n: m.training for n, m in plain.named_modules()}
    assert modes == {n: m.training for n, m in ours.student.named_modules()}
    for key, value in ours.student.state_dict().items():
        assert torch.equal(value, plain.state_dict()[key]), key
    assert not any(m._forward_hooks for m in ours.modules())


def test_zero_weight_stage_only_watches():
    model = tiny.build(tiny.distiller(stages=tiny.stages(loss_weight=0.0)))
    values = losses(model)
    assert values['loss_distill_neck_2'] == 0 and not values['loss_distill_neck_2'].requires_grad
    # what it says of the student is what it says when it teaches
    assert values['ratio_neck_2'] == losses(tiny.build(tiny.distiller()))['ratio_neck_2']
    assert not any(p.requires_grad for p in model.distiller.parameters())


def test_what_only_watches_costs_no_neck_no_loss_and_without_priors_no_teacher():
    ran = []
    for stages in (tiny.stages(loss_weight=0.0), tiny.stages((0,), loss_weight=0.0)):
        model = tiny.build(tiny.distiller(stages=stages))
        watched = {**dict(model.distiller.named_modules()), 'teacher': model.teacher.model.backbone}
        for name, module in watched.items():
            module.register_forward_hook(lambda *args, name=name: ran.append(name))
        losses(model)
    # the stages themselves run, twice the first of them, and the teacher once: for the ratio
    assert sorted(ran) == ['neck_0', 'neck_0', 'neck_2', 'teacher']


def test_hooks_find_the_students_attributes(model):
    assert model.bbox_head is model.student.bbox_head
    assert model.with_neck is True
    assert not hasattr(model, 'no_such_thing')
    assert model.data_preprocessor is model.student.data_preprocessor


def test_a_config_whose_data_preprocessor_does_not_count_is_told(warnings_logged):
    own = dict(mean=[1.0] * 3, std=[2.0] * 3, num_classes=5)
    tiny.build(tiny_cls.distiller(data_preprocessor=tiny_cls.classifier()['data_preprocessor']))
    assert not [text for text in warnings_logged if 'data_preprocessor' in text]
    for settings in (tiny_cls.distiller, tiny_cls.sftn):
        model = tiny.build(settings(data_preprocessor=own))
        assert model.data_preprocessor.mean.flatten().tolist() == [127.0] * 3
        assert (
            "the model's own counts. The config's differs in mean, num_classes, std." in warnings_logged.pop()
        )


def test_fgd_on_a_classifier_is_refused_at_build():
    stage = dict(at='backbone.layer3', loss=dict(type='dpk_mm.FGDLoss'))
    with pytest.raises(ValueError, match='stages.a.loss: FGDLoss needs the boxes of a detector, not a Im'):
        tiny.build(tiny_cls.distiller(stages=dict(a=stage)))


def test_a_data_preprocessor_that_is_set_is_the_students():
    model = tiny.build(tiny.distiller())
    other = tiny.build(tiny.retinanet(mean=[0, 0, 0])).data_preprocessor
    model.data_preprocessor = other
    assert model.data_preprocessor is model.student.data_preprocessor is other
    assert 'data_preprocessor' not in dict(model.named_children())


def test_attributes_that_are_set_are_the_students():
    """As a hook sets them; what the distiller has itself stays its own."""
    model = tiny.build(tiny.distiller())
    model.student.epoch, head = 0, copy.deepcopy(model.bbox_head)
    model.epoch, model.bbox_head, model.input_shape, model.new = 5, head, (64, 64), 1
    assert model.student.epoch == 5 and model.student.bbox_head is head
    assert not {'epoch', 'bbox_head'} & {*vars(model), *model._modules}
    assert not hasattr(model.student, 'input_shape') and not hasattr(model.student, 'new')
    assert {'input_shape', 'new'} <= set(vars(model)) and set(model.state_dict()) >= set(
        head.state_dict(prefix='bbox_head.')
    )
    twin = copy.deepcopy(model)
    twin.epoch = 6
    assert (twin.student.epoch, model.student.epoch) == (6, 5)


def test_types_may_be_classes():
    """As mmengine's registries and its configs in plain Python have them."""
    stages = tiny.stages()
    for stage in stages.values():
        for part in {'loss', 'neck', 'prior'} & set(stage):
            stage[part] = dict(stage[part], type=MODELS.get(stage[part]['type']))
    ours, theirs = (losses(tiny.build(tiny.distiller(stages=each))) for each in (stages, tiny.stages()))
    assert ours['loss_distill_neck_2'] == theirs['loss_distill_neck_2']
    assert ours['ratio_neck_2'] == theirs['ratio_neck_2']


def test_deepcopy_shares_the_teacher_and_no_student(model):
    twin = copy.deepcopy(model)
    assert twin.teacher is model.teacher
    assert twin.student is not model.student
    assert all(a is not b for a, b in zip(twin.parameters(), model.parameters()))


def test_only_all_modules_of_distillation_may_be_missing_from_a_checkpoint(model):
    """None: a plain student's. Some: of another config, or damaged."""
    whole = model.state_dict()
    own = [name for name in whole if name.startswith('distiller.')]
    plain = {name: value for name, value in whole.items() if name not in own}
    assert own and not any(model.load_state_dict(plain))
    with pytest.raises(RuntimeError, match=f'Missing key.*{own[-1]}'):
        model.load_state_dict({name: value for name, value in whole.items() if name != own[-1]})


def test_teacher_follows_the_students_dtype_when_it_runs():
    model = tiny.build(tiny.distiller()).double()
    data = tiny.batch(model)
    model(data['inputs'].double(), data['data_samples'], mode='loss')
    assert next(model.teacher.parameters()).dtype == torch.float64


def test_init_student_inherits_all_but_the_backbone():
    model = tiny.build(tiny.distiller(init_student=True))
    model.init_weights()
    student, teacher = model.student.state_dict(), model.teacher.model.state_dict()
    same = {k for k in student if k in teacher and student[k].shape == teacher[k].shape}
    inherited = {k for k in same if not k.startswith('backbone.')}
    # other widths at the bottom of the FPN: those keep their own start
    assert 'neck.lateral_convs.0.conv.weight' not in inherited
    assert 'bbox_head.retina_cls.weight' in inherited
    assert all(torch.equal(student[k], teacher[k]) for k in inherited)
    assert not torch.equal(student['backbone.conv1.weight'], teacher['backbone.conv1.weight'])


def test_init_student_that_fits_nothing_is_refused():
    teacher = dict(config=tiny.retinanet(depth=50, channels=16), allow_incomplete=True)
    stage = dict(at='neck[0]', loss=tiny.FGD)
    teacher['config'].bbox_head.update(num_classes=5, stacked_convs=2)
    teacher['config'].bbox_head.anchor_generator.ratios = [1.0]
    with pytest.raises(ValueError, match='init_student=True'):
        tiny.build(tiny.distiller(teacher=teacher, init_student=True, stages=dict(p3=stage)))


def test_student_and_teacher_of_other_widths_meet_through_neck_or_adapter():
    teacher = dict(config=tiny.retinanet(depth=50, channels=16), allow_incomplete=True)
    model = tiny.build(tiny.distiller(teacher=teacher))
    assert isinstance(model.distiller['neck_0'].adapter, nn.Conv2d)
    neck = model.distiller['neck_2'].neck
    assert (neck.student_channels, neck.teacher_channels) == (8, 16)
    assert torch.isfinite(model.parse_losses(losses(model))[0])


def test_necks_of_one_config_start_apart():
    model = tiny.build(tiny.distiller(stages=tiny.stages((0, 2, 3))))
    a, b = (model.distiller[name].neck.head.weight for name in ('neck_2', 'neck_3'))
    assert a.shape == b.shape and not torch.equal(a, b)


def test_a_layer_that_runs_once_a_level_is_refused_at_build():
    stage = dict(at='bbox_head.retina_cls', loss=dict(type='dpk_mm.FeatureMSELoss'))
    with pytest.raises(ValueError, match=r'stages\.p3\.student_at: .*ran more than once'):
        tiny.build(tiny.distiller(stages=dict(p3=stage)))


def test_a_layer_overwritten_in_place_is_refused_at_build():
    stage = dict(student_at='backbone.layer4.1.bn2', teacher_at='backbone.layer4.1.bn3')
    with pytest.raises(ValueError, match=r'stages\.p3\.student_at: .*overwritten in place'):
        tiny.build(tiny.distiller(stages=dict(p3=dict(stage, loss=dict(type='dpk_mm.FeatureMSELoss')))))


def test_an_input_shape_that_a_model_does_not_take_is_named():
    teacher = tiny.retinanet(pad_size_divisor=1)
    teacher.neck = dict(type='CSPNeXtPAFPN', in_channels=[4, 8, 16, 32], out_channels=8, num_csp_blocks=1)
    teacher.bbox_head.anchor_generator.strides = [4, 8, 16, 32]
    stage = dict(at='neck[0]', loss=dict(type='dpk_mm.FeatureMSELoss'))
    student = tiny.retinanet(pad_size_divisor=1)
    cfg = tiny.distiller(student, teacher=dict(config=teacher, allow_incomplete=True), stages=dict(p3=stage))
    tiny.build(cfg)
    with pytest.raises(ValueError, match=r'teacher: RetinaNet does not run on a blank image of \(200, 200\)'):
        tiny.build(dict(cfg, input_shape=(200, 200)))
    padded = dict(cfg['teacher'], pad_size_divisor=32)
    model = tiny.build(dict(cfg, teacher=padded, input_shape=(200, 200)))
    assert model.teacher.probe(['neck[0]'], (200, 200))['neck[0]'] == (1, 8, 50, 50)


def test_any_layer_can_be_distilled_and_named():
    mse = dict(type='dpk_mm.FeatureMSELoss')
    stages = dict(
        c5=dict(student_at='backbone.layer4', teacher_at='backbone[3]', loss=mse),
        last=dict(at='neck[-1]', neck=tiny.NECK, loss=mse),
        head=dict(at='bbox_head[0][1]', loss=mse),
    )
    model = tiny.build(tiny.distiller(stages=stages))
    assert set(losses(model)) >= {
        'loss_distill_c5', 'loss_distill_last', 'ratio_last', 'loss_distill_head'
    }  # fmt: skip


def test_classifier_with_features_and_logits():
    def resnet(depth, channels):
        return dict(
            type='ImageClassifier',
            backbone=dict(type='ResNet', depth=depth, base_channels=8, stem_channels=8),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=channels),
            data_preprocessor=dict(mean=[0] * 3, std=[255] * 3, num_classes=5),
            _scope_='mmpretrain',
        )

    from mmpretrain.structures import DataSample

    model = tiny.build(
        dict(
            type='dpk_mm.DPKDistiller',
            student=resnet(18, 64),
            teacher=dict(config=resnet(50, 256), allow_incomplete=True),
            method=None,
            stages=dict(
                layer4=dict(at='backbone.layer4', neck=tiny.NECK, loss=dict(type='dpk_mm.FeatureMSELoss')),
                logits=dict(at='head.fc', loss=dict(type='dpk_mm.LogitsKLLoss', temperature=4.0)),
            ),
            input_shape=(64, 64),
        )
    )
    samples = [DataSample().set_gt_label(i) for i in range(4)]
    values = model(torch.rand(4, 3, 64, 64), samples, mode='loss')
    names = {'loss_task', 'loss_distill_layer4', 'ratio_layer4', 'loss_distill_logits'}
    assert set(values) == names
    model.parse_losses(values)[0].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


BAD_STAGES = {
    'unknown layer': (dict(at='nek[0]', loss=tiny.FGD), r"stages\.p3.at='nek\[0\]'.*no layer 'nek'.*neck"),
    'index beyond': (dict(at='neck[9]', loss=tiny.FGD), r"'neck\[9\]'.*5 outputs"),
    'no index': (dict(at='neck', loss=tiny.FGD), r"'neck'.*tuple.*neck\[0\]"),
    'bad syntax': (dict(at='neck[x]', loss=tiny.FGD), r"stages\.p3.at='neck\[x\]'"),
    'no layer': (dict(loss=tiny.FGD), r'stages\.p3 needs at'),
    'no loss': (dict(at='neck[0]'), r'stages\.p3 needs a loss'),
    'unknown field': (dict(at='neck[0]', loss=tiny.FGD, weight=2), r"no field \['weight'\]"),
    'prior without neck': (
        dict(at='neck[0]', loss=tiny.FGD, prior=dict(type='dpk_mm.CKAPrior')),
        'needs a neck',
    ),
    'student channels': (
        dict(at='neck[0]', neck=dict(tiny.NECK, student_channels=7), loss=tiny.FGD),
        r'stages.p3.neck.student_channels is 7, but the layer gives 8',
    ),
    'loss channels': (
        dict(at='neck[0]', loss=dict(tiny.FGD, channels=256)),
        r'stages.p3.loss.channels is 256, but the layer gives 8',
    ),
    'ratio': (
        dict(at='neck[0]', neck=tiny.NECK, loss=tiny.FGD, prior=dict(type='dpk_mm.FixedPrior', ratio=1.5)),
        r'stages.p3.prior.ratio must be a number from 0 to 1, got 1.5',
    ),
    'patch': (dict(at='neck[0]', neck=dict(tiny.NECK, patch_size=0), loss=tiny.FGD), r'patch_size.*got 0'),
    'heads': (
        dict(
            at='neck[0]',
            neck=dict(tiny.NECK, encoder=dict(embed_dims=16, num_layers=1, num_heads=3)),
            loss=tiny.FGD,
        ),
        'multiple of num_heads',
    ),
    'encoder missing': (
        dict(at='neck[0]', neck=dict(type='dpk_mm.FeatureMixingNeck'), loss=tiny.FGD),
        'encoder',
    ),
    'loss type': (dict(at='neck[0]', loss=dict(alpha=1)), 'loss must be a dict with a type'),
    'loss unknown': (dict(at='neck[0]', loss=dict(type='dpk_mm.NoLoss')), 'NoLoss'),
}


@pytest.mark.parametrize('case', BAD_STAGES)
def test_bad_stage_fails_at_build_in_one_message(case):
    stage, message = BAD_STAGES[case]
    with pytest.raises(ValueError, match=message):
        tiny.build(tiny.distiller(stages=dict(p3=stage)))


def test_bad_config_fails_at_build():
    with pytest.raises(ValueError, match='stages is empty'):
        tiny.build(tiny.distiller(stages={}))
    with pytest.raises(ValueError, match='stages is empty'):
        tiny.build(tiny.distiller(stages=dict(p3=None)))
    with pytest.raises(FileNotFoundError, match="student='nowhere.py'"):
        tiny.build(tiny.distiller(student='nowhere.py'))
    with pytest.raises(ValueError, match="teacher must be 'CONFIG:CHECKPOINT'.*got 3"):
        tiny.build(dict(tiny.distiller(), teacher=3))
    with pytest.raises(FileNotFoundError, match="teacher.config='hub'"):
        tiny.build(dict(tiny.distiller(), teacher='hub'))


def test_the_config_is_left_as_it_was():
    cfg = tiny.distiller()
    before = copy.deepcopy(cfg)
    MODELS.build(cfg)
    assert cfg == dict(before, type=cfg.get('type', before['type']))


def test_teacher_is_no_submodule(model):
    assert isinstance(model.teacher, FrozenTeacher)
    assert not any(isinstance(m, FrozenTeacher) for m in model.modules())


def test_the_teacher_sees_what_it_was_trained_on():
    """Its own mean, std and channel order, and zeros where the batch is padded."""
    other = tiny.retinanet(mean=[103.5, 116.3, 123.7], std=[1.0, 1.0, 1.0], bgr_to_rgb=False)
    model = tiny.build(tiny.distiller(teacher=dict(config=other, allow_incomplete=True)))
    features = {}
    handle = model.teacher.model.neck.register_forward_hook(
        lambda module, args, output: features.update(ours=output)
    )
    losses(model)
    handle.remove()
    own = tiny.batch(model.teacher.model)  # the same raw images through the teacher's preprocessor
    with torch.no_grad():
        expected = model.teacher.model.extract_feat(own['inputs'])
    for a, b in zip(features['ours'], expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_optimizer_constructors_see_the_students_names(model):
    names = [name for name, _ in model.named_parameters()]
    student = [name for name, _ in model.student.named_parameters()]
    assert names[: len(student)] == student
    assert all(name.startswith('distiller.') for name in names[len(student) :])
    assert dict(model.named_parameters(prefix='a'))['a.neck.fpn_convs.0.conv.bias'] is not None
    assert len(list(model.parameters())) == len(names)


BAD_SHAPES = [
    ((1, 4, 8), (1, 4, 8), {}, r'maps \(B, C, H, W\) or logits'),
    ((1, 4), (1, 5), {}, 'logits must agree'),
    ((1, 4), (1, 4), dict(neck=tiny.NECK), r'a neck needs maps'),
    ((1, 4, 8, 8), (1, 4, 8, 8), dict(neck=tiny.NECK, prior='dpk_mm.CKAPrior'), 'prior must be a dict'),
]


@pytest.mark.parametrize('student, teacher, parts, message', BAD_SHAPES)
def test_shapes_that_cannot_be_compared(student, teacher, parts, message):
    with pytest.raises(ValueError, match=message):
        DistillStage('s', student, teacher, loss=dict(type='dpk_mm.FeatureMSELoss'), **parts)


@pytest.mark.parametrize('name', ['p4.x', '', 'keys', 3])
def test_bad_stage_names(name):
    with pytest.raises(ValueError, match=f'stages: the name {name!r} does not fit'):
        tiny.build(tiny.distiller(stages={name: dict(at='neck[0]', loss=tiny.FGD)}))


@pytest.mark.parametrize('stages', ['neck[0]', [dict(at='neck[0]', loss=tiny.FGD)]])
def test_stages_must_be_a_dict(stages):
    with pytest.raises(ValueError, match='stages must be a dict of stages by their names'):
        tiny.build(dict(tiny.distiller(), stages=stages))


def test_a_stage_must_be_a_dict():
    with pytest.raises(
        ValueError, match=r"stages\.at must be a dict, or None to leave it out, got 'neck\[0\]'"
    ):
        tiny.build(tiny.distiller(stages=dict(at='neck[0]', loss=tiny.FGD)))


def test_a_stage_that_is_none_is_left_out():
    model = tiny.build(tiny.distiller(stages=dict(tiny.stages((0, 1, 2)), neck_1=None)))
    assert list(model.distiller) == ['neck_0', 'neck_2']


def test_layer_wise_decay_is_the_students():
    import mmpretrain.engine  # noqa: F401
    from mmengine.optim import build_optim_wrapper

    def vit(dims):
        arch = dict(embed_dims=dims, num_layers=2, num_heads=2, feedforward_channels=32)
        return dict(
            type='ImageClassifier',
            backbone=dict(type='VisionTransformer', arch=arch, img_size=32, patch_size=8),
            head=dict(type='VisionTransformerClsHead', num_classes=5, in_channels=dims),
            data_preprocessor=dict(num_classes=5),
            _scope_='mmpretrain',
        )

    def learning_rates(model):
        wrapper = dict(
            type='OptimWrapper',
            optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
            constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor',
            paramwise_cfg=dict(layer_decay_rate=0.5),
        )
        groups = build_optim_wrapper(model, wrapper).param_groups
        of = {id(p): group['lr'] for group in groups for p in group['params']}
        return {name: of[id(p)] for name, p in model.named_parameters() if p.requires_grad}

    plain = learning_rates(tiny.build(vit(16)))
    ours = tiny.distiller(
        student=vit(16),
        teacher=dict(config=vit(32), allow_incomplete=True),
        stages=dict(logits=dict(at='head.layers.head', loss=dict(type='dpk_mm.LogitsKLLoss'))),
        input_shape=(32, 32),
    )
    assert learning_rates(tiny.build(ours)) == plain
    assert len(set(plain.values())) > 2
