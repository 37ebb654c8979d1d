"""Single rules against finite differences, and the table that holds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pinnderiv.derivatives import taylor
from pinnderiv.derivatives.request import Collapsed
from pinnderiv.derivatives.taylor import TaylorEngine, check_rule
from pinnderiv.derivatives.taylor.registry import RULES
from pinnderiv.errors import ArgumentError, DtypeError, UnsupportedOperationError

ENGINE = TaylorEngine()


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def positive(*shape: int, seed: int = 0) -> Tensor:
    return normal(*shape, seed=seed).abs() + 0.5


def inside(*shape: int) -> Tensor:
    return torch.tanh(normal(*shape)) * 0.8


def square(*shape: int) -> Tensor:
    return normal(*shape) * 0.3 + 2 * torch.eye(shape[-1], dtype=torch.float64)


def definite(*shape: int) -> Tensor:
    a = normal(*shape)
    return a @ a.mT + torch.diag(torch.arange(1.0, shape[-1] + 1.0, dtype=torch.float64))


EVERYWHERE = (
    "tanh sigmoid softplus logsigmoid silu gelu mish tanhshrink softsign elu celu selu "
    "sin cos tan sinh cosh atan asinh exp exp2 expm1 square erf erfc erfcx sinc ndtr "
    "log_ndtr i0 i1 i0e i1e bessel_j0 bessel_j1"
)
POSITIVE = (
    "log log2 log10 log1p sqrt rsqrt reciprocal lgamma digamma entr bessel_y0 bessel_y1 "
    "modified_bessel_k0 modified_bessel_k1 scaled_modified_bessel_k0 "
    "scaled_modified_bessel_k1"
)
INSIDE = "asin acos atanh erfinv"


def function(name: str) -> Callable[..., Any]:
    return next(getattr(s, name) for s in (torch, F, torch.special) if hasattr(s, name))


@pytest.mark.parametrize("name", EVERYWHERE.split())
def test_elementwise(name: str) -> None:
    check_rule(function(name), normal(3, 4) * 0.7, tolerance=1e-7)


@pytest.mark.parametrize("name", ["sinc", "i0", "i1", "i0e", "i1e", "bessel_j0", "bessel_j1"])
def test_series_near_zero(name: str) -> None:
    """Where closed forms cancel; i0e and i1e have a kink at 0 itself."""
    small = torch.tensor([1e-3, 1e-2, 0.1, 0.25, 0.29, 0.31], dtype=torch.float64)
    f = function(name)
    near, far = (_second(f, s).detach() for s in (small, small.flip(0)))
    torch.testing.assert_close(near, far.flip(0))
    step = 1e-4
    wanted = (f(small + step) - 2 * f(small) + f(small - step)) / step**2
    torch.testing.assert_close(near, wanted, rtol=1e-4, atol=1e-5)


def _second(f: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    return ENGINE.second_derivatives(f, z.unsqueeze(-1))[1][:, 0, 0]


@pytest.mark.parametrize("name", POSITIVE.split())
def test_elementwise_where_positive(name: str) -> None:
    check_rule(function(name), positive(3, 4) + 0.2, tolerance=1e-7)


@pytest.mark.parametrize("name", INSIDE.split())
def test_elementwise_inside_an_interval(name: str) -> None:
    check_rule(function(name), inside(3, 4) * 0.8, tolerance=1e-6)


def test_other_domains() -> None:
    check_rule(torch.acosh, positive(3, 4) + 1.5, tolerance=1e-7)
    check_rule(torch.logit, inside(3, 4) * 0.4 + 0.5, tolerance=1e-5)
    check_rule(torch.special.ndtri, inside(3, 4) * 0.4 + 0.5, tolerance=1e-5)
    check_rule(torch.polygamma, 1, positive(3) + 1)
    check_rule(F.gelu, normal(5), approximate="tanh")
    check_rule(F.softplus, normal(5), 2.5)
    check_rule(torch.pow, normal(5), 3)
    check_rule(torch.pow, positive(5), -1.5)
    check_rule(torch.pow, 1.7, normal(5))


PAIRS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "mul_broadcast": (torch.mul, (normal(3, 1, 4), normal(2, 1))),
    "add_broadcast": (torch.add, (normal(4), normal(3, 1))),
    "div": (torch.div, (normal(3, 4), positive(4))),
    "atan2": (torch.atan2, (normal(5), positive(5))),
    "hypot": (torch.hypot, (positive(5), normal(5))),
    "pow": (torch.pow, (positive(5), normal(5))),
    "logaddexp": (torch.logaddexp, (normal(5), normal(5, seed=1))),
    "logaddexp2": (torch.logaddexp2, (normal(5), normal(5, seed=1))),
    "xlogy": (torch.xlogy, (normal(5), positive(5))),
    "lerp": (torch.lerp, (normal(5), normal(5, seed=1), normal(5, seed=2))),
    "addcdiv": (torch.addcdiv, (normal(5), normal(5, seed=1), positive(5))),
    "matmul_2_2": (torch.matmul, (normal(3, 4), normal(4, 5))),
    "matmul_1_1": (torch.matmul, (normal(4), normal(4, seed=1))),
    "matmul_1_2": (torch.matmul, (normal(4), normal(4, 5))),
    "matmul_2_1": (torch.matmul, (normal(5, 4), normal(4))),
    "matmul_3_1": (torch.matmul, (normal(2, 3, 4), normal(4))),
    "matmul_1_3": (torch.matmul, (normal(4), normal(2, 4, 3))),
    "matmul_3_2": (torch.matmul, (normal(2, 3, 4), normal(4, 5))),
    "matmul_2_4": (torch.matmul, (normal(3, 4), normal(2, 1, 4, 5))),
    "matmul_broadcast": (torch.matmul, (normal(2, 1, 3, 4), normal(5, 4, 2))),
    "linear_of_weights": (F.linear, (normal(3, 4), normal(5, 4), normal(5))),
    "addmm": (torch.addmm, (normal(3, 5), normal(3, 4), normal(4, 5))),
    "baddbmm": (torch.baddbmm, (normal(2, 3, 3), normal(2, 3, 4), normal(2, 4, 3))),
    "bilinear": (F.bilinear, (normal(3, 4), normal(3, 2), normal(5, 4, 2), normal(5))),
    "einsum_2": (torch.einsum, ("bij,bjk->bik", normal(2, 3, 4), normal(2, 4, 2))),
    "einsum_3": (torch.einsum, ("i,ij,j->", normal(3), normal(3, 4), normal(4))),
    "einsum_trace": (torch.einsum, ("ii->", normal(3, 3))),
    "outer": (torch.outer, (normal(3), normal(4))),
    "cross": (torch.linalg.cross, (normal(2, 3), normal(2, 3, seed=1))),
    "kron": (torch.kron, (normal(2, 2), normal(2, 3))),
    "tensordot": (torch.tensordot, (normal(3, 4), normal(4, 3), 1)),
    "conv1d": (F.conv1d, (normal(2, 3, 7), normal(4, 3, 3), normal(4))),
    "conv2d_stride": (F.conv2d, (normal(2, 3, 5, 5), normal(4, 3, 2, 2), None, 2, 1)),
    "conv_transpose2d": (F.conv_transpose2d, (normal(1, 2, 3, 3), normal(2, 3, 2, 2))),
    "conv1d_without_batch": (F.conv1d, (normal(3, 7), normal(4, 3, 3))),
    "softmax": (torch.softmax, (normal(3, 4), -1)),
    "log_softmax": (torch.log_softmax, (normal(3, 4), 0)),
    "logsumexp": (torch.logsumexp, (normal(3, 4), (0, 1))),
    "prod": (torch.prod, (normal(3, 5), 1)),
    "prod_of_all": (torch.prod, (normal(2, 3),)),
    "cumprod": (torch.cumprod, (normal(3, 4), 1)),
    "cumsum": (torch.cumsum, (normal(3, 4), 0)),
    "logcumsumexp": (torch.logcumsumexp, (normal(3, 4), 1)),
    "var": (torch.var, (normal(3, 4), 1)),
    "var_of_all": (torch.var, (normal(3, 4), False)),
    "std_mean": (torch.std_mean, (normal(3, 4), (0, 1))),
    "norm_3": (torch.linalg.vector_norm, (positive(3, 4), 3, 1)),
    "norm_fro": (torch.linalg.norm, (normal(3, 4),)),
    "layer_norm": (F.layer_norm, (normal(3, 2, 4), (2, 4), normal(2, 4), normal(2, 4))),
    "rms_norm": (F.rms_norm, (normal(3, 4), (4,), normal(4))),
    "group_norm": (F.group_norm, (normal(2, 4, 3), 2, normal(4), normal(4))),
    "instance_norm": (F.instance_norm, (normal(2, 3, 5),)),
    "batch_norm": (
        F.batch_norm,
        (normal(3, 4), torch.ones(4).double(), torch.arange(1.0, 5.0).double()),
    ),
    "local_response_norm": (F.local_response_norm, (normal(2, 5, 3), 3)),
    "attention": (F.scaled_dot_product_attention, tuple(normal(2, 4, 3, seed=i) for i in range(3))),
    "inv": (torch.linalg.inv, (square(2, 3, 3),)),
    "solve": (torch.linalg.solve, (square(2, 3, 3), normal(2, 3, 2))),
    "solve_vector": (torch.linalg.solve, (square(3, 3), normal(3))),
    "solve_triangular": (
        lambda a, b: torch.linalg.solve_triangular(a, b, upper=True),
        (square(3, 3), normal(3, 2)),
    ),
    "det_2": (torch.linalg.det, (square(2, 2, 2),)),
    "det_4": (torch.linalg.det, (square(2, 4, 4),)),
    "slogdet": (torch.linalg.slogdet, (square(2, 4, 4),)),
    "matrix_power": (torch.linalg.matrix_power, (square(3, 3), 5)),
    "gru_cell": (torch.gru_cell, (normal(2, 3), normal(2, 4), normal(12, 3), normal(12, 4))),
    "sort": (torch.sort, (normal(3, 5),)),
    "clamp": (torch.clamp, (torch.tensor([-2.0, -0.5, 0.4, 3.0]).double(), -1.0, 1.0)),
    "maximum": (torch.maximum, (normal(5), normal(5, seed=1))),
    "quantile": (torch.quantile, (normal(3, 5), 0.4, 1)),
    "renorm": (torch.renorm, (normal(3, 5), 2, 0, 1.0)),
    "addr": (torch.addr, (normal(3, 4), normal(3), normal(4))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_functions_of_several_tensors(name: str) -> None:
    f, args = PAIRS[name]
    if f.__name__ == "<lambda>":
        f = taylor.primitive(f)
        taylor.composite(f)(f.__wrapped__)
    check_rule(f, *args, tolerance=1e-6)


@pytest.mark.parametrize("f", [torch.linalg.cholesky, torch.linalg.eigvalsh])
def test_functions_of_symmetric_matrices(f: Callable[[Tensor], Tensor]) -> None:
    """Seen through a symmetric function of any matrix, since their own argument is constrained."""
    wrapped = taylor.primitive(lambda a: f(a @ a.mT + torch.eye(3, dtype=a.dtype)))
    taylor.composite(wrapped)(wrapped.__wrapped__)
    check_rule(wrapped, definite(3, 3) * 0.3, tolerance=1e-5)


def test_eigenvectors() -> None:
    def projector(a: Tensor) -> Tensor:
        vectors = torch.linalg.eigh(a + a.mT)[1]
        return vectors[..., :1] @ vectors[..., :1].mT

    wrapped = taylor.primitive(projector)
    taylor.composite(wrapped)(projector)
    check_rule(wrapped, definite(3, 3) * 0.4, tolerance=1e-5)


def test_registering_twice_raises() -> None:
    with pytest.raises(ArgumentError, match=r"torch\.tanh has a rule already"):
        taylor.elementwise("tanh")(lambda z: (z, z, z))
    with pytest.raises(ArgumentError, match="no function named"):
        taylor.linear("no_such_function")
    with pytest.raises(ArgumentError, match="functions or names"):
        taylor.linear(3)


@taylor.primitive
def cube(z: Tensor) -> Tensor:
    """A function of one's own."""
    return z**3


