"""The heat map of CKA between two models."""

import csv

import numpy as np
import pytest
import tiny
import tiny_cls
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from dpk_mm.registry import DATASETS
from dpk_mm.utils import cka_from_hsics, hsics, linear_cka, positions_as_samples, record

LAYERS = ['backbone.stem', 'backbone.layer1', 'backbone.layer2', 'backbone.layer3', 'neck[0]', 'head.fc']


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """Configs of two classifiers and a detector, with random checkpoints of them."""
    folder = tmp_path_factory.mktemp('cka')
    tiny_cls.write_cifar(folder / 'cifar', num=24)
    tiny.write_coco(folder / 'coco', num=5)
    models = dict(a=tiny_cls.classifier(depth=8), b=tiny_cls.classifier(depth=14, width=6))
    for name, model in models.items():
        tiny_cls.training_cfg(model, folder / 'cifar', folder / 'work').dump(folder / f'{name}.py')
    models['det'] = tiny.retinanet()
    tiny.training_cfg(models['det'], folder / 'coco', folder / 'work').dump(folder / 'det.py')
    for name, model in models.items():
        for seed in (1, 2):
            torch.save(tiny.build(model, seed).state_dict(), folder / f'{name}{seed}.pth')
    return folder


def read(path):
    header, *rows = csv.reader(path.read_text().splitlines())
    return [row[0] for row in rows], header[1:], np.array([row[1:] for row in rows], dtype=float)


def features(run, model, weights, layers):
    """What a model's layers give for all validation images."""
    cfg = Config.fromfile(run / f'{model}.py')
    model = tiny.build(cfg.model)
    model.load_state_dict(torch.load(run / weights))
    dataset = DATASETS.build(dict(cfg.val_dataloader.dataset, _scope_=cfg.default_scope))
    batch = model.data_preprocessor(pseudo_collate([dataset[i] for i in range(len(dataset))]))
    with torch.no_grad(), record(model.eval(), layers, stop_early=True) as found:
        model(**batch, mode='predict')
    return [found[layer] for layer in layers]


def test_a_model_is_like_itself(cka_map, run, tmp_path, capsys):
    out, named = tmp_path / 'new/cka.png', f'{run}/a.py:{run}/a1.pth'
    cka_map.main([named, named, '--out', str(out), '--batch-size', '12'])
    rows, columns, matrix = read(out.with_suffix('.csv'))
    assert rows == columns == LAYERS
    assert np.diag(matrix) == pytest.approx(1, abs=1e-5)
    assert matrix == pytest.approx(matrix.T, abs=1e-5) and matrix.min() < 0.99
    said = capsys.readouterr().out
    assert 'backbone.layer3: 1.000' in said and '24 images, 12 a batch, samples are images' in said
    assert 'random' not in said
    assert out.exists()


