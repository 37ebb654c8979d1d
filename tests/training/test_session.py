"""What the command does with a run directory, without Hydra."""

from collections.abc import Callable
from typing import Any

import pytest

from pinnderiv.errors import ConfigurationError


def files(directory: Any) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_directory_that_holds_a_run_takes_no_other(small: Callable[..., Any]) -> None:
    run = small(max_steps=3)
    run.session()
    before = files(run.directory)
    run.max_steps, run.width = 1, 9
    with pytest.raises(ConfigurationError, match=r"holds a run already .*step-0+3\.pt.*resume="):
        run.session()
    assert files(run.directory) == before
