"""Every option of every group composes, is checked by its schema, and builds what it names."""

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from pinnderiv.app import _options, build, check_keys, config_directory, register
from pinnderiv.domains import Sampler
from pinnderiv.errors import ConfigurationError
from pinnderiv.problems import CASES
from pinnderiv.schema import NETWORKS, PHASES, SCHEMAS, RunConfig
from pinnderiv.training.adaptive import R3, RAD, RAR, RARD
from pinnderiv.training.balancing import NTK, GradientNorm, ReLoBRaLo
from pinnderiv.training.causality import Causality
from pinnderiv.training.optimisers import Optimiser
from pinnderiv.training.phases import Budget, Phases
from pinnderiv.training.selection import adaptive_of, balance_of, causality_of

CONF = Path(__file__).resolve().parents[1] / "conf"
OPTIONS = sorted(
    (path.parent.name, path.stem) for path in CONF.glob("*/*.yaml") if path.parent != CONF
)


@pytest.fixture(scope="module", autouse=True)
def hydra() -> Iterator[None]:
    register()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        yield


def test_the_checkout_uses_its_own_conf() -> None:
    assert config_directory() == CONF


def test_every_group_has_options() -> None:
    groups = {group for group, _ in OPTIONS}
    expected = {"problem", "network", "sampler", "optimiser", "training", "monitor", "experiment"}
    assert groups == expected


@pytest.mark.parametrize(("group", "option"), OPTIONS, ids="=".join)
def test_option_composes_and_instantiates(group: str, option: str) -> None:
    config = compose("config", [f"{group}={option}"])
    check_keys(config)
    whole: Any = OmegaConf.to_object(config)
    assert isinstance(whole, RunConfig)
    parts = build(config)
    x = torch.rand(3, parts.problem.domain.dim)
    network = parts.network(inputs=x.shape[1], outputs=1)
    assert network(x).shape == (3, 1)
    assert isinstance(parts.sampler(seed=1), Sampler)
    assert all(isinstance(each, Optimiser) for each in parts.optimisers.values())
    budget = Budget(whole.training.max_steps, whole.training.max_seconds)
    assert Phases(parts.optimisers, budget).names == list(config.optimiser)


@pytest.mark.parametrize(
    "group", ["problem", "network", "sampler", "training", "monitor", "optimiser"]
)
def test_option_is_checked_by_a_schema(group: str) -> None:
    for option in (option for found, option in OPTIONS if found == group):
        with pytest.raises(ConfigCompositionException):
            compose("config", [f"{group}={option}", f"{group}.no_such_key=1"])


PAGE = (CONF.parent / "docs" / "training.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("schema", [*PHASES, *NETWORKS, "schema/run"])
def test_every_key_is_on_the_page_on_training(schema: str) -> None:
    def keys(kind: type) -> Iterator[str]:
        for each in dataclasses.fields(kind):
            inner = each.default_factory
            if dataclasses.is_dataclass(inner) and isinstance(inner, type):
                yield from keys(inner)
            elif each.name[0] != "_":
                yield each.name

    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("| "))
    said = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", rows))))
    assert set(keys(SCHEMAS[schema])) <= said


