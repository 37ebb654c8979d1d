"""The piecewise solution, against the definition of each of its parts."""

import pytest
import torch

from pinnderiv import derivatives
from pinnderiv.networks import MLP
from pinnderiv.problems import CASES
from pinnderiv.training.slabs import TimeSlabs

JOINS = (1 / 3, 2 / 3)


def slabs(case: str, constraint: str = "hard", dtype: torch.dtype = torch.float64) -> TimeSlabs:
    torch.manual_seed(3)
    made = TimeSlabs(
        CASES[case](case), lambda inputs, outputs: MLP(inputs, outputs, 8, 2), constraint, 3
    )
    made.u.to(dtype)
    return made


def at(time: float, rows: int = 20) -> torch.Tensor:
    x = torch.linspace(0, 1, rows, dtype=torch.float64)[:, None]
    return torch.cat([x, torch.full_like(x, time)], dim=1)


@pytest.mark.parametrize(("case", "order"), [("heat_manufactured", 1), ("wave_travelling", 2)])
def test_untrained_slabs_join_to_rounding(case: str, order: int) -> None:
    """Whatever the networks: u joins, its slopes in space do, and so does u_t for waves."""
    made = slabs(case)
    names = ["u", "u_x", "u_xx", "u_t"]
    found = derivatives(made.u, names, coordinates=("x", "t"))
    for join in JOINS:
        left, right = found(at(join)), found(at(join + 1e-13))
        gap = {name: (left[name] - right[name]).abs().max().item() for name in names}
        assert max(gap["u"], gap["u_x"], gap["u_xx"]) < 1e-10
        assert (gap["u_t"] < 1e-10) == (order == 2)


@pytest.mark.parametrize("case", ["heat_manufactured", "wave_travelling", "heat_2d"])
def test_every_condition_holds_at_all_times(case: str) -> None:
    problem = CASES["heat" if case == "heat_2d" else case](
        "heat" if case == "heat_2d" else case, **({"dimension": 2} if case == "heat_2d" else {})
    )
    torch.manual_seed(3)
    made = TimeSlabs(problem, lambda inputs, outputs: MLP(inputs, outputs, 8, 2), "hard", 3)
    made.u.double()
    for condition in problem.conditions:
        unit = torch.rand(30, problem.domain.dim, dtype=torch.float64)
        points = problem.domain.on_piece(condition.piece, unit)
        assert float(condition.residual(made.u, points).detach().abs().max()) < 1e-13


@pytest.mark.parametrize("constraint", ["hard", "soft"])
@pytest.mark.parametrize("method", ["nested", "taylor", "reverse"])
def test_every_engine_differentiates_it(constraint: str, method: str) -> None:
    made = slabs("wave_travelling", constraint)
    generator = torch.Generator().manual_seed(0)
    inside = torch.rand(40, 2, dtype=torch.float64, generator=generator) * 0.98 + 0.01
    names, step = ["u_t", "u_tt", "u_xx"], 1e-4
    found = derivatives(made.u, names, coordinates=("x", "t"), method=method)(inside)

    def shifted(column: int, by: float) -> torch.Tensor:
        moved = inside.clone()
        moved[:, column] += by
        return made.u(moved).detach()[:, 0]

    away = torch.stack([(inside[:, 1] - join).abs() for join in JOINS]).amin(0) > step
    here = shifted(0, 0.0)
    differences = {
        "u_t": (shifted(1, step) - shifted(1, -step)) / (2 * step),
        "u_tt": (shifted(1, step) - 2 * here + shifted(1, -step)) / step**2,
        "u_xx": (shifted(0, step) - 2 * here + shifted(0, -step)) / step**2,
    }
    assert int(away.sum()) > 30
    for name in names:
        torch.testing.assert_close(
            found[name].detach()[away], differences[name][away], rtol=1e-4, atol=2e-3
        )


@pytest.mark.parametrize("constraint", ["hard", "soft"])
def test_known_and_trained_part_make_the_solution_in_each_slab(constraint: str) -> None:
    made = slabs("heat_manufactured", constraint)
    for ansatz in made.ansatzes:
        points = ansatz.problem.domain.interior(torch.rand(20, 2, dtype=torch.float64))
        whole = ansatz.known(points) + ansatz.v(points)
        torch.testing.assert_close(whole, made.u(points), rtol=0, atol=1e-14)
        equation, source = ansatz.problem.equation, ansatz.problem.source(points)
        residual = equation.apply(ansatz.v, points) - ansatz.source(points)
        torch.testing.assert_close(residual, equation.apply(made.u, points) - source)


def test_float32_joins_to_its_own_rounding() -> None:
    made = slabs("wave_travelling", dtype=torch.float32)
    for join in JOINS:
        left = at(join).float()
        right = left.clone()
        right[:, 1] = torch.nextafter(left[:, 1], torch.ones(()))
        assert float((made.u(left) - made.u(right)).detach().abs().max()) < 1e-5
