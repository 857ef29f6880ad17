"""From the config of a training to the config of its distillation: by the flag, and as a file."""

import copy

import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from dpk_mm.methods.configs import add_distiller
from dpk_mm.methods.image_size import tell_size, training_size

PAIRS = ['retinanet-dpk', 'retinanet-fgd', 'faster-rcnn-pkd', 'classifier-dpk', 'classifier-kd+fitnet']


def faster_rcnn(depth):
    import shrink

    cfg = shrink.load_model('mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py')
    model = shrink.detector(cfg)
    model.backbone.depth = depth
    model.neck.in_channels = [8, 16, 32, 64] if depth == 18 else [32, 64, 128, 256]
    model.roi_head.bbox_head.num_classes = 3
    return model


@pytest.fixture
def pair(tmp_path, request):
    """Files of a student's training and a teacher, and the name of a method."""
    name, _, method = request.param.rpartition('-')
    if name == 'classifier':
        student, teacher = tiny_cls.classifier(), tiny_cls.classifier(depth=14, width=6)
        data = tiny_cls.write_cifar(tmp_path / 'data')
        make = tiny_cls.training_cfg
    else:
        data, make = tiny.write_coco(tmp_path / 'data'), tiny.training_cfg
        detectors = (tiny.retinanet(), tiny.retinanet(depth=50))
        student, teacher = detectors if name == 'retinanet' else (faster_rcnn(18), faster_rcnn(50))
    torch.manual_seed(7)
    weights = tiny.build(copy.deepcopy(teacher), seed=7).state_dict()
    torch.save(weights, tmp_path / 'teacher.pth')
    cfg = make(copy.deepcopy(student), data, tmp_path / 'run', epochs=1)
    cfg.default_hooks.checkpoint.type = 'CheckpointHook'
    cfg.dump(tmp_path / 'student.py')
    Config(dict(model=teacher, default_scope=cfg.default_scope)).dump(tmp_path / 'teacher.py')
    return tmp_path, f'{tmp_path}/teacher.py:{tmp_path}/teacher.pth', method


@pytest.mark.slow
@pytest.mark.parametrize('pair', PAIRS, indirect=True)
def test_the_file_trains_as_the_flag_bit_for_bit(pair, train, make_config):
    folder, teacher, method = pair
    student, made = f'{folder}/student.py', folder / 'my' / 'made.py'
    shape = ('--cfg-options', 'model.input_shape=(64,64)')
    train.main([student, '--teacher', teacher, '--method', method, '--work-dir', f'{folder}/a', *shape])
    make_config.main([student, teacher, '--method', method, '-o', str(made), *shape])
    cfg = Config.fromfile(made)
    assert cfg.model.stages and 'method' not in cfg.model
    assert cfg.optim_wrapper == Config.fromfile(student).optim_wrapper
    # with nothing of ours but the config, as stock tools do
    cfg.work_dir = f'{folder}/b'
    cfg.experiment_name = f'{folder.name}_b'
    Runner.from_cfg(cfg).train()
    one, two = (torch.load(folder / run / 'epoch_1.pth', weights_only=True) for run in 'ab')
    assert one['state_dict'].keys() == two['state_dict'].keys()
    assert any(key.startswith('distiller.') for key in one['state_dict']) or 'kd' in method
    for key, value in one['state_dict'].items():
        assert torch.equal(value, two['state_dict'][key]), key
    # what the flag chose stands beside its run
    dumped = Config.fromfile(f'{folder}/a/student.py')
    assert dumped.model.stages == cfg.model.stages and dumped.model.method is None
    plain = tiny.build(Config.fromfile(student).model)
    plain.load_state_dict({k: v for k, v in one['state_dict'].items() if not k.startswith('distiller.')})


@pytest.mark.slow
@pytest.mark.parametrize('pair', ['retinanet-dpk'], indirect=True)
def test_a_killed_run_of_a_method_ends_bit_equal(pair):
    """Auto weights, and the state of the necks' own AdamW, are in the checkpoint."""
    folder, teacher, method = pair
    cfg = Config.fromfile(folder / 'student.py')
    cfg.train_cfg.max_epochs = 2
    add_distiller(cfg, teacher, method)
    cfg.model.input_shape = (64, 64)
    cfg.work_dir = str(folder / 'whole')
    whole = tiny.train(cfg)
    half = copy.deepcopy(cfg)
    half.work_dir = str(folder / 'half')
    tiny.train_until_killed(half, 6)
    half.resume = True
    torch.manual_seed(99)
    resumed = tiny.train(half)
    for (key, one), two in zip(whole.model.state_dict().items(), resumed.model.state_dict().values()):
        assert torch.equal(one, two), key
    assert whole.model.distiller['p4'].loss.auto.count == 3


def test_what_does_not_fit_is_one_line(tmp_path, train, make_config, toy):
    with pytest.raises(SystemExit, match='--method needs --teacher'):
        train.main([str(toy), '--method', 'dpk'])
    path = tmp_path / 'distils.py'
    path.write_text("model = dict(type='dpk_mm.Distiller', student='a.py', teacher='b.py')")
    with pytest.raises(SystemExit, match='model.teacher is in the config already'):
        train.main([str(path), '--teacher', 'b.py:b.pth'])
    path.write_text('work_dir = "x"')
    with pytest.raises(SystemExit, match='the config has no model'):
        make_config.main([str(path), 'b.py:b.pth', '-o', str(tmp_path / 'c.py')])
    assert not (tmp_path / 'c.py').exists()


