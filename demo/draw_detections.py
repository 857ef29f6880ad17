"""Draw what the detectors of the demo find, below the truth."""

import argparse
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from dpk_mm.compare.run import checkpoints, run_folder
from dpk_mm.utils import cli
from dpk_mm.utils.plots import new_figure
from dpk_mm.utils.quiet import quiet

CONFIG = Path(__file__).with_name('detection') / 'configs/retinanet_r18_digits.py'
SHOWN = ('student alone', 'student with DPK')
SCALE = 2  # of the pictures: mmdet writes names in a size of its own
THRESHOLD = 0.3


def draw_one(visualizer: Any, image: np.ndarray, instances: Any) -> np.ndarray:
    """Draw boxes with the names of their classes.

    Args:
        visualizer (mmdet.visualization.DetLocalVisualizer): Draws.
        image (np.ndarray): RGB (H, W, 3), uint8.
        instances (InstanceData): ``bboxes`` (n, 4) as x1, y1, x2, y2, and ``labels`` (n,).

    Returns:
        np.ndarray: RGB, larger than the image.
    """
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData

    shown = InstanceData(bboxes=SCALE * instances.bboxes, labels=instances.labels)
    large = cv2.resize(image, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_NEAREST)
    visualizer.add_datasample('', large, DetDataSample(gt_instances=shown), draw_pred=False)
    return visualizer.get_image()


def newest(work_dir: Path, name: str) -> Path:
    """Find the last checkpoint of a method with seed 0, or exit with one line."""
    folder = run_folder(work_dir, name, 0)
    for path in checkpoints(folder):
        return path
    cli.die(f'{folder} has no checkpoint; `make demo` trains what is drawn')


def draw(work_dir: Path, path: Path, count: int = 4) -> None:
    """Draw the first images of the test data that have three objects or more.

    Args:
        work_dir (Path): Of the comparison.
        path (Path): Picture to write.
        count (int): Number of images. Defaults to 4.
    """
    from matplotlib import colormaps
    from mmdet.apis import inference_detector, init_detector
    from mmdet.visualization import DetLocalVisualizer

    cfg = Config.fromfile(CONFIG)
    # of detections that overlap, the best is drawn, whatever their classes
    cfg.model.test_cfg.nms.class_agnostic = True
    with quiet(), DefaultScope.overwrite_default_scope('mmdet'):
        data = DATASETS.build(cfg.test_dataloader.dataset)
        samples = [item['data_samples'] for item in data]
        samples = [sample for sample in samples if len(sample.gt_instances) >= 3][:count]
        rows = {'ground truth': [sample.gt_instances for sample in samples]}
        for sample in rows['ground truth']:
            sample.bboxes = sample.bboxes.tensor
        for name in SHOWN:
            model = init_detector(copy.deepcopy(cfg), str(newest(work_dir, name)), device='cpu')
            found = [inference_detector(model, sample.img_path).pred_instances for sample in samples]
            rows[name] = [instances[instances.scores >= THRESHOLD] for instances in found]
        palette = [tuple(int(255 * part) for part in colour) for colour in colormaps['tab10'].colors]
        visualizer = DetLocalVisualizer(line_width=2, alpha=1.0)
        visualizer.dataset_meta = dict(classes=data.metainfo['classes'], palette=palette)
        figure = new_figure(2 * len(samples), 2.1 * len(rows))
        grid = figure.subplots(len(rows), len(samples), squeeze=False)
        for axes, (title, row) in zip(grid, rows.items()):
            axes[0].set_ylabel(title)
            for place, sample, instances in zip(axes, samples, row):
                image = cv2.imread(sample.img_path)[..., ::-1]
                place.imshow(draw_one(visualizer, image, instances))
                place.set(xticks=[], yticks=[])
    figure.savefig(path)


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Draw into the work dir."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('work_dir', type=Path, help='of demo/detection/compare.py')
    path = parser.parse_args(argv).work_dir / 'detections.png'
    draw(path.parent, path)
    print(f'wrote {path}')


if __name__ == '__main__':
    main()
