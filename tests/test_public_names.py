"""What `import pinnderiv` offers, and the one name that is a function and a subpackage at once."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pinnderiv

ROOT = Path(__file__).resolve().parents[1]

OPERATORS = [
    "jacobian",
    "hessian",
    "second_derivatives",
    "laplacian",
    "second_order_operator",
    "linear_operator",
    "hvp",
    "partial",
    "divergence",
    "biharmonic",
    "derivatives",
    "explain",
]


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_is_public_and_documented(name: str) -> None:
    operator = getattr(pinnderiv, name)
    assert callable(operator)
    assert name in pinnderiv.__all__
    assert operator.__doc__


def test_nothing_public_is_missing() -> None:
    assert all(hasattr(pinnderiv, name) for name in pinnderiv.__all__)


def test_derivatives_is_the_function_and_the_subpackage_stays_importable() -> None:
    subpackage = importlib.import_module("pinnderiv.derivatives")
    assert callable(pinnderiv.derivatives)
    assert pinnderiv.derivatives is subpackage.derivatives
    assert subpackage.laplacian is pinnderiv.laplacian

    def u(points: torch.Tensor) -> torch.Tensor:
        return (points[..., :1] ** 2) * points[..., 1:]

    found = pinnderiv.derivatives(u, ["u_xx", "u_t"], coordinates=("x", "t"))(
        torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    )
    assert found["u_xx"].item() == pytest.approx(6.0)
    assert found["u_t"].item() == pytest.approx(4.0)


@pytest.mark.parametrize(
    "statement",
    [
        "import pinnderiv.derivatives.engines",
        "from pinnderiv.derivatives import derivatives",
        "from pinnderiv.derivatives import laplacian",
        "import pinnderiv.derivatives",
        "from pinnderiv import derivatives",
    ],
)
def test_no_order_of_imports_unseats_the_function(statement: str) -> None:
    code = f"{statement}\nimport pinnderiv, types\n" + (
        "raise SystemExit(isinstance(pinnderiv.derivatives, types.ModuleType))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_rules_are_registered_under_a_path_that_works() -> None:
    """`pinnderiv.derivatives.taylor` cannot be reached: the function is in front of it."""
    code = (
        "import pinnderiv\n"
        "from pinnderiv import taylor\n"
        "assert pinnderiv.taylor is taylor\n"
        "assert all(hasattr(taylor, name) for name in taylor.__all__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with pytest.raises(ValueError, match=r"pinnderiv\.taylor\.unregister"):
        pinnderiv.taylor.elementwise(torch.tanh)(lambda z: (z, z, z))
