"""The result pages show what the files in experiments/ give, and their prose states nothing else."""

from operator import methodcaller

import pytest

CSV = """method,seed,accuracy/top1,params
small,0,40.0,1000
small,1,42.0,1000
large,0,45.5,2000
large,1,46.5,2000
"""
COMPARE = """# What b is for,
# in two lines:
#   python command
# Not this.
base = 'b.py'
methods = {'alone': None, 'kd': dict(config='c.py', seeds=[1])}
seeds = [0, 1]
"""


@pytest.fixture
def folder(tmp_path):
    """Studies: 'a' has results."""
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/results.csv').write_text(CSV)
    return tmp_path


@pytest.fixture
def runs(make_results, folder):
    """The study 'a'."""
    return make_results.Study(folder / 'a')


@pytest.fixture
def check(make_results, folder):
    """Hold a page of one text to the study 'a'; returns what is wrong."""

    def check(text, *sentence):
        (folder / 'page.md').write_text(text)
        return make_results.check_prose({('page.md', 'a'): [sentence]}, folder, folder)

    return check


def with_gains(folder, gains):
    """Let the seeds of 'large' be so much above 'small'."""
    lines = [f'small,{i},40,1\nlarge,{i},{40 + gain},1\n' for i, gain in enumerate(gains)]
    (folder / 'a/results.csv').write_text('method,seed,accuracy/top1,params\n' + ''.join(lines))


def test_tables_and_picture_are_those_of_the_files(make_results):
    assert make_results.find_stale() == []


def test_prose_and_claims_state_what_the_runs_gave(make_results):
    assert make_results.check_prose(make_results.assertions.SAID) == []
    assert make_results.check_claims() == []


def test_a_study_has_its_table_and_picture(root):
    for file in root.glob('experiments/*/compare.py'):
        if file.with_name('results.csv').exists():
            assert {'table.md', 'plot.png'} <= {path.name for path in file.parent.iterdir()}, file.parent


def test_a_table_replaces_what_stands_between_its_marks(make_results):
    page = 'A\n<!-- table: a -->\nold | 1\n<!-- end -->\nB\n<!-- table: b -->\n<!-- end -->\n'
    made = dict(a=lambda: '| 2 |', b=lambda: r'| \1 |')
    filled = make_results.fill(page, made)
    assert filled == (
        'A\n<!-- table: a -->\n\n| 2 |\n\n<!-- end -->\nB\n<!-- table: b -->\n\n| \\1 |\n\n<!-- end -->\n'
    )
    assert make_results.fill(filled, made) == filled
    with pytest.raises(KeyError, match='b'):
        make_results.fill(page, dict(a=made['a']))


def test_a_table_that_no_page_shows_is_an_error(make_results, monkeypatch):
    made = dict(make_results.tables.make_all(), new=str)
    monkeypatch.setattr(make_results.tables, 'make_all', lambda: made)
    with pytest.raises(ValueError, match='no page has <!-- table: new -->'):
        make_results.render()


def test_figures_are_computed_from_the_runs(runs):
    assert runs.mean('small') == '41.00 ± 1.41' and runs.average('small') == '41.0'
    assert runs.gain('large', 'small') == '+5.00 ± 0.71' and runs.points('large', 'small') == '5.0'
    assert runs.each('large', 'small') == '+5.50, +4.50'


@pytest.mark.parametrize(
    'text, sentence, fault',
    [
        ('It\ngains +5.00 ± 0.71.', ['It gains {}.', methodcaller('gain', 'large', 'small')], None),
        (
            'It gains +5.10 ± 0.71.',
            ['It gains {}.', methodcaller('gain', 'large', 'small')],
            'page.md does not say "It gains +5.00 ± 0.71."',
        ),
        ('It leads.', ['It leads.', methodcaller('order', 'large', 'small')], None),
        (
            'It leads.',
            ['It leads.', methodcaller('order', 'small', 'large')],
            "page.md says \"It leads.\", but 'small' is said to be above 'large', "
            'but the means are 41.00 and 46.00',
        ),
        (
            'It leads.',
            ['It leads.', methodcaller('best', 'small', 'small', 'large')],
            "page.md says \"It leads.\", but 'small' is said to be above 'large', "
            'but the means are 41.00 and 46.00',
        ),
        ('So so.', ['So so.', methodcaller('verdict', 'not significant', 'large', 'small')], None),
        (
            'It won.',
            ['It won.', methodcaller('verdict', 'held', 'large', 'small')],
            "page.md says \"It won.\", but 'large' over 'small' is said to be 'held', "
            "but is 'not significant': +5.00 ± 0.71, n = 2",
        ),
        (
            'It gains 1.',
            ['It gains 1.', methodcaller('gain', 'large', 'medium')],
            "page.md says \"It gains 1.\", but no seed of both 'large' and 'medium' among small, large",
        ),
        ('It is 41.0.', ['It leads.'], 'page.md does not say "It leads."'),
        (
            'A, and 4.0 ± 0.1 more.',
            ['A,'],
            'page.md says "4.0 ± 0.1", which is in no sentence of assertions.py',
        ),
        ('A<!-- table: a -->\n4.0 ± 0.1\n<!-- end -->', ['A'], None),
    ],
)
def test_prose_is_held_to_the_runs(check, text, sentence, fault):
    assert next(iter(check(text, *sentence)), None) == fault


