from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh

from pinnderiv.problems import CASES, Problem
from pinnderiv.training.figures import history_figure, solution_figures


def shifted(problem: Problem) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: problem.exact(x) + 0.25


@pytest.mark.parametrize(
    ("case", "dimension", "panels", "labels"),
    [
        ("heat", 1, 1, [""]),
        ("poisson", 2, 1, [""]),
        ("heat", 2, 3, ["t = 0", "t = 0.5", "t = 1"]),
        ("heat", 3, 3, ["z = 0.5, t = 0", "z = 0.5, t = 0.5", "z = 0.5, t = 1"]),
        ("poisson", 3, 1, ["z = 0.5"]),
        ("poisson", 7, 1, ["other coordinates at their middle"]),
    ],
)
def test_panels(case: str, dimension: int, panels: int, labels: list[str]) -> None:
    problem = CASES[case](case, dimension=dimension)
    figures = solution_figures(problem, shifted(problem), torch.float64, "cpu")
    solution = [axes for axes in figures["solution"].axes if axes.get_title()]
    error = [axes for axes in figures["error"].axes if axes.get_title()]
    assert len(solution) == 2 * panels and len(error) == panels
    titles = [axes.get_title() for axes in solution]
    for row, name in enumerate(("network", "reference")):
        for column, label in enumerate(labels):
            assert titles[row * panels + column] == ", ".join(filter(None, (name, label)))


def mesh(axes: Any) -> np.ndarray:
    (found,) = [each for each in axes.collections if isinstance(each, QuadMesh)]
    return np.asarray(found.get_array())


def test_values_stand_where_the_axes_say() -> None:
    """Heat decays in time, which runs along the horizontal axis; the error is what was added."""
    problem = CASES["heat"]("heat")
    figures = solution_figures(problem, shifted(problem), torch.float64, "cpu")
    network, reference = figures["solution"].axes[:2]
    assert (network.get_xlabel(), network.get_ylabel()) == ("t", "x")
    values = mesh(reference)
    assert values.shape == (121, 121)
    middle = values[60]  # x = 1/2, over time
    np.testing.assert_allclose(middle, np.exp(-0.1 * np.pi**2 * np.linspace(0, 1, 121)), rtol=1e-9)
    np.testing.assert_allclose(mesh(network) - values, 0.25, rtol=1e-9)
    np.testing.assert_allclose(mesh(figures["error"].axes[0]), 0.25, rtol=1e-9)


def test_space_keeps_its_order() -> None:
    problem = CASES["poisson"]("poisson", frequencies=[[1, 2]], amplitudes=[1.0])
    reference = mesh(
        solution_figures(problem, problem.exact, torch.float64, "cpu")["solution"].axes[1]
    )
    # one half-wave along x (horizontal), two along y (vertical)
    assert reference[30, 60] > 0.9 and reference[90, 60] < -0.9


def test_one_dimension_is_a_line() -> None:
    problem = CASES["poisson"]("poisson", dimension=1)
    figures = solution_figures(problem, shifted(problem), torch.float64, "cpu")
    network, reference = figures["solution"].axes[0].lines
    np.testing.assert_allclose(network.get_ydata() - reference.get_ydata(), 0.25)


def test_the_history_shows_loss_terms_and_error(small: Callable[..., Any]) -> None:
    run, history = small(constraint="soft").build()
    from pinnderiv.training.loop import train

    train(run)
    figure = history_figure(history, run.objective.loss.names)
    lines = {line.get_label(): line for line in figure.axes[0].lines}
    assert set(lines) == {"loss", "equation", "walls", "initial", "relative L2 error"}
    assert lines["loss"].get_xdata().tolist() == [1, 2, 3, 4]
    assert lines["relative L2 error"].get_xdata().tolist() == [2, 4]
    run.monitor.close()
    assert all(len(row.split(",")) == 10 for row in history.path.read_text().splitlines())
