"""Every engine on every case of the table: right, or refused by name; never wrong in silence.

The truth is finite differences of f and, where those confirm it, reverse mode row by row
(tests/oracle.py). Gradients of a Laplacian loss with respect to parameters and points, which
is what training uses, are held against differences of confirmed Laplacians.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pinnderiv.derivatives import hessian, hvp, jacobian, laplacian, partial, second_derivatives
from pinnderiv.errors import BatchMixingError, UnsupportedOperationError
from tests.case_refusals import CANNOT, NOT_THIRD
from tests.cases import CASES, Case
from tests.oracle import (
    agrees,
    by_differences,
    by_reverse_mode,
    extrapolate,
    laplacian_of_batch,
    slope,
)

METHODS = ("nested", "reverse", "auto")
ROWS = 3
# Two exact engines may differ by rounding only.
ROUNDING = 1e-10
# Second derivatives in single precision lose up to this many roundings of the largest of
# value, second derivative and 1.
SINGLE = 32
BY_NAME = {case.name: case for case in CASES}
PROPER = [c.name for c in CASES if not c.tags & {"mixes_rows", "random"}]
# Third derivatives are tried where PyTorch's formulas are long, but not on kinks.
HIGHER = [
    c.name
    for c in CASES
    if c.tags & {"norm", "linalg", "reduction", "special_point"}
    and c.name not in {"relu_cubed_at_zero", "clamp_at_its_edge", "abs_cubed_at_zero"}
]
MIXING = [c.name for c in CASES if "mixes_rows" in c.tags]
RANDOM = [c.name for c in CASES if "random" in c.tags]


@dataclass(frozen=True)
class Truth:
    """Derivatives of a case that are beyond doubt.

    Attributes:
        value: f(x).
        jacobian, hessian: by differences, with their estimated errors.
        exact: Jacobian and Hessian by reverse mode, if it runs.
        trusted: whether differences confirm them.
    """

    value: Tensor
    jacobian: tuple[Tensor, Tensor]
    hessian: tuple[Tensor, Tensor]
    exact: tuple[Tensor, Tensor] | None
    trusted: bool

    def accepts(self, case: Case, kind: str, result: Tensor) -> str:
        """Empty if ``result`` is right; else what is wrong with it."""
        order = 0 if kind == "jacobian" else 1
        estimate, error = (_reduced(t, kind) for t in (self.jacobian, self.hessian)[order])
        if result.shape != estimate.shape:
            return f"shape {tuple(result.shape)} instead of {tuple(estimate.shape)}"
        scale = max(0.1 * float(self.value.abs().max()), float(estimate.abs().nan_to_num().max()))
        if "special_point" in case.tags:
            # At a kink there is no derivative, and "not a number" is not silent.
            unknown = (error > 1e-6 * scale) | ~result.isfinite()
            estimate, result = estimate.where(~unknown, 0), result.where(~unknown, 0)
            error = error.where(~unknown, 0)
        if self.exact is not None and (
            self.trusted or case.tags & {"stop_gradient", "loses_precision"}
        ):
            expected = _reduced(self.exact[order], kind)
            if "special_point" in case.tags:
                expected = expected.where(~unknown, 0)
            gap = float((result - expected).abs().max())
            tolerance = 1e-5 if "loses_precision" in case.tags else ROUNDING
            if gap <= tolerance * scale:
                return ""
            if self.trusted:
                return f"off by {gap / scale:.3g} relative"
        return "" if agrees(result, estimate, error) else _distance(result, estimate, scale)


def _distance(result: Tensor, estimate: Tensor, scale: float) -> str:
    return f"off by {float((result - estimate).abs().max()) / scale:.3g} from differences"


def _reduced(tensor: Tensor, kind: str) -> Tensor:
    """What an operator makes of a Jacobian (N, M, D) or of Hessians (N, M, D, D)."""
    if kind == "second_derivatives":
        return tensor.diagonal(dim1=-2, dim2=-1)
    if kind == "laplacian":
        return tensor.diagonal(dim1=-2, dim2=-1).sum(-1)
    if kind == "hvp":
        return (tensor * _vector(tensor.shape[-1])).sum(-1)
    return tensor


def _vector(columns: int) -> Tensor:
    # Positive, so that it maps error estimates to error estimates.
    return 0.3 + torch.arange(columns, dtype=torch.float64) / columns


@cache
def truth(name: str) -> Truth:
    """Compute the truth of a case, once."""
    case = BY_NAME[name]
    f, x = case.make(), case.sample(ROWS)
    first, second = by_differences(f, x, "jacobian"), by_differences(f, x, "hessian")
    try:
        exact = by_reverse_mode(f, x, "jacobian"), by_reverse_mode(f, x, "hessian")
    except RuntimeError:
        return Truth(f(x.clone()).detach(), first, second, None, False)
    trusted = agrees(exact[0], *first) and agrees(exact[1], *second)
    return Truth(f(x.clone()).detach(), first, second, exact, trusted)


OPERATORS: dict[str, Callable[..., Any]] = {
    "jacobian": lambda f, x, method: jacobian(f, method=method)(x),
    "second_derivatives": lambda f, x, method: second_derivatives(f, method=method)(x),
    "laplacian": lambda f, x, method: laplacian(f, method=method)(x),
    "hessian": lambda f, x, method: hessian(f, method=method)(x),
    "hvp": lambda f, x, method: hvp(f, method=method)(x, _vector(x.shape[-1]).to(x)),
}


@cache
def module(name: str) -> torch.nn.Module:
    """The module of a case, shared by all tests, so that the guard examines it once."""
    return BY_NAME[name].make()


class _Operations(TorchDispatchMode):
    """Names of all that runs: operators without their prefixes."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(func.overloadpacket.__name__.lstrip("_"))
        return func(*args, **(kwargs or {}))


