"""The picture of what a stage sees and predicts."""

import numpy as np
import pytest
import tiny
import torch

from dpk_mm.analysis import stage_maps


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A config of a distiller, and a checkpoint with its random student and necks."""
    folder = tmp_path_factory.mktemp('stage')
    tiny.write_coco(folder / 'data', num=5)
    tiny.training_cfg(tiny.distiller(), folder / 'data', folder / 'work').dump(folder / 'config.py')
    model = tiny.build(tiny.distiller(), seed=2)
    torch.save(dict(state_dict=model.state_dict()), folder / 'epoch_1.pth')
    torch.save(dict(state_dict=model.student.state_dict()), folder / 'exported.pth')
    return folder


def draw(plot_stage, run, name='epoch_1.pth', *flags):
    plot_stage.main([str(run / 'config.py'), str(run / name), '--out', str(run / 'stage.png'), *flags])


def test_a_row_has_image_maps_and_tokens(plot_stage, run, figures, capsys, monkeypatch):
    kept, measure = [], stage_maps.stage_maps
    monkeypatch.setattr(
        plot_stage, 'stage_maps', lambda *args: kept.append((args[0], measure(*args))) or kept[0][1]
    )
    draw(plot_stage, run, 'epoch_1.pth', '--images', '5', '--stage', 'neck_2')
    ((model, maps),), (figure,) = kept, figures
    part = model.distiller['neck_2']
    # the weights are those of the file
    key = 'distiller.neck_2.neck.head.weight'
    assert torch.equal(model.state_dict()[key], torch.load(run / 'epoch_1.pth')['state_dict'][key])
    count = part.neck.num_teacher_tokens(maps.tokens[0].numel(), maps.ratio)
    assert maps.tokens.flatten(1).sum(1).tolist() == [count] * 5
    # the mask is the stage's own again
    assert type(part.neck.mask).__name__ == 'RandomMask'
    places = [axes.images[0].get_array() for axes in figure.axes]
    assert len(places) == 25
    for i in range(5):
        _, student, tokens, predicted, teacher = places[5 * i : 5 * i + 5]
        assert np.array_equal(tokens, maps.tokens[i])
        for shown, feat in ((student, maps.student), (predicted, maps.predicted), (teacher, maps.teacher)):
            np.testing.assert_allclose(shown, feat[i].square().mean(0).sqrt(), rtol=1e-5)
    assert f'neck_2: the teacher fills {maps.ratio:.2f}' in capsys.readouterr().out


def test_pkd_sees_no_scale_and_so_does_the_picture():
    model = tiny.build(tiny.distiller(method='dpk', stages={}, input_shape=(96, 80))).eval()
    data = tiny.batch(model)
    batch = (data['inputs'], data['data_samples'])
    model.distiller['p4'].neck.head.weight.data *= 1000
    maps = stage_maps.stage_maps(model, batch, 'p4')
    for moment in (torch.mean, torch.std):
        torch.testing.assert_close(
            moment(maps.predicted, (0, 2, 3)), moment(maps.teacher, (0, 2, 3)), rtol=1e-3, atol=1e-4
        )
    spread = maps.predicted - maps.predicted.mean((0, 2, 3), keepdim=True)
    own = maps.teacher - maps.teacher.mean((0, 2, 3), keepdim=True)
    r = (spread * own).sum((0, 2, 3)) / (spread.square().sum((0, 2, 3)) * own.square().sum((0, 2, 3))).sqrt()
    assert r.abs().max() < 0.99  # it is still the neck's own prediction


@pytest.mark.parametrize(
    'name, flags, words',
    [
        ('exported.pth', [], 'give a checkpoint of this training'),
        (
            'epoch_1.pth',
            ['--stage', 'logits'],
            '--stage logits: the stages with a FeatureMixingNeck are neck_2',
        ),
        ('epoch_9.pth', [], 'epoch_9.pth'),
    ],
)
def test_mistakes_are_one_line(plot_stage, run, name, flags, words):
    with pytest.raises(SystemExit) as info:
        draw(plot_stage, run, name, *flags)
    assert words in str(info.value.code) and '\n' not in str(info.value.code)
