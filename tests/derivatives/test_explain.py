"""explain tells which engine "auto" takes, and why."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from pinnderiv.derivatives import explain, jacobian, laplacian, stochastic
from pinnderiv.errors import (
    ArgumentError,
    BatchMixingError,
    DtypeError,
    ShapeError,
    UnsupportedOperationError,
)
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


def test_an_argument_that_is_not_known_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"'dimz'.*Did you mean 'dims'"):
        explain(network(3, 1), X, "laplacian", dimz=(0,))
    with pytest.raises(ArgumentError, match=r"'dims'.*none"):
        explain(network(3, 1), X, "hessian", dims=(0,))


def test_a_transform_itself_is_taken() -> None:
    assert explain(network(3, 1), X, laplacian).operator == "laplacian"
    with pytest.raises(ArgumentError, match="is unknown"):
        explain(network(3, 1), X, stochastic.laplacian)


def test_f_comes_first() -> None:
    with pytest.raises(DtypeError, match=r"f comes first.*the other order"):
        explain(X, network(3, 1))


def test_a_linear_operator_is_explained_by_its_parts() -> None:
    def channels(**parts: object) -> int:
        return explain(network(3, 1), X, "linear_operator", **parts).channels

    assert channels(first=(1.0, 0.0, 0.0)) == 1
    assert channels(second=(1.0, 0.0, -1.0)) == 3
    assert channels(second=(1.0, 0.5, -1.0), first=(1.0, 0.0, 0.0)) == 4
    assert channels(matrix=torch.eye(3)) == channels()
    assert channels(zeroth=2.0) == 1
    with pytest.raises(ShapeError, match="first has shape"):
        channels(first=(1.0, 0.0))
    # A part of f without second derivatives is no obstacle to an operator of first order.
    kinked = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).double()
    assert not explain(kinked, X, "linear_operator", first=(1.0, 0.0, 0.0)).note


@pytest.mark.parametrize(
    "activation", [nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ReLU6, nn.Hardtanh, nn.RReLU]
)
def test_users_of_kinked_activations_are_told_once(activation: type[nn.Module]) -> None:
    net = nn.Sequential(nn.Linear(3, 16), activation(), nn.Linear(16, 1)).double().eval()
    with warnings.catch_warnings(record=True) as none:
        warnings.simplefilter("always")
        jacobian(net)(X)
    assert not none
    with pytest.warns(UserWarning, match=r"piecewise linear.*smooth activation"):
        laplacian(net)(X)
    with warnings.catch_warnings(record=True) as none:
        warnings.simplefilter("always")
        laplacian(net)(X)
        laplacian(net, method="reverse")(points(7, 3))
    assert not none
    assert "piecewise linear" in str(explain(net, X))


@pytest.mark.parametrize(
    "net",
    [
        nn.Linear(3, 1),
        nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)),
        nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)),
    ],
)
def test_others_are_not(net: nn.Module) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        laplacian(net.double())(X)
        assert not explain(net, X).note
