"""The picture of the ratio."""

import json

import numpy as np
import pytest


def write_run(folder, ratios, start=10, name='1'):
    log = folder / name / 'vis_data/scalars.json'
    log.parent.mkdir(parents=True)
    entries = [dict(step=start + 10 * i, loss=1.0, ratio_p4=r, ratio_p5=r / 2) for i, r in enumerate(ratios)]
    entries.append({'accuracy/top1': 3.0, 'step': 1})
    log.write_text('\n'.join(map(json.dumps, entries)))
    return folder


def test_draws_and_tells(plot_ratio, tmp_path, capsys, figures):
    a = write_run(tmp_path / 'a', np.linspace(0.8, 0.4, 50))
    b = write_run(tmp_path / 'b', np.linspace(0.6, 0.2, 50))
    plot_ratio.main([f'small={a}', f'small={b}', f'large={b}', '--out', str(tmp_path / 'ratio.png')])
    said = capsys.readouterr().out
    assert 'small, p4: 0.70 -> 0.30' in said and 'large, p5: 0.30 -> 0.10' in said
    assert (tmp_path / 'ratio.png').exists()
    (axes,) = figures[0].axes
    steps, means = range(10, 510, 10), np.linspace(0.7, 0.3, 50)  # of both
    faint, *_ = axes.lines
    assert list(faint.get_xdata()) == list(steps) and faint.get_ydata() == pytest.approx(means)
    lines = {line.get_label(): line for line in axes.lines if line.get_label()[0] != '_'}
    assert list(lines) == ['small, p4', 'small, p5', 'large, p4', 'large, p5']
    # averaged over ten neighbours, which leaves a straight line where it was
    for line, own in ((lines['small, p4'], means), (lines['large, p5'], np.linspace(0.3, 0.1, 50))):
        assert len(line.get_xdata()) == 41
        assert line.get_ydata() == pytest.approx(np.interp(line.get_xdata(), steps, own))
    # from the least to the most of the runs
    heights = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.2, 0.8))


def test_a_resumed_run_counts_once(plot_ratio, tmp_path):
    write_run(tmp_path / 'a', [0.9, 0.8, 0.7])
    write_run(tmp_path / 'a', [0.5, 0.4], start=30, name='2')
    assert plot_ratio.read_ratios(tmp_path / 'a')['p4'] == {10: 0.9, 20: 0.8, 30: 0.5, 40: 0.4}
    write_run(tmp_path / 'a', [0.3, 0.2], name='3')  # begun anew
    assert plot_ratio.read_ratios(tmp_path / 'a')['p4'] == {10: 0.3, 20: 0.2}


def test_a_folder_may_have_an_equals_sign(plot_ratio, tmp_path):
    folder = write_run(tmp_path / 'lr=0.1', [0.9])
    assert plot_ratio.parse_run(str(folder)) == ('lr=0.1', folder)
    assert plot_ratio.parse_run(f'a={folder}') == ('a', folder)


def test_mistakes(plot_ratio, tmp_path):
    with pytest.raises(SystemExit, match='no scalars.json'):
        plot_ratio.main([str(tmp_path)])
    (tmp_path / 'scalars.json').write_text('{"loss": 1.0, "step": 1}')
    with pytest.raises(SystemExit, match='no ratio_<stage> in the log'):
        plot_ratio.main([str(tmp_path), '--out', str(tmp_path / 'ratio.png')])
    assert not (tmp_path / 'ratio.png').exists()


def test_the_log_of_a_killed_run(plot_ratio, tmp_path):
    """Its last line may be cut off; another line may not, nor be endless."""
    log = tmp_path / 'scalars.json'
    log.write_text('{"ratio_a": 0.5, "step": 1}\n{"ratio_a": 0.4, "st')
    assert plot_ratio.read_ratios(tmp_path)['a'] == {1: 0.5}
    log.write_text('{"ratio_a": 0.5, "step": 1}\n{"ratio_a": 0.4, "st\n{"ratio_a": 0.5, "step": 2}\n')
    with pytest.raises(SystemExit, match='line 2 is no JSON'):
        plot_ratio.main([str(tmp_path), '--out', str(tmp_path / 'ratio.png')])
    log.write_text('{"ratio_a": 0.5, "step":' + ' ' * (2 << 20) + '1}')
    with pytest.raises(SystemExit, match='line 1 has over 1,048,576 bytes'):
        plot_ratio.main([str(tmp_path), '--out', str(tmp_path / 'ratio.png')])


def test_a_picture_that_cannot_be_written_is_told_first(plot_ratio, tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    with pytest.raises(SystemExit):
        plot_ratio.main([str(tmp_path / 'nothing'), '--out', str(tmp_path / 'file/ratio.png')])
    assert 'argument --out: cannot be written' in capsys.readouterr().err
