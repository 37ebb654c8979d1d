"""docs/domains.md: its example runs, and its table has every kind of domain."""

import inspect
import re
from pathlib import Path

import pytest
import torch

from pinnderiv import domains
from pinnderiv.domains import Box, Domain

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "domains.md").read_text()


def test_the_example_runs_and_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, object] = {}
    exec(block, names)
    pieces, measure = capsys.readouterr().out.splitlines()
    assert pieces == "('plate', 'hole_1', 'hole_2')"
    assert float(measure) == pytest.approx(4 - 0.08 * torch.pi)
    assert names["start"].shape == (500, 3)  # type: ignore[attr-defined]


def test_the_table_has_every_kind() -> None:
    combinations = {"Union", "Intersection", "Difference"}
    for name in domains.__all__:
        kind = getattr(domains, name)
        if inspect.isclass(kind) and issubclass(kind, Domain) and kind is not Domain:
            assert name in combinations or f"`{name}(" in PAGE


def test_the_formula_for_boxes() -> None:
    box = Box([0.0, 0.0, 0.0], [1.0, 2.0, 3.0])
    s = torch.rand(20, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = 4**2 * (s * (1 - s)).prod(dim=1, keepdim=True)
    assert torch.allclose(box.distance(s * torch.tensor([1.0, 2.0, 3.0])), expected)
