"""strict=True refuses generic treatment in Taylor mode, through every public transform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pinnderiv
from pinnderiv.derivatives.taylor import registry
from pinnderiv.errors import UnsupportedOperationError
from tests.derivatives.common import network, points

X = points(4, 2)
TRANSFORMS: dict[str, Callable[..., Any]] = {
    "jacobian": lambda f, **k: pinnderiv.jacobian(f, **k)(X),
    "hessian": lambda f, **k: pinnderiv.hessian(f, **k)(X),
    "second_derivatives": lambda f, **k: pinnderiv.second_derivatives(f, **k)(X),
    "laplacian": lambda f, **k: pinnderiv.laplacian(f, **k)(X),
    "second_order_operator": lambda f, **k: pinnderiv.second_order_operator(
        f, [[1.0, 0.2], [0.2, -1.0]], **k
    )(X),
    "linear_operator": lambda f, **k: pinnderiv.linear_operator(f, [1.0, -1.0], **k)(X),
    "hvp": lambda f, **k: pinnderiv.hvp(f, **k)(X, X.detach()),
    "partial": lambda f, **k: pinnderiv.partial(f, (0, 1), **k)(X),
    "divergence": lambda f, **k: pinnderiv.divergence(f, **k)(X),
    "derivatives": lambda f, **k: pinnderiv.derivatives(
        f, ["u", "v_xy"], ("x", "y"), ("u", "v"), **k
    )(X)["v_xy"],
    "stochastic": lambda f, **k: pinnderiv.stochastic.laplacian(f, 2, **k)(X),
}


def generic(x: Tensor) -> Tensor:
    """Needs ``matrix_exp``, which has no rule; two outputs."""
    return torch.linalg.matrix_exp(x.unsqueeze(-1) * x.unsqueeze(-2)).sum(-1)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("check", [True, False])
def test_taylor_mode_refuses_and_names_the_operation_and_the_line(name: str, check: bool) -> None:
    transform = TRANSFORMS[name]
    with pytest.raises(UnsupportedOperationError, match=r"matrix_exp, at test_strict\.py:\d+"):
        transform(generic, method="taylor", strict=True, check=check)
    assert transform(generic, method="taylor", check=check).isfinite().all()


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_has_rules_is_not_refused(name: str) -> None:
    net = network(2, 2)
    torch.manual_seed(0)
    strict = TRANSFORMS[name](net, method="taylor", strict=True)
    torch.manual_seed(0)
    torch.testing.assert_close(strict, TRANSFORMS[name](net))


def test_auto_takes_another_engine() -> None:
    found = pinnderiv.laplacian(generic, strict=True)(X)
    torch.testing.assert_close(found, pinnderiv.laplacian(generic, method="reverse")(X))


def test_explain_lists_rules_and_fallbacks_with_their_cost() -> None:
    found = pinnderiv.explain(generic, X)
    kinds = {o.name.rpartition(".")[2]: o.kind for o in found.rules}
    assert kinds["mul"] == "bilinear" and kinds["sum"] == "linear"
    (fallback,) = found.fallbacks
    assert fallback.name.endswith("matrix_exp") and "test_strict.py" in fallback.line
    assert "no rule for" in str(found) and "about 18 evaluations" in str(found)
    assert not pinnderiv.explain(network(2, 2), X).fallbacks


def test_auto_counts_what_generic_treatment_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its rule tanh is treated generically, which measures slower than reverse mode."""

    def fresh() -> nn.Module:  # what the guard knows of a network was found with its rules
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()

    ruled = pinnderiv.explain(fresh(), X, "laplacian")
    assert ruled.method == "taylor" and not ruled.fallbacks
    for function in registry.named("tanh"):
        monkeypatch.delitem(registry.RULES, function)
    net = fresh()
    found = pinnderiv.explain(net, X, "laplacian")
    assert found.fallbacks and found.method == "reverse"
    before, after = ({c.method: c.cost for c in e.candidates} for e in (ruled, found))
    assert after["taylor"] > 2 * before["taylor"]
    assert after["reverse"] == before["reverse"] and after["nested"] == before["nested"]
    # Still right, and still there for whoever asks for it.
    expected = pinnderiv.laplacian(net, method="reverse")(X)
    torch.testing.assert_close(pinnderiv.laplacian(net, method="taylor")(X), expected)
