"""What is said when an argument cannot be meant: which, what was got, and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pinnderiv as pd
from pinnderiv.errors import ArgumentError, DtypeError, ShapeError, UnsupportedOperationError
from tests.derivatives.common import METHODS, network, points

NET, X = network(2, 1), points(4, 2)


@pytest.mark.parametrize("generator", [3, "cuda"])
def test_a_generator_that_is_none(generator: Any) -> None:
    with pytest.raises(DtypeError, match=r"generator=.*must be a torch.Generator on x.device"):
        pd.stochastic.laplacian(NET, 4, generator=generator)


@pytest.mark.parametrize("transform", [pd.laplacian, pd.biharmonic, pd.partial])
def test_points_in_the_place_of_columns(transform: Callable[..., Any]) -> None:
    with pytest.raises(ArgumentError, match=r"laplacian\(f\)\(x\), or weights="):
        transform(NET, X)


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("returned", "error"),
    [
        (lambda x: None, DtypeError),
        (lambda x: {"u": x}, DtypeError),
        (lambda x: (x**2, x), DtypeError),
        (lambda x: x.sum(-1), ShapeError),
        (lambda x: x.sum(), ShapeError),
    ],
)
def test_what_f_returns_without_check(
    returned: Any, error: type[Exception], method: str, chunk_size: int | None
) -> None:
    for transform in (pd.laplacian, pd.jacobian, pd.second_derivatives):
        with pytest.raises(error, match=r"f\(x\) (returned|has shape)"):
            transform(returned, method=method, chunk_size=chunk_size, check=False)(X)


@pytest.mark.parametrize("x", [[[0.1, 0.2]], X.numpy()])
def test_the_default_dtype_is_advised(x: Any) -> None:
    with pytest.raises(DtypeError, match=r"dtype=torch.float32"):
        pd.laplacian(NET)(x)
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(DtypeError, match=r"dtype=torch.float64"):
            pd.laplacian(NET)(x)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_long_line_does_not_hide_the_reason() -> None:
    def f(x: Tensor) -> Tensor:
        return (
            torch.sin(x)
            + torch.cos(x)
            + torch.as_tensor(x.numpy())
            + torch.sin(x + 1) * 0.123456789
        )

    with pytest.raises(UnsupportedOperationError, match=r"numbers out of PyTorch.*write it with"):
        pd.laplacian(f, check=False, method="taylor")(X)


def test_an_elementwise_rule_with_one_item() -> None:
    @pd.taylor.primitive
    def cube(z: Tensor) -> Tensor:
        return z**3

    pd.taylor.elementwise(cube)(lambda z: z**3)
    with pytest.raises(ArgumentError, match=r"rule of .*cube must return \(y, y′, y″\).*Tensor"):
        pd.taylor.check_rule(cube, X)
    with pytest.raises(ArgumentError, match=r"rule of .*cube must return"):
        pd.laplacian(cube, method="taylor", check=False)(X)


def test_check_rule_without_a_rule() -> None:
    with pytest.raises(ArgumentError, match="has no rule: register one"):
        pd.taylor.check_rule(lambda z: z**2, X)
    assert pd.taylor.check_rule("tanh", X) < 1e-6
    with pytest.raises(ArgumentError, match="no function named"):
        pd.taylor.check_rule("thanh", X)
    with pytest.raises(DtypeError, match="check_rule takes the function"):
        pd.taylor.check_rule(3, X)  # type: ignore[arg-type]


def test_a_rule_for_what_autograd_cannot_see() -> None:
    """The witness, reverse mode, is wrong there, and must not refute the rule."""

    @pd.taylor.primitive
    def sine(z: Tensor) -> Tensor:
        return torch.as_tensor(__import__("numpy").sin(z.detach().numpy()))

    pd.taylor.elementwise(sine)(lambda z: (torch.sin(z), torch.cos(z), -torch.sin(z)))
    pd.taylor.check_rule(sine, X)
    with torch.no_grad():
        torch.testing.assert_close(pd.laplacian(sine, method="taylor")(X), -torch.sin(X))
        torch.testing.assert_close(pd.laplacian(sine)(X), -torch.sin(X))


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "partial": lambda f, **o: pd.partial(f, (0, 0), **o)(X),
    "third": lambda f, **o: pd.partial(f, (0, 0, 1), **o)(X),
    "biharmonic": lambda f, **o: pd.biharmonic(f, **o)(X),
    "hvp": lambda f, **o: pd.hvp(f, **o)(X, (1.0, 2.0)),
    "stochastic": lambda f, **o: pd.stochastic.laplacian(f, 3, **o)(X),
    "derivatives": lambda f, **o: pd.derivatives(f, ["u", "u_xx"], ("x", "t"), **o)(X)["u_xx"],
    "laplacian": lambda f, **o: pd.laplacian(f, **o)(X),
    "hessian": lambda f, **o: pd.hessian(f, **o)(X),
}


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", OPERATORS)
def test_constant_derivatives_can_be_in_a_loss(name: str, method: str, check: bool) -> None:
    linear = nn.Linear(2, 1).double()
    result = OPERATORS[name](linear, method=method, check=check)
    result.square().mean().backward()
    assert all(p.grad is None or not p.grad.any() for p in linear.parameters())
    with torch.no_grad():
        assert not OPERATORS[name](linear, method=method, check=check).requires_grad
