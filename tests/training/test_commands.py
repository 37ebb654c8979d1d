import shlex
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from pinnderiv.training.commands import override, resume_command


@pytest.mark.parametrize(
    "name",
    [
        *("outputs/2026-11-24/21-40-38-00efd3", "a b", "lr=1,x", "it's", "12", "1e3", "null"),
        *("back\\slash", "ends\\", "\\'", "${oc.env:HOME}", "[1]", "é", "$HOME", "#1", " "),
    ],
)
def test_the_shell_and_hydra_read_what_was_meant(name: str) -> None:
    (argument,) = shlex.split(override("resume", name))
    parsed = OverridesParser.create().parse_override(argument)
    config = OmegaConf.create({"resume": parsed.value()})
    assert str(config.resume) == name and parsed.key_or_group == "resume"


def test_a_plain_directory_stays_as_it_is() -> None:
    command = resume_command(Path("outputs/DAY/RUN"), "training.max_steps=4")
    assert command == "pinnderiv resume=outputs/DAY/RUN training.max_steps=4"
