from pathlib import Path

import numpy as np
import pytest

from pinnderiv.errors import ConfigurationError
from pinnderiv.tables import read_columns
from pinnderiv.training.tables import write_columns

COLUMNS = {"x": np.array([0.1, 1 / 3, -2e-300]), "t": np.array([1.0, 2.0, np.pi])}


@pytest.mark.parametrize("suffix", ["csv", "npz"])
def test_numbers_survive_to_the_last_bit(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new folder" / f"table.{suffix}"
    write_columns(path, COLUMNS)
    found = read_columns(path, ["t", "x"])
    assert list(found) == ["t", "x"]
    assert all(np.array_equal(found[name], COLUMNS[name]) for name in COLUMNS)


def test_arrays_of_any_shape_go_through_npz(tmp_path: Path) -> None:
    grid = {"x": np.ones((2, 3)), "t": np.zeros((2, 3))}
    write_columns(tmp_path / "grid.npz", grid)
    assert read_columns(tmp_path / "grid.npz", ["x"])["x"].shape == (2, 3)
    write_columns(tmp_path / "grid.csv", grid)
    assert len((tmp_path / "grid.csv").read_text().splitlines()) == 1 + 6


def test_a_csv_as_people_write_it(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text("\ufeffx, note, t\n1, hello, 2\n3e-1, , -4\n")
    found = read_columns(tmp_path / "points.csv", ["x", "t"])
    assert found["x"].tolist() == [1.0, 0.3] and found["t"].tolist() == [2.0, -4.0]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "x,y\n1,2\n", r"no column t: it has x, y"),
        ("a.csv", "", r"no column x, t: it has none"),
        ("a.csv", "x,t\n", "no points"),
        ("a.csv", "x,t\n1,2\n1,two\n", r"line 3: column t holds 'two'"),
        ("a.csv", "x,t\n1\n", r"line 2: column t holds None"),
        ("a.npz", b"rubbish", r"numpy\.savez\(path, x=\.\.\., t=\.\.\.\)"),
        ("a.npz", {"x": np.ones(2)}, "no column t: it has x"),
        ("a.npz", {"x": np.ones(2), "t": np.ones(3)}, r"x \(2,\), t \(3,\)"),
        ("a.npz", {"x": np.ones(1), "t": np.array(["a"])}, "no .npz file of numbers"),
        ("a.npz", {"x": np.ones(1) * 1j, "t": np.ones(1)}, "column x holds complex numbers"),
        ("a.csv", "x,t\n1,2 \u00b5\n".encode("latin-1"), "no table in UTF-8 text"),
        ("a.csv", "x,t\n1,2\n".encode("utf-16"), "no table in UTF-8 text"),
        ("a.csv", b"x,t\n" + b"1" * 200_000, "no table in UTF-8"),
        ("a.csv", "x,t\n1,2\n1,nan\n", r"column t holds nan at point 2 of 2 \(1 such"),
        ("a.npz", {"x": np.full(3, np.inf), "t": np.ones(3)}, r"column x holds inf .*\(3 such"),
        ("a.txt", "x,t\n1,2\n", r"must end in \.csv or \.npz"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, name: str, content, message: str) -> None:
    path = tmp_path / name
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigurationError, match=message):
        read_columns(path, ["x", "t"])


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no file .*points\.csv"):
        read_columns(tmp_path / "points.csv", ["x"])


def test_a_file_that_cannot_be_read_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigurationError, match=r"a\.csv' cannot be read: Permission denied"):
        read_columns(tmp_path / "a.csv", ["x"])


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    with pytest.raises(ConfigurationError, match=r"no \.npz file of numbers"):
        read_columns(tmp_path / "a.npz", ["x"])
