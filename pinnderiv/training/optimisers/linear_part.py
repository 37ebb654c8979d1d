"""The residual as an affine function of the output layer: A c − b.

Where equations and conditions are linear in u, and u is linear in the parameters c of a last
linear layer, the residual's derivative by c does not depend on c. For one equation and one output
its columns are the residual operator applied to the features that enter the layer, all of them out
of one pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from pinnderiv.errors import ConfigurationError, UnsupportedOperationError
from pinnderiv.training.collocation import Points
from pinnderiv.training.loss import Loss
from pinnderiv.training.loss_objective import jacobian_of_part
from pinnderiv.training.objective import Evaluation

# Numbers of one block: rows times features times coordinates; 64 MB, and engines hold a few.
_BLOCK = 8_000_000
_PROBE_ROWS = 8


class LinearPart:
    """The output layer of a loss's network, and the residual's derivative by it.

    Args:
        loss: its network ends in an ``nn.Linear`` with the name ``output``.
        points: a few of these are used to see which engine is right for the network.

    Attributes:
        layer: the output layer.

    Raises:
        ConfigurationError: there is no such layer, or more than one; or the problem is not linear,
            or has unknown parameters.
    """

    def __init__(self, loss: Loss, points: Points) -> None:
        self.loss = loss
        found = [
            (parent, child)
            for parent in loss.network.modules()
            for name, child in parent.named_children()
            if name == "output" and isinstance(child, nn.Linear)
        ]
        outputs = len(loss.problem.outputs)
        if len(found) != 1 or found[0][1].out_features != outputs:
            raise ConfigurationError(
                "this optimiser solves for the output layer, so the network must end in one "
                "nn.Linear with the name 'output', a row for each output; network=mlp, siren, "
                "fourier and random_features do. Else take optimiser=levenberg_marquardt"
            )
        if not loss.problem.equation.linear or not all(each.linear for each in loss.conditions):
            raise ConfigurationError(
                "this optimiser solves linear equations, and the equation or a condition is not "
                "linear in its unknowns: take optimiser=adam_self_scaled or levenberg_marquardt"
            )
        if loss.unknowns.any:
            raise ConfigurationError(
                "this optimiser finds the solution alone, and the equation has unknown parameters: "
                "take optimiser=adam_self_scaled or levenberg_marquardt"
            )
        self._parent, self.layer = found[0]
        self._options: dict[str, Any] = {"check": False, "method": self._engine(points)}

    @property
    def coefficients(self) -> Tensor:
        """c: the layer's weights, output by output, and then its biases, (K,)."""
        weight = self.layer.weight.detach().flatten()
        return weight if self.layer.bias is None else torch.cat([weight, self.layer.bias.detach()])

    def set_coefficients(self, values: Tensor) -> None:
        """Copies ``values`` (K,) into the layer."""
        with torch.no_grad():
            size = self.layer.weight.numel()
            self.layer.weight.copy_(values[:size].view_as(self.layer.weight))
            if self.layer.bias is not None:
                self.layer.bias.copy_(values[size:])

    def padded(self, values: Tensor) -> Tensor:
        """Coefficients of the layer out of those of its first features: others have zero."""
        outputs = self.layer.out_features
        biases = 0 if self.layer.bias is None else outputs
        given = values[: len(values) - biases].view(outputs, -1)
        weight = torch.zeros_like(self.layer.weight)
        weight[:, : given.shape[1]] = given
        return torch.cat([weight.detach().flatten(), values[len(values) - biases :]])

    def matrix(self, points: Points) -> Tensor:
        """A, (R, K): rows scaled like :meth:`Loss.scaled`, in its order."""
        columnwise = all(each.columnwise for each in self.loss.conditions)
        if self.layer.out_features > 1 or self.loss.problem.equation.count > 1 or not columnwise:
            blocks = self._by_rows(points)
        else:
            blocks = self._by_columns(points)
        return torch.cat(
            [
                block * self.loss.row_scale(name, points)[:, None]
                for name, block in zip(self.loss.names, blocks, strict=True)
            ]
        )

    def _by_columns(self, points: Points) -> list[Tensor]:
        """A of one equation and one output: the operators applied to all features at once."""
        network = self.loss.network
        applied: list[Tensor] = []
        with torch.no_grad(), self._replaced(_Basis(self.layer.bias is not None)):
            apply = self.loss.problem.equation.apply
            blocks = self._blocks(points.interior)
            found = [apply(network, points.interior[each], **self._options) for each in blocks]
            applied.append(torch.cat(found))
            for condition in self.loss.conditions:
                rows, data = points.pieces[condition.place], points.values[condition.name]
                found = [
                    condition.apply(network, rows[each], data[each], **self._options)
                    for each in self._blocks(rows)
                ]
                applied.append(torch.cat(found))
        return applied

    def _by_rows(self, points: Points) -> list[Tensor]:
        """A of a system: the derivative of each residual by the layer, by reverse mode."""
        outputs, bias = self.layer.out_features, self.layer.bias is not None
        nothing = _Nothing(outputs)
        with torch.no_grad(), self._replaced(nothing):
            self.loss.network(points.interior[:1])
        layer = nn.Linear(nothing.features, outputs, bias=bias).to(points.interior)
        with torch.no_grad(), self._replaced(layer):
            return [
                jacobian_of_part(self.loss, part, list(layer.parameters()))[1]
                for part in self.loss.parts(points).values()
            ]

    def target(self, points: Points) -> Tensor:
        """b, (R,): the residual without u, scaled like the rows of A, on the other side."""
        with torch.no_grad(), self._replaced(_Nothing(self.layer.out_features)):
            return -torch.cat(list(self.loss.scaled(points).values()))

    def rows(self, points: Points) -> int:
        """How many rows A has at the points."""
        parts = self.loss.parts(points).values()
        return sum(len(each.points) * each.components for each in parts)

    def every(self, step: int, points: Points) -> Tensor:
        """Which rows of A belong to every ``step``-th point of their term, bool (R,)."""
        masks = []
        for part in self.loss.parts(points).values():
            index = torch.arange(len(part.points), device=part.points.device)
            masks.append((index % step == step - 1).repeat_interleave(part.components))
        return torch.cat(masks)

    def terms(self, residual: Tensor, points: Points) -> dict[str, Tensor]:
        """What :meth:`Loss.terms` would give, out of A c − b (R,) at the points."""
        parts = self.loss.parts(points)
        rows = [len(each.points) * each.components for each in parts.values()]
        return {
            # a weight of zero has erased what the term would be
            name: part.square().sum() / max(self.loss.weights[name], 1e-300)
            for name, part in zip(parts, residual.split(rows), strict=True)
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
        free = self.loss.problem.equation.free_part(points.interior)
        size = float((self.loss.problem.source(points.interior) - free).norm())
        rounding = 1e3 * torch.finfo(points.source.dtype).eps * size
        return not self.loss.conditions and float((points.source - free).norm()) <= rounding

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

    def _blocks(self, points: Tensor) -> list[slice]:
        rows = max(1, _BLOCK // (self.layer.in_features * points.shape[1]))
        return [slice(start, start + rows) for start in range(0, len(points), rows)]

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


class _Nothing(nn.Module):
    """In the place of an output layer: zero, and a note of how many features there were."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.features = 0

    def forward(self, x: Tensor) -> Tensor:
        self.features = x.shape[-1]
        return torch.cat([0 * x[..., :1]] * self.outputs, dim=-1)


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
