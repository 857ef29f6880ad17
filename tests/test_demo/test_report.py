import cv2
import numpy as np

from dpk_mm.demo import report

ONE = dict(AP=0.25, AP50=0.5, params=930_000, ms=12.34)
TWO = dict(AP=0.35, AP50=0.6, params=930_000, ms=14.34)


def test_table_of_one_seed():
    assert report.make_table({'student': [ONE]}).splitlines() == [
        '| model | AP | AP50 | params | ms/image |',
        '|---|---:|---:|---:|---:|',
        '| student | 25.0 | 50.0 | 0.93 M | 12.3 |',
    ]


def test_table_of_several_seeds_has_the_sample_deviation():
    last = report.make_table({'teacher': [ONE], 'student': [ONE, TWO]}).splitlines()[-1]
    # of 25 and 35: mean 30, sqrt(25 + 25) = 7.07
    assert last == '| student | 30.0 ± 7.1 | 55.0 ± 7.1 | 0.93 M | 13.3 |'


def test_seed_table_lists_every_seed():
    lines = report.make_seed_table({'teacher': [ONE], 'student': [ONE, TWO]}, [3, 4]).splitlines()
    assert lines == ['| AP | seed 3 | seed 4 |', '|---|---:|---:|', '| student | 25.0 | 35.0 |']


def test_an_object_is_found_once_by_the_right_class_and_place():
    truth = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], float), np.array([1, 2]), np.ones(2)
    boxes = np.array(
        [[0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 40, 40], [22, 20, 40, 40], [60, 60, 70, 70]], float
    )
    found = boxes, np.array([1, 1, 3, 2, 2]), np.ones(5)
    # second: found already; third: wrong class; last: nothing there
    assert report.is_right(truth, found).tolist() == [True, False, False, True, False]
    nothing = np.zeros((0, 4)), np.zeros(0, int), np.zeros(0)
    assert report.is_right(nothing, found).tolist() == [False] * 5
    assert report.is_right(truth, nothing).tolist() == []


def test_the_best_of_each_place_is_kept():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], float)
    found = boxes, np.array([1, 2, 3, 4]), np.array([0.5, 0.9, 0.4, 0.1])
    assert report.best_of_each_place(found, 0.3)[1].tolist() == [2, 3]
    assert report.best_of_each_place(found, 0.95)[0].shape == (0, 4)


def test_pictures(tmp_path):
    report.plot_ratios({'neck_1': [0.8, 0.5, 0.4], 'neck_2': [0.2]}, {'neck_1': 'P4'}, tmp_path / 'a.png')
    images = [np.full((64, 64, 3), 90, np.uint8)] * 3
    truth = [(np.array([[5.0, 5, 30, 40]]), np.array([7]), np.ones(1))] * 3
    none = [(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))] * 3
    columns = {'ground truth': truth, 'student': none}
    report.draw_detections(images, columns, [str(i) for i in range(10)], tmp_path / 'b.png')
    for name in ('a.png', 'b.png'):
        picture = cv2.imread(str(tmp_path / name))
        assert min(picture.shape[:2]) > 200 and picture.std() > 5
    pixels = cv2.imread(str(tmp_path / 'b.png'))
    # found objects green, missed ones yellow
    for colour in ((0x53, 0xC8, 0), (0, 0xD6, 0xFF)):
        assert (abs(pixels.astype(int) - colour) < 40).all(-1).sum() > 100
