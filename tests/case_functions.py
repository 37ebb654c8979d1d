"""``autograd.Function`` variants and custom operators that the case table uses.

Some are right, some are wrong on purpose: each is a way in which somebody's own function
reaches a derivative library, and each docstring says what is the matter with it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class CubeWithSetup(torch.autograd.Function):
    """x³, written as torch.func asks for it, double backward by differentiating backward."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class CubeWithJvp(torch.autograd.Function):
    """x³ with a right backward and a right custom ``jvp``; nested jvp loses its second order."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * tangent


class CubeOldStyle(torch.autograd.Function):
    """x³ with the context handed to forward: functorch refuses it, plain autograd is right."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class CubeOnceDifferentiable(torch.autograd.Function):
    """x³ whose backward declares that it cannot be differentiated: the honest refusal."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 3 * x**2 * grad


class CubeDetachedBackward(torch.autograd.Function):
    """x³ whose backward uses a detached copy: first order right, second order silently 0."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.saved = inputs[0].detach()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 3 * ctx.saved**2 * grad


class CubeNumpyBackward(torch.autograd.Function):
    """x³ computed by NumPy both ways: no transform can see through it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.values = x.detach().numpy() ** 3
        ctx.slope = 3 * x.detach().numpy() ** 2
        return torch.from_numpy(ctx.values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad * torch.from_numpy(ctx.slope)


class CubeWrongBackward(torch.autograd.Function):
    """x³ with a slope of 2x²: wrong already at first order, and consistently so."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x**3

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x**2 * grad


class StraightThroughRound(torch.autograd.Function):
    """round(x) that passes gradients unchanged: no derivative of the function it computes."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


@torch.library.custom_op("pinnderiv_tests::cube", mutates_args=())
def cube_operator(x: Tensor) -> Tensor:
    """x³ as a custom operator with registered autograd."""
    return x**3


def _cube_setup(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(inputs[0])


def _cube_backward(ctx: Any, grad: Tensor) -> Tensor:
    (x,) = ctx.saved_tensors
    return 3 * x**2 * grad


cube_operator.register_autograd(_cube_backward, setup_context=_cube_setup)


@torch.library.custom_op("pinnderiv_tests::cube_without_autograd", mutates_args=())
def cube_operator_without_autograd(x: Tensor) -> Tensor:
    """x³ as a custom operator for which nobody registered a derivative."""
    return x**3
