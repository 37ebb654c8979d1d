"""The way not taken: capture f at the ATen level, then interpret the graph on triplets.

Enough operations for an MLP, LayerNorm written by its decomposition, and attention in its
math form; what matters for the comparison is what the capture can see, not how long the
list of operations is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch._decomp import core_aten_decompositions, get_decompositions
from torch.func import functional_call, vmap
from torch.fx.experimental.proxy_tensor import make_fx

A = torch.ops.aten


def _tanh(v: Tensor) -> tuple[Tensor, ...]:
    y = torch.tanh(v)
    return y, 1 - y * y, -2 * y * (1 - y * y)


def _exp(v: Tensor) -> tuple[Tensor, ...]:
    y = torch.exp(v)
    return y, y, y


def _rsqrt(v: Tensor) -> tuple[Tensor, ...]:
    return torch.rsqrt(v), -0.5 * v**-1.5, 0.75 * v**-2.5


ELEMENTWISE = {A.tanh.default: _tanh, A.exp.default: _exp, A.rsqrt.default: _rsqrt}
BILINEAR = {A.mul.Tensor, A.mm.default, A.bmm.default}
SUM = {A.add.Tensor, A.sub.Tensor}
EXPANDED = [A.addmm, A.native_layer_norm, A._softmax, A.var_mean, A.var, A.mean]
LINEAR = {
    A.view.default,
    A._unsafe_view.default,
    A.permute.default,
    A.transpose.int,
    A.t.default,
    A.expand.default,
    A.clone.default,
    A.alias.default,
    A.unsqueeze.default,
    A.squeeze.dim,
    A.squeeze.dims,
    A.slice.Tensor,
    A.select.int,
    A.sum.dim_IntList,
    A.mean.dim,
    A.div.Tensor,
    A.mul.Scalar,
    *BILINEAR,
}
CONSTANT = {A.eq.Scalar, A.amax.default, A.detach.default, A.full_like.default, A.any.dim}


class Triplet:
    """Value, tangents with a leading direction, and the collapsed curvature."""

    def __init__(self, value: Tensor, tangents: Tensor, curvature: Tensor) -> None:
        self.value, self.tangents, self.curvature = value, tangents, curvature

    def each(self, g: Callable[[Tensor], Tensor]) -> Triplet:
        """A linear map of all channels."""
        return Triplet(g(self.value), vmap(g)(self.tangents), g(self.curvature))


def captured(net: nn.Module, parameters: dict[str, Tensor], x: Tensor) -> Any:
    """The graph of ``net`` at these shapes."""
    table = {**core_aten_decompositions(), **get_decompositions(EXPANDED)}
    return make_fx(lambda p, y: functional_call(net, p, (y,)), decomposition_table=table)(
        parameters, x
    )


def interpret(graph: Any, parameters: dict[str, Tensor], start: Triplet) -> Triplet:
    """Runs the graph on triplets."""
    known: dict[Any, Any] = {}
    inputs = iter([*parameters.values(), start])

    def look(item: Any) -> Any:
        if isinstance(item, (tuple, list)):
            return type(item)(look(i) for i in item)
        return known[item] if isinstance(item, torch.fx.Node) else item

    for node in graph.graph.nodes:
        if node.op == "placeholder":
            known[node] = next(inputs)
        elif node.op == "get_attr":
            known[node] = getattr(graph, node.target)
        elif node.op == "output":
            result = look(node.args[0])
            return result[0] if isinstance(result, (tuple, list)) else result
        else:
            known[node] = _apply(node, look(node.args), look(node.kwargs or {}) or {})
    raise RuntimeError("the graph has no output")


def _apply(node: Any, args: Any, kwargs: Any) -> Any:
    f = node.target
    carried = [a for a in args if isinstance(a, Triplet)]
    if not carried:
        return f(*args, **kwargs)
    z = carried[0]
    if f in ELEMENTWISE:
        y, first, second = ELEMENTWISE[f](z.value)
        squares = (z.tangents**2).sum(0)
        return Triplet(y, first * z.tangents, first * z.curvature + second * squares)
    if f in CONSTANT:
        # The maximum that softmax subtracts cancels; comparisons have no derivative.
        return f(*[a.value if a is z else a for a in args], **kwargs)
    if f is A.where.self and len(carried) == 1 and args[0] is not z:
        keep = ~args[0] if args[2] is z else args[0]
        value = f(*[a.value if a is z else a for a in args])
        return Triplet(value, *(torch.where(keep, t, 0.0) for t in (z.tangents, z.curvature)))
    if len(carried) == 2 and f in BILINEAR:
        a, b = args
        curvature = f(a.curvature, b.value) + f(a.value, b.curvature)
        return Triplet(
            f(a.value, b.value),
            vmap(f, (0, None))(a.tangents, b.value) + vmap(f, (None, 0))(a.value, b.tangents),
            curvature + 2 * vmap(f)(a.tangents, b.tangents).sum(0),
        )
    if len(carried) == 2 and f is A.div.Tensor:
        a, b = args
        y = a.value / b.value
        tangents = (a.tangents - y * b.tangents) / b.value
        mixed = 2 * (tangents * b.tangents).sum(0)
        return Triplet(y, tangents, (a.curvature - y * b.curvature - mixed) / b.value)
    if f in SUM:
        if len(carried) == 2:
            a, b = args
            return Triplet(
                f(a.value, b.value), f(a.tangents, b.tangents), f(a.curvature, b.curvature)
            )
        sign = -1 if f is A.sub.Tensor and z is args[1] else 1
        value = f(*[a.value if a is z else a for a in args])
        return Triplet(
            value,
            vmap(lambda t: (sign * t).expand_as(value))(z.tangents),
            (sign * z.curvature).expand_as(value),
        )
    if len(carried) > 1 or f not in LINEAR:
        raise NotImplementedError(f"{f}, at {node.meta.get('stack_trace')}")
    # The capture has chosen view where strides allowed it; channels have other strides.
    g = A.reshape.default if f in (A.view.default, A._unsafe_view.default) else f
    return z.each(lambda t: g(*[t if a is z else a for a in args], **kwargs))


class CapturedLaplacian:
    """Captures at the first call for each shape; ``parameters`` may be replaced at each call."""

    def __init__(self, net: nn.Module) -> None:
        self.net = net
        self.graphs: dict[Any, Any] = {}

    def __call__(self, x: Tensor, parameters: dict[str, Tensor] | None = None) -> Tensor:
        parameters = parameters or dict(self.net.named_parameters())
        key = tuple(x.shape)
        if key not in self.graphs:
            self.graphs[key] = captured(self.net, parameters, x)
        basis = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
        tangents = basis[:, None].expand(x.shape[-1], *x.shape)
        start = Triplet(x, tangents, torch.zeros_like(x))
        return interpret(self.graphs[key], parameters, start).curvature