def test_a_rule_of_ones_own() -> None:
    x = normal(4, 2)
    assert torch.equal(cube(x), x**3)
    taylor.elementwise(cube)(lambda z: (z**3, 3 * z**2, 6 * z))
    try:
        assert check_rule(cube, x) < 1e-8
        request = Collapsed((0, 1), None, torch.ones(2).double())
        _, result = ENGINE.collapsed(lambda y: cube(y) @ torch.ones(2, 1).double(), x, request)
        torch.testing.assert_close(result, (6 * x).sum(-1, keepdim=True))
        taylor.unregister(cube)
        taylor.elementwise(cube)(lambda z: (z**3, 3 * z**2, 5 * z))
        with pytest.raises(ArgumentError, match=r"cube is wrong: its curvature"):
            check_rule(cube, x)
        taylor.unregister(cube)
        taylor.elementwise(cube, third=True)(lambda z: (z**3, 3 * z**2, 6 * z, lambda: 5 + 0 * z))
        with pytest.raises(ArgumentError, match="its gradient"):
            check_rule(cube, x)
    finally:
        taylor.unregister(cube)
    with pytest.raises(ArgumentError, match="has no rule"):
        taylor.unregister(cube)


def test_without_a_rule_a_primitive_is_treated_generically_or_refused() -> None:
    x = normal(4, 2)
    _, second = ENGINE.second_derivatives(cube, x)
    torch.testing.assert_close(second.diagonal(dim1=-2, dim2=-1), 6 * x)
    with pytest.raises(UnsupportedOperationError, match="strict=True"):
        TaylorEngine(strict=True).second_derivatives(cube, x)


def test_check_rule_needs_float64() -> None:
    with pytest.raises(DtypeError, match="float64"):
        check_rule(torch.sin, torch.ones(3))


def test_coverage_is_what_the_documentation_says() -> None:
    """Rules, not generic treatment, for every smooth activation of torch.nn and more."""
    names = (
        "linear addmm matmul bmm einsum bilinear sin cos exp log pow sqrt rsqrt reciprocal "
        "div erf atan atan2 hypot sum mean prod var std norm logsumexp softmax log_softmax "
        "cumsum cumprod layer_norm rms_norm group_norm instance_norm batch_norm "
        "scaled_dot_product_attention multi_head_attention_forward conv1d conv2d conv3d "
        "conv_transpose2d where clamp max min sort gather det slogdet inv cholesky glu "
        "gru_cell lstm_cell gru lstm silu gelu mish softplus elu celu selu sigmoid tanh "
        "logsigmoid softsign tanhshrink softmin index_select cat stack split chunk unbind "
        "roll flip masked_fill expand permute"
    )
    for name in names.split():
        f = next(
            getattr(s, name)
            for s in (F, torch, torch.linalg, torch.Tensor)
            if getattr(s, name, None) in RULES
        )
        assert f in RULES
