"""Engine "reverse": reverse mode twice, and forward over reverse for Hessian-vector products.

One reverse pass gives the gradient of one output with respect to all inputs; a reverse
pass through that gives one row of its Hessian. The cost grows with outputs × directions,
but the formulas are those that training itself relies on, so this engine is the
independent witness for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.request import Collapsed, MultiIndex, directions_of, unit_vectors
from pinnderiv.derivatives.transforms import attached, inside_transform, leaves

Pullback = Callable[[Tensor], tuple[Tensor]]
"""From a cotangent of f(x) to the one of x."""


class ReverseEngine(Engine):
    """Exact derivatives of any order by repeated reverse mode."""

    name = "reverse"

    def jacobian(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        return _record(f, x, lambda u: torch.stack([g.tensor for g in _gradients(u)], dim=-2))

    def second_derivatives(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        columns = range(x.shape[-1])
        basis = unit_vectors(columns, x)

        def diagonal(u: _Recorded) -> Tensor:
            rows = (
                [g.pull(basis[d].expand_as(x)).tensor[..., d] for d in columns]
                for g in _gradients(u)
            )
            return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)

        return _record(f, x, diagonal)

    def hessian(self, f: Function, x: Tensor) -> tuple[Tensor, Tensor]:
        basis = unit_vectors(range(x.shape[-1]), x)

        def full(u: _Recorded) -> Tensor:
            blocks = ([g.pull(e.expand_as(x)).tensor for e in basis] for g in _gradients(u))
            return torch.stack([torch.stack(block, dim=-2) for block in blocks], dim=-3)

        return _record(f, x, full)

    def collapsed(self, f: Function, x: Tensor, request: Collapsed) -> tuple[Tensor, Tensor]:
        directions = directions_of(request, x)

        def along(gradient: _Recorded, k: int) -> Tensor:
            row = gradient.pull(directions[k].expand_as(x)).tensor
            if request.dims is not None:
                return row[..., request.dims[k]]
            return (row * directions[k]).sum(-1)

        def contract(u: _Recorded) -> Tensor:
            outputs = []
            for gradient in _gradients(u):
                total = sum(w * along(gradient, k) for k, w in enumerate(request.weights))
                if request.first is not None:
                    total = total + (request.first * gradient.tensor).sum(-1)
                outputs.append(total)
            return torch.stack(outputs, dim=-1)

        return _record(f, x, contract)

    def partials(
        self, f: Function, x: Tensor, indices: Sequence[MultiIndex]
    ) -> dict[MultiIndex, Tensor]:
        basis = unit_vectors(range(x.shape[-1]), x)
        wanted = [index for index in indices if index]

        def collect(u: _Recorded) -> Tensor:
            found: list[dict[MultiIndex, Tensor]] = []
            for gradient in _gradients(u):
                found.append({})
                _explore(gradient, (), wanted, basis, found[-1])
            return torch.stack([torch.stack([d[i] for d in found], dim=-1) for i in wanted])

        value, stack = _record(f, x, collect if wanted else lambda u: u.tensor[None])
        lowest = {(): value} if () in indices else {}
        return lowest | dict(zip(wanted, stack[: len(wanted)], strict=True))

    def hvp(self, f: Function, x: Tensor, v: Tensor) -> Tensor:
        """Forward over reverse: one forward-mode pass through the gradients."""

        def gradients(y: Tensor) -> Tensor:
            value, pull = _vjp(f, y)
            return torch.stack([pull(c)[0] for c in _cotangents(value)], dim=-2)

        # Forward mode refuses memory that several rows share, as expand() leaves it.
        return torch.func.jvp(gradients, (x.contiguous(),), (v,))[1]

    def hvp_by_reverse_twice(self, f: Function, x: Tensor, v: Tensor) -> Tensor:
        """The same without forward mode, for functions whose forward formulas are wrong."""
        return _record(
            f, x, lambda u: torch.stack([g.pull(v).tensor for g in _gradients(u)], dim=-2)
        )[1]


class _Recorded(Protocol):
    """A tensor that is a function of x and whose gradients with respect to x can be taken."""

    tensor: Tensor

    def pull(self, cotangent: Tensor) -> _Recorded:
        """∇ₓ of Σ cotangent · tensor, recorded in its turn; ``(*batch, D)``."""
        ...


class _OnTape:
    """Recorded by autograd: one call of f, any number of gradients.

    Also runs what torch.func cannot: an autograd.Function without ``setup_context``.
    """

    def __init__(self, tensor: Tensor, base: Tensor) -> None:
        self.tensor = tensor
        self._base = base

    def pull(self, cotangent: Tensor) -> _OnTape:
        if not self.tensor.requires_grad:
            return _OnTape(torch.zeros_like(self._base), self._base)
        (gradient,) = torch.autograd.grad(
            self.tensor, self._base, cotangent, create_graph=True, materialize_grads=True
        )
        return _OnTape(gradient, self._base)


class _AsFunction:
    """Recorded as a function of x, for use inside torch.func transforms, where the tape
    of autograd does not see the outer transform. A gradient of a gradient runs f again.
    """

    def __init__(self, fn: Function, x: Tensor, tensor: Tensor | None = None) -> None:
        self._fn, self._x = fn, x
        self._opened: tuple[Tensor, Pullback] | None = None
        self.tensor = self._open()[0] if tensor is None else tensor

    def _open(self) -> tuple[Tensor, Pullback]:
        if self._opened is None:
            self._opened = _vjp(self._fn, self._x)
        return self._opened

    def pull(self, cotangent: Tensor) -> _AsFunction:
        fn = self._fn
        return _AsFunction(
            lambda y: _vjp(fn, y)[1](cotangent)[0], self._x, self._open()[1](cotangent)[0]
        )


def _vjp(fn: Function, x: Tensor) -> tuple[Tensor, Pullback]:
    pair = torch.func.vjp(fn, x)
    return pair[0], pair[1]


def _record(
    f: Function, x: Tensor, compute: Callable[[_Recorded], Tensor]
) -> tuple[Tensor, Tensor]:
    """Runs f on x once and returns its value and what ``compute`` makes of the recording."""
    # Also where torch.autograd.forward_ad differentiates around this call: a leaf of our own
    # would drop its tangents.
    if inside_transform() or torch.autograd.forward_ad._current_level >= 0:
        u = _AsFunction(f, x)
        return u.tensor, compute(u)
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():
        # x may be a leaf that the caller owns: the view is what gradients are taken for.
        base = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        value = f(base)
        result = compute(_OnTape(value, base))
    if not wanted:
        return value.detach(), result.detach()
    # Where there is nothing that the caller can differentiate by: do not hand out a graph. The
    # result may depend on what the value does not, a coefficient of the operator.
    if not (x.requires_grad or _depends_on_others(value, base)):
        value = value.detach()
        if not _depends_on_others(result, base):
            result = result.detach()
    return value, attached(result, value)


def _depends_on_others(tensor: Tensor, base: Tensor) -> bool:
    """Whether a tensor has leaves besides ``base``, which is our own."""
    return any(leaf is not base for leaf in leaves(tensor))


def _cotangents(value: Tensor) -> Iterable[Tensor]:
    """For each output m a tensor like ``value (*batch, M)`` that is one in column m."""
    for row in unit_vectors(range(value.shape[-1]), value):
        yield row.expand_as(value)


def _gradients(u: _Recorded) -> Iterable[_Recorded]:
    """The gradient ``(*batch, D)`` of each output, one after the other."""
    return (u.pull(cotangent) for cotangent in _cotangents(u.tensor))


def _explore(
    gradient: _Recorded,
    path: MultiIndex,
    indices: Sequence[MultiIndex],
    basis: Tensor,
    found: dict[MultiIndex, Tensor],
) -> None:
    """Fills ``found`` with the derivatives below ``path``; shared beginnings are taken once.

    Args:
        gradient: ∇ of the derivative by ``path``, ``(*batch, D)``.
        path: columns differentiated by so far.
        indices: what is wanted in the end.
        basis: unit vectors ``(D, D)``.
        found: receives ``(*batch,)`` tensors.
    """
    depth = len(path)
    below = [index for index in indices if index[:depth] == path and len(index) > depth]
    for column in sorted({index[depth] for index in below}):
        child = (*path, column)
        found[child] = gradient.tensor[..., column]
        if any(index[: depth + 1] == child and len(index) > depth + 1 for index in below):
            deeper = gradient.pull(basis[column].expand_as(gradient.tensor))
            _explore(deeper, child, indices, basis, found)
