import math

import pytest
import torch
from torch import nn

from pinnderiv.errors import ConfigurationError
from pinnderiv.networks import MLP
from pinnderiv.problems import CASES
from pinnderiv.training.accuracy import Accuracy
from pinnderiv.training.ansatz import Ansatz


class Off(nn.Module):
    """The exact solution of a problem on the unit box, times 1 + size."""

    def __init__(self, case: str, size: float) -> None:
        super().__init__()
        self.problem, self.size = CASES[case](case), size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (1 + self.size) * self.problem.exact((x + 1) / 2)


@pytest.mark.parametrize("case", ["poisson2d_engd", "heat", "poisson_nd"])
def test_a_known_error_is_measured(case: str) -> None:
    problem = CASES[case](case)
    ansatz = Ansatz(problem, lambda inputs, outputs: Off(case, 1e-3), "soft")
    error = Accuracy(problem, ansatz, 0, torch.float64, "cpu").measure()
    assert error.relative_l2 == pytest.approx(1e-3)
    highest = {"poisson2d_engd": 1.0, "heat": 1.0, "poisson_nd": 5.0}[case]
    # the grid has the middle, where the first two have their maximum; random points come near
    assert error.largest == pytest.approx(1e-3 * highest, rel=0.1 if case == "poisson_nd" else 1e-9)


def test_it_is_that_of_the_whole_solution() -> None:
    problem = CASES["heat_manufactured"]("heat_manufactured")
    torch.manual_seed(1)
    ansatz = Ansatz(problem, lambda inputs, outputs: MLP(inputs, outputs, 8, 2), "hard")
    ansatz.u.double()
    x = problem.domain.grid(101)
    with torch.no_grad():
        difference = ansatz.u(x) - problem.exact(x)
    error = Accuracy(problem, ansatz, 0, torch.float64, "cpu").measure()
    assert error.relative_l2 == pytest.approx(float(difference.norm() / problem.exact(x).norm()))
    assert error.largest == pytest.approx(float(difference.abs().max()))


def test_measuring_leaves_no_trace() -> None:
    """Neither in the random generators nor in the gradients: training goes on as if unwatched."""
    problem = CASES["poisson_nd"]("poisson_nd")
    ansatz = Ansatz(problem, lambda inputs, outputs: MLP(inputs, outputs, 4, 1), "soft")
    before = torch.get_rng_state()
    error = Accuracy(problem, ansatz, 0, torch.float32, "cpu").measure()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(parameter.grad is None for parameter in ansatz.u.parameters())
    assert math.isfinite(error.relative_l2)


def test_a_solution_that_is_zero_is_refused() -> None:
    problem = CASES["poisson"]("poisson", frequencies=[1], amplitudes=[0.0])
    ansatz = Ansatz(problem, lambda inputs, outputs: MLP(inputs, outputs, width=4, depth=1))
    with pytest.raises(ConfigurationError, match=r"'poisson' is zero .*problem\.amplitudes"):
        Accuracy(problem, ansatz, 0, torch.float64, "cpu")
