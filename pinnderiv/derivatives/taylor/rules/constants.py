"""Functions whose results carry no derivatives, by autograd's own convention."""

from __future__ import annotations

# ruff: noqa: D103 - a rule is named after its function and is a formula
from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import constant, rule
from pinnderiv.derivatives.taylor.dispatch import active, call, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Run

_T = torch.Tensor

constant("detach", _T.data.__get__)
constant("eq", "ne", "lt", "le", "gt", "ge", "greater", "less", "greater_equal", "less_equal")
constant("not_equal", "equal", "allclose", "isclose")
constant(_T.__eq__, _T.__ne__, _T.__lt__, _T.__le__, _T.__gt__, _T.__ge__)
constant("isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "isin", "signbit")
constant("logical_and", "logical_or", "logical_not", "logical_xor", "any", "all")
constant("argmax", "argmin", "argsort", "argwhere", "nonzero", "count_nonzero", "searchsorted")
constant("bucketize", "histc", "bincount", "unique", "unique_consecutive", "is_nonzero")
constant("sign", "sgn", "floor", "ceil", "round", "trunc", "fix", "floor_divide")
constant("is_floating_point", "is_complex", "is_tensor", "is_signed", "is_same_size", "numel")
constant("long", "int", "short", "bool", "char", "byte", "result_type", "can_cast")
constant("rand_like", "randn_like", "randint_like", "bernoulli", "multinomial", "poisson")
constant("new_tensor", "is_conj", "is_neg", "is_inference", _T.__floordiv__, _T.__rfloordiv__)
constant(_T.__and__, _T.__or__, _T.__xor__, _T.__invert__, "one_hot", "is_set_to", "size")
constant(torch.broadcast_shapes)


@rule("heaviside", kind="constant")
def heaviside(run: Run, z: Any, values: Any) -> Any:
    # PyTorch has no derivative for it, not even zero: backward would raise.
    return torch.heaviside(strip(run, z).detach(), strip(run, values).detach())


def _blank(function: Any) -> Any:
    def make(run: Run, like: Any, *args: Any, **keywords: Any) -> Any:
        if not active(run, like):
            return call(function, (like, *strip(run, args)), strip(run, keywords))
        made = call(function, (like.value, *strip(run, args)), strip(run, keywords))
        # A carrier, so that what depends on the points can be written into it in place.
        return Jet(run, made) if made.is_floating_point() or made.is_complex() else made

    return make


_BLANK = "zeros_like ones_like empty_like full_like new_zeros new_ones new_empty new_full"
for _name in _BLANK.split():
    for _space in (torch, _T):
        _function = getattr(_space, _name, None)
        if _function is not None:
            rule(_function, kind="constant")(_blank(_function))
