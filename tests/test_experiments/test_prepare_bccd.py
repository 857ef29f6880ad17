"""experiments/bccd/prepare.py makes what experiments/bccd/configs reads."""

import json

import pytest
import torch
from mmengine.registry import DefaultScope
from mmpretrain.registry import MODELS
from torchvision.models import mobilenet_v2

BOX = (
    '<object><name>{}</name><bndbox>'
    '<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>'
)


@pytest.fixture
def source(tmp_path):
    """Two images, the second with a box that has no extent."""
    boxes = dict(a=[('WBC', 10, 20, 40, 60)], b=[('Platelets', 5, 5, 5, 9), ('RBC', 1, 2, 3, 5)])
    for folder in ('Annotations', 'JPEGImages', 'ImageSets/Main'):
        (tmp_path / 'BCCD' / folder).mkdir(parents=True)
    for name, own in boxes.items():
        text = ''.join(BOX.format(*box) for box in own)
        (tmp_path / f'BCCD/Annotations/{name}.xml').write_text(
            f'<annotation><size><width>640</width><height>480</height></size>{text}</annotation>'
        )
        (tmp_path / f'BCCD/JPEGImages/{name}.jpg').write_bytes(name.encode())
    for split, names in dict(trainval='b\n', test='a\n').items():
        (tmp_path / f'BCCD/ImageSets/Main/{split}.txt').write_text(names)
    return tmp_path / 'BCCD'


def test_annotations_become_cocos_and_images_follow(prepare, source, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, 'mobilenet_v2', lambda weights: mobilenet_v2())  # without the network
    out = tmp_path / 'data'
    prepare.main([str(source), '--out', str(out)])
    train, val = (json.loads((out / f'bccd/{name}.json').read_text()) for name in ('train', 'val'))
    assert train['images'] == [dict(id=1, file_name='b.jpg', width=640, height=480)]
    (box,) = train['annotations']  # without the one that has no extent
    assert (box['id'], box['category_id'], box['bbox'], box['area']) == (1, 1, [1, 2, 2, 3], 6)
    assert val['annotations'][0]['category_id'] == 2 and val['annotations'][0]['bbox'] == [10, 20, 30, 40]
    assert [item['name'] for item in val['categories']] == ['RBC', 'WBC', 'Platelets']
    assert {path.name for path in (out / 'bccd/images').iterdir()} == {'a.jpg', 'b.jpg'}
    assert (out / 'mobilenet_v2_imagenet/mobilenet_v2_mmpretrain.pth').exists()


def test_renamed_weights_are_the_same_network(prepare):
    theirs = mobilenet_v2().eval()
    with DefaultScope.overwrite_default_scope('mmpretrain'):  # whatever ran before
        ours = MODELS.build(
            dict(
                type='ImageClassifier',
                backbone=dict(type='MobileNetV2'),
                neck=dict(type='GlobalAveragePooling'),
                head=dict(type='LinearClsHead', num_classes=1000, in_channels=1280),
            )
        ).eval()
    ours.load_state_dict(prepare.to_mmpretrain(theirs.state_dict()))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images))
    with pytest.raises(ValueError, match='has 314 tensors, got 1'):
        prepare.to_mmpretrain(dict(weight=torch.zeros(1)))
