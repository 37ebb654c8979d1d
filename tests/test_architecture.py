"""docs/architecture.md is the map of the package: it names every file, and no file that is gone."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MAP = ROOT / "docs" / "architecture.md"

# "| `derivatives/nested.py` | the engine ... |"
ROW = re.compile(r"^\| `(?P<path>[\w/]+\.py)` \| (?P<line>\S.*) \|$", re.MULTILINE)


def test_every_file_has_its_line() -> None:
    files = {
        path.relative_to(ROOT / "pinnderiv").as_posix()
        for path in (ROOT / "pinnderiv").rglob("*.py")
    }
    named = [row["path"] for row in ROW.finditer(MAP.read_text())]
    assert len(named) == len(set(named)), "a file is named twice"
    missing, gone = files - set(named), set(named) - files
    assert not missing, f"docs/architecture.md has no line for {sorted(missing)}"
    assert not gone, f"docs/architecture.md names files that are not there: {sorted(gone)}"
