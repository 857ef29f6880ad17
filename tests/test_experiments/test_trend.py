"""The trend of the prior over the length of a schedule is what the runs gave."""

import pytest
from PIL import Image


@pytest.fixture
def experiments(tmp_path):
    """Studies of three epochs, with both rows, and of ten, with one."""
    both = [('dpk, ratio 0', 40.0), ('dpk, cka', 39.0)]
    for length, rows in {3: both, 10: both[:1]}.items():
        folder = tmp_path / f'cifar100_{length}ep'
        folder.mkdir()
        lines = [f'"{name}",{seed},{top1 + seed * factor},1\n'
                 for factor, (name, top1) in enumerate(rows, 1) for seed in range(3)]  # fmt: skip
        (folder / 'results.csv').write_text('method,seed,accuracy/top1,params\n' + ''.join(lines))
    return tmp_path


def test_gains_are_paired_in_the_lengths_that_were_run(trend, experiments):
    found = trend.read_trend(experiments)
    assert list(found) == [3] and found[3].gains == [-1, 0, 1]


def test_the_picture_says_what_it_shows(trend, experiments, tmp_path):
    found = trend.read_trend(experiments)
    trend.plot(found, tmp_path / 'trend.png')
    with Image.open(tmp_path / 'trend.png') as picture:
        assert picture.text['Description'] == trend.describe(found) == '3 epochs: +0.00 ± 1.00, n = 3, p = 1'


def test_best_and_last_epochs(trend, tmp_path):
    lines = [
        'kd,0,1,10.00',
        'kd,0,2,30.00',
        'kd,0,3,29.00',
        'kd,1,1,11.00',
        'kd,1,2,31.00',
        '"dpk, cka",0,1,5.00',
    ]
    (tmp_path / 'epochs.csv').write_text('\n'.join(['method,seed,epoch,top1', *lines]))
    assert trend.best_epochs(tmp_path).splitlines()[2:] == [
        '| kd | 30.00 ± 1.41 | 30.50 ± 0.71 | +0.50 ± 0.71 |',
        '| dpk, cka | 5.00 | 5.00 | +0.00 |',
    ]
