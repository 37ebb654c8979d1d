"""Nothing wrong in silence: what is known to go wrong is refused by name, or computed right."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from pinnderiv.derivatives import hvp, jacobian, laplacian, partial
from pinnderiv.errors import BatchMixingError, UnsupportedOperationError
from tests import case_functions as custom
from tests.derivatives.common import METHODS, assert_close, fresh_network, network, points
from tests.oracle import by_differences

X = points(4, 2)


def agrees_with_differences(found: Tensor, f: Callable[[Tensor], Tensor], x: Tensor) -> None:
    expected, error = by_differences(f, x, "laplacian")
    allowed = 1e-7 * expected.abs().max() + 30 * error
    assert bool(((found.detach() - expected).abs() <= allowed).all())


def matrices(x: Tensor) -> Tensor:
    """A well-conditioned 4 × 4 matrix at each point."""
    grid = torch.arange(16, dtype=x.dtype).reshape(4, 4)
    wave = torch.sin(grid * x[..., :1, None] + grid.T * x[..., 1:, None])
    return 0.3 * wave + 2 * torch.eye(4, dtype=x.dtype)


def column(matrix: Tensor) -> Tensor:
    return matrix[..., 0]


# Wrong in nested forward mode without any error, as torch 2.13 has them: what is to be named.
WRONG: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "det": (lambda x: torch.linalg.det(matrices(x))[..., None], "_linalg_det"),
    "slogdet": (lambda x: torch.linalg.slogdet(matrices(x))[1][..., None], "_linalg_slogdet"),
    "logdet": (lambda x: torch.logdet(matrices(x))[..., None], "_linalg_slogdet"),
    "solve": (lambda x: torch.linalg.solve(matrices(x), x.repeat(1, 2)), "_linalg_solve_ex"),
    "cholesky_inverse": (
        lambda x: column(torch.cholesky_inverse(matrices(x).tril())),
        "cholesky_inverse",
    ),
    "householder_product": (
        lambda x: column(torch.linalg.householder_product(matrices(x), x.repeat(1, 2))),
        "householder_product",
    ),
    "cumprod": (lambda x: torch.cumprod(torch.exp(x), -1), "cumprod"),
    "custom_jvp": (lambda x: custom.CubeWithJvp.apply(x) * 1.0, "CubeWithJvp"),
}


@pytest.mark.parametrize("name", WRONG)
class TestWrongFormulas:
    def test_nested_is_refused_by_name_and_pointed_to_what_works(self, name: str) -> None:
        f, operation = WRONG[name]
        with pytest.raises(UnsupportedOperationError) as caught:
            laplacian(f, method="nested")(X)
        text = str(caught.value)
        assert operation in text and "method='nested'" in text
        assert "method='auto'" in text
        working = text.split("Use method=")[1].split(" ")[0].strip("'")
        agrees_with_differences(laplacian(f, method=working)(X), f, X)

    def test_auto_takes_an_engine_that_is_right(self, name: str) -> None:
        agrees_with_differences(laplacian(WRONG[name][0])(X), WRONG[name][0], X)

    def test_hessian_vector_products_are_right(self, name: str) -> None:
        """Forward over reverse uses forward formulas too."""
        f, (v, w) = WRONG[name][0], (points(2), points(2, seed=1))
        h = [hvp(f, method=m)(X, v) for m in ("reverse", "auto")]
        assert_close(h[0], h[1])
        symmetric = hvp(f, method="reverse")(X, w)
        assert_close((h[0] @ w), (symmetric @ v), 1e-9)
        plus, _ = by_differences(lambda x: f(x), X, "hessian")
        assert_close(h[0], plus @ v, 1e-6)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("function", "operation"),
    [
        (torch.special.airy_ai, "airy_ai"),
        (lambda x: custom.CubeDetachedBackward.apply(x) * 1.0, "CubeDetachedBackward"),
        (lambda x: custom.CubeWrongBackward.apply(x) * 1.0, "CubeWrongBackward"),
        (lambda x: custom.CubeNumpyBackward.apply(x) * 1.0, "CubeNumpyBackward"),
        (lambda x: custom.CubeOnceDifferentiable.apply(x) * 1.0, "CubeOnceDifferentiable"),
        (lambda x: custom.StraightThroughRound.apply(x) * x, "StraightThroughRound"),
        (lambda x: x.detach() ** 2 * x, r"detach\(\).*pass check=False"),
        (lambda x: torch.tensor(x.tolist(), dtype=x.dtype) ** 2 + x, "lift_fresh|tolist|cannot"),
    ],
)
def test_what_no_engine_can_do_is_refused_by_all(
    function: Callable[[Tensor], Tensor], operation: str, method: str
) -> None:
    with pytest.raises(UnsupportedOperationError, match=operation):
        laplacian(function, method=method)(X)


def batch_norm(train: bool) -> nn.Module:
    net = nn.Sequential(
        nn.Linear(2, 8), nn.Sequential(nn.BatchNorm1d(8), nn.Tanh()), nn.Linear(8, 1)
    )
    return net.double().train(train)


class TestRows:
    @pytest.mark.parametrize("method", METHODS)
    def test_batch_norm_in_training_mode(self, method: str) -> None:
        net = batch_norm(train=True)
        norm = net[1][0]
        norm(torch.randn(5, 8, dtype=torch.float64))
        before = {k: v.clone() for k, v in net.state_dict().items()}
        for transform in (jacobian, laplacian):
            with pytest.raises(
                BatchMixingError, match=r"BatchNorm1d '1.0' is in training mode.*net.eval\(\)"
            ):
                transform(net, method=method)(X)
        assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
        net.eval()
        agrees_with_differences(laplacian(net, method=method)(X), net, X)
        net.train()
        with pytest.raises(BatchMixingError):
            laplacian(net, method=method)(X)

    @pytest.mark.parametrize(
        "mixing",
        [
            lambda x: x**3 - (x**2).mean(0),
            lambda x: x**3 + 1e-6 * (x**2).mean(0),
            lambda x: torch.cat([1e9 * x**3, (x**2).mean(0).expand_as(x)], -1),
            lambda x: (x**3).cumsum(0),
            lambda x: (x**3).flip(0),
            lambda x: x**3 / x.detach().abs().max(),
            lambda x: (x**3).T.reshape(-1, 2),
            lambda x: (x**3)[x[:, 0].argsort()],
            lambda x: (x**3).softmax(0),
            lambda x: x / torch.linalg.norm(x),
            lambda x: x**3 * float(x[0, 0]),
            lambda x: x**3 / len(x),
        ],
    )
    def test_functions_that_mix_rows(self, mixing: Callable[[Tensor], Tensor]) -> None:
        with pytest.raises(BatchMixingError, match="per row"):
            laplacian(mixing)(X)

    def test_a_single_row_does_not_hide_it(self) -> None:
        with pytest.raises(BatchMixingError):
            laplacian(lambda x: x**3 - (x**2).mean(0))(X[:1])

    @pytest.mark.parametrize(
        "mixing",
        [lambda x: x**3 - x.mean(0), lambda x: x**3 - x.mean(1, keepdim=True)],
        ids=["first", "second"],
    )
    def test_either_batch_dimension(self, mixing: Callable[[Tensor], Tensor]) -> None:
        with pytest.raises(BatchMixingError):
            jacobian(mixing)(points(3, 4, 2))

    def test_data_for_each_row_is_no_mixing(self) -> None:
        net = network(2, 1)

        def apply(transform: Any, rows: int) -> Tensor:
            data, x = points(rows, 1), points(rows, 2)
            return transform(lambda y: data * net(y))(x) - data[..., None] ** (
                transform is jacobian
            ) * transform(net)(x) * (data if transform is laplacian else 1)

        # The number of rows and the operator change: what is remembered must not misfit.
        for rows in (2, 3, 5, 5, 1):
            for transform in (jacobian, laplacian):
                assert apply(transform, rows).abs().max() < 1e-12


class TestRandom:
    @pytest.mark.parametrize("method", METHODS)
    def test_dropout_is_named(self, method: str) -> None:
        net = nn.Sequential(nn.Linear(2, 9), nn.Dropout(0.5), nn.Linear(9, 1)).double()
        with pytest.raises(UnsupportedOperationError, match=r"random.*Dropout '1'.*net.eval\(\)"):
            laplacian(net, method=method)(X)
        laplacian(net.eval(), method=method)(X)

    @pytest.mark.parametrize("f", [lambda x: x * torch.rand(()), lambda x: x**2], ids=["r", "d"])
    def test_the_random_state_is_left_alone(self, f: Callable[[Tensor], Tensor]) -> None:
        state = torch.get_rng_state()
        with contextlib.suppress(UnsupportedOperationError):
            laplacian(f)(X)
        assert torch.equal(torch.get_rng_state(), state)


class TestTraining:
    def test_a_function_that_only_cannot_be_trained_on(self) -> None:
        """The gradient of its derivatives fails, not they themselves."""
        net = fresh_network(2, 1)

        def f(x: Tensor) -> Tensor:
            return torch.copysign(net(x), x[..., :1] + 2)

        with pytest.raises(UnsupportedOperationError, match=r"cannot be trained on.*no_grad\(\)"):
            laplacian(f, method="nested")(X)
        with torch.no_grad():
            agrees_with_differences(laplacian(f, method="nested")(X), f, X)
        agrees_with_differences(laplacian(f)(X), f, X)

    def test_parameters_that_are_frozen_and_released(self) -> None:
        net = fresh_network(2, 1).requires_grad_(False)

        def f(x: Tensor) -> Tensor:
            return torch.copysign(net(x), x[..., :1] + 2)

        laplacian(f, method="nested")(X)
        net.requires_grad_(True)
        with pytest.raises(UnsupportedOperationError, match="cannot be trained on"):
            laplacian(f, method="nested")(X)


@pytest.mark.parametrize("method", ["nested", "reverse"])
def test_a_small_output_beside_a_large_one_is_watched_too(method: str) -> None:
    def f(x: Tensor) -> Tensor:
        return torch.cat([1e7 * x**3, custom.CubeWithJvp.apply(x) * 1.0], -1)

    if method == "nested":
        with pytest.raises(UnsupportedOperationError, match="CubeWithJvp"):
            laplacian(f, method=method)(X)
    else:
        assert_close(laplacian(f, method=method)(X)[:, 2:], 6 * X)


class TestUnderTorchFunc:
    def test_mixing_is_found(self) -> None:
        net = batch_norm(train=True)
        net[1][0] = nn.BatchNorm1d(8, track_running_stats=False).double()
        parameters = dict(net.named_parameters())

        def loss(p: dict[str, Tensor]) -> Tensor:
            return laplacian(lambda x: functional_call(net, p, (x,)))(X).sum()

        with pytest.raises(BatchMixingError, match="BatchNorm1d"):
            grad(loss)(parameters)

    def test_wrong_formulas_are_found(self) -> None:
        f, operation = WRONG["det"]
        with pytest.raises(UnsupportedOperationError, match=operation):
            grad(lambda x: laplacian(f, method="nested")(x).sum())(X)
        with pytest.raises(UnsupportedOperationError, match=operation):
            vmap(laplacian(f, method="nested"))(X[:, None])

    def test_nothing_of_the_transform_is_remembered(self) -> None:
        net = fresh_network(2, 1)
        expected = laplacian(net, method="reverse")(X)
        for method in ("nested", "reverse"):
            apply = laplacian(net, method=method)
            grad(lambda x, apply=apply: apply(x).sum())(X)
            partial(apply, (0,), method="nested")(X)
            assert_close(vmap(apply)(X), expected)


class TestInPlace:
    @pytest.mark.parametrize("check", [True, False])
    @pytest.mark.parametrize("method", ["auto", "nested", "reverse"])
    def test_points_are_not_changed(self, method: str, check: bool) -> None:
        def f(x: Tensor) -> Tensor:
            return x.mul_(2).sum(-1, keepdim=True) ** 3

        for x in (X.clone(), X.clone().requires_grad_()):
            found = laplacian(f, method=method, check=check)(x)
            assert torch.equal(x, X)
            assert_close(found, 96 * X.sum(-1, keepdim=True))
            assert_close(hvp(f, method=method, check=check)(x, (1.0, 1.0))[..., 0], found)
            assert torch.equal(x, X)


def test_check_false_trusts_f() -> None:
    batch = lambda x: x**3 - (x**2).mean(0)  # noqa: E731
    with pytest.raises(BatchMixingError):
        laplacian(batch)(X)
    assert laplacian(batch, check=False)(X).shape == (4, 2)
    stopped = laplacian(lambda x: x.detach() * x**2, method="reverse", check=False)(X)
    assert_close(stopped, 2 * X)
