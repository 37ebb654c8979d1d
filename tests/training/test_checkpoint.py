import os
import pickle
from pathlib import Path

import pytest
import torch

from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.training.checkpoint import CheckpointFolder, write_atomically

STATE = {
    "progress": {"step": 3},
    "network": {"weight": torch.arange(4.0)},
    "phases": ["adam"],
    "optimiser": {},
    "points": {},
    "random": {},
    "config": {"seed": 1, "run": None},
}


@pytest.fixture
def folder(tmp_path: Path) -> CheckpointFolder:
    return CheckpointFolder(tmp_path / "checkpoints", keep=2)


def test_what_is_saved_is_loaded(folder: CheckpointFolder) -> None:
    folder.save(3, STATE)
    loaded = folder.load()
    assert torch.equal(loaded["network"]["weight"], STATE["network"]["weight"])
    assert {name: loaded[name] for name in STATE if name != "network"} == {
        name: STATE[name] for name in STATE if name != "network"
    }


def test_the_newest_by_step_is_loaded_and_the_oldest_go(folder: CheckpointFolder) -> None:
    for step in (9, 10, 100_000_000, 11):  # by name, 100000000 would sort before 11
        folder.save(step, {**STATE, "progress": {"step": step}})
    assert [path.name for path in folder.all()] == ["step-00000011.pt", "step-100000000.pt"]
    assert folder.load()["progress"]["step"] == 100_000_000


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file) -> None:
        file.write(b"new, but only ha")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_missing_checkpoint_says_what_to_give(folder: CheckpointFolder) -> None:
    with pytest.raises(CheckpointError, match="run directory"):
        folder.load()


@pytest.mark.parametrize("damage", [b"", b"no zip file at all", None])
def test_a_damaged_one_names_the_one_before_it(
    folder: CheckpointFolder, damage: bytes | None
) -> None:
    first, second = folder.save(1, STATE), folder.save(2, STATE)
    second.write_bytes(first.read_bytes()[:-200] if damage is None else damage)
    with pytest.raises(CheckpointError, match=r"step-00000002.*delete it.*step-00000001"):
        folder.load()
    second.unlink()
    assert folder.load()["progress"] == STATE["progress"]


def test_a_damaged_one_without_another_says_to_train_again(folder: CheckpointFolder) -> None:
    folder.save(1, STATE).write_bytes(b"rubbish")
    with pytest.raises(CheckpointError, match="train again"):
        folder.load()


def test_a_checkpoint_cannot_run_code(folder: CheckpointFolder, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "was here"),))

    torch.save({**STATE, "format": 1, "optimiser": Evil()}, folder.save(1, STATE))
    with pytest.raises(CheckpointError, match="cannot be read"):
        folder.load()
    folder.newest().write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CheckpointError, match="cannot be read"):
        folder.load()
    assert not (tmp_path / "was here").exists()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ([1, 2], "no checkpoint of pinnderiv"),
        ({"weights": torch.ones(2)}, "no checkpoint of pinnderiv"),
        ({**STATE, "format": 99}, "format 99"),
        ({"format": 1, "progress": {}}, "lacks network"),
    ],
)
def test_other_files_are_told_apart(folder: CheckpointFolder, content, named: str) -> None:
    torch.save(content, folder.save(1, STATE))
    with pytest.raises(CheckpointError, match=named):
        folder.load()


def test_the_last_one_is_never_discarded(folder: CheckpointFolder) -> None:
    folder.save(1, STATE)
    folder.discard(1)
    assert len(folder.all()) == 1
    folder.save(2, STATE)
    folder.discard(2)
    assert folder.newest().name == "step-00000001.pt"


@pytest.mark.parametrize("keep", [1, 3])
def test_as_many_are_kept_as_are_asked_for(tmp_path: Path, keep: int) -> None:
    folder = CheckpointFolder(tmp_path, keep=keep)
    for step in range(5):
        folder.save(step, STATE)
    assert len(folder.all()) == keep and folder.newest().name == "step-00000004.pt"


@pytest.mark.parametrize("keep", [0, -1])
def test_to_keep_none_is_refused(tmp_path: Path, keep: int) -> None:
    with pytest.raises(ConfigurationError, match=r"keep_checkpoints.*at least 1"):
        CheckpointFolder(tmp_path, keep=keep)


def test_what_torch_says_of_a_damaged_one_is_cut_short(folder: CheckpointFolder) -> None:
    folder.save(1, STATE)
    folder.save(2, STATE).write_bytes(pickle.dumps(Path))
    with pytest.raises(CheckpointError) as caught:
        folder.load()
    said = str(caught.value).replace(str(folder.path), "")
    assert len(said) < 300 and "weights_only" not in said.partition("(")[0]
    assert said.index("delete it") < said.index("(")
