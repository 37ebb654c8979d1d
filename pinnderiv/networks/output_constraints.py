"""Several outputs of one network, each with conditions of its own built in."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from pinnderiv.networks.constraint import HardConstraint, check_repeats
from pinnderiv.networks.trial_solution import TrialSolution


class OutputConstraints(nn.Module):
    """u_m(x) = lift_m(x) + B_m(x) · network_m(x), (*batch, D) -> (*batch, M).

    Each output is a :class:`TrialSolution` of its own, or the network's where nothing is given.

    Args:
        network: (*batch, D) -> (*batch, M).
        parts: for each output that has conditions what makes its form from a network.
        outputs: M.

    Raises:
        ArgumentError: as for the forms.
    """

    def __init__(
        self,
        network: nn.Module,
        parts: Mapping[int, Callable[[nn.Module], TrialSolution]],
        outputs: int,
    ) -> None:
        super().__init__()
        self.network = network
        self.outputs = outputs
        # by output; None where an output is free
        self._by_output = [parts[m](_Nothing()) if m in parts else None for m in range(outputs)]
        self.parts = nn.ModuleList(each for each in self._by_output if each is not None)
        for part in self.parts:
            if isinstance(part, HardConstraint) and part.periodic:
                low, high = part.lower.tolist(), part.upper.tolist()
                check_repeats(network, low, high, part.periodic)

    @property
    def terms(self) -> int:
        """How many values of the data a point needs."""
        return sum(each.lift.terms for each in self._by_output if each and each.lift)

    def factor(self, x: Tensor) -> Tensor:
        """B(x), (*batch, D) -> (*batch, M): zero where an output is given, one where it is free."""
        one = torch.ones_like(x[..., :1])
        return torch.cat([each.factor(x) if each else one for each in self._by_output], dim=-1)

    def lift(self, x: Tensor) -> Tensor:
        """The boundary and initial values continued inside, (*batch, D) -> (*batch, M)."""
        zero = torch.zeros_like(x[..., :1])
        return torch.cat(
            [each.lift(x) if each and each.lift else zero for each in self._by_output], dim=-1
        )

    def free(self, x: Tensor) -> Tensor:
        """B(x) · network(x), (*batch, D) -> (*batch, M): what training changes."""
        return self.factor(x) * self.network(x)

    def forward(self, x: Tensor) -> Tensor:
        free = self.free(x)
        return self.lift(x) + free if self.terms else free


class _Nothing(nn.Module):
    """In the place of a network: the parts are asked for factors and lifts alone."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[..., :1])
