"""The formulas that stand in for PyTorch's: the same values, right derivatives of all orders."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import jvp

from pinnderiv.derivatives import hessian, laplacian
from pinnderiv.derivatives.repairs import exact_formulas
from tests.derivatives.common import METHODS, assert_close, points
from tests.oracle import by_differences, laplacian_of_batch, slope

DOUBLE = torch.float64
W, B = points(4, seed=1), points(4, seed=2)
RUNNING = (points(3, seed=3), points(3, seed=4).abs() + 0.5)

# name: (function of z (3, 4), which holds the repaired call)
CALLS: dict[str, Callable[[Tensor], Tensor]] = {
    "layer_norm": lambda z: F.layer_norm(z, (4,)),
    "layer_norm_affine": lambda z: F.layer_norm(z, [4], W, B, 1e-2),
    "layer_norm_keywords": lambda z: F.layer_norm(input=z, normalized_shape=(4,), bias=B, eps=1e-3),
    "layer_norm_two_dimensions": lambda z: F.layer_norm(z[:, None].expand(3, 2, 4), (2, 4)),
    "layer_norm_of_torch": lambda z: torch.layer_norm(z, (4,), W, B, 1e-3, False),
    "layer_norm_module": lambda z: nn.LayerNorm(4, dtype=DOUBLE)(z),
    "instance_norm": lambda z: F.instance_norm(z.reshape(1, 3, 4), weight=W[:3], bias=B[:3]),
    "instance_norm_2d": lambda z: F.instance_norm(z.reshape(1, 3, 2, 2), eps=1e-2),
    "instance_norm_module": lambda z: nn.InstanceNorm1d(3, affine=True, dtype=DOUBLE)(z[None]),
    "instance_norm_running": lambda z: F.instance_norm(
        z[None], RUNNING[0].clone(), RUNNING[1].clone(), use_input_stats=False
    ),
    "glu": lambda z: F.glu(z),
    "glu_first": lambda z: F.glu(z[:2], dim=0),
    "glu_module": lambda z: nn.GLU(1)(z),
    "hardsigmoid": lambda z: F.hardsigmoid(2 * z) ** 2,
    "hardsigmoid_in_place": lambda z: F.hardsigmoid(2 * z, inplace=True) ** 2,
    "sinc": lambda z: torch.sinc(z),
    "sinc_method": lambda z: (z / 3).sinc(),
    "sinc_special": lambda z: torch.special.sinc(input=4 * z),
    "vector_norm": lambda z: torch.linalg.vector_norm(z),
    "vector_norm_dim": lambda z: torch.linalg.vector_norm(z, dim=-1, keepdim=True),
    "vector_norm_3": lambda z: torch.linalg.vector_norm(z, 3, dim=0),
    "norm": lambda z: z.norm(),
    "norm_dims": lambda z: z.norm(dim=(0, 1), keepdim=True),
    "norm_p": lambda z: z.norm(2, -1),
    "norm_frobenius": lambda z: torch.norm(z, "fro", dim=-1),
    "norm_3": lambda z: torch.norm(z, p=3, dim=1),
    "std": lambda z: z.std(),
    "std_dim": lambda z: z.std(-1, keepdim=True),
    "std_correction": lambda z: torch.std(z, dim=0, correction=0),
    "std_biased": lambda z: torch.std(z, -1, False),
    "cdist": lambda z: torch.cdist(z, z.flip(0) + 3),
    "cdist_batched": lambda z: torch.cdist(z[:, None], W.reshape(1, 1, 4) + 2, p=2.0),
    "cdist_1": lambda z: torch.cdist(z, z.flip(0) + 3, 1.0),
    "det_1": lambda z: torch.det(z[:, :1, None]),
    "det_2": lambda z: torch.linalg.det(z.reshape(3, 2, 2)),
    "det_3": lambda z: (z[:, :3] + torch.eye(3, dtype=DOUBLE)).det(),
    "abs_complex": lambda z: torch.complex(z[:, :2] + 2, z[:, 2:]).abs(),
    "abs_conjugate": lambda z: torch.abs(torch.complex(z[:, :2] + 2, z[:, 2:]).conj()),
    "abs": lambda z: (z**3).abs(),
    "prod": lambda z: z.prod(),
    "prod_dim": lambda z: torch.prod(z, -1, keepdim=True),
    "prod_keyword": lambda z: torch.prod(z, dim=0),
    "attention": lambda z: F.scaled_dot_product_attention(
        z.reshape(1, 3, 4), z.flip(0).reshape(1, 3, 4), z.sin().reshape(1, 3, 4)
    ),
}
# The rest has kinks, or is left to torch.
KINKS = ("hardsigmoid", "hardsigmoid_in_place", "abs")
LEFT = ("vector_norm_3", "norm_3", "cdist_1")
SMOOTH = [name for name in CALLS if name not in KINKS + LEFT]
# Where PyTorch has a formula for the value only, or a wrong one, at a special point.
AT_SPECIAL_POINTS: dict[str, tuple[Callable[[Tensor], Tensor], Tensor]] = {
    "sinc_at_0": (lambda z: torch.sinc(z), torch.tensor([[0.0, 0.3, 1e-9, -0.15]], dtype=DOUBLE)),
    "prod_with_a_zero": (lambda z: z.prod(-1), torch.tensor([[0, 1.3, 2, 0.5]], dtype=DOUBLE)),
    "prod_with_two_zeros": (lambda z: z.prod(-1), torch.tensor([[0, 1.3, 0, 0.5]], dtype=DOUBLE)),
    "det_singular": (
        lambda z: torch.linalg.det(z.reshape(2, 2)),
        torch.tensor([[1, 2, 2, 4]], dtype=DOUBLE),
    ),
}


def path(
    call: Callable[[Tensor], Tensor], start: Tensor
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """g(s) = Σ c · call(z + s v), a number of a number, and s = 0."""
    v = points(*start.shape, seed=7)

    def g(s: Tensor) -> Tensor:
        result = call(start + s * v)
        return (
            result * torch.linspace(0.4, 1.6, result.numel(), dtype=DOUBLE).view_as(result)
        ).sum()

    return g, torch.zeros((), dtype=DOUBLE)


def derivative(g: Callable[[Tensor], Tensor], modes: str) -> Callable[[Tensor], Tensor]:
    """Differentiated once for each letter, innermost first: forward or reverse mode."""
    for mode in modes:
        inner = g
        if mode == "f":
            g = lambda s, inner=inner: jvp(inner, (s,), (torch.ones_like(s),))[1]  # noqa: E731
        else:
            g = torch.func.grad(inner)
    return g


@pytest.mark.parametrize("name", CALLS)
def test_the_values_are_torch_s(name: str) -> None:
    z = points(3, 4)
    plain = CALLS[name](z.clone())
    with exact_formulas():
        exact = CALLS[name](z.clone())
    assert exact.shape == plain.shape and exact.dtype == plain.dtype
    assert_close(exact, plain, 1e-12)


@pytest.mark.parametrize("name", [*SMOOTH, *AT_SPECIAL_POINTS])
def test_derivatives_up_to_the_third_order(name: str) -> None:
    """Every combination of modes, each order against differences of the one below it."""
    call, start = AT_SPECIAL_POINTS.get(name, (CALLS.get(name), points(3, 4)))
    g, zero = path(call, start)
    with exact_formulas():
        below: Callable[[Tensor], Tensor] = g
        for order in (1, 2, 3):
            expected, error = slope(lambda h, below=below: float(below(zero + h)), 0.05)
            allowed = 1e-7 * max(1, abs(expected)) + 30 * error
            for modes in product("fr", repeat=order):
                found = float(derivative(g, "".join(modes))(zero))
                assert abs(found - expected) <= allowed, modes
            below = derivative(g, "r" * order)


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(2)
    return {
        "layer_norm": nn.Sequential(
            nn.Linear(2, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 8), nn.LayerNorm(8),
            nn.Tanh(), nn.Linear(8, 1),
        ),
        "instance_norm": nn.Sequential(
            nn.Linear(2, 8), nn.Unflatten(-1, (2, 4)), nn.InstanceNorm1d(2), nn.Flatten(-2),
            nn.Tanh(), nn.Linear(8, 1),
        ),
        "attention": nn.Sequential(
            nn.Linear(2, 8), nn.Unflatten(-1, (2, 4)),
            nn.TransformerEncoderLayer(4, 2, 8, 0.0, "gelu", batch_first=True), nn.Flatten(-2),
            nn.Linear(8, 1),
        ),
    }  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["layer_norm", "instance_norm", "attention"])
def test_the_gradient_of_a_loss_is_right(name: str, method: str) -> None:
    """Third derivatives: wrong by tens of per cent in every mode of plain PyTorch for norms."""
    net, x = networks()[name].double(), points(5, 2)
    leaves = list(net.parameters())
    loss = laplacian(net, method=method)(x).square().mean()
    gradients = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
    directions = [points(*p.shape, seed=k) for k, p in enumerate(leaves)]
    found = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    start = [p.detach().clone() for p in leaves]

    def moved(s: float) -> float:
        with torch.no_grad():
            for leaf, p, d in zip(leaves, start, directions, strict=True):
                leaf.copy_(p + s * d)
        if name == "attention":  # plain reverse mode stops at the fused kernel
            with torch.no_grad():
                return float(by_differences(net, x, "laplacian")[0].square().mean())
        return float(laplacian_of_batch(net, x).square().mean())

    expected, error = slope(moved)
    assert abs(found - expected) <= 1e-6 * abs(expected) + 30 * error


class TestTheContext:
    def test_nothing_remains_afterwards(self) -> None:
        fast = torch.backends.mha.get_fastpath_enabled()
        z = points(3, 4).requires_grad_()
        with exact_formulas():
            inside = F.layer_norm(z, (4,))
        with pytest.raises(KeyError), exact_formulas():
            raise KeyError
        assert torch.backends.mha.get_fastpath_enabled() == fast
        assert "LayerNorm" not in type(inside.grad_fn).__name__
        assert "LayerNorm" in type(F.layer_norm(z, (4,)).grad_fn).__name__

    def test_it_may_be_entered_twice(self) -> None:
        with exact_formulas():
            with exact_formulas():
                pass
            assert (
                "LayerNorm"
                not in type(F.layer_norm(points(3, 4).requires_grad_(), (4,)).grad_fn).__name__
            )

    def test_out_arguments_are_left_to_torch(self) -> None:
        z, out = points(3, 4), torch.empty(3, 1, dtype=DOUBLE)
        with exact_formulas():
            torch.prod(z, -1, keepdim=True, out=out)
            assert_close(out, torch.prod(z, -1, keepdim=True), 1e-14)
            norm: Any = torch.linalg.vector_norm(z, dim=-1, out=torch.empty(3, dtype=DOUBLE))
        assert_close(norm, z.norm(dim=-1), 1e-12)

    def test_numbers_that_are_no_floats(self) -> None:
        whole = torch.arange(1, 5)
        with exact_formulas():
            assert torch.prod(whole).item() == 24 and whole.prod().dtype == torch.int64
            assert torch.prod(whole > 2).dtype == torch.int64
            assert (-whole).abs().equal(whole)
            assert torch.prod(whole.float(), dtype=torch.float64).dtype == torch.float64
            assert torch.sinc(whole).dtype == torch.float32


def test_hessians_of_a_layer_norm_network() -> None:
    net, x = networks()["layer_norm"].double(), points(4, 2)
    expected, error = by_differences(net, x, "hessian")
    for method in METHODS:
        found = hessian(net, method=method)(x).detach()
        assert bool(((found - expected).abs() <= 1e-8 + 30 * error).all())
