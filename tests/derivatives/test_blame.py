"""An engine that fails: the original error is named, chained, and told apart from our own slips."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives.engines import ENGINES
from pinnderiv.derivatives.explain import explain
from pinnderiv.derivatives.operators import laplacian
from pinnderiv.derivatives.taylor import primitive, rule
from pinnderiv.errors import UnsupportedOperationError
from tests.derivatives.common import assert_close, points
from tests.oracle import by_differences

X = points(4, 2)


def slipping(*args: Any) -> None:
    raise AttributeError("'NoneType' object has no attribute 'ndim'")


def square(z: Tensor) -> Tensor:
    return z * z


@pytest.fixture
def broken_engine(monkeypatch: pytest.MonkeyPatch) -> str:
    """Nested forward mode with a slip of ours in a file of ours."""
    from pinnderiv.derivatives import nested

    # A slip in a frame of the library: an argument that its own code calls as a function.
    monkeypatch.setattr(nested, "unit_vectors", None)
    return "nested"


def test_a_slip_of_ours_is_called_one_and_chained(broken_engine: str) -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    with (
        pytest.warns(UserWarning, match="an error in pinnderiv itself"),
        pytest.raises(UnsupportedOperationError) as caught,
    ):
        laplacian(net, method=broken_engine)(X)
    text = str(caught.value)
    assert "cannot run it (TypeError: 'NoneType' object is not callable" in text
    assert "at derivatives/nested.py:" in text
    assert "Use method='taylor'" in text
    assert isinstance(caught.value.__cause__, TypeError)


def test_auto_goes_on_but_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from pinnderiv.derivatives.taylor import engine

    monkeypatch.setattr(engine, "seed_of", None)
    monkeypatch.setattr(engine, "Pairs", None)

    def f(x: Tensor) -> Tensor:
        return torch.sin(x).prod(-1, keepdim=True)

    with pytest.warns(UserWarning, match=r"taylor.*TypeError.*an error in pinnderiv itself"):
        found = laplacian(f)(X)
    assert_close(found, by_differences(f, X, "laplacian")[0], 1e-6)


def test_an_error_of_the_users_function_is_not_ours() -> None:
    def f(x: Tensor) -> Tensor:
        if not isinstance(x, Tensor):
            return slipping(x)  # type: ignore[return-value]
        return torch.sin(x)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UnsupportedOperationError) as caught:
            laplacian(f, method="taylor")(X)
    assert "AttributeError: 'NoneType' object has no attribute 'ndim'" in str(caught.value)
    assert "pinnderiv itself" not in str(caught.value)
    cause = caught.value.__cause__
    assert isinstance(cause, UnsupportedOperationError)
    assert isinstance(cause.__cause__, AttributeError)


def test_a_rule_of_the_users_that_fails_is_not_ours() -> None:
    odd = primitive(square)
    rule(odd)(slipping)
    with pytest.raises(UnsupportedOperationError, match="AttributeError") as caught:
        laplacian(odd, method="taylor")(X)
    assert "pinnderiv itself" not in str(caught.value)


def test_explain_names_the_error(broken_engine: str) -> None:
    def f(x: Tensor) -> Tensor:
        return torch.cos(x).prod(-1, keepdim=True)

    assert set(ENGINES) == {"taylor", "nested", "reverse"}
    with pytest.warns(UserWarning, match="pinnderiv itself"):
        shown = explain(f, X, "laplacian")
    (objection,) = [c.objection for c in shown.candidates if c.method == broken_engine]
    assert objection is not None and "TypeError" in objection
