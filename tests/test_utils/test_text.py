import math

from dpk_mm.utils.text import count, markdown, spread


def test_several_values_have_the_sample_deviation():
    # of 25 and 35: mean 30, sqrt(25 + 25) = 7.07
    assert spread([25, 35], '.1f') == '30.0 ± 7.1'
    assert spread([25, 35], '+.2f') == '+30.00 ± 7.07'
    assert spread([25], '.1f') == '25.0'
    assert spread([25, math.nan], '.1f') == 'nan ± nan'  # of a test that gave no figure


def test_table():
    assert markdown(['model', 'AP'], [['teacher', '55.8'], ['student', '20.9']]).splitlines() == [
        '| model | AP |',
        '|---|---:|',
        '| teacher | 55.8 |',
        '| student | 20.9 |',
    ]


def test_numbers_of_parameters():
    assert [count(number) for number in (929_412, 100_000, 5_240)] == ['0.93 M', '0.10 M', '5.2 k']