# What every sandwich runs besides its operation.
COMMON = {"addmm", "add", "mul", "sub", "view", "slice", "select", "unsqueeze", "clone", "expand"}


def names_of(name: str) -> set[str]:
    """What an error message may call the culprit: operators, functions, modules."""
    f, x = BY_NAME[name].make(), BY_NAME[name].sample(ROWS)
    # Without a graph: autograd itself detaches what it saves.
    with _Operations() as seen, torch.no_grad():
        f(x.clone())
    nodes = [f(x.clone().requires_grad_() * 1.0).grad_fn]
    found = {re.sub("^special_|_forward$", "", n) for n in seen.names if len(n) > 2} - COMMON
    while nodes:
        node = nodes.pop()
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            found.add(type(node).__name__.removesuffix("Backward"))
        if node is not None:
            nodes.extend(parent for parent, _ in node.next_functions)
    if name.startswith("checkpoint"):
        found.add("torch.utils.checkpoint")
    return found | {type(part).__name__ for part in f.modules()} - {"Sandwich", "Linear", "Bare"}


def attempt(name: str, method: str, operator: str) -> Tensor | UnsupportedOperationError:
    """Run an operator on a case; a refusal that names nothing is a failure."""
    x = BY_NAME[name].sample(ROWS)
    try:
        result = OPERATORS[operator](module(name), x.clone(), method).detach()
    except UnsupportedOperationError as refusal:
        text = str(refusal)
        assert any(n in text for n in names_of(name)), f"names no operation: {text}"
        return refusal
    return result


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", PROPER)
def test_right_or_refused(name: str, method: str) -> None:
    """First and second derivatives by every operator ("auto" hands all to the same engine)."""
    wrong, refused = [], []
    for operator in OPERATORS if method != "auto" else ("jacobian", "laplacian", "hvp"):
        result = attempt(name, method, operator)
        if isinstance(result, UnsupportedOperationError):
            refused.append(f"{operator}: {result}")
        elif complaint := truth(name).accepts(BY_NAME[name], operator, result):
            wrong.append(f"{operator} {complaint}")
    assert not wrong
    assert not refused or name in CANNOT[method], refused


@pytest.mark.parametrize("method", ["nested", "auto"])
@pytest.mark.parametrize("name", PROPER)
def test_gradient_of_a_laplacian_loss(name: str, method: str) -> None:
    """d/ds of the loss along a random direction in parameters and points together.

    "auto" is "reverse" for nearly all of these small functions.
    """
    case, f = BY_NAME[name], module(name)
    x = case.sample(ROWS).requires_grad_()
    leaves = [x, *f.parameters()]
    try:
        result = laplacian(f, method=method)(x)
    except UnsupportedOperationError:
        assert name in CANNOT[method]
        return
    loss = (result * weights(result)).sum()
    gradients: tuple[Tensor | None, ...] = ()
    if loss.requires_grad:  # else the Laplacian is the same whatever the leaves are
        gradients = torch.autograd.grad(loss, leaves, allow_unused=True)
    size = sum(float(g.abs().max()) for g in gradients if g is not None)
    found = sum(
        float((g * d).sum())
        for g, d in zip(gradients, directions(leaves), strict=False)
        if g is not None
    )
    expected, error = loss_slope(name)
    if "special_point" in case.tags and (found != found or error > 1e-6 * max(size, 1.0)):
        return
    tolerance = 1e-4 if "loses_precision" in case.tags else 1e-8
    assert abs(found - expected) <= tolerance * max(size, 1e-2) + 30 * error


def weights(result: Tensor) -> Tensor:
    """Weights of a loss that is linear in the Laplacian."""
    return torch.linspace(0.5, 1.5, result.numel(), dtype=result.dtype).reshape(result.shape)


def directions(leaves: list[Tensor]) -> list[Tensor]:
    """A fixed direction in the space of all leaves."""
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in leaves]


