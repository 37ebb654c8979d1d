"""The hint at a name that was likely meant, which every message about names shares."""

from pathlib import Path

import pytest

from pinnderiv.errors import did_you_mean, nearest

PACKAGE = Path(__file__).resolve().parents[1] / "pinnderiv"


@pytest.mark.parametrize(
    ("got", "hint"),
    [("nestd", " Did you mean 'nested'?"), ("reverze", " Did you mean 'reverse'?"), (7, "")],
)
def test_the_hint_names_the_nearest_or_nothing(got: object, hint: str) -> None:
    known = (name for name in ("taylor", "nested", "reverse"))  # read once
    assert did_you_mean(got, known) == hint


def test_nearest_is_none_where_nothing_is_near() -> None:
    assert nearest("taylr", ["taylor", "tayl"]) == "taylor"
    assert nearest("jacobian", ["taylor"]) is None
    assert nearest("anything", []) is None


def test_names_are_matched_in_one_place() -> None:
    using = [p for p in PACKAGE.rglob("*.py") if "difflib" in p.read_text(encoding="utf-8")]
    assert using == [PACKAGE / "errors.py"]
