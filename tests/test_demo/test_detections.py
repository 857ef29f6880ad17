import cv2
import detections
import numpy as np


def test_an_object_is_found_once_by_the_right_class_and_place():
    truth = np.array([[0, 0, 10, 10], [20, 20, 40, 40]], float), np.array([1, 2]), np.ones(2)
    boxes = np.array(
        [[0, 0, 10, 9], [0, 0, 10, 10], [20, 20, 40, 40], [22, 20, 40, 40], [60, 60, 70, 70]], float
    )
    found = boxes, np.array([1, 1, 3, 2, 2]), np.ones(5)
    # second: found already; third: wrong class; last: nothing there
    assert detections.is_right(truth, found).tolist() == [True, False, False, True, False]
    nothing = np.zeros((0, 4)), np.zeros(0, int), np.zeros(0)
    assert detections.is_right(nothing, found).tolist() == [False] * 5
    assert detections.is_right(truth, nothing).tolist() == []


def test_the_best_of_each_place_is_kept():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30], [40, 40, 50, 50]], float)
    found = boxes, np.array([1, 2, 3, 4]), np.array([0.5, 0.9, 0.4, 0.1])
    assert detections.best_of_each_place(found, 0.3)[1].tolist() == [2, 3]
    assert detections.best_of_each_place(found, 0.95)[0].shape == (0, 4)


def test_picture(tmp_path):
    images = [np.full((64, 64, 3), 90, np.uint8)] * 3
    truth = [(np.array([[5.0, 5, 30, 40]]), np.array([7]), np.ones(1))] * 3
    none = [(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0))] * 3
    columns = {'ground truth': truth, 'student': none}
    detections.draw_detections(images, columns, [str(i) for i in range(10)], tmp_path / 'a.png')
    pixels = cv2.imread(str(tmp_path / 'a.png'))
    assert min(pixels.shape[:2]) > 200
    # found objects green, missed ones yellow
    for colour in ((0x53, 0xC8, 0), (0, 0xD6, 0xFF)):
        assert (abs(pixels.astype(int) - colour) < 40).all(-1).sum() > 100