def test_every_option_but_problems_is_on_the_page_on_training() -> None:
    said = set()
    for cell in (line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")):
        group = ""
        for text in re.findall(r"`([^`]*)`", cell):
            # after `group=option` more options of the same group may follow
            group, name = text.split("=", 1) if "=" in text else (group, text)
            said.add((group, name))
    assert {each for each in OPTIONS if each[0] != "problem"} - said == set()


def test_every_named_case_has_an_option() -> None:
    problems = [
        compose("config", [f"problem={option}"]).problem
        for group, option in OPTIONS
        if group == "problem"
    ]
    found = {problem.case for problem in problems if problem._target_.endswith("_case")}
    assert found == set(CASES)


def test_schemas_stay_out_of_the_groups_that_users_see() -> None:
    assert all(path.startswith("schema/") for path in SCHEMAS)
    shown = _options()
    assert "schema" not in shown
    for group, option in OPTIONS:
        (line,) = [line for line in shown.splitlines() if line.startswith(f"  {group}:")]
        assert option in line.partition(":")[2].replace(",", " ").split()


def test_what_the_files_say_arrives() -> None:
    config = compose("config", ["optimiser.adam.lr=0.25", "problem=heat_2d", "+loss.weights.b=2"])
    parts = build(config)
    assert parts.optimisers["adam"].lr == 0.25
    assert parts.problem.coordinates == ("x", "y", "t")
    assert config.loss.weights.b == 2.0


@pytest.mark.parametrize(
    ("override", "kind"),
    [
        ("loss.balance=gradient_norm", GradientNorm),
        ("loss.balance=ntk", NTK),
        ("loss.balance=relobralo", ReLoBRaLo),
        ("loss.causal=0.5", Causality),
        ("loss.causal=[0.01,1.0]", Causality),
        ("sampler.adaptive=rad", RAD),
        ("sampler.adaptive=rar", RAR),
        ("sampler.adaptive=rar_d", RARD),
        ("sampler.adaptive=r3", R3),
    ],
)
def test_rules_for_loss_and_points_are_found_by_their_names(override: str, kind: type) -> None:
    config = compose("config", [override])
    check_keys(config)
    whole: Any = OmegaConf.to_object(config)
    problem = build(config).problem
    found = [
        balance_of(whole.loss, seed=0),
        causality_of(whole.loss, problem),
        adaptive_of(whole.sampler),
    ]
    (made,) = [each for each in found if each is not None]
    assert type(made) is kind


def test_numbers_of_the_rules_arrive() -> None:
    loss = ["balance=relobralo", "balance_every=7", "balance_momentum=0.5", "causal=[0.1,2]"]
    loss += ["balance_temperature=3.0", "balance_lookback=0.25", "causal_chunks=9"]
    points = ["adaptive=rar_d", "adaptive_pool=77", "adaptive_power=3.0", "adaptive_floor=0.5"]
    points += ["adaptive_add=11", "adaptive_limit=99"]
    given = [f"loss.{each}" for each in (*loss, "causal_every=4")]
    config = compose("config", [*given, *(f"sampler.{each}" for each in points)])
    whole: Any = OmegaConf.to_object(config)
    balance: Any = balance_of(whole.loss, seed=0)
    assert (balance.every, balance.momentum) == (7, 0.5)
    assert (balance.temperature, balance.lookback) == (3.0, 0.25)
    causality: Any = causality_of(whole.loss, build(config).problem)
    assert causality.epsilons == (0.1, 2.0) and (causality.chunks, causality.every) == (9, 4)
    rule: Any = adaptive_of(whole.sampler)
    assert (rule.add, rule.limit, rule.pool, rule.power, rule.floor) == (11, 99, 77, 3.0, 0.5)


@pytest.mark.parametrize(
    ("overrides", "asked", "axes"),
    [
        ([], {}, ()),
        (["network.periodic_axes=[1]"], {}, (1,)),
        (["network.periodic_axes=[1]"], {"periodic_axes": (0, 1)}, (0, 1)),
        (["network.periodic_axes=[1]", "network.harmonics=3"], {"periodic_axes": (0,)}, (0, 1)),
    ],
)
def test_periodic_axes_are_those_of_the_user_and_of_the_problem(
    overrides: list[str], asked: dict[str, Any], axes: tuple[int, ...]
) -> None:
    config = compose("config", overrides)
    embedding = build(config).network(inputs=2, outputs=1, **asked).embedding
    assert embedding.axes == axes
    assert embedding.outputs == 2 + (2 * config.network.harmonics - 1) * len(axes)


@pytest.mark.parametrize(
    ("kind", "option"),
    [("none", "pool=9"), ("r3", "pool=9"), ("rad", "limit=9"), ("rar", "power=2.0")],
)
def test_a_rule_refuses_numbers_that_it_has_no_use_for(kind: str, option: str) -> None:
    config = compose("config", [f"sampler.adaptive={kind}", f"sampler.adaptive_{option}"])
    whole: Any = OmegaConf.to_object(config)
    name = option.partition("=")[0]
    with pytest.raises(ConfigurationError, match=rf"adaptive={kind} .*adaptive_{name}: leave it"):
        adaptive_of(whole.sampler)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("+a.b=1", "no key a"),
        ("+training.max_stepz=1", r"training\.max_stepz\. Did you mean training\.max_steps\?"),
        ("+optimiser.adam.lrr=1", r"optimiser\.adam\.lrr\. Did you mean optimiser\.adam\.lr\?"),
        ("+problem.diffusivty=1", r"Did you mean problem\.diffusivity\?"),
        ("+network.max_steps=1", r"Did you mean training\.max_steps\?"),
    ],
)
def test_added_keys_are_refused(override: str, message: str) -> None:
    config = compose("config", [override])
    with pytest.raises(ConfigurationError, match=message):
        check_keys(config)
