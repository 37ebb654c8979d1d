"""The form of the solution: u = g + v, g known beforehand and v trained.

With hard constraints g is the lift of the boundary and initial values and v is the network times
a factor that vanishes there; with soft ones g is zero and v the network. The equations here are
linear, so L u = f is L v = f − L g. The right-hand side depends on the points alone: the lift, of
3^d evaluations of the data a point, is differentiated once for each set of points and not at
every step.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.networks import HardConstraint, Scaled
from pinnderiv.problems import Problem

_ROWS = 1024


class Ansatz:
    """A network as the solution of a problem.

    Args:
        problem: gives the bounds of the coordinates and the conditions.
        make_network: makes the trainable network from ``inputs`` and ``outputs``.
        constraint: ``hard``, ``soft``, or ``auto`` (hard where the problem allows it).

    Attributes:
        u: the solution, (N, D) -> (N, 1).
        v: its trained part, (N, D) -> (N, 1).
        hard: whether u meets the conditions by construction.

    Raises:
        ConfigurationError: ``hard`` is asked for and the problem does not allow it.
    """

    def __init__(
        self, problem: Problem, make_network: Callable[..., nn.Module], constraint: str = "auto"
    ) -> None:
        self.problem = problem
        lower, upper = problem.domain.lower, problem.domain.upper
        network = make_network(inputs=problem.domain.dim, outputs=len(problem.outputs))
        scaled = Scaled(network, lower, upper)
        self.u: nn.Module = scaled
        self.v: nn.Module = scaled
        if constraint != "soft":
            try:
                constrained = HardConstraint(scaled, **problem.constraint())
                self.u, self.v = constrained, _TrainedPart(constrained)
            except ArgumentError as error:
                if constraint == "hard":
                    raise ConfigurationError(
                        f"constraint=hard cannot be used here: {error} (constraint=soft)"
                    ) from error
        self.hard = isinstance(self.u, HardConstraint)

    def source(self, points: Tensor) -> Tensor:
        """f − L g at the points, (N, D) -> (N, 1), in the dtype of ``points``."""
        # in float32, second derivatives of the lift would add noise to the right-hand side
        exact = points.double()
        source = self.problem.source(exact).detach()
        lift = self._lift()
        if lift is not None:
            applied = [
                self.problem.equation.apply(lift, rows).detach() for rows in exact.split(_ROWS)
            ]
            source = source - torch.cat(applied)
        return source.to(points.dtype)

    def known(self, points: Tensor) -> Tensor:
        """g at the points, float64 (N, 1)."""
        lift = self._lift()
        exact = points.double()
        if lift is None:
            return torch.zeros_like(exact[:, :1])
        with torch.no_grad():
            return torch.cat([lift(rows) for rows in exact.split(_ROWS)])

    def _lift(self) -> nn.Module | None:
        lift = self.u.lift if isinstance(self.u, HardConstraint) else None
        return None if lift is None else copy.deepcopy(lift).double()


class _TrainedPart(nn.Module):
    """The second summand of a :class:`HardConstraint`: its factor times its network."""

    def __init__(self, constraint: HardConstraint) -> None:
        super().__init__()
        self.constraint = constraint

    def forward(self, x: Tensor) -> Tensor:
        return self.constraint.factor(x) * self.constraint.network(x)
