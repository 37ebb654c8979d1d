"""Views and in-place operations mean on carriers what they mean on tensors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pinnderiv.derivatives.taylor import TaylorEngine
from pinnderiv.errors import UnsupportedOperationError
from tests.oracle import agrees, by_differences

ENGINE = TaylorEngine()


def write_through_a_column(z: Tensor) -> Tensor:
    w = z * 2
    w[:, 1].mul_(w[:, 0])
    return w


def write_through_two_views(z: Tensor) -> Tensor:
    w = z * 2
    w.view(-1, 2, 2)[:, 0].sin_()
    return w


def read_a_view_after_its_base_changed(z: Tensor) -> Tensor:
    w = z * 2
    column = w[:, 1:3]
    w.mul_(z)
    return torch.cat([column, w], -1)


def read_another_view(z: Tensor) -> Tensor:
    w = z * 2
    a, b = w[:, :2], w[:, 1:]
    a.exp_()
    return torch.cat([b, a], -1)


def write_through_a_transposed_view(z: Tensor) -> Tensor:
    w = (z * 2).reshape(-1, 2, 2)
    w.transpose(1, 2)[:, 0] = z[:, :2] ** 3
    return w.flatten(1)


def a_copy_is_no_view(z: Tensor) -> Tensor:
    w = z * 2
    copied = w.transpose(0, 1).reshape(-1)
    copied.mul_(3)
    advanced = w[:, [0, 1]]
    advanced.exp_()
    return w * copied.reshape(4, -1).T + F.pad(advanced, (0, 2))


def a_clone_is_no_view(z: Tensor) -> Tensor:
    w = z * 2
    w.clone().mul_(3)
    return w * z


def augmented_column(z: Tensor) -> Tensor:
    w = torch.zeros_like(z)
    w[:, 0] = z[:, 1] ** 2
    w[:, 1:] += z[:, :3].sin()
    w[..., 2] -= 3.0
    w[:, 3] = 1.5
    return w * z


def masked_assignment(z: Tensor) -> Tensor:
    w = z * 1.0
    mask = torch.tensor([True, False, False, True])
    w[:, mask] = z[:, 1:3].exp()
    w[:, torch.tensor([1])] = 0.5
    return w * z


def other_methods(z: Tensor) -> Tensor:
    w = z * 1.0
    w.add_(z, alpha=2.0).sub_(0.3).div_(z**2 + 2).neg_()
    w.clamp_(min=-5.0)
    w.masked_fill_(torch.tensor([False, False, True, False]), 0.3)
    w.copy_(w * z)
    w **= 2
    w /= 1.5
    return w


def zeroed(z: Tensor) -> Tensor:
    w = z * 3
    w[:, 0].zero_()
    w[:, 1].fill_(2.0)
    return w * z


def selected(z: Tensor) -> Tensor:
    w = z * 1.0
    first = w.select(1, 0)
    first.mul_(first)
    w.narrow(1, 1, 2).sin_()
    return w


def module_in_place(z: Tensor) -> Tensor:
    return F.silu(F.elu(z * 1.0, inplace=True), inplace=True) * F.hardtanh(z * 1.0, inplace=True)


CASES = [
    write_through_a_column,
    write_through_two_views,
    read_a_view_after_its_base_changed,
    read_another_view,
    write_through_a_transposed_view,
    a_copy_is_no_view,
    a_clone_is_no_view,
    augmented_column,
    masked_assignment,
    other_methods,
    zeroed,
    selected,
    module_in_place,
]


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_in_place(f: Callable[[Tensor], Tensor]) -> None:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 4, dtype=torch.float64, generator=generator) * 0.5
    value, jacobian = ENGINE.jacobian(f, x)
    _, hessian = ENGINE.hessian(f, x)
    torch.testing.assert_close(value, f(x))
    for kind, found in (("jacobian", jacobian), ("hessian", hessian)):
        # No oracle by autograd: it refuses some of these.
        estimate, error = by_differences(f, x, kind)
        assert agrees(found, estimate, error)


def test_the_callers_points_stay_as_they_are() -> None:
    x = torch.ones(3, 2, dtype=torch.float64)

    def f(y: Tensor) -> Tensor:
        y[:, 0] *= 3
        y.sin_()
        return y**2

    _, second = ENGINE.second_derivatives(f, x)
    assert torch.equal(x, torch.ones_like(x))
    wanted = 2 * torch.tensor([9.0, 1.0]) * torch.cos(2 * torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(second.diagonal(dim1=-2, dim2=-1)[0], wanted.double())


def into_an_empty_tensor(x: Tensor) -> Tensor:
    out = torch.empty(x.shape[0], 2, dtype=torch.float64)
    out[:, 0] = x[:, 0] ** 2
    return out


def with_out(x: Tensor) -> Tensor:
    out = torch.empty(3, 2, dtype=torch.float64)
    torch.mul(x, x, out=out)
    return out


def into_a_plain_sum(x: Tensor) -> Tensor:
    total = torch.zeros(3, 2, dtype=torch.float64)
    total += x**2
    return total


@pytest.mark.parametrize("f", [into_an_empty_tensor, with_out, into_a_plain_sum])
def test_a_plain_tensor_cannot_take_derivatives(f: Callable[[Tensor], Tensor]) -> None:
    x = torch.ones(3, 2, dtype=torch.float64)
    with pytest.raises(UnsupportedOperationError, match=r"plain tensor.*(zeros_like|out=)"):
        ENGINE.hessian(f, x)


def test_shapes_are_not_changed_in_place() -> None:
    with pytest.raises(UnsupportedOperationError, match="shape or memory"):
        ENGINE.hessian(lambda x: (x * x).unsqueeze_(0), torch.ones(3, 2))
