"""Residuals of one's own: their loss, gradient and Jacobian, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pinnderiv
from pinnderiv.errors import (
    ArgumentError,
    BatchMixingError,
    DtypeError,
    ShapeError,
    UnsupportedOperationError,
)
from pinnderiv.optimisers import ResidualObjective


def network(outputs: int = 1, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 7), nn.Tanh(), nn.Linear(7, outputs)).to(dtype)


def points(rows: int = 6, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(rows, 2, dtype=dtype, generator=torch.Generator().manual_seed(1))


def poisson(net: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """A residual of second order and one of order zero, two numbers a point for the second."""
    source = torch.sin(3 * x[:, :1])
    return {"equation": pinnderiv.laplacian(net)(x) + source, "value": net(x) * x}


def by_differences(objective: ResidualObjective, step: float = 1e-6) -> Tensor:
    columns, origin = [], objective.vector()
    for k in range(objective.size):
        move = torch.zeros_like(origin)
        move[k] = step
        ahead, behind = objective.residuals(origin + move), objective.residuals(origin - move)
        columns.append((ahead - behind) / (2 * step))
    return torch.stack(columns, dim=1)


def both_forms(
    net: nn.Module, x: Tensor, **options: Any
) -> tuple[ResidualObjective, ResidualObjective]:
    return (
        ResidualObjective(net, lambda: poisson(net, x), **options),
        ResidualObjective(net, lambda rows: poisson(net, rows), points=x, **options),
    )


def test_both_forms_have_the_jacobian_of_differences_and_of_autograd() -> None:
    net, x = network(), points()
    for made in both_forms(net, x, weights={"value": 3.0}):
        found = made.linearise()
        torch.testing.assert_close(found.jacobian, by_differences(made), rtol=1e-7, atol=1e-8)
        expected = torch.func.jacrev(made.residuals)(made.vector())
        torch.testing.assert_close(found.jacobian, expected, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(found.residual, made.residuals(made.vector()))
        here, wanted = found.evaluation(), made.evaluate()
        torch.testing.assert_close(here.loss, wanted.loss)
        torch.testing.assert_close(here.gradient, wanted.gradient)
        assert here.terms.keys() == wanted.terms.keys() == {"equation", "value"}
        for name, term in wanted.terms.items():
            torch.testing.assert_close(here.terms[name], term)


def test_the_loss_is_the_weighted_sum_of_mean_squares() -> None:
    net, x = network(), points()
    values = {name: value.detach() for name, value in poisson(net, x).items()}
    expected = values["equation"].square().mean() + 3 * values["value"].square().mean()
    for made in both_forms(net, x, weights={"value": 3.0}):
        assert float(made.evaluate().loss) == pytest.approx(float(expected))
        assert float(made.residuals(made.vector()).square().sum()) == pytest.approx(float(expected))
        before, origin = made.evaluate(), made.vector()
        made.set_vector(origin + 0.1)
        there = made.evaluation_at(before)
        assert float(there.loss) == pytest.approx(float(made.evaluate().loss))
        assert there.gradient is before.gradient
        made.set_vector(origin)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pieces_with_points_of_their_own(dtype: torch.dtype) -> None:
    net, inside, edge = network(dtype=dtype), points(9, dtype), points(4, dtype)
    edge[:, 0] = 0
    known = torch.cos(edge[:, 1:])

    def equation(x: Tensor) -> Tensor:
        return pinnderiv.laplacian(net)(x)

    def boundary(x: Tensor, value: Tensor) -> Tensor:
        return net(x) - value

    rows = ResidualObjective(
        net,
        {"equation": equation, "boundary": boundary},
        points={"equation": inside, "boundary": (edge, known)},
    )
    closure = ResidualObjective(
        net, lambda: {"equation": equation(inside), "boundary": boundary(edge, known)}
    )
    found, expected = rows.linearise(), closure.linearise()
    torch.testing.assert_close(found.jacobian, expected.jacobian)
    torch.testing.assert_close(found.residual, expected.residual)
    assert found.jacobian.dtype == dtype


def test_a_large_jacobian_is_made_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = network(), points(11)
    whole = [made.linearise().jacobian for made in both_forms(net, x)]
    monkeypatch.setattr("pinnderiv.training.jacobian._BLOCK", 200)
    for made, expected in zip(both_forms(net, x), whole, strict=True):
        torch.testing.assert_close(made.linearise().jacobian, expected)


def test_frozen_parameters_stay_out_and_unused_ones_have_zero_columns() -> None:
    net, other, x = network(), nn.Linear(2, 1).double(), points()
    net[0].requires_grad_(False)
    for options in ({}, {"points": x}):
        made = ResidualObjective(
            [{"params": [net]}, {"params": [other]}],
            (lambda rows: net(rows)) if options else (lambda: net(x)),
            **options,
        )
        assert made.size == 8 + 3
        jacobian = made.linearise().jacobian
        assert not jacobian[:, 8:].any() and jacobian[:, :8].all()
        torch.testing.assert_close(jacobian, by_differences(made), rtol=1e-7, atol=1e-9)
        assert not made.evaluate().gradient[8:].any()


def test_tensors_beside_modules_and_shared_modules() -> None:
    net, x = network(), points()
    factor = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    made = ResidualObjective(
        [net, net[0], factor], lambda: factor * pinnderiv.laplacian(net)(x) + x[:, :1]
    )
    assert made.size == 7 * 3 + 8 + 1
    torch.testing.assert_close(
        made.linearise().jacobian, by_differences(made), rtol=1e-7, atol=1e-8
    )
    with pytest.raises(UnsupportedOperationError, match="modules that hold all parameters"):
        torch.func.jacrev(made.residuals)(made.vector())
    with pytest.raises(UnsupportedOperationError, match=r"points= needs all parameters"):
        ResidualObjective([net, factor], lambda rows: factor * net(rows), points=x)


def test_derivatives_by_autograd_inside_a_closure() -> None:
    net, x = network(), points().requires_grad_()

    def residual() -> Tensor:
        (slope,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
        return slope[:, 0] - x[:, 1].detach()

    made = ResidualObjective(net, residual)
    with torch.no_grad():
        found = made.linearise()
    torch.testing.assert_close(found.jacobian, by_differences(made), rtol=1e-7, atol=1e-8)


def test_what_is_known_at_the_points_must_come_with_them() -> None:
    net, x = network(), points()
    known = torch.sin(x[:, :1])
    made = ResidualObjective(net, lambda rows: net(rows) - known, points=x)
    with pytest.raises(ShapeError, match=r"belongs into points=\(points, known\)"):
        made.linearise()
    ResidualObjective(net, lambda rows, value: net(rows) - value, points=(x, known)).linearise()


def test_what_vmap_cannot_batch_is_done_one_row_at_a_time() -> None:
    class Inconvenient(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x * 2

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient * 2 if bool(gradient.sum() > -1e30) else gradient

    net, x = network(), points()
    made = ResidualObjective(net, lambda: Inconvenient.apply(net(x)))
    torch.testing.assert_close(
        made.linearise().jacobian, by_differences(made), rtol=1e-7, atol=1e-8
    )


def test_rows_that_look_at_other_rows_are_refused() -> None:
    net, x = network(), points()
    made = ResidualObjective(net, lambda rows: net(rows) - net(rows).mean(0), points=x)
    with pytest.raises(BatchMixingError, match=r"leave out points="):
        made.linearise()
    # the closure may do that
    ResidualObjective(net, lambda: net(x) - net(x).mean(0)).linearise()


def test_a_parameter_that_was_got_hold_of_is_noticed() -> None:
    net, x = network(), points()
    held = net[2].bias

    def residual(rows: Tensor) -> Tensor:
        return net(rows) * held

    made = ResidualObjective(net, residual, points=x)
    with pytest.raises(UnsupportedOperationError, match="use these as attributes"):
        made.linearise()
    closure = ResidualObjective(net, lambda: residual(x))
    torch.testing.assert_close(
        closure.linearise().jacobian, by_differences(closure), rtol=1e-7, atol=1e-8
    )


def test_autograd_inside_rows_is_refused_in_plain_words() -> None:
    net, x = network(), points()

    def residual(rows: Tensor) -> Tensor:
        rows = rows.detach().requires_grad_()
        return torch.autograd.grad(net(rows).sum(), rows, create_graph=True)[0]

    made = ResidualObjective(net, residual, points=x)
    with pytest.raises(UnsupportedOperationError, match="pinnderiv's operators"):
        made.linearise()


def test_a_residual_that_branches_may_be_constant_for_a_while() -> None:
    x = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    made = ResidualObjective(
        x, lambda: x[:1] if float(x[0].detach()) > 0 else torch.ones_like(x[:1])
    )
    assert made.linearise().jacobian.tolist() == [[1.0, 0.0]]
    made.set_vector(-made.vector())
    found = made.linearise()
    assert found.residual.tolist() == [1.0] and found.jacobian.tolist() == [[0.0, 0.0]]
    assert made.evaluate().gradient.tolist() == [0.0, 0.0]


def test_another_number_of_residuals_must_be_announced() -> None:
    net, count = network(), [5]
    made = ResidualObjective(net, lambda: net(points(count[0])))
    made.linearise()
    count[0] = 4
    with pytest.raises(ShapeError, match=r"points_changed\(\)"):
        made.residuals(made.vector())
    made.points_changed()
    assert made.linearise().jacobian.shape == (4, made.size)


def test_parameters_come_back_when_the_residual_raises() -> None:
    net, x = network(), points()

    def residual() -> Tensor:
        if float(net[2].bias.detach()) > 5:
            raise RuntimeError("too far")
        return net(x)

    made = ResidualObjective(net, residual)
    before = made.vector()
    with pytest.raises(RuntimeError, match="too far"):
        made.residuals(before + 10)
    assert torch.equal(made.vector(), before)


NET, X = network(), points()
FROZEN = network().requires_grad_(False)


@pytest.mark.parametrize(
    ("error", "words", "make"),
    [
        (ArgumentError, "nothing to train", lambda: ResidualObjective([], lambda: NET(X))),
        (ArgumentError, "nothing to train", lambda: ResidualObjective(FROZEN, lambda: NET(X))),
        (DtypeError, "several of them", lambda: ResidualObjective(3, lambda: NET(X))),
        (
            ArgumentError,
            "key 'params' only",
            lambda: ResidualObjective([{"params": NET, "lr": 1.0}], lambda: NET(X)),
        ),
        (ArgumentError, "leaves", lambda: ResidualObjective(NET(X), lambda: NET(X))),
        (
            DtypeError,
            "share one dtype",
            lambda: ResidualObjective([NET, network(dtype=torch.float32)], lambda: NET(X)),
        ),
        (DtypeError, "complex", lambda: ResidualObjective(NET, lambda: NET(X) * 1j)),
        (DtypeError, "float32", lambda: ResidualObjective(NET, lambda: NET(X).float())),
        (DtypeError, "must be a tensor", lambda: ResidualObjective(NET, lambda: 1.0)),
        (DtypeError, "must be a function", lambda: ResidualObjective(NET, NET(X))),
        (ArgumentError, "empty", lambda: ResidualObjective(NET, lambda: NET(X)[:0])),
        (ArgumentError, "does not depend", lambda: ResidualObjective(NET, lambda: NET(X).detach())),
        (ArgumentError, "does not depend", lambda: ResidualObjective(NET, lambda: network()(X))),
        (ArgumentError, "mapping", lambda: ResidualObjective(NET, lambda: {})),
        (ShapeError, "row for each", lambda: ResidualObjective(NET, lambda x: NET(x).sum(), X)),
        (ShapeError, "one row a point", lambda: ResidualObjective(NET, NET, X[:0])),
        (ShapeError, "one row a point", lambda: ResidualObjective(NET, NET, (X, X[:2]))),
        (DtypeError, "must be tensors", lambda: ResidualObjective(NET, NET, 3)),
        (ArgumentError, "same names", lambda: ResidualObjective(NET, {"a": NET}, {"b": X})),
        (ArgumentError, "same names", lambda: ResidualObjective(NET, {"a": NET})),
        (ArgumentError, "is a mapping", lambda: ResidualObjective(NET, NET, {"b": X})),
        (
            ArgumentError,
            "finite numbers",
            lambda: ResidualObjective(NET, NET, X, weights={"residual": -1.0}),
        ),
        (ArgumentError, "terms: residual", lambda: ResidualObjective(NET, NET, X, {"wall": 1.0})),
        (ArgumentError, "0 for every", lambda: ResidualObjective(NET, NET, X, {"residual": 0.0})),
    ],
)
def test_what_makes_no_sense_is_refused(
    error: type[Exception], words: str, make: Callable[[], ResidualObjective]
) -> None:
    with pytest.raises(error, match=words):
        make()


def test_freezing_afterwards_is_noticed() -> None:
    net = network()
    made = ResidualObjective(net, lambda: net(X))
    net[0].requires_grad_(False)
    for method in (made.evaluate, made.linearise):
        with pytest.raises(ArgumentError, match="was frozen"):
            method()
