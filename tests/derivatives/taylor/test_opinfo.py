"""PyTorch's own database of operators: right by finite differences, or refused, never wrong.

Every float64 tensor of an operator's sample, list entries included, is moved along two random
directions by two coordinates, and the Hessian with respect to these is compared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_flatten, tree_unflatten

from pinnderiv.derivatives.taylor import TaylorEngine
from pinnderiv.errors import PinnderivError
from tests.oracle import agrees, by_differences

ENGINE = TaylorEngine()
POINT = torch.tensor([[0.0137, -0.0219]], dtype=torch.float64)
LARGEST_INPUT, LARGEST_OUTPUT = 1500, 1500
# Finite differences of larger values are rounding errors; bessel_j1 itself is right to 5e-7.
LARGEST_VALUE = 1e3


def moved(op: Any, sample: Any) -> Callable[[Tensor], Tensor] | None:
    """The operator at a sample as a function of two coordinates ``(1, 2)``."""
    leaves, spec = tree_flatten((sample.input, sample.args, sample.kwargs))
    places = [i for i, t in enumerate(leaves) if isinstance(t, Tensor) and t.dtype == torch.float64]
    total = sum(leaves[i].numel() for i in places)
    if not places or not 0 < total <= LARGEST_INPUT:
        return None
    generator = torch.Generator().manual_seed(0)
    start = [leaves[i].detach().clone() for i in places]
    ways = [torch.randn(2, t.numel(), generator=generator).to(t) * 0.05 for t in start]

    def f(x: Tensor) -> Tensor:
        filled = list(leaves)
        for place, at, way in zip(places, start, ways, strict=True):
            filled[place] = (x @ way).reshape(at.shape) + at
        first, args, kwargs = tree_unflatten(filled, spec)
        results = tree_flatten(op.op(first, *args, **kwargs), is_leaf=_is_result)[0]
        smooth = [r for r in results if _is_result(r) and _floating(r)]
        if not smooth:
            return torch.zeros(1, 1, dtype=torch.float64)
        real = [torch.view_as_real(r) if r.is_complex() else r for r in smooth]
        return torch.cat([r.reshape(1, -1) for r in real], -1)

    return f


def _is_result(item: Any) -> bool:
    return isinstance(item, Tensor) or hasattr(item, "tangents")


def _floating(item: Any) -> bool:
    return item.is_floating_point() or item.is_complex()


def usable(f: Callable[[Tensor], Tensor]) -> bool:
    """Deterministic, finite, and small enough for finite differences."""
    with torch.random.fork_rng(devices=[]):
        try:
            first, again = f(POINT.clone()), f(POINT.clone())
        except Exception:  # samples that expect the very tensors they hold
            return False
    return (
        0 < first.numel() <= LARGEST_OUTPUT
        and first.dtype == torch.float64
        and bool(first.isfinite().all())
        and float(first.abs().max()) < LARGEST_VALUE
        and torch.equal(first, again)
    )


def verdict(f: Callable[[Tensor], Tensor]) -> str:
    try:
        _, hessian = ENGINE.hessian(f, POINT)
    except PinnderivError:
        return "refused"
    try:
        estimate, error = by_differences(f, POINT, "hessian", step=0.2)
    except Exception:  # outside of the operator's domain
        return "no oracle"
    if not bool(hessian.isfinite().all()):
        return "not finite"
    scale = max(float(estimate.abs().nan_to_num().max()), 1e-2)
    if not bool((error < 1e-4 * scale).any()):
        return "no oracle"
    return "right" if agrees(hessian.detach(), estimate, error, floor=1e-5) else "wrong"


@pytest.mark.filterwarnings("ignore")
def test_no_operator_is_wrong_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    # each sample sets the seeds, and those of absent devices are kept with the whole call stack
    for device in (torch.cuda, torch.xpu, torch.mtia):
        monkeypatch.setattr(device, "manual_seed_all", lambda seed: None)
    found: dict[str, list[str]] = defaultdict(list)
    for op in op_db:
        if torch.float64 not in op.supported_dtypes("cpu"):
            continue
        tried: Counter[str] = Counter()
        for sample in op.sample_inputs("cpu", torch.float64):
            f = moved(op, sample)
            if f is not None and usable(f):
                tried[verdict(f)] += 1
                break
        name = f"{op.name} {op.variant_test_name}".strip()
        order = ("wrong", "refused", "not finite", "right", "no oracle")
        kind = next((k for k in order if tried[k]), "no sample")
        found[kind].append(name)
    counts = {kind: len(names) for kind, names in found.items()}
    # docs/coverage.md states these: pytest -s shows them
    print(counts, "refused:", ", ".join(found["refused"]))
    assert not found["wrong"]
    assert counts["right"] >= 570, counts
    assert counts["refused"] <= 40, counts
