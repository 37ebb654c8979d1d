"""Matrix products, and layers that are one."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from pinnderiv.derivatives.taylor.algebra import (
    apply_bilinear,
    apply_linear,
    bilinear,
    composite,
    parts,
    rule,
)
from pinnderiv.derivatives.taylor.channels import lift, spread, total
from pinnderiv.derivatives.taylor.dispatch import Unsuited, active, strip
from pinnderiv.derivatives.taylor.economy import economise
from pinnderiv.derivatives.taylor.jet import Jet, Points
from pinnderiv.derivatives.taylor.run import Run, Sum
from pinnderiv.errors import UnsupportedOperationError

_T = torch.Tensor


@rule("linear", kind="linear")
def linear(run: Run, z: Any, weight: Any, bias: Any = None) -> Any:
    if active(run, weight) or active(run, bias):
        product = torch.matmul(z, torch.transpose(weight, -1, -2) if weight.ndim > 1 else weight)
        return product if bias is None else product + bias
    value = F.linear(z.value, weight, bias)
    tangents = _tangents_through(z, weight)
    return economise(Jet(run, value, tangents, _through(z.curvature, z, weight)))


def _tangents_through(z: Any, weight: Any) -> Any:
    """z_k Wᵀ: for unit vectors, columns of W."""
    if isinstance(z, Points) and z.columns and not isinstance(weight, Jet):
        columns = weight.t()
        if z.columns == tuple(range(z.shape[-1])):
            # In the layout that everything computed from it will take over.
            columns = columns.contiguous()
        else:
            columns = columns[list(z.columns)]
        return columns.reshape((len(z.columns),) + (1,) * (z.ndim - 1) + (-1,))
    return _through(z.tangents, z, weight)


def _through(stack: Any, z: Any, weight: Any) -> Any:
    if stack is None:
        return None
    if stack.shape[-1] != z.shape[-1]:
        stack = spread(stack, z.shape)
    return F.linear(stack, weight)


@rule(_T.__matmul__, _T.matmul, kind="bilinear")
def matmul_operator(run: Run, a: Any, b: Any) -> Any:
    if torch.compiler.is_compiling() and not active(run, a) and not _only_order(a, b):
        # torch.compile calls this with (tensor, carrier) for both tensor @ carrier and
        # carrier @ tensor; where only one of the two is possible that is the one.
        if not _only_order(b, a):
            raise UnsupportedOperationError(
                "under torch.compile the order of the factors of @ is lost, and both orders fit: "
                f"{tuple(a.shape)} and {tuple(b.shape)}. Write torch.matmul(a, b) instead of a @ b."
            )
        return matmul(run, b, a)
    return matmul(run, a, b)


def _only_order(a: Any, b: Any) -> bool:
    """Whether a @ b is possible and b @ a is not."""
    return _fits(a, b) and not _fits(b, a)


def _fits(a: Any, b: Any) -> bool:
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        return False
    batches = zip(reversed(a.shape[:-2]), reversed(b.shape[:-2]), strict=False)
    return all(m == n or m == 1 or n == 1 for m, n in batches)


@rule(torch.matmul, torch.linalg.matmul, "mm", "bmm", "mv", "dot", kind="bilinear")
def matmul(run: Run, a: Any, b: Any) -> Any:
    if isinstance(a, Points) and a.columns and active(run, a) and _is_matrix(b):
        return linear(run, a, b.t())
    va, vb = strip(run, a), strip(run, b)
    value = torch.matmul(va, vb)
    ta, ca = (_full(s, va) for s in parts(run, a))
    tb, cb = (_full(s, vb) for s in parts(run, b))
    tangents = total(_left(ta, va, vb), _right(va, tb, vb))
    curvature = total(_left(ca, va, vb), _right(va, cb, vb))
    if ta is not None and tb is not None:
        curvature = total(curvature, _cross(run, ta, tb, va, vb))
    return Jet(run, value, tangents, curvature)


@rule(_T.__rmatmul__, kind="bilinear")
def rmatmul(run: Run, b: Any, a: Any) -> Any:
    return matmul(run, a, b)


def _is_matrix(b: Any) -> bool:
    return isinstance(b, torch.Tensor) and b.ndim == 2


def _full(stack: Any, value: Any) -> Any:
    """The stack with its matrix dimensions at full length."""
    if stack is None or (tuple(stack.shape[-2:]) == tuple(value.shape[-2:]) and value.ndim > 1):
        return stack
    return spread(stack, value.shape)


def _left(stack: Any, va: Any, vb: Any) -> Any:
    """stack @ vb, channel by channel."""
    if stack is None:
        return None
    if vb.ndim <= 2:
        return torch.matmul(stack, vb)
    if va.ndim >= 2:
        return torch.matmul(lift(stack, max(va.ndim, vb.ndim)), vb)
    return torch.matmul(stack[(slice(None),) + (None,) * (vb.ndim - 1)], vb).squeeze(-2)


def _right(va: Any, stack: Any, vb: Any) -> Any:
    """va @ stack, channel by channel."""
    if stack is None:
        return None
    if vb.ndim == 1:
        # (K, k): a vector for each channel.
        column = lift(stack, max(va.ndim - 1, 1)).unsqueeze(-1)
        return torch.matmul(va, column).squeeze(-1)
    if va.ndim == 1:
        return torch.matmul(va, stack)
    return torch.matmul(va, lift(stack, max(va.ndim, vb.ndim)))


def _cross(run: Run, ta: Any, tb: Any, va: Any, vb: Any) -> Any:
    if va.ndim == 1 or vb.ndim == 1:
        # Vectors become matrices; the dimension added is taken out of the result again.
        a2 = ta.unsqueeze(-2) if va.ndim == 1 else ta
        b2 = tb.unsqueeze(-1) if vb.ndim == 1 else tb
        shape_a = va.unsqueeze(-2) if va.ndim == 1 else va
        shape_b = vb.unsqueeze(-1) if vb.ndim == 1 else vb
        result = _cross(run, a2, b2, shape_a, shape_b)
        if result is None:  # a pass of first order
            return None
        result = result.squeeze(-1) if vb.ndim == 1 else result
        return result.squeeze(-2 if vb.ndim > 1 else -1) if va.ndim == 1 else result
    ndim = max(va.ndim, vb.ndim)
    ta, tb = lift(ta, ndim), lift(tb, ndim)
    if not isinstance(run.structure, Sum):
        return run.structure.cross(torch.matmul, ta, tb)
    # The sum over directions joins the sum over the inner index: no stack of products.
    if run.structure.weights is not None:
        ta = ta * run.structure.weights.reshape((-1,) + (1,) * ndim)
    rows, inner, columns = ta.shape[-2], ta.shape[-1], tb.shape[-1]
    joined = ta.shape[0] * inner
    left = ta.movedim(0, -2).reshape((*ta.shape[1:-2], rows, joined))
    right = tb.movedim(0, -3).reshape((*tb.shape[1:-2], joined, columns))
    return (torch.matmul(left, right) * 2).unsqueeze(0)


@composite("addmm", "addmv", "baddbmm")
def addmm(z: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    result = torch.matmul(a, b)
    if alpha != 1:
        result = result * alpha
    if beta == 0:
        return result
    return result + (z if beta == 1 else z * beta)


@composite("addbmm")
def addbmm(z: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    result = torch.sum(torch.matmul(a, b), 0) * alpha
    return result if beta == 0 else result + z * beta


@composite("addr")
def addr(z: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    outer = a.unsqueeze(-1) * b * alpha
    return outer if beta == 0 else outer + z * beta


@composite("outer", "ger")
def outer(a: Any, b: Any) -> Any:
    return a.unsqueeze(-1) * b


@rule("einsum", kind="bilinear")
def einsum(run: Run, equation: Any, *operands: Any) -> Any:
    if not isinstance(equation, str):
        raise Unsuited
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    equation = equation.replace(" ", "")
    carried = [o for o in operands if active(run, o)]
    if len(carried) == 1:
        position = next(i for i, o in enumerate(operands) if active(run, o))

        def alone(z: Any) -> Any:
            return torch.einsum(equation, *operands[:position], z, *operands[position + 1 :])

        return apply_linear(run, alone, (carried[0],), {})
    if len(operands) == 2:
        return apply_bilinear(run, lambda p, q: torch.einsum(equation, p, q), *operands)
    return _pairwise(equation, operands)


def _pairwise(equation: str, operands: tuple[Any, ...]) -> Any:
    """A product of many operands, two at a time from the left."""
    sides, _, result = equation.partition("->")
    terms = sides.split(",")
    if "..." in equation:
        raise Unsuited
    if "->" not in equation:
        letters = sides.replace(",", "")
        result = "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    first, second, rest = terms[0], terms[1], terms[2:]
    needed = set(result).union(*rest)
    kept = "".join(c for c in dict.fromkeys(first + second) if c in needed)
    joined = torch.einsum(f"{first},{second}->{kept}", operands[0], operands[1])
    if not rest:
        return joined
    return torch.einsum(",".join([kept, *rest]) + "->" + result, joined, *operands[2:])


@composite("bilinear")
def bilinear_layer(a: Any, b: Any, weight: Any, bias: Any = None) -> Any:
    # (…, 1, i) @ (o i j as i × oj) keeps the outputs apart: (…, o, j), then times b.
    outputs, left, right = weight.shape
    flat = weight.permute(1, 0, 2).reshape(left, outputs * right)
    partial = torch.matmul(a, flat).reshape((*a.shape[:-1], outputs, right))
    result = torch.matmul(partial, b.unsqueeze(-1)).squeeze(-1)
    return result if bias is None else result + bias


@composite("chain_matmul", "multi_dot")
def chain_matmul(*matrices: Any, **keywords: Any) -> Any:
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    result = matrices[0]
    for matrix in matrices[1:]:
        result = torch.matmul(result, matrix)
    return result


bilinear("inner", "tensordot", "kron", "cross", "vecdot")
