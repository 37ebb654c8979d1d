"""Operations without a rule: an exact generic treatment of that operation alone, guarded.

Two generic ways are known. "forward" nests ``torch.func.jvp``; "reverse" takes directional
derivatives by differentiating a vector-Jacobian product with respect to its vector, twice,
for operations that have no forward-mode formula. The derivative formulas that PyTorch has
for some operations are wrong, in silence, in one or both. So before an operation is treated
in one of these ways for the first time, its first and second derivatives, and the gradient
of the second, which training needs, are compared with finite differences (`witness.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from pinnderiv.derivatives.taylor import witness
from pinnderiv.derivatives.taylor.channels import spread, total
from pinnderiv.derivatives.taylor.dispatch import active, refuse, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Pairs, Run, Sum
from pinnderiv.derivatives.transforms import inside_transform

Primals = tuple[Tensor, ...]
Flat = Callable[..., Primals]
"""Some tensors to some floating-point tensors."""

_trusted: dict[Any, str | None] = {}
"""Operation and static arguments → the way that is right for it; None where none is."""


def apply(run: Run, func: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """Carries derivatives through one call of a function that has no rule.

    Raises:
        UnsupportedOperationError: in strict passes, in passes within passes, and where no
            way is right for the operation.
    """
    if run.strict:
        raise refuse(func, "it has no rule, and strict=True refuses generic treatment")
    leaves, spec = tree_flatten((args, kwargs), is_leaf=lambda item: isinstance(item, Jet))
    places = [i for i, leaf in enumerate(leaves) if active(run, leaf)]
    carried = [leaves[i] for i in places]
    primals = tuple(jet.value for jet in carried)
    if any(isinstance(leaf, Jet) for leaf in [*primals, *strip(run, leaves)]):
        raise refuse(func, "it has no rule, which derivatives of derivatives need")

    shape: list[Any] = []

    def flat(*values: Tensor) -> Primals:
        """func as a map from the carried tensors to its floating-point results."""
        filled = list(leaves)
        for place, value in zip(places, values, strict=True):
            filled[place] = value
        again, keywords = tree_unflatten(filled, spec)
        results, results_spec = tree_flatten(func(*again, **keywords))
        smooth = [
            isinstance(r, Tensor) and (r.is_floating_point() or r.is_complex()) for r in results
        ]
        shape[:] = [results, results_spec, smooth]
        return tuple(r for r, s in zip(results, smooth, strict=True) if s)

    values = flat(*primals)
    results, results_spec, smooth = shape
    if not values:
        return tree_unflatten(results, results_spec)
    way = _way(run, func, flat, primals, leaves, places, spec)
    tangents, curvature = _channels(run, way, flat, carried, primals)
    made = iter(range(len(values)))
    jets = [
        Jet(run, values[i], _pick(tangents, i), _pick(curvature, i)) if is_smooth else result
        for result, is_smooth in zip(results, smooth, strict=True)
        for i in ((next(made),) if is_smooth else (0,))
    ]
    return tree_unflatten(jets, results_spec)


def _pick(stacks: Any, position: int) -> Any:
    return None if stacks is None else stacks[position]


def _way(
    run: Run,
    func: Any,
    flat: Flat,
    primals: Primals,
    leaves: Sequence[Any],
    places: Sequence[int],
    spec: Any,
) -> str:
    static = [
        (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, Tensor) else repr(leaf)
        for i, leaf in enumerate(leaves)
        if i not in places
    ]
    kinds = tuple((p.ndim, p.dtype) for p in primals)
    key = (func, tuple(places), kinds, repr(static), str(spec))
    if key not in _trusted:
        if inside_transform() or torch.compiler.is_compiling():
            raise refuse(
                func,
                "it has no rule, and whether PyTorch's own formulas for it are right cannot be "
                "examined inside torch.func transforms and torch.compile",
                "Call the same function once outside of them first, or use method='nested'.",
            )
        with torch.no_grad():
            points = tuple(p.detach() for p in primals)
        _trusted[key] = witness.right_way(flat, points, WAYS)
    way = _trusted[key]
    if way is None:
        raise refuse(
            func,
            "it has no rule, and the derivative formulas that PyTorch has for it are missing, or "
            "wrong by comparison with finite differences",
        )
    return way


def _channels(
    run: Run, way: str, flat: Flat, carried: Sequence[Any], primals: Primals
) -> tuple[Any, Any]:
    """Tangents and curvature of each result, as lists of stacks or None."""
    first, second = WAYS[way]
    structure = run.structure
    tangents = _stacks(carried, primals, "tangents")
    curvature = _stacks(carried, primals, "curvature")
    slopes = bends = None
    if tangents is not None:
        slopes = _each(lambda *t: first(flat, primals, t), tangents)
        if isinstance(structure, Sum):
            doubled = _each(lambda *t: second(flat, primals, t, t), tangents)
            bends = [structure.reduce(b) for b in doubled]
        elif isinstance(structure, Pairs):
            left = [structure.first(t) for t in tangents]
            right = [structure.second(t) for t in tangents]
            count = len(left)
            bends = _each(lambda *t: second(flat, primals, t[:count], t[count:]), [*left, *right])
    if curvature is not None:
        straight = _each(lambda *t: first(flat, primals, t), curvature)
        bends = (
            straight
            if bends is None
            else [total(a, b) for a, b in zip(bends, straight, strict=True)]
        )
    return slopes, bends


def _stacks(carried: Sequence[Any], primals: Primals, name: str) -> list[Tensor] | None:
    held = [getattr(jet, name) for jet in carried]
    count = next((s.shape[0] for s in held if s is not None), None)
    if count is None:
        return None
    return [
        p.new_zeros(()).expand((count, *p.shape)) if s is None else spread(s, p.shape)
        for s, p in zip(held, primals, strict=True)
    ]


def _each(function: Callable[..., Primals], stacks: Sequence[Tensor]) -> list[Tensor]:
    """Channel by channel; the operation may know nothing of vmap."""
    rows = [function(*parts) for parts in zip(*(s.unbind(0) for s in stacks), strict=True)]
    return [torch.stack(column) for column in zip(*rows, strict=True)]


def forward_first(flat: Flat, primals: Primals, t: Primals) -> Primals:
    """Dg·t by forward mode."""
    return torch.func.jvp(flat, tuple(primals), tuple(t))[1]


def forward_second(flat: Flat, primals: Primals, a: Primals, b: Primals) -> Primals:
    """D²g[a, b] by forward mode of forward mode."""
    return forward_first(lambda *p: forward_first(flat, p, a), primals, b)


def reverse_first(flat: Flat, primals: Primals, t: Primals) -> Primals:
    """Dg·t as the derivative of the vector-Jacobian product by its vector."""
    return _reverse(flat, primals, [t])


def reverse_second(flat: Flat, primals: Primals, a: Primals, b: Primals) -> Primals:
    """D²g[a, b], likewise."""
    return _reverse(flat, primals, [a, b])


def _reverse(flat: Flat, primals: Primals, directions: Sequence[Primals]) -> Primals:
    recording = torch.is_grad_enabled()
    with torch.enable_grad():
        inputs = tuple(p if p.requires_grad else p.detach().requires_grad_() for p in primals)
        outputs = flat(*inputs)
        for t in directions:
            outputs = _along(outputs, inputs, t)
    return outputs if recording else tuple(o.detach() for o in outputs)


def _along(outputs: Primals, inputs: Primals, t: Primals) -> Primals:
    live = [o for o in outputs if o.requires_grad]
    vectors = [torch.zeros_like(o, requires_grad=True) for o in live]
    if not live:
        return tuple(torch.zeros_like(o) for o in outputs)
    pulled = torch.autograd.grad(live, inputs, vectors, create_graph=True, allow_unused=True)
    used = [(g, s) for g, s in zip(pulled, t, strict=True) if g is not None and g.requires_grad]
    if not used:
        return tuple(torch.zeros_like(o) for o in outputs)
    pushed = torch.autograd.grad(
        [g for g, _ in used],
        vectors,
        [s for _, s in used],
        create_graph=True,
        allow_unused=True,
    )
    found = iter(pushed)
    result = [next(found) if o.requires_grad else None for o in outputs]
    return tuple(
        torch.zeros_like(o) if r is None else r for r, o in zip(result, outputs, strict=True)
    )


WAYS: dict[str, tuple[Callable[..., Primals], Callable[..., Primals]]] = {
    "forward": (forward_first, forward_second),
    "reverse": (reverse_first, reverse_second),
}
