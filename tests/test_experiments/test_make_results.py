"""docs/RESULTS.md and docs/scaling.md say what was found, and nothing else."""

import jinja2
import pytest
from mmengine.config import Config
from PIL import Image

from dpk_mm.compare import inputs, table

CSV = """method,seed,accuracy/top1,params
small,0,40.0,1000
small,1,42.0,1000
large,0,45.5,2000
large,1,46.5,2000
"""


@pytest.fixture
def folder(tmp_path):
    """Benchmarks with one study."""
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/results.csv').write_text(CSV)
    return tmp_path


def write(folder, text):
    (folder / 'RESULTS.md.jinja').write_text("{% set runs = study('a') -%}\n" + text)


def render(make_results, folder):
    """The one page of :func:`write`."""
    pages = make_results.render(folder)
    assert list(pages) == ['RESULTS.md']
    return pages['RESULTS.md']


def test_the_pages_are_what_the_runs_give(make_results, root):
    pages = make_results.render(root / 'experiments')
    assert sorted(pages) == ['RESULTS.md', 'scaling.md']
    for name, page in pages.items():
        written = (root / 'docs' / name).read_text(encoding='utf-8')
        assert written == page, f'{name}: run python experiments/report/make_results.py'


def test_the_picture_of_the_claims_is_of_these_runs(make_results, root):
    drawn = Image.open(root / 'docs/claims.png').text['Description']
    assert drawn == make_results.verdicts.describe(make_results.claims(root / 'experiments'))


def test_the_tables_beside_the_runs_are_of_these_runs(make_results, root):
    files = sorted(root.glob('experiments/*/table.md'))
    assert files
    for file in files:
        comparison = inputs.read(Config.fromfile(str(file.with_name('compare.py'))))
        results = table.read_csv(file.with_name('results.csv').read_text(encoding='utf-8'))
        assert set(results) <= set(comparison.methods), file
        assert file.read_text(encoding='utf-8') == make_results.Study(file.parent).table() + '\n'


def test_all_that_was_run_is_on_the_page_with_its_files(root):
    page = (root / 'experiments/RESULTS.md.jinja').read_text(encoding='utf-8')
    for file in root.glob('experiments/*/results.csv'):
        assert f"{{% include '{file.parent.name}/section.md' %}}" in page
        if file.with_name('compare.py').exists():
            files = {path.name for path in file.parent.iterdir()}
            assert {'table.md', 'plot.png', 'ratios.csv', 'section.md'} <= files, file.parent


def test_figures_are_computed_from_the_runs(make_results, folder):
    write(
        folder,
        "{{ runs.mean('small') }}|{{ runs.gain('large', 'small') }}|{{ runs.points('large', 'small') }}|"
        "{{ runs.each('large', 'small') }}",
    )
    assert render(make_results, folder) == '41.00 ± 1.41|+5.00 ± 0.71|5.0|+5.5, +4.5'


@pytest.mark.parametrize(
    'gains, said',
    [
        ([5.0, 5.5, 5.2], 'held: +5.23 ± 0.25, n = 3, p = 0.00077'),
        ([-5.0, -5.5, -5.2], 'did not hold: -5.23 ± 0.25, n = 3, p = 0.00077'),
        ([5.0, -1.0, 5.2], 'cannot be told: +3.07 ± 3.52, n = 3, p = 0.27'),
        ([5.0], 'cannot be told: +5.00, n = 1'),
        ([5.0, 5.01], 'cannot be told: +5.00 ± 0.01, n = 2'),  # p = 0.0006
        ([5.0, 5.0, 5.0], 'cannot be told: +5.00 ± 0.00, n = 3'),
    ],
)
def test_a_verdict_is_a_test_of_paired_gains(make_results, folder, gains, said):
    lines = [f'small,{i},40,1\nlarge,{i},{40 + gain},1\n' for i, gain in enumerate(gains)]
    (folder / 'a/results.csv').write_text('method,seed,accuracy/top1,params\n' + ''.join(lines))
    write(folder, "{% set said = runs.verdict('large', 'small') %}{{ said.words }}: {{ said }}")
    assert render(make_results, folder) == said


def test_claims_name_their_runs_and_are_drawn(make_results, folder, tmp_path):
    (folder / 'report').mkdir()
    (folder / 'report/claims.py').write_text(
        "gain = dict(study='a', on='A', of='large', over='small')\n"
        "claims = [dict(claim='size helps', paper='yes', gains=[gain])]"
    )
    write(folder, '{% for asked in claims() %}{{ asked.paper }} {{ asked.findings[0].verdict }}{% endfor %}')
    assert render(make_results, folder) == 'yes +5.00 ± 0.71, n = 2'
    plot, picture = make_results.verdicts.plot, tmp_path / 'claims.png'
    plot(make_results.claims(folder), picture)
    expected = 'size helps | A | cannot be told: +5.00 ± 0.71, n = 2'
    assert Image.open(picture).text['Description'] == expected


