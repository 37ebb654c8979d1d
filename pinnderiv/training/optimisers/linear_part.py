"""The residual as an affine function of the output layer: A c − b.

The equations and conditions are linear in u, and u is linear in the parameters c of a last
linear layer. So the residual's derivative by c does not depend on c: its columns are the residual
operator applied to the features that enter the layer, all of them out of one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from pinnderiv.errors import ConfigurationError, UnsupportedOperationError
from pinnderiv.problems import Condition
from pinnderiv.training.collocation import Points
from pinnderiv.training.loss import EQUATION, Loss
from pinnderiv.training.objective import Evaluation

# Numbers of one block: rows times features times coordinates; 64 MB, and engines hold a few.
_BLOCK = 8_000_000
_PROBE_ROWS = 8


class LinearPart:
    """The output layer of a loss's network, and the residual's derivative by it.

    Args:
        loss: its network ends in an ``nn.Linear`` with the name ``output`` and one row.
        points: a few of these are used to see which engine is right for the network.

    Attributes:
        layer: the output layer.

    Raises:
        ConfigurationError: there is no such layer, or more than one.
    """

    def __init__(self, loss: Loss, points: Points) -> None:
        self.loss = loss
        found = [
            (parent, child)
            for parent in loss.network.modules()
            for name, child in parent.named_children()
            if name == "output" and isinstance(child, nn.Linear)
        ]
        if len(found) != 1 or found[0][1].out_features != 1:
            raise ConfigurationError(
                "this optimiser solves for the output layer, so the network must end in one "
                "nn.Linear with the name 'output' and one output; network=mlp, siren, fourier and "
                "random_features do. Else take optimiser=levenberg_marquardt"
            )
        self._parent, self.layer = found[0]
        self._options: dict[str, Any] = {"check": False, "method": self._engine(points)}

    @property
    def coefficients(self) -> Tensor:
        """c: the layer's weights and then its bias, (K,)."""
        weight = self.layer.weight.detach().flatten()
        return weight if self.layer.bias is None else torch.cat([weight, self.layer.bias.detach()])

    def set_coefficients(self, values: Tensor) -> None:
        """Copies ``values`` (K,) into the layer."""
        with torch.no_grad():
            width = self.layer.in_features
            self.layer.weight.copy_(values[:width].view_as(self.layer.weight))
            if self.layer.bias is not None:
                self.layer.bias.copy_(values[width:])

    def matrix(self, points: Points) -> Tensor:
        """A, (R, K): rows scaled like :meth:`Loss.scaled`, in its order."""
        basis = _Basis(self.layer.bias is not None)
        with torch.no_grad(), self._replaced(basis):
            blocks = [
                self._in_blocks(points.interior, self._equation)
                * self.loss.row_scale(EQUATION, points)[:, None]
            ]
            for condition in self.loss.conditions:
                rows = points.pieces[condition.piece]
                found = self._in_blocks(rows, partial(self._condition, condition))
                blocks.append(found * self.loss.row_scale(condition.name, points)[:, None])
        return torch.cat(blocks)

    def _equation(self, rows: Tensor) -> Tensor:
        return self.loss.problem.equation.apply(self.loss.network, rows, **self._options)

    def _condition(self, condition: Condition, rows: Tensor) -> Tensor:
        # a zero of the right shape: the values are on the other side, in b
        zero = torch.zeros_like(self.loss.network(rows))
        options = self._options if condition.partial else {}
        return condition.residual(self.loss.network, rows, zero, **options)

    def target(self, points: Points) -> Tensor:
        """b, (R,): source and values, scaled like the rows of A."""
        parts = [points.source.flatten() * self.loss.row_scale(EQUATION, points)]
        for condition in self.loss.conditions:
            values = points.values[condition.name].flatten()
            parts.append(values * self.loss.row_scale(condition.name, points))
        return torch.cat(parts)

    def terms(self, residual: Tensor, points: Points) -> dict[str, Tensor]:
        """What :meth:`Loss.terms` would give, out of A c − b (R,) at the points."""
        rows = {EQUATION: len(points.interior)}
        rows |= {each.name: len(points.pieces[each.piece]) for each in self.loss.conditions}
        parts = residual.split(list(rows.values()))
        return {
            # a weight of zero has erased what the term would be
            name: part.square().sum() / max(self.loss.weights[name], 1e-300)
            for name, part in zip(rows, parts, strict=True)
        }

    def evaluation(
        self, residual: Tensor, points: Points, own: Tensor, matrix: Tensor
    ) -> Evaluation:
        """The loss where A c − b is ``residual`` (R,): no derivative is taken for it.

        Args:
            residual: A c − b.
            points: where A was taken.
            own: which entries of the objective's vector are the layer's, (P,).
            matrix: A. The gradient is by the layer's own parameters, and zero for others.
        """
        gradient = torch.zeros(own.shape, dtype=residual.dtype, device=residual.device)
        gradient[own] = 2 * (matrix.mT @ residual)
        return Evaluation(residual.square().sum(), self.terms(residual, points), gradient)

    def nothing_left(self, points: Points) -> bool:
        """Whether b is nothing but rounding beside the source itself.

        That is so where the lift of hard constraints already solves the equation: transfinite
        interpolation repeats every u that is a sum of functions of fewer than all coordinates.
        """
        source = self.loss.problem.source(points.interior)
        rounding = 1e3 * torch.finfo(points.source.dtype).eps * float(source.norm())
        return not self.loss.conditions and float(points.source.norm()) <= rounding

    def require_affine(self, points: Points) -> None:
        """Compares A c − b with the residual itself, at a few points and random c.

        Raises:
            UnsupportedOperationError: they differ, so u is not linear in the layer.
        """
        few = take(points, _PROBE_ROWS)
        kept = self.coefficients
        probe = torch.linspace(-1.0, 1.0, len(kept), dtype=kept.dtype, device=kept.device)
        self.set_coefficients(probe)
        with torch.no_grad():
            direct = torch.cat(list(self.loss.scaled(few).values()))
        self.set_coefficients(kept)
        matrix = self.matrix(few)
        size = matrix.abs() @ probe.abs() + self.target(few).abs()
        gap = (matrix @ probe - self.target(few) - direct).abs()
        # a source that is not finite says nothing of the network
        known = torch.isfinite(direct)
        tolerance = torch.finfo(kept.dtype).eps ** 0.5
        if bool((gap[known] > tolerance * size[known].sum()).any()):
            raise UnsupportedOperationError(
                "the residual is not an affine function of the network's output layer (something "
                "nonlinear follows the layer 'output'): take optimiser=levenberg_marquardt"
            )

    def _in_blocks(self, points: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        rows = max(1, _BLOCK // (self.layer.in_features * points.shape[1]))
        return torch.cat([function(block) for block in points.split(rows)])

    def _engine(self, points: Points) -> str:
        """Forward mode pays nothing for many outputs; reverse mode where forward is wrong."""
        for method in ("taylor", "nested"):
            try:
                self.loss.problem.equation.apply(
                    self.loss.network, points.interior[:_PROBE_ROWS], method=method
                )
            except UnsupportedOperationError:
                continue
            return method
        return "reverse"

    @contextmanager
    def _replaced(self, basis: nn.Module) -> Iterator[None]:
        self._parent.output = basis
        try:
            yield
        finally:
            self._parent.output = self.layer


class _Basis(nn.Module):
    """In the place of an output layer: its inputs, and a one for its bias."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, torch.ones_like(x[..., :1])], dim=-1) if self.bias else x


def take(points: Points, rows: int) -> Points:
    """The first ``rows`` points of the interior and of each piece."""
    pieces = {name: each[:rows] for name, each in points.pieces.items()}
    values = {name: each[:rows] for name, each in points.values.items()}
    return replace(
        points,
        interior=points.interior[:rows],
        source=points.source[:rows],
        pieces=pieces,
        values=values,
    )