def test_values_are_those_of_the_features_and_of_the_picture(cka_map, run, tmp_path, figures):
    out = tmp_path / 'cka.png'
    cka_map.main(
        [f'{run}/a.py:{run}/a1.pth', f'{run}/b.py:{run}/b2.pth', '--out', str(out), '--batch-size', '8']
    )
    _, _, matrix = read(out.with_suffix('.csv'))
    a, b = (features(run, name, f'{weights}.pth', LAYERS) for name, weights in (('a', 'a1'), ('b', 'b2')))
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            expected = cka_from_hsics(sum(hsics(*pair) for pair in zip(x.split(8), y.split(8))))
            assert matrix[i, j] == pytest.approx(expected.item(), abs=1e-4)
    axes, bar = figures[0].axes
    assert (np.asarray(axes.images[0].get_array()) == matrix).all()
    assert axes.images[0].get_clim() == (0, 1) and bar.get_ylabel() == 'CKA'
    assert [text.get_text() for text in axes.texts] == [
        f'{v:.2f}'.replace('-0.00', '0.00') for v in matrix.flat
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == LAYERS
    assert (axes.get_ylabel(), axes.get_xlabel()) == ('a', 'b')


def test_two_checkpoints_differ(cka_map, run, tmp_path):
    out = tmp_path / 'cka.png'
    named = [f'{run}/a.py:{run}/a{seed}.pth' for seed in (1, 2)]
    cka_map.main([*named, '--out', str(out), '--layers', 'backbone.layer3', 'head.fc', '--images', '16'])
    rows, columns, matrix = read(out.with_suffix('.csv'))
    assert rows == columns == ['backbone.layer3', 'head.fc'] and (np.diag(matrix) < 0.99).all()


def test_detectors_compare_positions(cka_map, run, tmp_path, capsys):
    out, layers = tmp_path / 'cka.png', ['backbone.layer2', 'neck[2]']
    named = [f'{run}/det.py:{run}/det{seed}.pth' for seed in (1, 2)]
    cka_map.main([*named, '--out', str(out), '--layers', *layers, '--batch-size', '3', '--images', '3'])
    assert 'samples are positions' in capsys.readouterr().out
    _, _, matrix = read(out.with_suffix('.csv'))
    # the three that are evenly spread over five
    a, b = ([f[[0, 1, 3]] for f in features(run, 'det', f'det{seed}.pth', layers)] for seed in (1, 2))
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            resized = torch.nn.functional.interpolate(
                x, size=y.shape[2:], mode='bilinear', align_corners=True
            )
            expected = linear_cka(*map(positions_as_samples, (resized, y)))
            assert matrix[i, j] == pytest.approx(expected.item(), abs=1e-4)


def test_layers_are_found(cka_map, run, tmp_path, capsys):
    out = tmp_path / 'cka.png'
    cka_map.main([f'{run}/det.py', f'{run}/det.py:{run}/det1.pth', '--out', str(out)])
    said = capsys.readouterr().out
    assert '5 images, 2 a batch, samples are positions' in said and 'det random: no checkpoint' in said
    rows, _, matrix = read(out.with_suffix('.csv'))
    backbone = [f'backbone.layer{i}' for i in range(1, 5)]
    assert rows == backbone + [f'neck[{i}]' for i in range(5)]
    # one position an image is too few: undefined, and said so
    assert np.isnan(matrix[:, -1]).all() and np.isfinite(matrix[:, :-1]).all()


def test_of_sftn_the_teacher_is_compared(cka_map, run, tmp_path):
    a = Config.fromfile(run / 'a.py')
    b = dict(Config.fromfile(run / 'b.py').model)
    a.merge_from_dict(dict(model=dict(_delete_=True, type='dpk_mm.SFTN', teacher=a.model, student=b)))
    a.dump(run / 'sftn.py')
    out = tmp_path / 'cka.png'
    cka_map.main([f'{run}/a.py:{run}/a1.pth', f'{run}/sftn.py:{run}/a1.pth', '--out', str(out)])
    assert np.diag(read(out.with_suffix('.csv'))[2]) == pytest.approx(1, abs=1e-5)


def test_names_of_one_output(cka_map, run):
    from dpk_mm.analysis.models import find_layers

    model = tiny.build(tiny_cls.classifier())
    aliases = find_layers(model, (32, 32), aliases=True)
    assert list(find_layers(model, (32, 32))) == LAYERS
    assert set(aliases) == {*LAYERS, 'backbone[0]', 'head'} and aliases['backbone[0]'] == (1, 16, 8, 8)
    assert not any(module._forward_hooks for module in model.modules())


def test_mistakes_are_one_line(cka_map, run, tmp_path, capsys):
    a, b = f'{run}/a.py:{run}/a1.pth', f'{run}/b.py'
    torch.save(dict(state_dict=dict(a=torch.ones(1)), more=run), run / 'more.pth')
    (run / 'bare.py').write_text("model = dict(type='ImageClassifier')")
    for flags, message in (
        (['a.pth', b], 'a.pth: expected CONFIG.py or CONFIG.py:CHECKPOINT, after LABEL= or not'),
        (['missing.py', b], 'config missing.py: .*'),
        ([f'{run}/a.py:missing.pth', b], '.*no such checkpoint: missing.pth'),
        ([f'{run}/a.py:{run}/b1.pth', b], f'{run}/a.py:{run}/b1.pth: .* weights do not fit: .*'),
        ([f'{run}/a.py:{run}/more.pth', b], '.*holds more than weights.* pass --trust-checkpoints.'),
        ([f'{run}/a.py:hub', b], ".*'hub' stands for .*"),
        ([a, b, '--layers', 'backbone.layer9'], f"{a}: --layers='backbone.layer9': .*has no layer .*"),
        ([a, b, '--layers', 'head.fc', '--layers-b', 'x'], f"{b}: --layers-b='x': .*has no layer .*"),
        ([a, b, '--images', '3'], '.*3 images are too few, 4 are needed'),
        ([a, b, '--data', f'{run}/bare.py'], '.*neither a val_dataloader nor a test_dataloader'),
    ):
        with pytest.raises(SystemExit) as error:
            cka_map.main([*flags, '--out', str(tmp_path / 'no.png')])
        assert '\n' not in str(error.value)
        assert error.match(f'error: {message}$')
    assert not (tmp_path / 'no.png').exists()
    for name in ('no', 'no.csv'):
        with pytest.raises(SystemExit):
            cka_map.main([a, b, '--out', name])
        assert f'argument --out: must end in .png, .pdf or .svg, got {name}' in capsys.readouterr().err
