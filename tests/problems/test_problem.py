import copy
import dataclasses
import pickle

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.domains import Box, SobolSampler
from pinnderiv.equations import Heat, Poisson, Wave
from pinnderiv.errors import ArgumentError, ShapeError
from pinnderiv.networks import MLP, HardConstraint, Scaled
from pinnderiv.problems import Condition, Problem, heat_case, poisson_case, wave_case


def points(problem: Problem, n: int = 40) -> Tensor:
    return problem.domain.interior(SobolSampler(0).draw(n, problem.domain.dim))


def oracle(problem: Problem, x: Tensor) -> tuple[Tensor, Tensor]:
    """L u of the exact solution by reverse mode twice, and the size of the terms in it."""
    x = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(problem.exact(x).sum(), x, create_graph=True)

    def second(column: int) -> Tensor:
        if not first.requires_grad:
            return torch.zeros_like(x[:, column])
        return torch.autograd.grad(first[:, column].sum(), x, retain_graph=True)[0][:, column]

    equation = problem.equation
    columns = range(len(equation.space))
    if isinstance(equation, Heat):
        terms = [first[:, -1]]
        terms += [-equation.diffusivity[c] * second(c) for c in columns]
    elif isinstance(equation, Wave):
        terms = [second(len(columns)), *(-(equation.speed**2) * second(c) for c in columns)]
    else:
        assert isinstance(equation, Poisson)
        terms = [-second(c) for c in columns]
    stacked = torch.stack(terms).detach()
    return stacked.sum(dim=0)[:, None], stacked.abs().sum(dim=0)[:, None]


def test_the_exact_solution_solves_the_equation(problem: Problem) -> None:
    x = points(problem)
    applied, size = oracle(problem, x)
    tolerance = 1e-11 * size.max()
    assert (applied - problem.source(x)).abs().max() <= tolerance
    assert problem.residual(problem.exact, x).abs().max() <= tolerance
    # Not because there is nothing in it: the solution and its derivatives are there.
    assert problem.exact(x).abs().max() > 1e-2
    assert size.max() > 1e-2 or problem.name == "poisson10d"


def test_only_what_has_no_source_says_so(problem: Problem) -> None:
    x = points(problem)
    applied, size = oracle(problem, x)
    if problem.homogeneous:
        assert applied.abs().max() <= 1e-11 * max(1.0, float(size.max()))
        assert torch.equal(problem.source(x), torch.zeros(len(x), 1, dtype=torch.float64))
    else:
        assert problem.source(x).abs().max() > 1e-2 * size.max()