SIZES = [
    (dict(type='Resize', scale=(1333, 800), keep_ratio=True), (800, 1333)),
    (dict(type='RandomChoiceResize', scales=[(1333, 640), (1333, 800)]), (800, 1333)),
    (dict(type='RandomChoiceResize', scales=[(480, 1333), (800, 1333)], keep_ratio=True), (800, 1333)),
    (dict(type='RandomResize', scale=[(1280, 1280), (640, 640)]), (1280, 1280)),
    (dict(type='RandomResizedCrop', scale=224), (224, 224)),
    (dict(type='RandomCrop', crop_size=(300, 400)), (300, 400)),
    (dict(type='CenterCrop', crop_size=(400, 300)), (300, 400)),
    (dict(type='mmdet.Mosaic', img_scale=(640, 480)), (480, 640)),
    (dict(type='RandomFlip', prob=0.5), None),
    (dict(type='Resize', scale_factor=0.5), None),
]


@pytest.mark.parametrize('transform, size', SIZES)
def test_the_size_of_training_images_is_read_from_the_pipeline(transform, size):
    dataset = dict(type='A', pipeline=[dict(type='LoadImageFromFile'), transform, dict(type='PackInputs')])
    assert training_size(Config(dict(train_dataloader=dict(dataset=dataset)))) == size
    if transform['type'] == 'RandomCrop':  # mmdet's takes the width first
        cfg = dict(train_dataloader=dict(dataset=dataset), default_scope='mmdet')
        assert training_size(Config(cfg)) == size[::-1]
    wrapped = dict(type='Wrapper', dataset=dataset, pipeline=[dict(type='RandomFlip')])
    assert training_size(Config(dict(train_dataloader=dict(dataset=wrapped)))) == size


def test_sizes_inside_of_others_are_found():
    choice = dict(type='RandomChoice', transforms=[[dict(type='Resize', scale=(64, 48))], []])
    inner = dict(type='A', pipeline=[choice])
    outer = dict(type='ConcatDataset', datasets=[inner, inner])
    assert training_size(Config(dict(train_dataloader=dict(dataset=outer)))) == (48, 64)


@pytest.mark.parametrize(
    'scale, model, is_told',
    [
        ((128, 96), dict(), True),
        ((1333, 800), dict(), False),
        ((128, 96), dict(input_shape=(96, 128)), False),
        ((128, 96), dict(input_shape=(960, 1280)), True),
        ((128, 96), dict(input_shape=128), False),  # an error of the model
        (
            (320, 90),
            dict(student=dict(data_preprocessor=dict(pad_size_divisor=4))),
            True,
        ),
        ((128, 96), dict(method=None), False),
        ((128, 96), dict(type='dpk_mm.Distiller'), False),  # which has no method by itself
    ],
)
def test_images_of_another_size_than_a_method_takes_them_for_are_told(scale, model, is_told, monkeypatch):
    dataset = dict(pipeline=[dict(type='Resize', scale=scale)])
    model = dict(dict(type='dpk_mm.DPKDistiller', student=dict(), teacher='t.py:t.pth'), **model)
    said = []
    monkeypatch.setattr('dpk_mm.methods.image_size.print_log', lambda text, *args: said.append(text))
    tell_size(Config(dict(default_scope='mmdet', model=model, train_dataloader=dict(dataset=dataset))))
    shape = (96, 128) if scale == (128, 96) else (92, 320)  # height first, and padded
    assert [text.endswith(f'give model.input_shape={shape}.') for text in said] == [True] * is_told


def test_what_cannot_be_written_is_refused(make_config, tmp_path):
    path = tmp_path / 'student.py'
    path.write_text("model = dict(type='RetinaNet')")
    out = str(tmp_path / 'out.py')
    for options, message in (
        (['--cfg-options', 'optim_wrapper.optimizer.lr=0.5'], 'optim_wrapper.optimizer.lr: only fields'),
        (['--cfg-options', 'model.student.bbox_head.num_classes=7'], 'only fields of the distiller'),
    ):
        with pytest.raises(SystemExit, match=message):
            make_config.main([str(path), 'a.py:a.pth', '-o', out, *options])
    with pytest.raises(SystemExit, match='its weights are missing, say a.py:CHECKPOINT'):
        make_config.main([str(path), 'a.py', '-o', out])
    path.write_text('from mmdet.models import RetinaNet\nmodel = dict(type=RetinaNet)')
    with pytest.raises(SystemExit, match=r'has a read_base\(\)'):
        make_config.main([str(path), 'a.py:a.pth', '-o', out])
    assert not (tmp_path / 'out.py').exists()
    with pytest.raises(SystemExit, match='student.py exists already'):
        make_config.main([str(path), 'a.py:a.pth', '-o', str(path)])


def test_sizes_of_detectors_are_those_of_their_batches():
    dataset = dict(type='A', pipeline=[SIZES[0][0]])
    cfg = Config(
        dict(
            default_scope='mmdet',
            model=dict(data_preprocessor=dict(pad_size_divisor=32)),
            train_dataloader=dict(dataset=dataset),
        )
    )
    add_distiller(cfg, 'a.py:a.pth')
    assert cfg.model.input_shape == (800, 1344)


def test_a_training_without_data_has_no_size():
    assert training_size(Config(dict(model=dict()))) is None
