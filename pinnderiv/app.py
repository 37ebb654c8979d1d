"""The command: Hydra composes the configuration, this file builds what it names and runs it.

``pinnderiv key=value ...`` and ``python -m pinnderiv key=value ...`` are the same.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep
from hydra.errors import HydraException, InstantiationException, MissingConfigException
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

from pinnderiv.errors import ConfigurationError, NonFiniteLossError, PinnderivError, nearest
from pinnderiv.hints import check_keys, unknown_key, wrong_value
from pinnderiv.problem_files import problem_files, require_no_code
from pinnderiv.schema import SCHEMAS, Mode, RunConfig

if TYPE_CHECKING:
    from pinnderiv.training.setup import Parts

ROOT = "config"
# What may be changed when a run is resumed; the rest decides what the checkpoint's numbers mean.
RESUMABLE = ("training", "monitor", "optimiser", "device", "threads")
EVALUABLE = ("evaluate", "device", "threads")
# What is about this call of the command, and not about the run.
_CALL_ONLY = ("mode", "resume", "run", "evaluate")

# The jobs of a multirun that failed: number, message, exit code.
_failed: list[tuple[int, str, int]] = []
# The option of the optimiser group that is the optimiser of the run to be resumed.
_OWN_OPTIMISER = "of_the_run"
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_UNIQUE = secrets.token_hex(3)
_WANTS_TRACEBACK = os.environ.get("HYDRA_FULL_ERROR", "") not in ("", "0")
_log = logging.getLogger(__name__)


def main() -> None:
    """The console command; ends the process with code 2 where the user can mend it."""
    # Hydra prints errors in its own way unless told to raise them; here they are explained
    os.environ["HYDRA_FULL_ERROR"] = "1"
    register()
    _failed.clear()
    try:
        _offer_own_optimiser()
        _offer_problem_files()
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
    if _failed:
        jobs = "; ".join(f"job {number}: {message}" for number, message, _ in _failed)
        print(f"pinnderiv: {len(_failed)} job(s) of the multirun failed: {jobs}", file=sys.stderr)
        raise SystemExit(max(code for *_, code in _failed))


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
        "problem_folder": lambda: str(config_directory() / "problem"),
        "output_subdir": lambda resume, run: None if resume or run or _is_used() else ".hydra",
    }
    for name, resolver in resolvers.items():
        OmegaConf.register_new_resolver(f"pinnderiv.{name}", resolver, replace=True)


def _task(config: DictConfig) -> None:
    """One job: a single run, or one of a multirun, of which only a signal ends the others."""
    try:
        check_keys(config)
        code = _evaluate(config) if config.mode is Mode.evaluate else _train(config)
    except Exception as error:
        message = explain(error)
        code = 1 if message is None or isinstance(error, NonFiniteLossError) else 2
        of_many = HydraConfig.get().mode is RunMode.MULTIRUN
        if not of_many and (_WANTS_TRACEBACK or message is None):
            raise
        _log.error(message or "failed", exc_info=_WANTS_TRACEBACK or message is None)
        if of_many:
            _failed.append((HydraConfig.get().job.num, message or repr(error), code))
            return
        raise SystemExit(code) from None
    if code:
        raise SystemExit(code)


def _train(config: DictConfig) -> int:
    from pinnderiv.training.checkpoint import CheckpointFolder
    from pinnderiv.training.commands import resume_command
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
    try:
        metrics, code = train_session(whole, lambda: build(config), directory, own, saved, console)
        if metrics is not None:
            print_summary(metrics, _short(directory), console)
    except KeyboardInterrupt:  # the second one, or one that came before or after the steps
        saved_already = CheckpointFolder(directory / "checkpoints").all()
        more = f"; go on with: {resume_command(_short(directory))}" if saved_already else ""
        print(f"pinnderiv: interrupted; the run is in '{_short(directory)}'{more}", file=sys.stderr)
        raise SystemExit(130) from None
    return code


def _evaluate(config: DictConfig) -> int:
    from pinnderiv.training.checkpoint import CheckpointFolder
    from pinnderiv.training.session import evaluate_session

    if config.run is None:
        raise ConfigurationError(
            "mode=evaluate needs the run directory of a training run: add run=<directory>"
        )
    if config.resume is not None:
        raise ConfigurationError(
            "resume=<directory> goes on with training and has no meaning with mode=evaluate: "
            "leave it out; run=<directory> is what is evaluated"
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

    require_no_code(config.problem)
    return Parts(
        problem=instantiate(config.problem, _convert_="all"),
        network=lambda **sizes: _network(config.network, sizes),
        sampler=lambda seed: instantiate(config.sampler.method, _convert_="all", seed=seed),
        optimisers={
            str(name): instantiate(phase, _convert_="all")
            for name, phase in config.optimiser.items()
        },
    )


def _network(config: DictConfig, sizes: Mapping[str, Any]) -> Any:
    """The network; its warnings become lines of ours, where Python would show Hydra's code."""
    given: dict[str, Any] = dict(sizes)
    if "periodic_axes" in given:  # those of the problem, beside the user's own
        given["periodic_axes"] = sorted({*config.periodic_axes, *given["periodic_axes"]})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        network = instantiate(config, _convert_="all", **given)
    for each in caught:
        _log.warning(str(each.message))
    return network


