"""The loss: weighted mean squares of the equation's residual and of the conditions' errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.problems import AnyCondition, Problem
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.balancing import Balance
from pinnderiv.training.causality import Causality
from pinnderiv.training.collocation import Points
from pinnderiv.training.unknowns import Unknowns

EQUATION = "equation"


class Part(NamedTuple):
    """One term of a loss.

    Attributes:
        residual: ``residual(u, points, known, **options)``, (N, R).
        points: where it is asked for, (N, D).
        known: what is known there, (N, K).
        components: R.
    """

    residual: Callable[..., Tensor]
    points: Tensor
    known: Tensor
    components: int = 1


class Loss(nn.Module):
    """Residuals of a network, term by term.

    It is a module, with the derivatives taken inside ``forward``, so that
    ``torch.func.functional_call`` turns it into a function of the parameters, and a wrapper
    such as DistributedDataParallel sees all of its parameters.

    Args:
        problem: equation and conditions.
        ansatz: its trained part is what the loss is of; if it is hard, the conditions are no
            terms of the loss.
        weights: factor on the mean square of each term; a term that is not named has 1.
        balance: multiplies the weights by factors of its own, anew at each :meth:`update`.
        causality: weighs the equation's residuals by time, anew at each :meth:`update`.
        **options: of :func:`pinnderiv.linear_operator`: ``method``, ``chunk_size``, ``check``.

    Attributes:
        names: of the terms.
        base: the weights as given, of all terms.
        weights: the present ones, ``base`` times the balance.

    Raises:
        ConfigurationError: a weight is negative or not finite, or all are zero; or there are
            not two terms to balance.
    """

    def __init__(
        self,
        problem: Problem,
        ansatz: Ansatz,
        weights: Mapping[str, float],
        balance: Balance | None = None,
        causality: Causality | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.problem = problem
        self.options = options
        self.network = ansatz.v
        # so that unknown coefficients are among the parameters of the loss
        self.unknowns = Unknowns(problem)
        self.conditions: tuple[AnyCondition, ...] = ansatz.conditions
        self.names = (EQUATION, *(each.name for each in self.conditions))
        for name, weight in weights.items():
            if not 0.0 <= weight < float("inf"):
                raise ConfigurationError(
                    f"loss.weights.{name} must be a finite number of at least 0, got {weight}"
                )
        self.base = {name: float(weights.get(name, 1.0)) for name in self.names}
        self.weights = dict(self.base)
        self.balance, self.causality = balance, causality
        if not any(self.base.values()):
            raise ConfigurationError(
                f"loss.weights is 0 for every term of this loss ({', '.join(self.names)}), so "
                "there is nothing to train: give one of them a weight"
            )
        counted = [name for name, weight in self.base.items() if weight > 0.0]
        if balance is not None and len(counted) < 2:
            raise ConfigurationError(
                f"loss.balance={balance.name} has nothing to balance: this loss has one term, "
                f"'{counted[0]}'. Take constraint=soft, which makes terms of the conditions, or "
                "loss.balance=none"
            )

    def parts(self, points: Points) -> dict[str, Part]:
        """What each term asks for, and where."""
        equation = self.problem.equation.residual
        count = self.problem.equation.count
        parts = {EQUATION: Part(equation, points.interior, points.source, count)}
        for each in self.conditions:
            piece, values = points.pieces[each.place], points.values[each.name]
            components = each.components(len(self.problem.outputs))
            parts[each.name] = Part(each.residual, piece, values, components)
        return parts

    def forward(self, points: Points) -> dict[str, Tensor]:
        """The residuals at the points, unweighted: a vector (N_term,) for each term."""
        return {name: self._residual(part) for name, part in self.parts(points).items()}

    def equation_residual(self, interior: Tensor, source: Tensor) -> Tensor:
        """The equation's residual at points (N, D) whose source is known, (N,).

        For a system it is the root of the mean square over its equations.
        """
        residual = self._residual(Part(self.problem.equation.residual, interior, source))
        if self.problem.equation.count == 1:
            return residual
        return residual.view(len(interior), -1).square().mean(dim=1).sqrt()

    def row_weight(self, name: str, points: Points) -> Tensor:
        """What the square of each residual of a term counts in the term's mean, (N_term,)."""
        part = self.parts(points)[name]
        if name == EQUATION and self.causality is not None:
            return self.causality.at(points.interior).repeat_interleave(part.components)
        return part.points.new_ones(len(part.points) * part.components)

    def row_scale(self, name: str, points: Points) -> Tensor:
        """√(weight / N_term), times the root of the row's causal weight, (N_term,).

        Everything that scales residuals or rows of a Jacobian takes the factors from here.
        """
        rows = self.row_weight(name, points)
        return rows.sqrt() * (self.weights[name] / len(rows)) ** 0.5

    def scaled(self, points: Points) -> dict[str, Tensor]:
        """The residuals times :meth:`row_scale`.

        The sum of their squares over all terms is the loss: this is the residual vector of
        Gauss–Newton methods.
        """
        return {
            name: residual * self.row_scale(name, points) for name, residual in self(points).items()
        }

    def mean_square(self, name: str, residual: Tensor, points: Points) -> Tensor:
        """A term out of its residual (N_term,): the mean square, 0-d.

        It has the causal weights in it, where there are any, and not the weight of the term.
        """
        squares = residual.square()
        if name == EQUATION and self.causality is not None:
            squares = squares * self.row_weight(name, points)
        return squares.mean()

    def terms(self, points: Points) -> dict[str, Tensor]:
        """:meth:`mean_square` of each term."""
        return {
            name: self.mean_square(name, residual, points)
            for name, residual in self(points).items()
        }

    def total(self, terms: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the terms; a 0-d tensor."""
        weighted = [self.weights[name] * term for name, term in terms.items()]
        return sum(weighted[1:], start=weighted[0])

    def update(self, step: int, points: Points) -> bool:
        """Brings the causal weights and the balance up to the network as it is, where due.

        Args:
            step: number of the step that comes next, from 0.
            points: where the network is looked at.

        Returns:
            Whether the loss is another function than before.
        """
        changed = False
        if self.causality is not None and self.causality.due(step):
            with torch.no_grad():
                residual = self.equation_residual(points.interior, points.source)
            changed = self.causality.update(points.interior, residual)
        if self.balance is not None and self.balance.due(step):
            before = self.weights
            self.balance.update(self, points)
            self._apply_balance()
            changed = changed or self.weights != before
        return changed

    def moving_weights(self) -> dict[str, float]:
        """What moves beside the terms, by the names of curves: weights, and unknown numbers."""
        moving: dict[str, float] = {}
        if self.balance is not None:
            moving |= {f"weight/{name}": weight for name, weight in self.weights.items()}
        if self.causality is not None:
            moving["causal/smallest_weight"] = float(self.causality.weights.min())
            moving["causal/epsilon"] = self.causality.epsilon
        found = self.unknowns.estimates()
        return moving | {f"estimate/{name}": value for name, value in found.items()}

    def weighting_state(self) -> dict[str, Any]:
        """What the next :meth:`update` depends on (``state_dict`` is the network's)."""
        parts = {"balance": self.balance, "causality": self.causality}
        return {name: each.state_dict() for name, each in parts.items() if each is not None}

    def load_weighting_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from :meth:`weighting_state`.

        Raises:
            CheckpointError: it is that of another configuration.
        """
        parts = {"balance": self.balance, "causality": self.causality}
        wanted = {name for name, each in parts.items() if each is not None}
        if wanted != set(state):
            raise CheckpointError(
                f"the checkpoint's loss has the state of {_listed(state)}, this configuration's "
                f"has that of {_listed(wanted)}: resume with the loss.balance and the loss.causal "
                "that the run began with"
            )
        for name, each in parts.items():
            if each is not None:
                each.load_state_dict(state[name])
        self._apply_balance()

    def _apply_balance(self) -> None:
        factors = {} if self.balance is None else self.balance.factors
        self.weights = {name: base * factors.get(name, 1.0) for name, base in self.base.items()}

    def _residual(self, part: Part) -> Tensor:
        return part.residual(self.network, part.points, part.known, **self.options).flatten()


def _listed(names: Iterable[str]) -> str:
    return " and ".join(sorted(names)) or "neither balance nor causality"
