"""The rules of the house that a parser can check: who imports whom, and how long files get."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pinnderiv"
FILES = sorted(PACKAGE.rglob("*.py"))

# What each part of pinnderiv may import from pinnderiv, itself aside.
MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    "schema": {"errors"},
    "hints": {"errors", "schema"},
    "derivatives": {"errors"},
    "domains": {"errors"},
    "networks": {"errors"},
    "equations": {"errors", "derivatives"},
    "tables": {"errors"},
    "problems": {"errors", "derivatives", "domains", "equations", "tables"},
    "problem_files": {"errors", "schema", "hints"},
    "json_schema": {"schema", "problems"},
    "training": {
        "errors",
        "schema",
        "derivatives",
        "domains",
        "networks",
        "equations",
        "problems",
        "tables",
        "__init__",
    },
    "optimisers": {"training"},
    "__init__": {"errors", "derivatives"},
    "__main__": {"app"},
}
MAY_IMPORT["app"] = MAY_IMPORT["training"] | {"training", "hints", "problem_files"}

# What comes from outside and is heavy, or belongs to one place: the paths that may import it.
ONLY_IN = {
    "hydra": ("app.py",),
    "tensorboard": ("training/tensorboard",),
    "torch.utils.tensorboard": ("training/tensorboard",),
    "matplotlib": ("training/",),
    "rich": ("training/", "app.py"),
    "scipy": ("domains/", "training/"),
}

# Files that are tables: longer because they list, not because they have two subjects.
TABLES: set[str] = set()
LONGEST = 400

ENGINES = {"nested", "reverse", "taylor"}


def imports_of(source: str, module: str, is_package: bool) -> list[tuple[str, int]]:
    """The absolute dotted names that a module imports, at any depth, each with its line."""
    package = module if is_package else module.rpartition(".")[0]
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join(parents + ([base] if base else []))
            found += [(f"{base}.{alias.name}", node.lineno) for alias in node.names]
    return found


def part_of(dotted: str) -> str | None:
    """'derivatives' for 'pinnderiv.derivatives.nested', None for what is not ours."""
    first, *rest = dotted.split(".")
    if first != "pinnderiv":
        return None
    # "from pinnderiv import laplacian" asks the top of the package for one of its public names.
    return rest[0] if rest and rest[0] in MAY_IMPORT else "__init__"


def breaches(source: str, path: str) -> list[str]:
    """What is wrong with the imports of the file that stands at pinnderiv/<path>."""
    stem = path.removesuffix(".py").replace("/", ".")
    is_package = stem == "__init__" or stem.endswith(".__init__")
    module = ("pinnderiv." + stem).removesuffix(".__init__") if is_package else "pinnderiv." + stem
    own = stem.split(".")[0]
    if own not in MAY_IMPORT:
        return [f"{path}: '{own}' has no layer yet; give it a row in MAY_IMPORT"]
    wrong = []
    for name, line in imports_of(source, module, is_package):
        part = part_of(name)
        if part is not None and part != own and part not in MAY_IMPORT[own]:
            allowed = ", ".join(sorted(MAY_IMPORT[own])) or "nothing of pinnderiv"
            wrong.append(f"{path}:{line} imports {name}; {own} may import {allowed}")
        for outside, homes in ONLY_IN.items():
            if (name + ".").startswith(outside + ".") and not path.startswith(homes):
                wrong.append(f"{path}:{line} imports {name}; only {', '.join(homes)} may")
    return wrong


def test_files_were_found() -> None:
    assert PACKAGE / "errors.py" in FILES


def test_imports_go_downward_only() -> None:
    wrong = [
        breach
        for file in FILES
        for breach in breaches(file.read_text(), file.relative_to(PACKAGE).as_posix())
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("derivatives/nested.py", "from pinnderiv.networks import MLP"),
        ("networks/mlp.py", "def build():\n    from ..derivatives import laplacian"),
        ("networks/mlp.py", "from pinnderiv import laplacian"),
        ("equations/heat.py", "import pinnderiv.problems.heat"),
        ("derivatives/taylor/rules.py", "from ...training import loop"),
        ("errors.py", "from . import derivatives"),
        ("training/loop.py", "from hydra.utils import instantiate"),
        ("training/loop.py", "from torch.utils.tensorboard import SummaryWriter"),
        ("derivatives/nested.py", "import scipy.stats"),
        ("colours/red.py", "import math"),
    ],
)
def test_a_breach_is_seen(path: str, source: str) -> None:
    assert breaches(source, path)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("derivatives/taylor/rules.py", "from ..request import Collapsed\nfrom . import jet"),
        ("equations/heat.py", "from pinnderiv.derivatives import linear_operator"),
        ("app.py", "import hydra\nfrom pinnderiv.training import loop"),
        ("training/tensorboard.py", "from torch.utils.tensorboard import SummaryWriter"),
        ("__init__.py", "from pinnderiv.derivatives import laplacian"),
    ],
)
def test_a_proper_import_is_let_through(path: str, source: str) -> None:
    assert breaches(source, path) == []


def test_no_file_has_two_subjects() -> None:
    lengths = {
        file.relative_to(PACKAGE).as_posix(): len(file.read_text().splitlines()) for file in FILES
    }
    long = {path: n for path, n in lengths.items() if n > LONGEST and path not in TABLES}
    assert not long, f"over {LONGEST} lines: {long}"


def test_no_assert_where_a_user_needs_an_error() -> None:
    asserts = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert not asserts, f"raise a class of pinnderiv.errors instead: {asserts}"


def test_a_residual_never_names_an_engine() -> None:
    named = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in FILES
        if file.relative_to(PACKAGE).parts[0] in {"equations", "problems"}
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant) and node.value in ENGINES
    ]
    assert not named, f"which engine runs is the library's choice: {named}"


def test_importing_the_library_is_light() -> None:
    code = """
import sys, time
import torch
before = time.perf_counter()
import pinnderiv
print(time.perf_counter() - before)
heavy = ("hydra", "omegaconf", "tensorboard", "matplotlib", "scipy", "rich", "sympy.physics")
print(" ".join(name for name in heavy if name in sys.modules))
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.splitlines()
    assert shown[1] == "", f"import pinnderiv also imports {shown[1]}"
    assert float(shown[0]) < 1.0