def test_the_residual_of_a_neighbour_is_the_operator_of_the_difference(problem: Problem) -> None:
    torch.manual_seed(0)
    bump = nn.Sequential(nn.Linear(problem.domain.dim, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    x = points(problem, 12)
    alone = problem.equation.apply(bump, x)
    scale = alone.abs().max() + oracle(problem, x)[1].max()
    for size in (1.0, 1e-3):
        near = problem.residual(lambda p, e=size: problem.exact(p) + e * bump(p), x)
        assert (near - size * alone).abs().max() <= 1e-11 * scale


def test_conditions_agree_with_the_exact_solution(problem: Problem) -> None:
    time = problem.domain.time_axis
    expected = {
        0: [("walls", "walls", ())],
        1: [("walls", "walls", ()), ("initial", "initial", ())],
        2: [
            ("walls", "walls", ()),
            ("initial", "initial", ()),
            ("initial_velocity", "initial", (time,)),
        ],
    }[problem.equation.time_order]
    if problem.periodic_axes:
        assert problem.name == "wave_periodic"
        expected[:1] = [("periodic_x", "walls", ()), ("periodic_slope_x", "walls", (0,))]
    assert [(c.name, c.piece, c.partial) for c in problem.conditions] == expected
    unit = SobolSampler(1).draw(30, problem.domain.dim)
    for condition in problem.conditions:
        if condition.periodic_axis is not None:
            continue  # no values are given: test_periodic.py
        x = problem.domain.on_piece(condition.piece, unit).requires_grad_()
        u = problem.exact(x)
        if condition.partial:
            (gradient,) = torch.autograd.grad(u.sum(), x)
            u = gradient[:, time, None]
        assert condition.value(x).shape == (30, 1)
        assert torch.allclose(condition.value(x), u, rtol=1e-12, atol=1e-12)
        assert condition.residual(problem.exact, x).abs().max() <= 1e-12
        off = condition.residual(lambda p: problem.exact(p) + p.sum(-1, keepdim=True), x)
        assert off.abs().max() > 0.1


def test_conditions_can_be_built_into_the_network(problem: Problem) -> None:
    if len(problem.equation.space) > 6:
        # Too many walls for a lift; the refusal is tested with the networks.
        with pytest.raises(ArgumentError, match="at most 6 dimensions"):
            HardConstraint(MLP(problem.domain.dim, 1), **problem.constraint())
        return
    torch.manual_seed(0)
    lower, upper = problem.domain.lower, problem.domain.upper
    axes = problem.periodic_axes
    network = Scaled(MLP(problem.domain.dim, 1, width=8, periodic_axes=axes), lower, upper)
    u = HardConstraint(network, **problem.constraint()).double()
    unit = SobolSampler(1).draw(20, problem.domain.dim)
    for condition in problem.conditions:
        x = problem.domain.on_piece(condition.piece, unit)
        assert condition.residual(u, x).abs().max() <= 1e-12


@pytest.mark.parametrize("build", [heat_case, wave_case, poisson_case])
@pytest.mark.parametrize("method", ["auto", "reverse", "nested"])
def test_the_residual_trains_through_hard_constraints(build, method: str) -> None:
    problem = build()
    torch.manual_seed(0)
    lower, upper = problem.domain.lower, problem.domain.upper
    network = Scaled(MLP(problem.domain.dim, 1, width=8, depth=1), lower, upper)
    u = HardConstraint(network, **problem.constraint()).double()
    x = points(problem, 10)
    loss = problem.residual(u, x, method=method).square().mean()
    loss.backward()
    weight = network.network.hidden[0].weight
    slope = weight.grad[0, 0].item()
    with torch.no_grad():
        step = 1e-5
        values = []
        for shift in (step, -2 * step):
            weight[0, 0] += shift
            values.append(problem.residual(u, x, method=method).square().mean().item())
    assert slope == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-6)


def test_a_source_in_float32_is_that_of_float64(problem: Problem) -> None:
    x = points(problem).float()
    with torch.no_grad():
        source = problem.source(x)
    assert source.dtype == torch.float32 and source.shape == (len(x), 1)
    assert not problem.source(x).requires_grad
    exact = problem.source(x.double())
    assert (source - exact).abs().max() <= 1e-7 * exact.abs().max()


def test_a_source_at_hand_is_used(problem: Problem) -> None:
    x = points(problem, 5)
    ones = torch.ones(5, 1, dtype=torch.float64)
    got = problem.residual(problem.exact, x, problem.source(x) + ones)
    assert torch.allclose(got, -ones, atol=1e-9 * float(oracle(problem, x)[1].max() + 1))


def test_problems_can_be_copied_and_sent(problem: Problem) -> None:
    x = points(problem, 5)
    for other in (copy.deepcopy(problem), pickle.loads(pickle.dumps(problem))):
        assert torch.equal(other.exact(x), problem.exact(x))
        assert torch.equal(other.source(x), problem.source(x))


def zero(x: Tensor) -> Tensor:
    return torch.zeros_like(x[:, :1])


def one(x: Tensor) -> Tensor:
    return torch.ones_like(x[:, :1])


def poisson_on_square(*conditions: Condition, domain: Box | None = None) -> Problem:
    return Problem(
        name="mine",
        title="Mine",
        domain=domain or Box([0.0, 0.0], [1.0, 1.0]),
        equation=Poisson(("x", "y")),
        solution=zero,
        conditions=conditions,
    )


def test_a_problem_that_does_not_fit_together_is_refused() -> None:
    walls = Condition("walls", "walls", (), zero)
    with pytest.raises(ArgumentError, match=r"\(x, y\), and the domain has 1 columns"):
        poisson_on_square(walls, domain=Box([0.0], [1.0]))
    with pytest.raises(
        ArgumentError, match=r"piece .of condition 'start'.*'initial'.*Known: .*walls"
    ):
        poisson_on_square(Condition("start", "initial", (), zero))
    with pytest.raises(ArgumentError, match="names that differ"):
        poisson_on_square(walls, walls)


def test_conditions_without_one_function_for_all_walls_stay_loss_terms() -> None:
    with pytest.raises(ArgumentError, match="Use loss terms"):
        poisson_on_square().constraint()
    slope = Condition("slope", "walls", (0,), zero)
    with pytest.raises(ArgumentError, match="no values of u on its boundary"):
        poisson_on_square(slope).constraint()
    heat = heat_case()
    split = Problem(
        name="split",
        title="Split",
        domain=heat.domain,
        equation=heat.equation,
        solution=heat.solution,
        conditions=(Condition("a", "walls", (), zero), Condition("b", "initial", (), one)),
    )
    with pytest.raises(ArgumentError, match="differ where x_min and the start meet"):
        split.constraint()


def test_a_start_without_its_velocity_is_not_built_in() -> None:
    wave = wave_case()
    without = dataclasses.replace(wave, conditions=wave.conditions[:2])
    assert without.constraint()["time_axis"] is None
    assert without.constraint()["walls"] == ((0, 0), (0, 1))


def test_a_value_of_the_wrong_shape_is_refused() -> None:
    condition = Condition("walls", "walls", (), lambda x: x[:, 0])
    with pytest.raises(ShapeError, match=r"condition 'walls'.*\(4, 1\).*\(4,\)"):
        condition.residual(zero, torch.rand(4, 2))
