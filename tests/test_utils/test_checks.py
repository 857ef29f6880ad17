"""Arguments are checked by the annotations of the constructor that takes them."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Optional, Union

import pytest

from dpk_mm.registry import MODELS
from dpk_mm.utils.checks import checked
from dpk_mm.utils.errors import FieldError, within
from dpk_mm.utils.hints import Count, NotNegative, Positive, Range, Shape, check

GOOD = [
    (1, float),
    (0.5, Positive),
    (0, NotNegative),
    ((8, 8), Shape),
    ([8, 8], Shape),
    ('a', Literal['a', 'b']),
    (None, Optional[int]),
    ('auto', Union[NotNegative, Literal['auto'], dict]),
    ([1, 2], Sequence[int]),
    (object(), Any),
    (0.5, Annotated[float, Range(least=0, below=1)]),
]
BAD = [
    ('1', float, 'must be a number'),
    (True, float, 'must be a number'),
    (True, int, 'must be an integer'),
    (1.0, int, 'must be an integer'),
    (1, bool, 'must be True or False'),
    ('no', bool, 'must be True or False'),
    (math.nan, float, 'must be a number'),
    (math.inf, NotNegative, 'must be a number from 0 on, got inf'),
    (-1, NotNegative, 'must be a number from 0 on, got -1'),
    (0, Positive, 'must be a number above 0, got 0'),
    (1, Annotated[float, Range(least=0, below=1)], 'must be a number from 0 to below 1, got 1'),
    (0, Count, 'must be a positive integer, got 0'),
    ((8, 8, 8), Shape, 'must be a height and a width'),
    ((8, 0), Shape, 'must be a height and a width'),
    (8, Shape, 'must be a height and a width'),
    ('c', Literal['a', 'b'], "must be 'a' or 'b', got 'c'"),
    (1, Optional[str], 'must be a text, got 1'),
    ('x', Union[NotNegative, Literal['auto'], dict], "must be a number from 0 on, 'auto' or a dict, got 'x'"),
    ([1, 'a'], Sequence[int], "[1] must be an integer, got 'a'"),
    ([[1, 'a']], Optional[Sequence[Union[int, Sequence[int]]]], "[0][1] must be an integer, got 'a'"),
    ('ab', Sequence[int], 'must be a list'),
]


@pytest.mark.parametrize('value, hint', GOOD)
def test_what_fits(value, hint):
    check(value, hint, 'field')


@pytest.mark.parametrize('value, hint, message', BAD)
def test_what_does_not_fit_is_told_with_the_field(value, hint, message):
    with pytest.raises(FieldError) as error:
        check(value, hint, 'a.field')
    assert str(error.value).startswith('a.field' + ' ' * (message[0] != '[') + message)


class Part:
    @checked
    def __init__(self, width: Count, factor: Positive = 1.0, mode: str = None) -> None:
        self.made = width, factor, mode


@pytest.mark.parametrize(
    'args, kwargs, message',
    [
        (
            (),
            dict(factr=1, width=1),
            'factr: Part has no such field, but width, factor, mode. Is factor meant?',
        ),
        ((), {}, 'width is missing: Part needs it.'),
        ((0,), {}, 'width must be a positive integer, got 0.'),
        ((1,), dict(factor=-1), 'factor must be a number above 0, got -1.'),
    ],
)
def test_a_constructor_refuses_what_its_annotations_do_not_say(args, kwargs, message):
    with pytest.raises(FieldError) as error:
        Part(*args, **kwargs)
    assert str(error.value) == message


def test_a_constructor_takes_its_defaults_and_what_cannot_be_known():
    assert Part(2).made == (2, 1.0, None)
    assert Part(2, mode=None).made == (2, 1.0, None)

    class Unknown:
        @checked
        def __init__(self, a: 'NowhereToBeFound', b, *args: Any, **kwargs: Any) -> None:  # noqa: F821
            pass

    Unknown(1, 2, 3, c=4)


def test_each_class_that_is_registered_is_checked():
    class Registered:
        def __init__(self, width: Count) -> None:
            pass

    MODELS.register_module(name='RegisteredForTest', module=Registered, force=True)
    with pytest.raises(FieldError, match='width must be a positive integer, got 0'):
        MODELS.build(dict(type='dpk_mm.RegisteredForTest', width=0))


def test_errors_of_others_are_found_in_the_config():
    cfg = dict(type='Model', parts=[dict(type='a.Other'), dict(type='pkg.Part', width=1, foo=2)])
    for message, found in [
        (
            "Part.__init__() got an unexpected keyword argument 'foo'",
            'x.parts[1].foo: Part has no such field.',
        ),
        (
            "Part.__init__() missing 1 required positional argument: 'depth'",
            "x.parts[1].type: Part also needs 'depth'.",
        ),
        (
            'a.Other is not in the pkg::model registry. Please',
            "x.parts[0].type: 'a.Other' is not registered as a pkg::model.",
        ),
        ('whatever\nit says', 'x: whatever it says'),
    ]:
        with pytest.raises(FieldError) as error, within('x', cfg):
            raise TypeError(message)
        assert str(error.value) == found