def test_the_interval_of_a_verdict_goes_with_its_p(make_results):
    judge = make_results.verdicts.Verdict
    held, unknown = judge([5.0, 5.5, 5.2]), judge([5.0, -1.0, 5.2])
    assert held.interval == pytest.approx((4.608, 5.859), abs=1e-3)  # 4.3027 standard errors
    assert unknown.interval[0] < 0 < unknown.interval[1]
    assert judge([5.0]).interval == (5.0, 5.0)


@pytest.mark.parametrize(
    'true, false, message',
    [
        (
            "runs.in_order('large', 'small')",
            "runs.in_order('small', 'large')",
            "a text says that 'small' is above 'large'.*41.00 and 46.00",
        ),
        (
            "runs.says('cannot be told', 'large', 'small')",
            "runs.says('held', 'large', 'small')",
            "says 'held' of 'large' over 'small', but it is 'cannot be told'",
        ),
    ],
    ids=['order', 'verdict'],
)
def test_a_text_is_held_to_what_it_states(make_results, folder, true, false, message):
    write(folder, f'{{{{ {true} }}}}so it is')
    assert render(make_results, folder) == 'so it is'
    write(folder, f'{{{{ {false} }}}}')
    with pytest.raises(ValueError, match=message):
        render(make_results, folder)


def test_readme_says_what_the_runs_gave(make_results, root):
    readme = ' '.join((root / 'README.md').read_text(encoding='utf-8').split())
    runs, start = make_results.Study(root / 'experiments/bccd'), 'inherited start'
    for name, other, words in [
        (start, 'alone', 'gains {} AP over the student alone'),
        ('PKD', start, 'PKD the most with {};'),
        ('dpk, cka, lean necks, PKD, 3', start, 'DPK adds {},'),
        ('PKD, 3', start, 'loss without necks {},'),
    ]:
        assert words.format(runs.gain(name, other, form='.1f')) in readme


def test_inputs_without_results_are_listed(make_results, folder):
    (folder / 'b').mkdir()
    for name in 'ab':
        (folder / name / 'compare.py').write_text(
            f'# What {name} is for,\n# in two lines:\n#   python command\n# Not this.\n'
            "base = 'b.py'\nmethods = {'alone': None, 'kd': dict(config='c.py', seeds=[1])}\nseeds = [0, 1]\n"
        )
    write(folder, "{{ not_run() | map('dictsort') | first }}")
    expected = [
        ('about', 'What b is for, in two lines.'),
        ('path', f'{folder.name}/b/compare.py'),
        ('rows', 2),
        ('runs', 3),
    ]
    assert render(make_results, folder) == str(expected)


def test_gains_that_differ_by_rounding_are_the_same(make_results, folder):
    lines = [
        f'small,{i},{ap / 1000},1\nlarge,{i},{(ap + 10) / 1000},1\n' for i, ap in enumerate((403, 411, 427))
    ]
    (folder / 'a/results.csv').write_text('method,seed,coco/bbox_mAP,params\n' + ''.join(lines))
    write(folder, "{% set said = runs.verdict('large', 'small') %}{{ said.words }}: {{ said }}")
    assert render(make_results, folder) == 'cannot be told: +1.00 ± 0.00, n = 3'


def test_tables_have_a_row_for_each_method(make_results, folder):
    write(
        folder,
        "{{ runs.means({'top-1': 'accuracy/top1'}, params=True) }}\n\n{{ runs.seeds('accuracy/top1') }}",
    )
    lines = render(make_results, folder).splitlines()
    assert lines[0] == '| model | top-1 | params |' and lines[5] == '|  | seed 0 | seed 1 |'
    assert lines[3] == '| large | 46.0 ± 0.7 | 2.0 k |' and lines[8] == '| large | 45.5 | 46.5 |'


@pytest.mark.parametrize(
    'text, message',
    [
        ("{{ runs.gain('large', 'medium') }}", "no seed of both 'large' and 'medium' among small, large"),
        ("{{ runs.mean('medium') }}", 'medium'),
        ('{{ runs.median }}', 'median'),
        ("{{ study('b') }}", 'results.csv'),
    ],
)
def test_a_text_cannot_ask_for_what_was_not_run(make_results, folder, monkeypatch, text, message):
    write(folder, text)
    with pytest.raises((KeyError, FileNotFoundError, jinja2.UndefinedError), match=message):
        make_results.render(folder)


def test_lines_of_a_file_are_found_by_their_columns(make_results, folder):
    write(folder, "{% for line in lines('a/results.csv') %}{{ line.method }} {{ line.params }};{% endfor %}")
    assert render(make_results, folder) == 'small 1000;small 1000;large 2000;large 2000;'


def test_the_pages_are_written(make_results, tmp_path, root, capsys):
    make_results.main(['--out', str(tmp_path / 'pages')])
    assert (tmp_path / 'pages/RESULTS.md').read_text(encoding='utf-8').startswith('# Results\n')
    assert 'RESULTS.md' in capsys.readouterr().out
