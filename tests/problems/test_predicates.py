"""Predicates as text, against the same formula in Python."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pinnderiv.errors import ConfigurationError
from pinnderiv.problems.texts import Texts

TEXTS = Texts(("x", "y", "z"), {"a": 0.3, "band": "x + a", "nothing": 0.0})
POINTS = torch.rand(4000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 2


def held(text: str, points: torch.Tensor = POINTS) -> list[bool]:
    found = TEXTS.predicate("where", text)(points)
    assert found.dtype == torch.bool and found.shape == (len(points),)
    return found.tolist()


def expected(text: str, points: torch.Tensor = POINTS) -> list[bool]:
    """Python's own reading of the text, one point at a time."""
    names = {"a": 0.3, "nothing": 0.0, "max": max, "abs": abs}
    rows = points.tolist()
    return [eval(text, {}, {**names, **dict(zip("xyz", r, strict=True))}) for r in rows]


@pytest.mark.parametrize(
    "text",
    [
        "x > 0.5",
        "x>0.5 and y<=1",
        "x > 0.5 and y <= 1 or z > 1.5",
        "x > 0.5 and (y <= 1 or z > 1.5)",
        "(x > 0.5 or y < 0.2) and not z > 1",
        "not (x > 0.5 or y < 0.2) and z > 1",
        "not x > 0.5 or y < 0.2",
        "not not x > 0.5",
        "not (not (x > 1))",
        "0 < x < 0.5",
        "0.2 < x <= y < z",
        "1 > x < y > a",
        "not 0.2 < x < 1.5",
        "(x + 1)*(y - 1) > 0",
        "-(x - 1) > (y)",
        "((x + 1)) > ((y)) + 1 or ((z < 1))",
        "max(x, (y)) > 1 and (abs((x - y)) < 0.5)",
        "((x > 0.5 and y > 1) or (z > (1)))",
        "(x - a) < (1 + nothing) and(y > 1)or(z > 1)",
    ],
)
def test_it_is_read_as_python_reads_it(text: str) -> None:
    found = held(text)
    assert found == expected(text)
    assert any(found) and not all(found)


def test_words_are_words_and_not_parts_of_names() -> None:
    assert held("band > 1 and nothing < 1") == held("x + 0.3 > 1")


comparisons = st.sampled_from(["x < 1", "y > x", "0.5 < z <= 1.5", "(x + y)*2 >= z", "x > 0.2"])
predicates = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        inner.map(lambda p: f"not {p}"),
        inner.map(lambda p: f"({p})"),
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join),
    ),
    max_leaves=8,
)


@given(predicates)
@settings(max_examples=100, deadline=None)
def test_whatever_is_joined_is_read_as_python_reads_it(text: str) -> None:
    few = POINTS[:60]
    assert held(text, few) == expected(text, few)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("here is no comparison at column 1", "x"),
        ("here is no comparison at column 1", "x == 0"),
        ("here is no comparison at column 11", "x > 0 and y"),
        ("here is no comparison at column 1", "(x)"),
        ("here is no comparison at column 1", "x not > 0"),
        ("here is no comparison at column 5", "not (x)"),
        ("here is no comparison at column 1", "True"),
        ("an expression is missing before the end", ""),
        ("an expression is missing before the end", "x > 0 and"),
        ("an expression is missing before 'and'", "and x > 0"),
        ("an expression is missing before 'or'", "x > 0 and or y > 0"),
        ("an expression is missing before '>' at column 4", "x <> 1"),
        ("an expression is missing before ')'", "(x > )"),
        ("here is no comparison at column 12", "(x > 0 and ())"),
        ("unexpected 'not' at column 7", "x > 0 not y > 0"),
        ("unexpected ')' at column 6", "x > 0)"),
        ("')' is missing before the end", "(x > 0"),
        ("')' is missing before the end", "(x > 0 and (y > 0)"),
        ("')' is missing before ']'", "(x > 0]"),
        ("this bracket is not closed at column 1", "((x + 1) "),
        ("no number to calculate with at column 1", "(x > 0)*2 > 1"),
        ("no number to calculate with at column 1", "(x > 0) > 1"),
        ("no number to calculate with at column 1", "(x > 0)(y > 0)"),
        ("'>' stands in brackets of an expression at column 7", "max(x > 0, 1) > 1"),
        ("'>' stands in brackets of an expression at column 4", "[x > 0]"),
        ("'and' stands in brackets", "2*(x and y) > 1"),
        ("')' is missing before the end", "x > (1 + 2"),
        ("unexpected ',' at column 2", "(x > 0, y > 0)"),
        ("unexpected '='", "x => 1"),
        ("unknown name 'q'", "x > 0 and not q > 1"),
        ("unexpected character '&'", "x > 0 & y > 0"),
        ("more than 60 brackets and negations", "(" * 61 + "x > 0" + ")" * 61),
        ("more than 60 brackets and negations", "not " * 3000 + "x > 0"),
        ("must be text such as", 3),
    ],
)
def test_what_is_none(message: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^where.*{re.escape(message)}"):
        TEXTS.predicate("where", text)


def test_the_place_is_marked_in_the_whole_text() -> None:
    with pytest.raises(ConfigurationError) as caught:
        TEXTS.predicate("where", "x > 0 and (y or z > 1)")
    assert re.search(r"column 12:\n  x > 0 and \(y or z > 1\)\n {13}\^\n", str(caught.value))
    assert "and not (" in str(caught.value)


def test_sixty_brackets_are_read() -> None:
    assert held("(" * 60 + "x > 1" + ")" * 60) == held("x > 1")
