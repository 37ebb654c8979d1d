"""The command: Hydra composes the configuration, this file builds what it names and runs it.

``pinnderiv key=value ...`` and ``python -m pinnderiv key=value ...`` are the same.
"""

from __future__ import annotations

import dataclasses
import difflib
import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from pinnderiv.errors import ConfigurationError, NonFiniteLossError, PinnderivError
from pinnderiv.schema import SCHEMAS, Mode, RunConfig

if TYPE_CHECKING:
    from pinnderiv.training.setup import Parts

ROOT = "config"
# What may be changed when a run is resumed; the rest decides what the checkpoint's numbers mean.
RESUMABLE = ("training", "monitor", "optimiser", "device", "threads")
EVALUABLE = ("evaluate", "device", "threads")
# What is about this call of the command, and not about the run.
_CALL_ONLY = ("mode", "resume", "run", "evaluate")

_UNIQUE = secrets.token_hex(3)
_WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR", "") not in ("", "0")
_log = logging.getLogger(__name__)


def main() -> None:
    """The console command; ends the process with code 2 where the user can mend it."""
    # Hydra prints errors in its own way unless told to raise them; here they are explained
    os.environ["HYDRA_FULL_ERROR"] = "1"
    register()
    try:
        decorate = hydra.main(
            version_base="1.3", config_path=str(config_directory()), config_name=ROOT
        )
        decorate(_task)()
    except KeyboardInterrupt:
        print("pinnderiv: interrupted outside training", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        message = explain(error)
        if _WANTS_TRACEBACK or message is None:
            raise
        print(f"pinnderiv: {message}", file=sys.stderr)
        raise SystemExit(2) from None


def config_directory() -> Path:
    """The folder of the configuration: inside the installed package, or a checkout's ``conf``.

    Raises:
        ConfigurationError: neither is there.
    """
    package = Path(__file__).resolve().parent
    folders = (package / "conf", package.parent / "conf")
    for folder in folders:
        if (folder / f"{ROOT}.yaml").is_file():
            return folder
    raise ConfigurationError(
        f"pinnderiv's configuration is neither in '{folders[0]}' nor in '{folders[1]}': the "
        "installation is incomplete, install pinnderiv again"
    )


def register() -> None:
    """Tells Hydra the schemas and the resolvers that ``conf/`` uses."""
    store = ConfigStore.instance()
    for path, schema in SCHEMAS.items():
        group, _, name = path.rpartition("/")
        store.store(group=group, name=name, node=schema)
    resolvers: dict[str, Callable[..., Any]] = {
        "unique": lambda: _UNIQUE,
        "options": _options,
        "run_directory": lambda resume, run, new: str(_existing(resume or run) or new),
        "output_subdir": lambda resume, run: None if resume or run or _is_used() else ".hydra",
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(f"pinnderiv.{name}", resolver, replace=True)


def _task(config: DictConfig) -> None:
    """One job: a single run, or one of a multirun."""
    try:
        check_keys(config)
        code = _evaluate(config) if config.mode is Mode.evaluate else _train(config)
    except Exception as error:
        message = explain(error)
        if _WANTS_TRACEBACK or message is None:
            raise
        _log.error(message)
        raise SystemExit(1 if isinstance(error, NonFiniteLossError) else 2) from None
    if code:
        raise SystemExit(code)


def _train(config: DictConfig) -> int:
    from pinnderiv.training.checkpoint import CheckpointFolder
    from pinnderiv.training.console import print_summary
    from pinnderiv.training.session import train_session

    if config.run is not None:
        raise ConfigurationError(
            "run=<directory> goes with mode=evaluate; to train on use resume=<directory>"
        )
    directory, saved = Path(HydraConfig.get().runtime.output_dir), None
    if config.resume is not None:
        directory = Path(_existing(config.resume) or "")
        saved = CheckpointFolder(directory / "checkpoints").load()
        config = _overlaid(saved["config"], config, RESUMABLE)
    plain: Any = OmegaConf.to_container(config, resolve=True, enum_to_str=True)
    own = {name: value for name, value in plain.items() if name not in _CALL_ONLY}
    whole: Any = OmegaConf.to_object(config)
    console = Console()
    metrics, code = train_session(whole, lambda: build(config), directory, own, saved, console)
    if metrics is not None:
        print_summary(metrics, _short(directory), console)
    return code


def _evaluate(config: DictConfig) -> int:
    from pinnderiv.training.checkpoint import CheckpointFolder
    from pinnderiv.training.session import evaluate_session

    if config.run is None:
        raise ConfigurationError(
            "mode=evaluate needs the run directory of a training run: add run=<directory>"
        )
    directory = Path(_existing(config.run) or "")
    saved = CheckpointFolder(directory / "checkpoints").load()
    config = _overlaid(saved["config"], config, EVALUABLE)
    whole: Any = OmegaConf.to_object(config)
    evaluate_session(whole, lambda: build(config), directory, saved, Console())
    return 0


def build(config: DictConfig) -> Parts:
    """Builds what the configuration names.

    Raises:
        PinnderivError: an argument makes no sense.
    """
    from pinnderiv.training.setup import Parts

    return Parts(
        problem=instantiate(config.problem, _convert_="all"),
        network=lambda **sizes: instantiate(config.network, _convert_="all", **sizes),
        sampler=lambda seed: instantiate(config.sampler.method, _convert_="all", seed=seed),
        optimisers={
            str(name): instantiate(phase, _convert_="all")
            for name, phase in config.optimiser.items()
        },
    )


def _overlaid(saved: Mapping[str, Any], given: DictConfig, allowed: tuple[str, ...]) -> DictConfig:
    """The saved configuration with those overrides of this call that may change it."""
    config: Any = OmegaConf.merge(OmegaConf.structured(RunConfig), dict(saved))
    overrides = OverridesParser.create().parse_overrides(list(HydraConfig.get().overrides.task))
    for override in overrides:
        section = override.key_or_group.partition(".")[0]
        if section in ("mode", "resume", "run"):
            continue
        if section not in allowed:
            raise ConfigurationError(
                f"{override.key_or_group} cannot be changed here: the run's own configuration "
                f"holds. What can be changed: {', '.join(allowed)}. For anything else begin a "
                "new run"
            )
        OmegaConf.update(
            config, override.key_or_group, OmegaConf.select(given, override.key_or_group)
        )
    return config


def _existing(directory: str | None) -> str | None:
    """``directory`` if it is a run directory, None if there is none to check.

    It is checked while Hydra resolves its own folder, so that a misspelt one is not made.
    """
    if directory is None:
        return None
    if not (Path(directory) / "checkpoints").is_dir():
        raise ConfigurationError(
            f"'{directory}' is no run directory: it has no folder 'checkpoints'. Give the "
            "directory that the training run printed"
        )
    return directory


def _is_used() -> bool:
    """Whether the directory of this job holds a run: then its configuration is left alone."""
    runtime = HydraConfig.get().runtime if HydraConfig.initialized() else None
    if runtime is None or OmegaConf.is_missing(runtime, "output_dir"):
        return False
    return any((Path(runtime.output_dir) / "checkpoints").glob("step-*.pt"))


def _short(directory: Path) -> Path:
    """Relative to where the user is, if it lies there: what one would type."""
    here = Path.cwd()
    return directory.relative_to(here) if directory.is_relative_to(here) else directory


def _options() -> str:
    """The groups and their options, one group a line, for ``--help``."""
    lines = []
    for folder in sorted(path for path in config_directory().iterdir() if path.is_dir()):
        names = sorted(path.stem for path in folder.glob("*.yaml"))
        lines.append(f"  {folder.name + ':':<12}{', '.join(names)}")
    return "\n".join([*lines, ""])


# -- what was likely meant -----------------------------------------------------------------


def check_keys(config: DictConfig) -> None:
    """Refuses keys that no schema has.

    Hydra does that for ``key=value``, but not for ``+key=value``.

    Raises:
        ConfigurationError: names the key and the nearest that exists.
    """
    for path, node in _typed_nodes(config, ""):
        schema: Any = OmegaConf.get_type(node)
        known = [field.name for field in dataclasses.fields(schema)]
        for name in map(str, node):
            if name not in known:
                raise ConfigurationError(_unknown_key(f"{path}{name}", known))


def _typed_nodes(node: DictConfig, path: str) -> Iterator[tuple[str, DictConfig]]:
    if dataclasses.is_dataclass(OmegaConf.get_type(node)):
        yield path, node
    for name in map(str, node):
        if not OmegaConf.is_missing(node, name) and OmegaConf.is_dict(node[name]):
            yield from _typed_nodes(node[name], f"{path}{name}.")


def _unknown_key(path: str, siblings: list[str]) -> str:
    parent, _, name = path.rpartition(".")
    prefix = f"{parent}." if parent else ""
    # the right name in the wrong section is as common as a slip of the finger
    elsewhere = [known for known in _schema_keys() if known.rpartition(".")[2] == name]
    close = [f"{prefix}{known}" for known in difflib.get_close_matches(name, siblings, 1)]
    meant = [*close, *elsewhere]
    hint = f" Did you mean {meant[0]}?" if meant else ""
    shown = ", ".join(each for each in map(str, siblings) if each[0] != "_" and each != "hydra")
    return f"there is no key {path}.{hint} {parent or 'The configuration'} has: {shown}"


def _schema_keys() -> Iterator[str]:
    for field in dataclasses.fields(RunConfig):
        yield field.name
        if dataclasses.is_dataclass(field.default_factory):
            yield from (
                f"{field.name}.{each.name}" for each in dataclasses.fields(field.default_factory)
            )


def explain(error: BaseException) -> str | None:
    """What a user can do about an error, or None if it is not for a user to mend.

    Args:
        error: anything that was raised; what it was raised from is looked at, too.
    """
    chain = [error]
    while (deeper := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(deeper)
    for each in chain:
        if isinstance(each, PinnderivError):
            return str(each)
    for each in chain:
        if isinstance(each, MissingConfigException) and each.options is not None:
            group, _, name = str(each.missing_cfg_file).rpartition("/")
            meant = difflib.get_close_matches(name, each.options, 1)
            hint = f" Did you mean {group}={meant[0]}?" if meant else ""
            return f"there is no {group}={name}.{hint} {group} can be: {', '.join(each.options)}"
        if isinstance(each, OmegaConfBaseException) and each.full_key:
            if isinstance(each, (AttributeError, KeyError)):
                return _unknown_key(str(each.full_key), list(each.parent_node or ()))
            return f"{each.full_key}: {str(each.msg).splitlines()[0]}"
    for each in chain:
        if isinstance(each, InstantiationException):
            return f"{each}\n(HYDRA_FULL_ERROR=1 shows where)"
        if isinstance(each, (HydraException, OmegaConfBaseException)):
            return str(each)
    return None
