import cv2

from dpk_mm.utils import text as report

COLUMNS = {'AP': ('coco/bbox_mAP', 100), 'AP50': ('coco/bbox_mAP_50', 100)}
ONE = {'coco/bbox_mAP': 0.25, 'coco/bbox_mAP_50': 0.5, 'params': 930_000, 'ms': 12.34}
TWO = {'coco/bbox_mAP': 0.35, 'coco/bbox_mAP_50': 0.6, 'params': 930_000, 'ms': 14.34}


def test_table_of_one_seed():
    assert report.make_table({'student': [ONE]}, COLUMNS).splitlines() == [
        '| model | AP | AP50 | params | ms/image |',
        '|---|---:|---:|---:|---:|',
        '| student | 25.0 | 50.0 | 0.93 M | 12.3 |',
    ]


def test_table_of_several_seeds_has_the_sample_deviation():
    last = report.make_table({'teacher': [ONE], 'student': [ONE, TWO]}, COLUMNS).splitlines()[-1]
    # of 25 and 35: mean 30, sqrt(25 + 25) = 7.07
    assert last == '| student | 30.0 ± 7.1 | 55.0 ± 7.1 | 0.93 M | 13.3 |'


def test_table_of_a_small_classifier():
    result = {'accuracy/top1': 87.26, 'params': 5_240, 'ms': 0.84}
    assert report.make_table({'student': [result]}, {'top-1': ('accuracy/top1', 1)}).splitlines() == [
        '| model | top-1 | params | ms/image |',
        '|---|---:|---:|---:|',
        '| student | 87.3 | 5.2 k | 0.8 |',
    ]


def test_where_nothing_was_detected_the_metric_is_zero():
    last = report.make_table({'student': [dict(params=930_000, ms=1)]}, COLUMNS).splitlines()[-1]
    assert last == '| student | 0.0 | 0.0 | 0.93 M | 1.0 |'


def test_seed_table_lists_every_seed():
    lines = report.make_seed_table({'teacher': [ONE], 'student': [ONE, TWO]}, COLUMNS, [3, 4]).splitlines()
    assert lines == ['| AP | seed 3 | seed 4 |', '|---|---:|---:|', '| student | 25.0 | 35.0 |']


def test_picture_of_the_ratio(tmp_path):
    curves = {'neck_1': {1: 0.8, 2: 0.5, 3: 0.4}, 'neck_2': {1: 0.2}}
    report.plot_ratios(curves, {'neck_1': 'P4'}, tmp_path / 'a.png')
    picture = cv2.imread(str(tmp_path / 'a.png'))
    assert min(picture.shape[:2]) > 200 and picture.std() > 5
