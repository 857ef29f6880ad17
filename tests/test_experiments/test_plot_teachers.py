"""What students reach over what their teachers reach."""

import pytest

RESULTS = """method,seed,accuracy/top1
alone,0,20.0
"fit, one",0,20.0
"fit, two",0,21.0
"kd, small",0,31.0
"kd, small",1,33.0
"kd, small",2,99.0
"kd, large",0,41.0
"kd, large",1,43.0
"kd, middle",0,34.0
"kd, middle",1,36.0
"dpk, cka, small",0,50.0
"dpk, cka, middle",0,40.0
"dpk, cka, large",0,30.0
"""
TEACHERS = """method,seed,accuracy/top1,params
"kd, small",0,60.0,10
"kd, large",0,70.0,30
"kd, middle",0,65.0,20
"dpk, cka, small",0,60.0,10
"dpk, cka, large",0,70.0,30
"dpk, cka, middle",0,65.0,20
"fit, one",0,65.0,20
"fit, two",0,65.0,20
"""
RANKING = """rank,teacher,gain
1,small,3.0
2,large,2.0
3,middle,1.0
"""


@pytest.fixture
def folder(tmp_path):
    for name, text in dict(results=RESULTS, teachers=TEACHERS, ranking=RANKING).items():
        (tmp_path / f'{name}.csv').write_text(text)
    return tmp_path


def test_slope_and_agreement_are_of_the_means(plot_teachers, folder):
    series = plot_teachers.read_series(folder)
    assert list(series) == ['kd', 'dpk, cka']  # 'fit' is of one teacher
    assert [point.teacher for point in series['kd']] == ['small', 'middle', 'large']  # the worst first
    assert [point.mean for point in series['kd']] == [32.0, 35.0, 42.0]  # of the seeds that all have
    assert plot_teachers.slope(series['kd']) == pytest.approx(1.0)  # 10 points for 10, the middle aside
    assert plot_teachers.slope(series['dpk, cka']) == pytest.approx(-2.0)
    assert plot_teachers.agreement(series['kd']) == pytest.approx(1.0)
    assert plot_teachers.agreement(series['dpk, cka']) == pytest.approx(-1.0)


def test_a_ranking_is_held_against_the_students(make_results, folder):
    runs = make_results.Study(folder)
    assert runs.slope('dpk, cka') == '-2.00' and runs.agreement('kd') == '+1.00'
    assert runs.agreement('kd', 'gain') == '-0.50'  # 3, 1, 2 for 32, 35, 42


def test_a_method_is_a_line_and_a_seed_a_dot(plot_teachers, folder):
    (axes,) = plot_teachers.draw(plot_teachers.read_series(folder)).axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert lines['kd'] == [[60, 32], [65, 35], [70, 42]]
    assert [[60, 31], [60, 33]] in lines.values()


def test_the_picture_is_written_and_the_figures_are_told(plot_teachers, folder, capsys):
    plot_teachers.main([str(folder)])
    assert (folder / 'teachers.png').exists()
    assert 'kd: +1.00 for a point of the teacher, rank +1.00' in capsys.readouterr().out


def test_a_folder_without_such_runs_is_one_line(plot_teachers, folder):
    (folder / 'results.csv').write_text(RESULTS.replace(', ', ' '))
    with pytest.raises(SystemExit, match='no two rows are called') as info:
        plot_teachers.main([str(folder)])
    assert '\n' not in str(info.value.code)
