"""Training as users do it: random sizes, images without objects, a last batch of one."""

import json

import pytest
import tiny
import torch

SCALES = [(72, 56), (96, 80), (150, 131)]


@pytest.mark.slow
def test_random_sizes_and_empty_images(tmp_path):
    data = tiny.write_coco(tmp_path / 'data', num=7)
    content = json.loads((data / 'ann.json').read_text())
    content['annotations'] = [a for a in content['annotations'] if a['image_id'] not in (2, 5)]
    (data / 'ann.json').write_text(json.dumps(content))
    student = tiny.retinanet(pad_size_divisor=1)
    cfg = tiny.training_cfg(tiny.distiller(student), data, tmp_path / 'run', epochs=2)
    cfg.train_dataloader.dataset.filter_cfg = dict(filter_empty_gt=False)
    load, annotations, pack = cfg.train_dataloader.dataset.pipeline
    resize = dict(type='RandomChoiceResize', scales=SCALES, keep_ratio=False)
    cfg.train_dataloader.dataset.pipeline = [load, annotations, resize, pack]
    sizes, seen = set(), []
    runner = tiny.build_runner(cfg)
    loss = runner.model.loss

    def watch(inputs, data_samples):
        values = loss(inputs, data_samples)
        sizes.add(tuple(inputs.shape[2:]))
        seen.append((len(inputs), sum(len(sample.gt_instances) for sample in data_samples), values))
        return values

    runner.model.loss = watch
    runner.train()
    assert len(seen) == 8 and len(sizes) > 1 and any(h % 8 and w % 8 for h, w in sizes)
    assert {1, 2} == {images for images, _, _ in seen}
    for *_, values in seen:
        parts = [v for value in values.values() for v in (value if isinstance(value, list) else [value])]
        assert all(torch.isfinite(part) for part in parts)
    state = torch.load(tmp_path / 'run/epoch_2.pth')['state_dict']
    assert all(torch.isfinite(value).all() for value in state.values())
