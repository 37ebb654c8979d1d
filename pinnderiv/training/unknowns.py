"""What is trained beside the network: unknown numbers and functions of an inverse problem."""

from __future__ import annotations

from torch import nn

from pinnderiv.equations import Equation
from pinnderiv.problems import Problem, Relation


class Unknowns(nn.ModuleList):
    """The unknowns of a problem's equation, and of the equations among its conditions.

    Each equation reads its unknowns from a module of its own. All of them stand here, so that
    ``torch.func.functional_call`` reaches an unknown wherever it occurs.

    Args:
        problem: the modules are those of its equations, not copies.
    """

    def __init__(self, problem: Problem) -> None:
        relations = [each.equation for each in problem.conditions if isinstance(each, Relation)]
        self._equations: list[Equation] = [problem.equation, *relations]
        super().__init__(each.unknowns for each in self._equations)

    @property
    def any(self) -> bool:
        """Whether there is one."""
        return next(self.parameters(), None) is not None

    @property
    def true(self) -> dict[str, float]:
        """What unknown numbers are, where that is known."""
        return {name: true for each in self._equations for name, true in each.true.items()}

    def estimates(self) -> dict[str, float]:
        """The present values of the unknown numbers."""
        return {name: v for each in self._equations for name, v in each.estimates().items()}

    def functions(self) -> dict[str, nn.Module]:
        """The unknown functions, (N, D) -> (N, 1)."""
        return {name: f for each in self._equations for name, f in each.networks.items()}
