"""The engine on the whole table of cases: right by an oracle that shares no formula, or refused."""

import pytest
import torch

from pinnderiv.derivatives.request import Collapsed
from pinnderiv.derivatives.taylor import TaylorEngine
from pinnderiv.errors import PinnderivError
from tests.cases import CASES, Case
from tests.oracle import agrees, by_differences, by_reverse_mode, slope

ENGINE = TaylorEngine()

# What Taylor mode refuses, and nothing else: PyTorch has no second derivatives for it, or it
# hides from PyTorch what it does, or it writes into a plain tensor.
REFUSED = {
    "airy_ai",
    "checkpoint_reentrant",
    "custom_operator_without_autograd",
    "eigvals",
    "function_detached_backward",
    "function_numpy_backward",
    "function_old_style",
    "function_once_differentiable",
    "function_straight_through",
    "function_with_custom_jvp",
    "function_with_setup_context",
    "function_wrong_backward",
    "gammainc_in_x",
    "inplace_copy_into_empty",
    "no_grad_inside",
    "own_autograd_gradient",
    "own_gradient",
    "vmap_inside",
    "zeta_in_x",
}
# Whose derivative at one of their points divides zero by zero.
SINGULAR = {
    "cubed_norm_at_zero",
    "det_singular",
    "eigvalsh_of_repeated",
    "norm_4_at_zero",
    "squared_modulus_at_zero",
    "squared_norm_at_zero",
    "svdvals_of_diagonal",
}
ROWWISE = [c for c in CASES if not {"mixes_rows", "random"} & c.tags]


def right(case: Case, result: torch.Tensor, f: torch.nn.Module, x: torch.Tensor, kind: str) -> bool:
    if "stop_gradient" in case.tags or "wrong_formula" in case.tags:
        # Where f holds a part constant on purpose its derivative is what autograd says.
        return torch.allclose(result, by_reverse_mode(f, x, kind), rtol=1e-9, atol=1e-11)
    floor = 1e-4 if "loses_precision" in case.tags else 1e-8
    estimate, error = by_differences(f, x, kind)
    if "loses_precision" in case.tags:
        return bool((result - estimate).abs().max() < 1e-2)
    return agrees(result, estimate, error, floor)


@pytest.mark.parametrize("case", ROWWISE, ids=lambda c: c.name)
def test_second_and_first_derivatives(case: Case) -> None:
    f, x = case.make(), case.sample(3)
    if case.name in REFUSED:
        with pytest.raises(PinnderivError):
            ENGINE.hessian(f, x)
        return
    _, hessian = ENGINE.hessian(f, x)
    value, jacobian = ENGINE.jacobian(f, x.clone())
    laplacian = ENGINE.collapsed(
        f, x.clone(), Collapsed(tuple(range(x.shape[-1])), None, torch.ones(x.shape[-1]).to(x))
    )[1]
    trace = hessian.diagonal(dim1=-2, dim2=-1).sum(-1)
    torch.testing.assert_close(laplacian, trace, rtol=1e-9, atol=1e-9, equal_nan=True)
    if "special_point" in case.tags and bool(hessian.isnan().any()):
        # Where a formula divides zero by zero NaN is no silent error; elsewhere it is one.
        bad = hessian.isnan().flatten(1).any(-1)
        assert case.name in SINGULAR and not bool(bad.all())
        x, value, hessian, jacobian = (t[~bad] for t in (x, value, hessian, jacobian))
    assert right(case, hessian.detach(), f, x, "hessian")
    assert right(case, jacobian.detach(), f, x, "jacobian")
    if "changes_input" not in case.tags:
        torch.testing.assert_close(value, f(x))


@pytest.mark.parametrize(
    "case",
    [
        c
        for c in ROWWISE
        if c.name not in REFUSED
        and not {"special_point", "stop_gradient", "wrong_formula"} & c.tags
    ],
    ids=lambda c: c.name,
)
def test_gradients_with_respect_to_parameters(case: Case) -> None:
    """Against differences in the parameters: autograd of reverse mode is wrong for LayerNorm."""
    f, x = case.make(), case.sample(2)
    parameters = [p for p in f.parameters() if p.requires_grad]
    weights = torch.linspace(1.0, -0.6, x.shape[-1]).to(x)
    request = Collapsed(tuple(range(x.shape[-1])), None, weights, torch.full_like(x[0], 0.3))

    def loss() -> torch.Tensor:
        value, result = ENGINE.collapsed(f, x.clone(), request)
        return (result * torch.cos(value.detach() * 0 + 1.1)).sum() + (result * value).mean()

    generator = torch.Generator().manual_seed(3)
    directions = [torch.randn(p.shape, generator=generator).to(p) * 0.2 for p in parameters]
    gradients = torch.autograd.grad(loss(), parameters, allow_unused=True)
    pairs = zip(gradients, directions, strict=True)
    found = float(sum((g * d).sum() for g, d in pairs if g is not None))
    start = [p.detach().clone() for p in parameters]

    def moved(h: float) -> float:
        with torch.no_grad():
            for p, s, d in zip(parameters, start, directions, strict=True):
                p.copy_(s + h * d)
            return float(loss())

    expected, error = slope(moved)
    scale = max(abs(expected), abs(float(loss().detach())), 1.0)
    tolerance = 1e-2 if "loses_precision" in case.tags else 1e-6
    if error < 1e-4 * scale or "piecewise" not in case.tags:
        assert abs(found - expected) <= tolerance * scale + 30 * error


def test_the_list_of_refusals_is_about_cases_that_exist() -> None:
    names = {c.name for c in CASES}
    assert names >= REFUSED | SINGULAR