@cache
def loss_slope(name: str) -> tuple[float, float]:
    """What :func:`test_gradient_of_a_laplacian_loss` should find, and its estimated error."""
    case, f = BY_NAME[name], BY_NAME[name].make()
    x = case.sample(ROWS)
    leaves = [x, *f.parameters()]
    start = [p.detach().clone() for p in leaves]

    def loss(s: float) -> float:
        with torch.no_grad():
            for leaf, p, d in zip(leaves, start, directions(leaves), strict=True):
                leaf.copy_(p + s * d)
        result = laplacian_of(name, x, f)
        return float((result * weights(result)).sum())

    return slope(loss)


@pytest.mark.parametrize("name", HIGHER)
def test_third_derivatives(name: str) -> None:
    """∂Δf/∂x_last out of mixed partials, against differences of the confirmed Laplacian."""
    case, f, method = BY_NAME[name], module(name), METHODS[HIGHER.index(name) % len(METHODS)]
    x, last = case.sample(ROWS), case.dimension - 1
    try:
        parts = [partial(f, (d, d, last), method=method)(x.clone()) for d in range(last + 1)]
    except UnsupportedOperationError:
        assert name in CANNOT[method] | NOT_THIRD
        return
    unit = torch.eye(last + 1, dtype=x.dtype)[last]
    estimate, error = extrapolate(
        lambda h: (laplacian_of(name, x + h * unit) - laplacian_of(name, x - h * unit)) / (2 * h),
        0.05,
        6,
    )
    result = torch.stack(parts).sum(0).detach()
    if "special_point" in case.tags:
        known = result.isfinite() & (error < 1e-6 * (1 + estimate.abs().max()))
        result, estimate = result.where(known, 0), estimate.where(known, 0)
        error = error.where(known, 0)
    floor = 1e-4 if "loses_precision" in case.tags else 1e-8
    scale = max(float(truth(name).value.abs().max()), float(estimate.abs().max()))
    assert ((result - estimate).abs() <= floor * scale + 30 * error).all()


def laplacian_of(name: str, x: Tensor, f: torch.nn.Module | None = None) -> Tensor:
    """The Laplacian of a case, by whatever differences have confirmed."""
    f = f or module(name)
    if truth(name).trusted or BY_NAME[name].tags & {"stop_gradient", "loses_precision"}:
        return laplacian_of_batch(f, x)
    return by_differences(f, x, "laplacian")[0]


@pytest.mark.parametrize("name", PROPER)
def test_float32(name: str) -> None:
    """Single precision agrees with the truth to single rounding times a stated factor."""
    method = METHODS[PROPER.index(name) % len(METHODS)]
    case = BY_NAME[name]
    f, x = case.make().float(), case.sample(ROWS).float()
    try:
        result = laplacian(f, method=method)(x)
    except UnsupportedOperationError:
        # Near a removable singularity single precision leaves too few digits to train on.
        assert name in CANNOT[method] or "special_point" in case.tags
        return
    assert result.dtype == torch.float32
    exact = truth(name)
    believed = exact.trusted or "loses_precision" in case.tags
    expected = exact.exact[1] if exact.exact and believed else exact.hessian[0]
    expected = _reduced(expected, "laplacian")
    known = result.isfinite() & (_reduced(exact.hessian[1], "laplacian") < 1e-2)
    if "special_point" not in case.tags:
        assert result.isfinite().all()
    if case.tags & {"stop_gradient"}:
        return
    gap = (result.double() - expected).abs()[known].max() if known.any() else 0.0
    sizes = [1.0, float(exact.value.abs().max()), float(exact.hessian[0].nan_to_num().abs().max())]
    assert gap <= SINGLE * torch.finfo(torch.float32).eps * max(sizes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", MIXING)
def test_mixed_rows_are_refused(name: str, method: str) -> None:
    for operator in OPERATORS:
        with pytest.raises(BatchMixingError):
            OPERATORS[operator](module(name), BY_NAME[name].sample(5), method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", RANDOM)
def test_random_functions_are_refused(name: str, method: str) -> None:
    for operator in OPERATORS:
        with pytest.raises(UnsupportedOperationError, match="random"):
            OPERATORS[operator](module(name), BY_NAME[name].sample(5), method)


def test_the_table_is_broad() -> None:
    """At least 110 cases, of every kind, and most of them are computed, not refused."""
    kinds = {
        "activation": 25,
        "pointwise": 60,
        "loss": 8,
        "reduction": 25,
        "norm": 8,
        "attention": 5,
        "convolution": 12,
        "recurrent": 6,
        "linalg": 35,
        "indexing": 25,
        "inplace": 12,
        "custom_function": 8,
        "complex": 6,
        "written": 12,
        "network": 4,
        "special_point": 35,
        "mixes_rows": 15,
    }
    for kind, least in kinds.items():
        assert sum(kind in case.tags for case in CASES) >= least, kind
    for method, most in {"nested": 70, "reverse": 26, "auto": 25}.items():
        assert CANNOT[method] <= set(PROPER)
        assert len(CANNOT[method]) <= most
