"""show_layers.py: names that a stage takes, with the shapes they give."""

import pytest
import shrink
import tiny
import torch
from mmengine.config import Config


def rows(text):
    """The table, as layer -> the rest of its row."""
    lines = [line.split('  ') for line in text.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    return {line[0]: line[1:] for line in cells if line}


def test_lists_what_a_tap_takes(show_layers):
    layers = show_layers.list_layers(tiny.build(tiny.retinanet()), depth=2, input_shape=(64, 96))
    assert layers['backbone.layer2'] == '8 x 8 x 12'
    assert layers['neck[0]'] == '8 x 8 x 12' and layers['neck[4]'] == '8 x 1 x 1'
    assert layers['bbox_head.retina_cls'] == 'runs 5 times: no layer of a stage'
    assert layers['backbone.bn1'] == 'overwritten by a later layer: no layer of a stage'


@pytest.mark.parametrize('name', ['retinanet', 'mask-rcnn'])
def test_every_layer_it_gives_a_shape_for_can_be_distilled(show_layers, root, name):
    config = shrink.distiller(Config.fromfile(root / f'configs/dpk/{name}_r101_r50_coco.py'))
    layers = show_layers.list_layers(tiny.build(config.student), depth=2)
    stages = {
        f's{i}': dict(at=at, loss=dict(type='dpk_mm.FeatureMSELoss'))
        for i, (at, shape) in enumerate(layers.items())
        if 'no layer' not in shape and 'no map' not in shape
    }
    assert len(stages) > 10
    tiny.build(dict(config, stages=stages, input_shape=None, init_student=False))


def test_tokens_have_the_name_that_makes_a_map_of_them(show_layers):
    class Tokens(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(3, 5)

        def forward(self, inputs, samples=None, mode='tensor'):
            return self.layer(inputs.flatten(2).transpose(1, 2))

    assert show_layers.list_layers(Tokens(), 1, (4, 4)) == {'layer[tokens/1]': '5 x 4 x 4'}


def test_leaves_the_model_as_it_was(show_layers):
    model = tiny.build(tiny.retinanet()).train()
    show_layers.list_layers(model, depth=3)
    assert model.training and not any(module._forward_hooks for module in model.modules())


def test_shows_student_and_teacher_side_by_side(show_layers, root, capsys):
    show_layers.main([str(root / 'configs/dpk/resnet56_resnet20_cifar100.py')])
    table = rows(capsys.readouterr().out)
    assert table['layer'] == ['student', 'teacher']
    # of the config's own 32 x 32, with the stage that reads it
    assert table['backbone.layer3'] == ['64 x 8 x 8 (layer3)'] * 2


def test_teacher_of_its_own(show_layers, root, capsys):
    names = ('shufflenet-v1_cifar100.py', 'vgg8_cifar100.py')
    student, teacher = (str(root / 'configs/dpk/cifar100' / name) for name in names)
    show_layers.main([student, '--teacher', teacher, '--depth', '1', '--input-shape', '32', '32'])
    assert rows(capsys.readouterr().out)['backbone[0]'] == ['960 x 4 x 4', '512 x 4 x 4']


def test_shows_both_models_of_sftn(show_layers, root, capsys):
    show_layers.main([str(root / 'configs/sftn/sftn_wrn40-2_wrn16-2_cifar100.py'), '--depth', '1'])
    found = rows(capsys.readouterr().out)
    assert found['layer'] == ['student', 'teacher']
    config = str(root / 'configs/sftn/sftn_vgg13_mobilenet-v2_cifar100.py')
    show_layers.main([config])
    table = rows(capsys.readouterr().out)
    assert table['neck[0]'] == ['1280', '512']  # a MobileNetV2, and a VGG of 512 channels


def test_mistakes_are_one_line(show_layers, root):
    with pytest.raises(SystemExit, match="neither 'model' nor 'type'"):
        show_layers.main([str(root / 'configs/dpk/_base_/dpk_coco.py')])
    with pytest.raises(SystemExit, match='No such file'):
        show_layers.main(['nowhere.py'])
    with pytest.raises(SystemExit, match='student: RTMDet does not run on a blank image of .200, 200'):
        show_layers.main([str(root / 'configs/dpk/rtmdet_l_s_coco.py'), '--input-shape', '200', '200'])