@pytest.mark.parametrize(
    'gains, said',
    [
        ([5.0, 5.5, 5.2], 'held: +5.23 ± 0.25, n = 3, p = 0.00077'),
        ([-5.0, -5.5, -5.2], 'did not hold: -5.23 ± 0.25, n = 3, p = 0.00077'),
        ([5.0, -1.0, 5.2], 'not significant: +3.07 ± 3.52, n = 3, p = 0.27'),
        ([5.0], 'not significant: +5.00, n = 1'),
        ([5.0, 5.01], 'not significant: +5.00 ± 0.01, n = 2'),  # p = 0.0006
        ([5.0, 5.0, 5.0], 'not significant: +5.00 ± 0.00, n = 3'),
    ],
)
def test_a_verdict_is_a_test_of_paired_gains(make_results, folder, gains, said):
    with_gains(folder, gains)
    runs = make_results.Study(folder / 'a')
    verdict = make_results.verdicts.Verdict(runs.gains('large', 'small'))
    assert f'{verdict.words}: {verdict}' == said
    runs.verdict(verdict.words, 'large', 'small')
    if verdict.p is not None:
        assert said.endswith(runs.p('large', 'small'))


def test_gains_that_differ_by_rounding_are_the_same(make_results, folder):
    lines = [
        f'small,{i},{ap / 1000},1\nlarge,{i},{(ap + 10) / 1000},1\n' for i, ap in enumerate((403, 411, 427))
    ]
    (folder / 'a/results.csv').write_text('method,seed,coco/bbox_mAP,params\n' + ''.join(lines))
    verdict = make_results.verdicts.Verdict(make_results.Study(folder / 'a').gains('large', 'small'))
    assert f'{verdict.words}: {verdict}' == 'not significant: +1.00 ± 0.00, n = 3'


def test_the_interval_of_a_verdict_goes_with_its_p(make_results):
    judge = make_results.verdicts.Verdict
    held, unknown = judge([5.0, 5.5, 5.2]), judge([5.0, -1.0, 5.2])
    assert held.interval == pytest.approx((4.608, 5.859), abs=1e-3)  # 4.3027 standard errors
    assert unknown.interval[0] < 0 < unknown.interval[1]
    assert judge([5.0]).interval == (5.0, 5.0)


def test_a_claim_whose_verdict_turned_is_named(make_results, monkeypatch):
    claim, paper, (first, *rest) = make_results.assertions.CLAIMS[0]
    assert first[-1] == 'held'
    turned = [(claim, paper, [(*first[:-1], 'did not hold'), *rest])]
    monkeypatch.setattr(make_results.assertions, 'CLAIMS', turned)
    (fault,) = make_results.check_claims()
    assert f"\"{claim}\" on {first[0]} is said to be 'did not hold', but is 'held'" in fault


def test_inputs_without_results_are_listed(make_results, folder):
    (folder / 'b').mkdir()
    for name in 'ab':
        (folder / name / 'compare.py').write_text(COMPARE)
    # the student alone may be left out of a, which has results
    rows = [
        f'| `{folder.name}/{name}/compare.py` | What b is for, in two lines. | {left} |'
        for name, left in (('a', '1 | 1'), ('b', '2 | 3'))
    ]
    assert make_results.tables.not_run(folder).splitlines()[1:] == ['|---|---|---:|---:|', *rows]


def test_tables_have_a_row_for_each_method(runs):
    lines = runs.means({'top-1': 'accuracy/top1'}, params=True).splitlines()
    assert lines[0] == '| model | top-1 | params |' and lines[3] == '| large | 46.0 ± 0.7 | 2.0 k |'
    lines = runs.seeds('accuracy/top1', 'top-1').splitlines()
    assert lines[0] == '| top-1 | seed 0 | seed 1 |' and lines[3] == '| large | 45.5 | 46.5 |'
