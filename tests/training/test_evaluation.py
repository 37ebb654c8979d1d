import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from pinnderiv.errors import ArgumentError, ConfigurationError
from pinnderiv.problems import CASES
from pinnderiv.training.evaluation import (
    check_output,
    evaluate,
    points_from_file,
    points_on_grid,
)

PROBLEM = CASES["heat"]("heat")


def wave(x: torch.Tensor) -> torch.Tensor:
    return (torch.sin(2 * x[..., :1]) * torch.exp(-x[..., 1:])).reshape(*x.shape[:-1], 1)


def test_derivatives_of_a_known_function() -> None:
    columns = points_on_grid(PROBLEM, [5, 3])
    names = ["u", "u_x", "u_xx", "u_t", "u_xt", "u_xxt"]
    table = evaluate(PROBLEM, wave, names, columns, torch.float64, "cpu")
    assert list(table) == ["x", "t", *names]
    x, t = table["x"], table["t"]
    assert x.shape == (5, 3) and x[:, 0].tolist() == np.linspace(0, 1, 5).tolist()
    assert t[0].tolist() == [0.0, 0.5, 1.0]
    sine, cosine, decay = np.sin(2 * x), np.cos(2 * x), np.exp(-t)
    expected = {
        "u": sine * decay,
        "u_x": 2 * cosine * decay,
        "u_xx": -4 * sine * decay,
        "u_t": -sine * decay,
        "u_xt": -2 * cosine * decay,
        "u_xxt": 4 * sine * decay,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(table[name], values, rtol=1e-12, atol=1e-14, err_msg=name)


def test_many_points_are_taken_in_parts_that_fit_together() -> None:
    columns = points_on_grid(PROBLEM, 100)
    table = evaluate(PROBLEM, wave, ["u_x"], columns, torch.float64, "cpu")
    np.testing.assert_allclose(
        table["u_x"], 2 * np.cos(2 * table["x"]) * np.exp(-table["t"]), rtol=1e-12, atol=1e-14
    )


@pytest.mark.parametrize(("grid", "shape"), [(4, (4, 4)), ([4], (4, 4)), (None, (100, 100))])
def test_one_number_serves_all_axes(grid, shape: tuple[int, ...]) -> None:
    assert points_on_grid(PROBLEM, grid)["t"].shape == shape


@pytest.mark.parametrize(("dimension", "shape"), [(1, (10_000,)), (4, (10,) * 4), (9, (2,) * 9)])
def test_the_default_grid_is_affordable(dimension: int, shape: tuple[int, ...]) -> None:
    problem = CASES["poisson"]("poisson", dimension=dimension)
    assert next(iter(points_on_grid(problem).values())).shape == shape


@pytest.mark.parametrize("grid", ["many", 2.5, [3, "a"], True])
def test_a_grid_is_made_of_numbers(grid) -> None:
    with pytest.raises(ConfigurationError, match=r"evaluate\.grid"):
        points_on_grid(PROBLEM, grid)


def test_a_grid_must_fit_the_domain() -> None:
    for grid in ([4, 4, 4], 1, [4, 1], 0, -3, []):
        with pytest.raises(ArgumentError, match=r"evaluate\.grid .*list of 2.*evaluate\.points"):
            points_on_grid(PROBLEM, grid)
    with pytest.raises(ArgumentError, match=r"evaluate\.grid=100000 makes .*evaluate\.points"):
        points_on_grid(PROBLEM, 100_000)
    with pytest.raises(ConfigurationError, match=r"evaluate\.points.*x1, \.\.\., x25"):
        points_on_grid(CASES["poisson100d"]("poisson100d", dimension=25))


def test_points_outside_are_kept_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "p.csv").write_text("x,t\n0.5,0.5\n1.5,0.5\n0.5,-1\n")
    with caplog.at_level(logging.WARNING):
        columns = points_from_file(PROBLEM, tmp_path / "p.csv")
    assert len(columns["x"]) == 3
    assert "2 of 3 points lie outside" in caplog.text


@pytest.mark.parametrize("names", [["u_y"], ["v"], ["u", "u_xq"]])
def test_unknown_quantities_are_named(names: list[str]) -> None:
    columns = points_on_grid(PROBLEM, 2)
    with pytest.raises(ArgumentError, match=names[-1]):
        evaluate(PROBLEM, wave, names, columns, torch.float64, "cpu")


@pytest.mark.parametrize("names", [[], ["u", "u"]])
def test_no_quantity_or_one_twice_is_refused(names: list[str]) -> None:
    with pytest.raises(ConfigurationError, match=r"evaluate\.quantities"):
        evaluate(PROBLEM, wave, names, points_on_grid(PROBLEM, 2), torch.float64, "cpu")


def test_the_output_must_be_a_table(tmp_path: Path) -> None:
    assert check_output(tmp_path / "a.csv") == tmp_path / "a.csv"
    with pytest.raises(ConfigurationError, match=r"\.npz"):
        check_output(tmp_path / "a.txt")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(ConfigurationError, match="folder"):
        check_output(tmp_path / "folder.csv")
    (tmp_path / "file").touch()
    for nowhere in (tmp_path / "file" / "a.csv", Path("/proc/a.csv"), Path("/proc/no/a.csv")):
        with pytest.raises(ConfigurationError, match=r"cannot be written .*evaluate\.output"):
            check_output(nowhere)