def _offer_own_optimiser() -> None:
    """Makes the optimiser of the run to be resumed the one that ``optimiser.*`` is checked against.

    Hydra composes before the run is read, so it would take the default optimiser.
    """
    directory = _given("resume")
    about = [each.lstrip("+~").startswith("optimiser.") for each in sys.argv]
    index = about.index(True) if any(about) else None
    if index is None or directory is None or _given("optimiser") is not None:
        return
    if isinstance(directory, list):
        return  # several runs, perhaps of several optimisers
    from pinnderiv.training.checkpoint import CheckpointFolder

    saved = CheckpointFolder(Path(_existing(str(directory)) or "") / "checkpoints").load()
    schemas = {getattr(each, "_target_", ""): each for each in SCHEMAS.values()}
    phases = {}
    for name, values in saved["config"]["optimiser"].items():
        schema = schemas.get(values["_target_"])
        typed = OmegaConf.structured(schema) if schema else OmegaConf.create()
        phases[name] = OmegaConf.merge(typed, values)
    ConfigStore.instance().store(group="optimiser", name=_OWN_OPTIMISER, node=phases)
    sys.argv = [*sys.argv[:index], f"optimiser={_OWN_OPTIMISER}", *sys.argv[index:]]


def _offer_problem_files() -> None:
    """Makes the files that ``problem=<path>.yaml`` names options of the group ``problem``."""
    arguments, options = problem_files(sys.argv[1:])
    for name, problem in options.items():
        ConfigStore.instance().store(group="problem", name=name, node=problem)
    sys.argv = [sys.argv[0], *arguments]


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
        value = OmegaConf.select(given, override.key_or_group)
        # another option replaces a section: merged into it, it would keep the old one's phases
        OmegaConf.update(config, override.key_or_group, value, merge=False)
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
    lines = [f"  {group + ':':<12}{', '.join(names)}" for group, names in _groups().items()]
    return "\n".join([*lines, ""])


def _groups() -> dict[str, list[str]]:
    folders = sorted(path for path in config_directory().iterdir() if path.is_dir())
    return {each.name: sorted(path.stem for path in each.glob("*.yaml")) for each in folders}


def _given(key: str) -> Any:
    """What the command line gives ``key``, or None; a list of what a multirun goes through."""
    parser = OverridesParser.create()
    for argument in sys.argv[1:]:
        try:
            override = parser.parse_override(argument)
        except HydraException:  # an option of Hydra's, or what it will complain of itself
            continue
        if override.key_or_group == key:
            value: Any = override.value()
            return list(value.list) if isinstance(value, ChoiceSweep) else value
    return None


def _no_option(group: str, name: str, options: Sequence[str]) -> str:
    meant = nearest(name, options)
    hint = f" Did you mean {group}={meant}?" if meant else ""
    return f"there is no {group}={name}.{hint} {group} can be: {', '.join(options)}"


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
            return _no_option(group, name, each.options)
        if isinstance(each, OmegaConfBaseException) and each.full_key:
            if isinstance(each, (AttributeError, KeyError)):
                return unknown_key(str(each.full_key), each.parent_node or ())
            key = str(each.full_key)
            return wrong_value(key, str(each.msg), _given(key))
        if isinstance(each, ValueError) and "Config group override must be" in str(each):
            for group, names in _groups().items():
                value = _given(group)
                for name in value if isinstance(value, list) else [value]:
                    if name is not None and not isinstance(name, str):
                        return _no_option(group, str(name), names)
        if isinstance(each, OSError) and (each.filename or each.errno in _DISK_FULL):
            where = f"'{each.filename}': " if each.filename else ""
            return (
                f"{where}{each.strerror}. Runs are written below the folder that the command is "
                "called in, or to hydra.run.dir=<directory>: give a place that can be written"
            )
    for each in chain:
        if isinstance(each, InstantiationException):
            return f"{each}\n(HYDRA_FULL_ERROR=1 shows where)"
        if isinstance(each, (HydraException, OmegaConfBaseException)):
            return str(each)
    return None
