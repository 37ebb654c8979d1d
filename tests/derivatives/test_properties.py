"""Identities that hold for every function, on random networks."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pinnderiv.derivatives import (
    biharmonic,
    derivatives,
    divergence,
    hessian,
    hvp,
    jacobian,
    laplacian,
    linear_operator,
    partial,
    second_derivatives,
    second_order_operator,
)
from pinnderiv.derivatives.engines import ENGINES
from tests.derivatives.common import assert_close

ACTIVATIONS = (
    nn.Tanh, nn.Sigmoid, nn.Softplus, nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.Softsign,
    nn.LogSigmoid, nn.Tanhshrink, lambda: nn.Softmax(-1), lambda: nn.LayerNorm(WIDTH),
    lambda: nn.RMSNorm(WIDTH), lambda: nn.GroupNorm(2, WIDTH),
)  # fmt: skip
WIDTH = 6
EXAMPLES = settings(max_examples=25, deadline=None, derandomize=True)


@dataclass
class Problem:
    """A random network and points, and the engine that is put to the test."""

    net: nn.Module
    x: Tensor
    method: str
    generator: torch.Generator

    @property
    def columns(self) -> int:
        return self.x.shape[-1]

    def random(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, dtype=torch.float64)

    @property
    def options(self) -> dict[str, object]:
        # What the guard does is tested elsewhere; here it would only take its time.
        return {"method": self.method, "check": False}


@st.composite
def problems(draw: st.DrawFn, outputs: int | None = None) -> Problem:
    columns = draw(st.integers(1, 5))
    count = draw(st.integers(1, 4)) if outputs is None else outputs or columns
    rows = draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    layers: list[nn.Module] = []
    inputs = columns
    for _ in range(draw(st.integers(1, 3))):
        layers += [nn.Linear(inputs, WIDTH), draw(st.sampled_from(ACTIVATIONS))()]
        inputs = WIDTH
    net = nn.Sequential(*layers, nn.Linear(inputs, count)).double()
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype))
    x = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return Problem(net, x, draw(st.sampled_from(sorted(ENGINES))), generator)


def close(found: Tensor, expected: Tensor, size: Tensor) -> None:
    """Equal up to rounding of numbers as large as ``size``."""
    assert found.shape == expected.shape
    scale = max(float(size.abs().max()), 1e-3)
    assert float((found - expected).abs().max()) <= 1e-9 * scale


@EXAMPLES
@given(problems())
def test_every_engine_finds_the_same(p: Problem) -> None:
    h = hessian(p.net, **p.options)(p.x)
    close(h, hessian(p.net, method="reverse", check=False)(p.x), h)
    j = jacobian(p.net, **p.options)(p.x)
    assert_close(j, jacobian(p.net, method="reverse", check=False)(p.x), 1e-9)


@EXAMPLES
@given(problems())
def test_hessians_are_symmetric_and_the_other_operators_are_parts_of_them(p: Problem) -> None:
    h = hessian(p.net, **p.options)(p.x)
    close(h, h.mT, h)
    diagonal = h.diagonal(dim1=-2, dim2=-1)
    close(second_derivatives(p.net, **p.options)(p.x), diagonal, h)
    close(laplacian(p.net, **p.options)(p.x), diagonal.sum(-1), h)
    v = p.random(*p.x.shape)
    close(hvp(p.net, **p.options)(p.x, v), (h @ v[:, None, :, None]).squeeze(-1), h)
    a = p.random(p.columns, p.columns)
    found = second_order_operator(p.net, a + a.mT, **p.options)(p.x)
    close(found, 2 * (a * h).sum((-1, -2)), 10 * h)
    i, k = p.columns - 1, 0
    close(partial(p.net, (i, k), **p.options)(p.x), h[..., i, k], h)


@EXAMPLES
@given(problems())
def test_operators_are_linear_in_their_coefficients(p: Problem) -> None:
    shape = (len(p.x), p.columns)
    (w1, w2), (b1, b2) = (p.random(2, *shape) for _ in range(2))

    def apply(w: Tensor, b: Tensor) -> Tensor:
        return linear_operator(p.net, second=w, first=b, **p.options)(p.x)

    one, two = apply(w1, b1), apply(w2, b2)
    size = 10 * torch.stack([one, two, laplacian(p.net, **p.options)(p.x)])
    close(apply(w1 - 2 * w2, b1 - 2 * b2), one - 2 * two, size)


@EXAMPLES
@given(problems())
def test_operators_are_linear_in_the_function(p: Problem) -> None:
    def combined(x: Tensor) -> Tensor:
        return 3 * p.net(x) - torch.sin(x).sum(-1, keepdim=True)

    found = laplacian(combined, **p.options)(p.x)
    parts = laplacian(p.net, **p.options)(p.x)
    close(found, 3 * parts + torch.sin(p.x).sum(-1, keepdim=True), parts)


@EXAMPLES
@given(problems())
def test_change_of_variables(p: Problem) -> None:
    """tr(A H) of f at Qy is tr(Qᵀ A Q H) of f∘Q at y, and Δ does not see rotations."""
    q = torch.linalg.qr(p.random(p.columns, p.columns))[0]
    a = p.random(p.columns, p.columns)
    a = a + a.mT
    y = p.x @ q

    def rotated(z: Tensor) -> Tensor:
        return p.net(z @ q.T)

    h = hessian(p.net, **p.options)(p.x)
    found = second_order_operator(rotated, q.T @ a @ q, **p.options)(y)
    close(found, second_order_operator(p.net, a, **p.options)(p.x), 20 * h)
    close(laplacian(rotated, **p.options)(y), laplacian(p.net, **p.options)(p.x), 10 * h)


@EXAMPLES
@given(problems(outputs=1))
def test_the_divergence_of_the_gradient_is_the_laplacian(p: Problem) -> None:
    def gradient(x: Tensor) -> Tensor:
        return jacobian(p.net, **p.options)(x)[..., 0, :]

    found = divergence(gradient, **p.options)(p.x)
    h = hessian(p.net, **p.options)(p.x)
    close(found, laplacian(p.net, **p.options)(p.x)[..., 0], h)


@EXAMPLES
@given(problems(outputs=0))
def test_the_divergence_is_the_trace_of_the_jacobian(p: Problem) -> None:
    j = jacobian(p.net, **p.options)(p.x)
    close(divergence(p.net, **p.options)(p.x), j.diagonal(dim1=-2, dim2=-1).sum(-1), j)


@EXAMPLES
@given(problems(), st.integers(1, 5))
def test_chunks_and_batch_shapes_make_no_difference(p: Problem, size: int) -> None:
    expected = laplacian(p.net, **p.options)(p.x)
    h = hessian(p.net, **p.options)(p.x)
    close(laplacian(p.net, chunk_size=size, **p.options)(p.x), expected, h)
    if not any(isinstance(layer, nn.GroupNorm) for layer in p.net.modules()):
        close(laplacian(p.net, **p.options)(p.x[:, None])[:, 0], expected, h)
        single = torch.stack([laplacian(p.net, **p.options)(row) for row in p.x])
        close(single, expected, h)


@settings(EXAMPLES, max_examples=10)
@given(problems())
def test_named_derivatives_are_partials(p: Problem) -> None:
    coordinates = [f"x{d}" for d in range(p.columns)]
    names = ["u_" + a + b for a in coordinates[:2] for b in coordinates[:2]] + ["u_x0x0x0"]
    outputs = ["u", "v", "w", "p"][: p.net[-1].out_features]
    found = derivatives(p.net, names, coordinates, outputs, **p.options)(p.x)
    for name, value in found.items():
        dims = [int(d) for d in name[3:].split("x")]
        expected = partial(p.net, dims, method="reverse", check=False)(p.x)
        close(value, expected[..., 0], expected)


@settings(EXAMPLES, max_examples=8)
@given(problems())
def test_the_biharmonic_is_the_laplacian_twice(p: Problem) -> None:
    expected = biharmonic(p.net, method="reverse", check=False)(p.x)
    close(biharmonic(p.net, **p.options)(p.x), expected, expected)
    twice = laplacian(laplacian(p.net, **p.options), **p.options)(p.x)
    close(twice, expected, expected)
