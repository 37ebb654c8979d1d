import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pinnderiv.errors import ConfigurationError
from pinnderiv.schema import RunConfig
from pinnderiv.schema.loss import BalanceKind
from pinnderiv.schema.points import AdaptiveKind
from pinnderiv.training.optimisers import Adam
from pinnderiv.training.setup import choose_device, write_metrics


class Dense(Adam):
    large_matrices = True


@pytest.mark.parametrize("there", [True, False])
def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto").type == ("cuda" if there else "cpu")
    assert choose_device("cpu").type == "cpu"


@pytest.mark.parametrize("built", [None, "13.0"])
def test_a_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, built: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", built)
    with pytest.raises(ConfigurationError, match=r"device=cuda.*(nvidia-smi|without CUDA).*=cpu"):
        choose_device("cuda")


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(
    ("choices", "threads", "expected"),
    [
        ({"points": 32}, None, 1),
        ({"points": 32}, 2, 2),
        ({"points": 2000, "width": 80}, None, 2),
        ({"points": 32, "optimisers": lambda: {"dense": Dense()}}, None, 2),
    ],
)
def test_a_small_step_takes_one_thread(
    small, choices: dict, threads: int | None, expected: int
) -> None:
    run = small(**choices)
    run.change = lambda config: setattr(config, "threads", threads)
    run.build()
    assert torch.get_num_threads() == expected


@pytest.mark.parametrize(
    ("section", "name", "value", "message"),
    [
        ("training", "evaluate_every", 0, r"training\.evaluate_every"),
        ("training", "checkpoint_every", -1, r"training\.checkpoint_every"),
        ("monitor", "every", 0, r"monitor\.every"),
        ("training", "keep_checkpoints", 0, r"training\.keep_checkpoints must be at least 1"),
        ("derivatives", "chunk_size", 0, r"derivatives\.chunk_size must be at least 1"),
        ("derivatives", "chunk_size", -1, r"derivatives\.chunk_size must be at least 1"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    small, section: str, name: str, value: int, message: str
) -> None:
    run = small()
    run.change = lambda config: setattr(getattr(config, section), name, value)
    with pytest.raises(ConfigurationError, match=message):
        run.build()


@pytest.mark.parametrize(
    ("section", "name"), [("loss.weights", "wals"), ("sampler.points", "wals")]
)
def test_names_that_nothing_has_are_refused(small, section: str, name: str) -> None:
    run = small()
    outer, _, inner = section.partition(".")
    run.change = lambda config: getattr(getattr(config, outer), inner).update({name: 5})
    with pytest.raises(ConfigurationError, match=f"{section}.*'{name}'.*walls"):
        run.build()


def test_rules_that_cannot_work_are_refused_before_training(small) -> None:
    def balance(config: RunConfig) -> None:
        config.loss.balance = BalanceKind.ntk

    def causal(config: RunConfig) -> None:
        config.loss.causal = 1.0

    def adaptive(config: RunConfig) -> None:
        config.sampler.adaptive = AdaptiveKind.r3

    for number, (change, case, message) in enumerate(
        [
            (balance, "heat", r"loss\.balance=ntk has nothing to balance"),
            (causal, "poisson", "'poisson' has no time"),
            (adaptive, "heat", r"sampler\.resample_every=100"),
        ]
    ):
        with pytest.raises(ConfigurationError, match=message):
            small(str(number), case=case, change=change).build()


def test_metrics_are_json_whatever_they_are(tmp_path: Path) -> None:
    found = {"a": float("nan"), "b": {"c": float("inf"), "d": 1.5}, "e": "text", "f": None, "g": 2}
    write_metrics(tmp_path / "metrics.json", found)

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is no JSON")

    read = json.loads((tmp_path / "metrics.json").read_text(), parse_constant=refuse)
    assert read == {"a": None, "b": {"c": None, "d": 1.5}, "e": "text", "f": None, "g": 2}
