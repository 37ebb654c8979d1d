"""Problems that take values, meshes, points and coefficients from files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import ConfigurationError
from tests.problems.test_pde import Wave, problem_of, terms

CONF = Path(__file__).resolve().parents[2] / "conf" / "problem"


def checked(text: str, folder: Path) -> None:
    """Every term is fulfilled by the exact solution, and by nothing else."""
    problem = problem_of(text, folder)
    wave = Wave(problem.domain.dim, len(problem.outputs))
    for name, residual in terms(problem, problem.exact).items():
        assert residual.abs().max() < 1e-9, name
    for name, residual in terms(problem, lambda x: problem.exact(x) + wave(x)).items():
        assert residual.abs().max() > 1e-3, name


def write_mesh(folder: Path) -> None:
    """The square [0, 2]² as two triangles, its lower side named."""
    np.savez(
        folder / "square.npz",
        points=[[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]],
        cells=[[0, 1, 2], [0, 2, 3]],
        floor=[[0, 1]],
        rest=[[1, 2], [2, 3], [3, 0]],
    )


MESHES = {
    "steady": """
        coordinates: [x, y]
        domain: {mesh: {file: square.npz}}
        equation: laplacian(u) = 2
        exact: x**2 + y
        conditions:
          floor: {kind: neumann, piece: floor, value: -1}
          rest: {piece: rest, where: x < 1, value: x**2 + y}
          right: {piece: rest, where: x >= 1, value: x**2 + y}
    """,
    "in time": """
        coordinates: [x, y, t]
        time: [0, 1]
        domain: {mesh: {file: square.npz}}
        equation: u_t = laplacian(u) - 1
        exact: x**2 + t
        conditions:
          walls: {piece: boundary, value: x**2 + t}
          start: {kind: initial, value: x**2}
    """,
}


@pytest.mark.parametrize("text", MESHES.values(), ids=MESHES.keys())
def test_a_mesh(text: str, tmp_path: Path) -> None:
    write_mesh(tmp_path)
    checked(text, tmp_path)


def test_a_mesh_with_a_bare_piece_is_refused(tmp_path: Path) -> None:
    write_mesh(tmp_path)
    text = MESHES["steady"].replace("rest: {piece: rest, where: x < 1", "more: {piece: floor")
    text = text.replace("right: {piece: rest, where: x >= 1", "again: {piece: floor")
    with pytest.raises(ConfigurationError, match="no condition for u on the piece rest"):
        problem_of(text, tmp_path)


def write_cloud(folder: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    inside = np.random.default_rng(0).uniform(-0.7, 0.7, (80, 2))
    np.savez(folder / "disc.npz", interior=inside, rim=rim, rim_normals=rim)
    with (folder / "disc.csv").open("w") as file:
        file.write("x,y,piece,n_x,n_y\n")
        file.writelines(f"{x!r},{y!r},,,\n" for x, y in inside.tolist())
        file.writelines(f"{x!r},{y!r},rim,{x!r},{y!r}\n" for x, y in rim.tolist())


@pytest.mark.parametrize("file", ["disc.npz", "disc.csv"])
@pytest.mark.parametrize("time", ["", "time: [0, 1]"])
def test_points(file: str, time: str, tmp_path: Path) -> None:
    write_cloud(tmp_path)
    checked(
        f"""
        coordinates: [x, y{", t" if time else ""}]
        {time}
        domain: {{points: {{file: {file}}}}}
        equation: {"u_t + " if time else ""}laplacian(u) = 4
        exact: x**2 + y**2
        conditions:
          rim: {{kind: neumann, piece: rim, value: 2}}
          value: {{piece: boundary, where: x > 0, value: 1}}
          {"start: {kind: initial, value: x**2 + y**2}" if time else ""}
        """,
        tmp_path,
    )


TABLE = """
    coordinates: [x, t]
    time: [0, 1]
    domain: {interval: [0, 1]}
    equation: u_t = u_xx
    exact: x**2 + 2*t
    conditions: {data: {kind: observations, file: FILE}}
