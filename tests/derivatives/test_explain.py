"""explain tells which engine "auto" takes, and why."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from pinnderiv.derivatives import explain, laplacian
from pinnderiv.errors import ArgumentError, BatchMixingError, ShapeError, UnsupportedOperationError
from tests import case_functions as custom
from tests.derivatives.common import network, points

X = points(5, 3)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        ("jacobian", {}),
        ("divergence", {}),
        ("hessian", {}),
        ("second_derivatives", {}),
        ("laplacian", {}),
        ("laplacian", {"dims": (0, 1)}),
        ("second_order_operator", {}),
        ("linear_operator", {}),
        ("hvp", {}),
        ("biharmonic", {}),
        ("partial", {"dims": (0, 1, 1)}),
        ("derivatives", {"request": ["u", "u_xx"], "coordinates": ("x", "y", "z")}),
    ],
)
def test_every_operator_is_explained(operator: str, arguments: dict[str, object]) -> None:
    found = explain(network(3, 1), X, operator, **arguments)
    assert found.operator == operator
    chosen = next(c for c in found.candidates if c.method == found.method)
    assert chosen.objection is None
    assert chosen.cost == min(c.cost for c in found.candidates if c.objection is None)
    assert "aten.addmm" in found.operations
    text = str(found)
    assert text == repr(found) and operator in text and repr(found.method) in text
    assert all(c.method in text for c in found.candidates)


def test_the_cost_grows_with_what_is_asked() -> None:
    def cost(columns: int) -> float:
        found = explain(network(3, 1), X, "laplacian", dims=tuple(range(columns)))
        return next(c.cost for c in found.candidates if c.method == "nested")

    assert cost(1) < cost(2) < cost(3)


def test_it_names_what_is_wrong_with_the_others() -> None:
    found = explain(lambda x: custom.CubeOldStyle.apply(x) * 1.0, X, "laplacian")
    assert found.method == "reverse"
    nested = next(c for c in found.candidates if c.method == "nested")
    assert nested.objection is not None and "CubeOldStyle" in nested.objection
    assert "CubeOldStyle" in str(found)


def test_it_takes_the_engine_that_auto_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    from pinnderiv.derivatives import engines

    for f in (network(3, 1), lambda x: custom.CubeOldStyle.apply(x) * 1.0):
        expected = explain(f, X, "laplacian").method
        used: list[str] = []
        engine = engines.ENGINES[expected]
        original = type(engine).collapsed

        def watched(self, *args, _original=original, _used=used):  # type: ignore[no-untyped-def]
            _used.append(self.name)
            return _original(self, *args)

        monkeypatch.setattr(type(engine), "collapsed", watched)
        laplacian(f)(X)
        assert used and set(used) == {expected}


def test_what_nothing_can_differentiate_is_refused() -> None:
    with pytest.raises(UnsupportedOperationError, match="no method is right for laplacian"):
        explain(lambda x: x.detach() * x, X, "laplacian")


def test_f_and_x_are_checked() -> None:
    with pytest.raises(ShapeError):
        explain(network(3, 1), points(4, 2))
    batch_norm = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()
    with pytest.raises(BatchMixingError, match="BatchNorm1d '1'"):
        explain(batch_norm, X)


def test_in_inference_mode() -> None:
    with torch.inference_mode():
        assert explain(network(3, 1), points(4, 3)).method


@pytest.mark.parametrize(
    ("operator", "arguments", "message"),
    [
        ("laplace", {}, "Did you mean 'laplacian'"),
        ("partial", {}, "dims is empty"),
        ("derivatives", {"coordinates": ("x", "y", "z")}, "needs request="),
        ("laplacian", {"dims": (5,)}, "x has 3 columns"),
        (None, {}, "operator=None is unknown"),
    ],
)
def test_wrong_arguments(operator: str, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        explain(network(3, 1), X, operator, **arguments)
