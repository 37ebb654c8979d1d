"""Periodic conditions: both ends compared, and built into the network."""

import copy
import pickle

import pytest
import torch
from torch import Tensor

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ArgumentError
from pinnderiv.networks import MLP, HardConstraint, Scaled
from pinnderiv.problems import PeriodicCondition, Problem, wave_case

PROBLEMS = {
    "one": wave_case("wave_periodic"),
    "two": wave_case(
        "wave_periodic", 2, frequencies=[[2, 4], [0, 2]], amplitudes=[1, 0.3], lower=0.2, upper=1.7
    ),
}

each = pytest.mark.parametrize("periodic", PROBLEMS.values(), ids=PROBLEMS.keys())


def on_piece(problem: Problem, name: str, count: int = 24) -> Tensor:
    return problem.domain.on_piece(name, SobolSampler(1).draw(count, problem.domain.dim))


@each
def test_the_exact_solution_meets_every_condition_and_the_equation(periodic: Problem) -> None:
    problem = periodic
    kinds = [isinstance(condition, PeriodicCondition) for condition in problem.conditions]
    assert kinds == [True] * (2 * len(problem.equation.space)) + [False, False]
    for condition in problem.conditions:
        x = on_piece(problem, condition.piece)
        assert condition.residual(problem.exact, x).abs().max() < 1e-11
    x = problem.domain.interior(SobolSampler(2).draw(24, problem.domain.dim))
    assert problem.residual(problem.exact, x).abs().max() < 1e-9


def test_what_does_not_repeat_leaves_the_difference_of_the_ends() -> None:
    problem = PROBLEMS["two"]
    width = 1.5

    def u(x: Tensor) -> Tensor:
        """x²y², whose ends and slopes differ by known amounts, and a second output."""
        square = (x[:, :1] * x[:, 1:2]).square()
        return torch.cat([square, 3 * square], dim=1)

    for axis, name in enumerate("xy"):
        x = on_piece(problem, "walls")
        other = x[:, 1 - axis, None]
        expected = {
            f"periodic_{name}": (0.2**2 - 1.7**2) * other**2,
            f"periodic_slope_{name}": -2 * width * other**2,
        }
        for key, difference in expected.items():
            (condition,) = [found for found in problem.conditions if found.name == key]
            zero = torch.zeros(len(x), 2, dtype=x.dtype)
            found = condition.residual(u, x, zero)
            wanted = torch.cat([difference, 3 * difference], dim=1)
            torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
            # a value at hand stands on the right-hand side once
            torch.testing.assert_close(condition.residual(u, x, zero + 0.7), wanted - 0.7)


@each
def test_periodic_conditions_are_built_into_the_network(periodic: Problem) -> None:
    problem = periodic
    torch.manual_seed(0)
    axes = tuple(range(len(problem.equation.space)))
    assert problem.periodic_axes == axes
    network = MLP(problem.domain.dim, 1, width=8, periodic_axes=axes, harmonics=2)
    scaled = Scaled(network, problem.domain.lower, problem.domain.upper)
    u = HardConstraint(scaled, **problem.constraint()).double()
    for condition in problem.conditions:
        x = on_piece(problem, condition.piece)
        assert condition.residual(u, x).abs().max() < 1e-11
    x = problem.domain.interior(SobolSampler(2).draw(8, problem.domain.dim))
    assert (u(x) - problem.exact(x)).abs().min() > 1e-6


def test_walls_of_other_axes_stay_free_where_nothing_is_said_of_them() -> None:
    two = PROBLEMS["two"]
    in_x = [condition for condition in two.conditions if not condition.name.endswith("y")]
    half = Problem(
        name="half",
        title="",
        domain=two.domain,
        equation=two.equation,
        solution=two.solution,
        conditions=tuple(in_x),
    )
    assert half.constraint()["periodic"] == (0,)
    assert half.constraint()["walls"] == ()


def test_half_waves_that_do_not_close_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"must be even.*got \[\[2.0\], \[3.0\]\]"):
        wave_case("wave_periodic", frequencies=[2, 3])


@each
def test_it_can_be_copied_and_sent(periodic: Problem) -> None:
    problem = periodic
    x = on_piece(problem, "walls", 5)
    for other in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        found = other.conditions[1].residual(lambda z: z.square().sum(1, keepdim=True), x)
        assert found.abs().min() > 0.1