"""


@pytest.mark.parametrize("file", ["data.csv", "data.npz", "data.txt"])
def test_observations(file: str, tmp_path: Path) -> None:
    x, t = np.array([0.0, 0.25, 1.0]), np.array([0.0, 0.5])
    grid_x, grid_t = np.meshgrid(x, t)
    u = grid_x**2 + 2 * grid_t
    np.savez(tmp_path / "data.npz", x=grid_x, t=grid_t, u=u)
    rows = zip(grid_x.ravel().tolist(), grid_t.ravel().tolist(), u.ravel().tolist(), strict=True)
    lines = [f"{u!r},{x!r},{t!r},0\n" for x, t, u in rows]
    (tmp_path / "data.csv").write_text("u,x,t,other\n" + "".join(lines))
    table = "".join(f"{a} {a * a} {a * a + 1}\n" for a in x.tolist())
    (tmp_path / "data.txt").write_text(f"% Model: m\n% X u (K) @ t=0 u (K) @ t=0.5\n{table}")
    problem = problem_of(TABLE.replace("FILE", file), tmp_path)
    assert problem.conditions[0].points.shape == (6, 2)
    checked(TABLE.replace("FILE", file), tmp_path)


def test_observations_that_lack_a_column_or_leave_the_domain_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("x,t,v\n0,0,0\n")
    with pytest.raises(ConfigurationError, match=r"has no column u"):
        problem_of(TABLE.replace("FILE", "data.csv"), tmp_path)
    (tmp_path / "data.csv").write_text("x,t,u\n0,0,0\n3,0,0\n")
    with pytest.raises(ConfigurationError, match="1 of 2 points lie outside the domain"):
        problem_of(TABLE.replace("FILE", "data.csv"), tmp_path)


def test_a_coefficient_on_a_grid(tmp_path: Path) -> None:
    line = np.linspace(0, 1, 5)
    np.savez(tmp_path / "speed.npz", x=line, values=1 + 2 * line)
    text = """
        coordinates: [x, t]
        time: [0, 1]
        domain: {interval: [0, 1]}
        parameters: {c: {file: speed.npz}, shift: {value: 2}}
        equation: u_t + c*u_x = (1 + 2*x)*2*t + x*shift
        exact: 2*x*t
        conditions:
          inflow: {piece: x_min, value: 0}
          start: {kind: initial, value: 0}
          flow: {kind: relation, piece: x_max, equation: c*u_n + u = 8*t}
    """
    checked(text, tmp_path)
    (tmp_path / "speed.npz").write_bytes(b"PK no archive")
    with pytest.raises(ConfigurationError, match=r"parameters\.c: .*speed\.npz' is no grid"):
        problem_of(text, tmp_path)


def test_the_derivative_of_a_coefficient() -> None:
    checked(
        """
        coordinates: [x]
        domain: {interval: [0, 1]}
        parameters: {k: 1 + a*x, a: b*2, b: 1}
        equation: k*u_xx + k_x*u_x = 2*(1 + 2*x) + 4*x
        exact: x**2
        conditions: {ends: {value: x}}
        """,
        Path(),
    )


def test_unknowns_of_relations_are_trained_with_those_of_the_equation() -> None:
    problem = problem_of(
        """
        coordinates: [x, t]
        time: [0, 1]
        domain: {interval: [0, 1]}
        parameters:
          D: {trainable: 2, true: 1}
          h: {trainable: 1, true: 0.5}
          q: {network: {width: 4, depth: 1, positive: true}}
        equation: u_t = D*u_xx
        conditions:
          left: {kind: relation, piece: x_min, equation: u_n = h*u + D*u_xx}
          right: {kind: relation, piece: x_max, equation: u_n = q*u}
          start: {kind: initial, value: 1}
        """
    )
    assert problem.equation.estimates() == {"D": 2.0, "h": 1.0}
    assert problem.equation.true == {"D": 1.0, "h": 0.5}
    unknowns = problem.equation.unknowns.double()
    left, right, _ = problem.conditions
    x = problem.domain.sample_piece("x_min", SobolSampler(0), 4)
    normals = problem.domain.normals("x_min", x)
    held = dict(unknowns.named_parameters())
    gradients = torch.autograd.grad(
        sum(
            each.residual(Wave(2, 1), x, each.data(x, normals)).square().sum()
            for each in (left, right)
        ),
        list(held.values()),
    )
    assert all(gradient.abs().max() > 1e-6 for gradient in gradients)
    # as optimisers see them: values that are put in the place of the module's own
    with torch.no_grad():
        held["numbers.h"].fill_(3.0)
    first = left.residual(Wave(2, 1), x, left.data(x, normals))
    with torch.no_grad():
        held["numbers.h"].fill_(4.0)
    second = left.residual(Wave(2, 1), x, left.data(x, normals))
    torch.testing.assert_close(first - second, Wave(2, 1)(x))


def test_the_reference_of_lotka_volterra() -> None:
    """It begins where the problem does, keeps what is conserved, and keeps to time."""
    table = np.loadtxt(CONF / "lotka_volterra.csv", delimiter=",", skiprows=1)
    t, x, y = table.T
    assert (t[0], x[0], y[0], t[-1]) == (0.0, 2.0, 1.0, 10.0)
    conserved = x - np.log(x) + y - np.log(y)
    assert np.ptp(conserved) < 1e-11
    # central differences, wrong by some h⁴
    for values, rate in ((x, x - x * y), (y, x * y - y)):
        slope = (8 * (values[3:-1] - values[1:-3]) - (values[4:] - values[:-4])) / (12 * t[1])
        assert np.abs(slope - rate[2:-2]).max() < 1e-4


@pytest.mark.parametrize("ending", [".csv", ".npz"])
def test_a_reference(ending: str, tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("y,x,u\n0,0,1\n1,0.5,2\n")
    np.savez(tmp_path / "truth.npz", x=[0.0, 0.5], y=[0.0, 1.0], u=[1.0, 2.0])
    problem = problem_of(
        f"""
        coordinates: [x, y]
        domain: {{box: {{lower: 0, upper: 1}}}}
        equation: laplacian(u) = 0
        reference: truth{ending}
        conditions: {{walls: {{value: 0}}}}
        """,
        tmp_path,
    )
    assert problem.measured.points.tolist() == [[0.0, 0.0], [0.5, 1.0]]
    assert problem.measured.values.tolist() == [[1.0], [2.0]]
