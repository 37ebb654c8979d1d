"""Loss balancing: factors on the terms, so that none of them is trained at the others' expense."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.training.jacobian import jacobian_of_rows

if TYPE_CHECKING:
    from pinnderiv.training.collocation import Points
    from pinnderiv.training.loss import Loss

# Numbers of one block of row gradients: 16 MB in float64.
_BLOCK = 2_000_000


class Balance(ABC):
    """A rule for the factors, which is asked every so many steps.

    A factor multiplies the term's own entry in ``loss.weights``. The rules look at the terms
    without these entries, but with the causal weights of residuals where there are any: so the
    entries say in which ratio balanced terms are to stand. A term whose entry is 0 takes no part.
    A rule that finds no finite, positive factor for a term (its gradient is zero, say) leaves the
    one that it had.

    Args:
        every: steps between two updates; None for the rule's own.
        momentum: share of the old factor that an update keeps, in [0, 1); None for the rule's own.

    Attributes:
        factors: by term; empty before the first update, which means 1 for each.

    Raises:
        ConfigurationError: a number is out of range.
    """

    name: ClassVar[str]
    own_every: ClassVar[int] = 100
    own_momentum: ClassVar[float] = 0.9

    def __init__(self, every: int | None = None, momentum: float | None = None) -> None:
        self.every = self.own_every if every is None else every
        self.momentum = self.own_momentum if momentum is None else momentum
        if self.every < 1:
            raise ConfigurationError(f"loss.balance_every must be at least 1, got {every}")
        if not 0.0 <= self.momentum < 1.0:
            raise ConfigurationError(f"loss.balance_momentum must lie in [0, 1), got {momentum}")
        self.factors: dict[str, float] = {}

    def due(self, step: int) -> bool:
        """Whether the factors are to be found anew before step number ``step`` (from 0)."""
        return step % self.every == 0

    @abstractmethod
    def update(self, loss: Loss, points: Points) -> None:
        """Finds the factors for the network as it is."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next update depends on."""
        return {"rule": self.name, "factors": dict(self.factors)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on from :meth:`state_dict`.

        Raises:
            CheckpointError: it is another rule's.
        """
        if state["rule"] != self.name:
            raise CheckpointError(
                f"the checkpoint's loss was balanced by {state['rule']}, this configuration has "
                f"loss.balance={self.name}: resume with the one that the run began with"
            )
        self.factors = dict(state["factors"])


class _Sizes(Balance):
    """λ_i ← α λ_i + (1 − α) Σ_j s_j / s_i, from 1 on, with one number s_i for each term."""

    def update(self, loss: Loss, points: Points) -> None:
        names = [name for name, weight in loss.base.items() if weight > 0.0]
        sizes = self.sizes(loss, points, names)
        total = sum(sizes.values())
        for name, size in sizes.items():
            old = self.factors.get(name, 1.0)
            wanted = total / size if size > 0.0 else math.inf
            self.factors[name] = (
                self.momentum * old + (1.0 - self.momentum) * wanted
                if math.isfinite(wanted) and wanted > 0.0
                else old
            )

    @abstractmethod
    def sizes(self, loss: Loss, points: Points, names: list[str]) -> dict[str, float]:
        """s_i for each of the terms."""


class GradientNorm(_Sizes):
    """s_i = ‖∇L_i‖: all terms pull with the same force (Wang et al. 2023, "An expert's
    guide to training physics-informed neural networks").

    It goes back to the learning-rate annealing of Wang, Teng & Perdikaris 2021.
    """

    name = "gradient_norm"

    def sizes(self, loss: Loss, points: Points, names: list[str]) -> dict[str, float]:
        terms = loss.terms(points)
        parameters = [each for each in loss.network.parameters() if each.requires_grad]
        sizes = {}
        for name in names:
            gradients = torch.autograd.grad(
                terms[name], parameters, retain_graph=True, allow_unused=True
            )
            squares = [float(each.square().sum()) for each in gradients if each is not None]
            sizes[name] = math.sqrt(sum(squares))
        return sizes


class NTK(_Sizes):
    """s_i = tr K_ii: all terms are learnt at the same rate (Wang, Yu & Perdikaris 2022).

    K_ii = J_i J_iᵀ is the neural tangent kernel of term i, J_i the Jacobian of its residuals by
    the parameters. Terms are means here, so the rate at which one is learnt is the kernel's trace
    divided by its number of points; that is the trace used. With as many points in each term it
    is the paper's formula to the letter.
    """

    name = "ntk"

    def sizes(self, loss: Loss, points: Points, names: list[str]) -> dict[str, float]:
        return {name: _mean_row_square(loss, points, name) for name in names}


class ReLoBRaLo(Balance):
    """Relative loss balancing with random lookback (Bischof & Kraus 2021).

    With b_i(t, s) = m · softmax_i(L_i(t) / (T L_i(s))), m the number of terms and T the
    temperature, λ(t) = α (ρ λ(t−1) + (1 − ρ) b(t, 0)) + (1 − α) b(t, t−1). ρ is 1 with
    probability ``lookback``, else 0: now and then the start of the run is looked back to. One
    update is one t.

    Args:
        every, momentum: see :class:`Balance`; the momentum is α.
        temperature: T; large for factors all near 1, small to favour the slowest term alone.
        lookback: the expectation of ρ, in [0, 1].
        seed: of ρ.

    Raises:
        ConfigurationError: a number is out of range.
    """

    name = "relobralo"
    own_every = 1
    own_momentum = 0.999

    def __init__(
        self,
        every: int | None = None,
        momentum: float | None = None,
        temperature: float = 0.1,
        lookback: float = 0.999,
        seed: int = 0,
    ) -> None:
        super().__init__(every, momentum)
        if not 0.0 < temperature < math.inf:
            raise ConfigurationError(
                f"loss.balance_temperature must be a positive, finite number, got {temperature}"
            )
        if not 0.0 <= lookback <= 1.0:
            raise ConfigurationError(f"loss.balance_lookback must lie in [0, 1], got {lookback}")
        self.temperature, self.lookback, self.seed = temperature, lookback, seed
        self._first: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._draws = 0

    def update(self, loss: Loss, points: Points) -> None:
        with torch.no_grad():
            terms = loss.terms(points)
        self.observe({n: float(terms[n]) for n, weight in loss.base.items() if weight > 0.0})

    def observe(self, losses: Mapping[str, float]) -> None:
        """Takes in L_i(t), one number for each term."""
        if not all(math.isfinite(each) for each in losses.values()):
            return
        if not self._first:
            self._first = self._last = dict(losses)
            self.factors = dict.fromkeys(losses, 1.0)
            return
        rho = float(self._uniform() < self.lookback)
        start, before = self._shares(losses, self._first), self._shares(losses, self._last)
        self._last = dict(losses)
        if start is None or before is None:
            return
        for name, old in self.factors.items():
            kept = rho * old + (1.0 - rho) * start[name]
            self.factors[name] = self.momentum * kept + (1.0 - self.momentum) * before[name]

    def _shares(
        self, now: Mapping[str, float], then: Mapping[str, float]
    ) -> dict[str, float] | None:
        """b_i(t, s); None where a loss was zero, so that nothing is relative to it."""
        if not all(then.values()):
            return None
        ratios = {name: now[name] / (self.temperature * then[name]) for name in now}
        # the largest taken off: a softmax does not change by it, and no exponential overflows
        largest = max(ratios.values())
        if not math.isfinite(largest):
            return None
        powers = {name: math.exp(ratio - largest) for name, ratio in ratios.items()}
        scale = len(powers) / sum(powers.values())
        return {name: scale * power for name, power in powers.items()}

    def _uniform(self) -> float:
        # by seed and number, like the points: two integers are the whole state
        self._draws += 1
        return float(np.random.default_rng([self.seed, self._draws]).random())

    def state_dict(self) -> dict[str, Any]:
        return {
            **super().state_dict(),
            "first": dict(self._first),
            "last": dict(self._last),
            "draws": self._draws,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self._first, self._last = dict(state["first"]), dict(state["last"])
        self._draws = int(state["draws"])


def _mean_row_square(loss: Loss, points: Points, name: str) -> float:
    """tr(J Jᵀ) / N of one term, a block of rows at a time, so that J is never held whole."""
    part = loss.parts(points)[name]
    # inside vmap nothing can be examined: the network was, when the loss was first evaluated
    options = {**loss.options, "check": False, "chunk_size": None}
    parameters = {
        key: each.detach() for key, each in loss.network.named_parameters() if each.requires_grad
    }

    def at(parameters: dict[str, Tensor], point: Tensor, known: Tensor) -> Tensor:
        def u(x: Tensor) -> Tensor:
            found: Tensor = functional_call(loss.network, parameters, (x,))
            return found

        found = part.residual(u, point[None], known[None], **options).flatten()
        return found.sum() if part.components == 1 else found

    size = part.components * sum(each.numel() for each in parameters.values())
    rows = max(1, _BLOCK // size)
    squares = []
    for few, known in zip(part.points.split(rows), part.known.split(rows), strict=True):
        _, jacobian = jacobian_of_rows(at, parameters, (few, known), part.components)
        squares.append(jacobian.square().sum(dim=1))
    return float((torch.cat(squares) * loss.row_weight(name, points)).mean())
