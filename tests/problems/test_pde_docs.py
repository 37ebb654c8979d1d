"""The worked examples of docs/problems.md are problems, one for each kind of condition."""

import re
import textwrap
from pathlib import Path

import pytest

from pinnderiv.problem_files import read_problem
from pinnderiv.problems.kinds import KEYS
from tests.problems.test_pde import problem_of, terms

TEXT = (Path(__file__).resolve().parents[2] / "docs/problems.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
WHOLE = {each.splitlines()[0].lstrip("# "): each for each in BLOCKS if "\nequation:" in each}


@pytest.mark.parametrize("text", WHOLE.values(), ids=WHOLE.keys())
def test_an_example(text: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "example.yaml").write_text(text)
    read_problem(tmp_path / "example.yaml")
    problem = problem_of(text, tmp_path)
    assert not caplog.text
    if problem.solution is not None:
        for name, residual in terms(problem, problem.exact).items():
            assert residual.abs().max() < 1e-9, name


def test_each_kind_of_condition_has_an_example() -> None:
    assert len(WHOLE) == len([each for each in BLOCKS if "coordinates:" in each]) == 11
    kinds = {found for text in WHOLE.values() for found in re.findall(r"kind: (\w+)", text)}
    assert kinds == set(KEYS) - {"dirichlet"}


def test_the_parameters_are_of_each_kind() -> None:
    (block,) = [each for each in BLOCKS if each.startswith("parameters:")]
    without_file = re.sub(r"\n  speed:.*", "", block)
    problem = problem_of(
        "\n".join(
            [
                "coordinates: [x, y]",
                "domain: {box: {lower: 0, upper: 1}}",
                textwrap.dedent(without_file),
                "equation: D*laplacian(u) + dot(b, grad(u))*nu + kappa*u/Re = q",
                "conditions: {walls: {value: nu}}",
            ]
        )
    )
    assert problem.equation.estimates() == {"D": 1.0}
    assert set(problem.equation.networks) == {"q"}
