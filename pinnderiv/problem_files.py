"""Problems in YAML files of the user's own: ``problem=<path>.yaml`` on the command line."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pinnderiv.errors import ConfigurationError
from pinnderiv.hints import unknown_key
from pinnderiv.schema.problems import PROBLEMS, PDEConfig

# What the files of conf/problem begin with, and where they find their tables.
_DEFAULTS = ["/schema/problem/pde@_here_", "_self_"]
_LIBRARY_FOLDER = "${pinnderiv.problem_folder:}"
# What Hydra builds objects by, wherever it stands in a configuration.
_BUILDING = ("_target_", "_partial_", "_args_", "_recursive_", "_convert_")
_SHAPES: tuple[tuple[str, type | types.UnionType, str], ...] = (
    ("coordinates", list, "a list of names, such as [x, t]"),
    ("outputs", list, "a list of names, such as [u]"),
    ("parameters", dict, "a mapping from names to values, such as {nu: 0.01}"),
    ("conditions", dict, "a mapping from names to conditions, such as {walls: {value: 0}}"),
    ("name", str | int | float, "text"),
    ("title", str | int | float, "text"),
    ("reference", str, "the name of a file"),
    ("folder", str, "the name of a folder"),
)
# A problem has some dozens; observations of thousands of points belong into a table.
_MOST_VALUES = 200_000
_ARGUMENT = re.compile(r"^problem=(?P<files>.*\.ya?ml['\"]?)$")
_FILE = re.compile(r"""'[^']*'|"[^"]*"|[^,]+""")
# Where a parameter has keys of its own.
_PARAMETER = re.compile(r"parameters\.\w+\.")
# Sections whose keys are names of the problem's conditions and pieces.
_BY_NAME = re.compile(r"^(?=(loss\.weights|sampler\.points)\.\w+=)")


def problem_files(arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Reads the problem files that a command line names.

    Args:
        arguments: of the command; ``problem=a.yaml`` or, for a multirun, ``problem=a.yaml,b.yaml``.

    Returns:
        The arguments with names of options in the place of files, and those options. Where weights
        and numbers of points are given by names of the problem, they may be new to Hydra.

    Raises:
        ConfigurationError: a file is not there or holds no problem; the message says why.
    """
    options: dict[str, Any] = {}
    changed = []
    for argument in arguments:
        match = _ARGUMENT.match(argument)
        if match is None:
            # what Hydra has no entry for is added; whether there is such a name is asked later
            changed.append(_BY_NAME.sub("++", argument))
            continue
        names = []
        for quoted in _FILE.findall(match["files"]):
            file = quoted.strip().strip("'\"")
            if not file.endswith((".yaml", ".yml")):
                names.append(file)  # an option of the group, beside files
                continue
            path = Path(file).expanduser()
            # the digest keeps names apart that differ in punctuation alone
            digest = hashlib.sha256(file.encode(errors="replace")).hexdigest()[:8]
            name = re.sub(r"[^A-Za-z0-9]", "_", path.stem) + f"_{digest}"
            options[name] = read_problem(path)
            names.append(name)
        changed.append(f"problem={','.join(names)}")
    return changed, options


def read_problem(path: Path) -> Any:
    """A problem file as a configuration, checked for keys that no problem has.

    Raises:
        ConfigurationError: it is not there, is no YAML, or has a key that is not known.
    """
    values = _parsed(path)
    # a file may be a copy of one of the library's
    if values.pop("defaults", _DEFAULTS) != _DEFAULTS:
        raise ConfigurationError(
            f"'{path}' has other defaults than a problem in a file can have: remove them"
        )
    known = [each.name for each in dataclasses.fields(PDEConfig) if each.name[0] != "_"]
    for key in values:
        if key not in known:
            raise ConfigurationError(f"'{path}': {unknown_key(f'problem.{key}', known)}")
    for key in ("coordinates", "domain", "equation"):
        if values.get(key) not in (None, "???"):
            continue
        what = "docs/problems.md shows what it can hold"
        if key == "domain":
            if values["coordinates"] in ("t", ["t"]):
                continue
            what = (
                "the shape that the coordinates of space lie in, such as {interval: [0, 1]}. Only "
                "a problem in t alone has none"
            )
        raise ConfigurationError(f"'{path}' lacks {key}: {what}")
    for key, kind, what in _SHAPES:
        if values.get(key) is not None and not isinstance(values[key], kind):
            raise ConfigurationError(f"'{path}': {key} must be {what}; got {values[key]!r}")
    own = {"name": path.stem, "folder": str(path.resolve().parent)}
    # the file's own place may be called as it likes, and is not looked up either
    own = {key: each.replace("${", "\\${") for key, each in own.items()}
    given = {key: each for key, each in values.items() if each is not None}
    try:
        return OmegaConf.merge(OmegaConf.structured(PDEConfig), own, given)
    except (OmegaConfBaseException, RecursionError) as error:
        full_key = getattr(error, "full_key", None)
        where = f"{full_key}: " if full_key else ""
        raise ConfigurationError(f"'{path}': {where}{str(error).splitlines()[0]}") from error


def require_no_code(problem: Any) -> None:
    """Refuses a composed problem that says what to call, where it should say numbers and texts.

    What builds objects out of configurations calls whatever ``_target_`` names. A problem of the
    library's own kinds has one such key, and that is not for changing.

    Args:
        problem: the section ``problem`` of a configuration.

    Raises:
        ConfigurationError: its ``_target_`` is another than its kind's, or a key within it is one
            of those that build objects.
    """
    if not OmegaConf.is_dict(problem):
        return
    kind: Any = OmegaConf.get_type(problem)
    typed = dataclasses.is_dataclass(kind)
    # that of a run which is resumed or evaluated comes without its type
    targets = {getattr(each, "_target_", None) for each in PROBLEMS.values()}
    if not typed and problem.get("_target_") not in targets:
        return  # an option of the user's own, which is code that they chose
    if typed and problem._target_ != kind._target_:
        raise ConfigurationError(
            f"problem._target_ cannot be {problem._target_!r}: nothing that is said of a problem "
            "can name code to run. A problem made in Python is trained from Python "
            "(pinnderiv.problems)"
        )
    found = next(_building_keys(OmegaConf.to_container(problem, resolve=True), ""), None)
    if found is not None:
        raise ConfigurationError(
            f"problem.{found} cannot be given: nothing that is said of a problem can name code to "
            "run"
        )


def _building_keys(node: Any, where: str) -> Iterator[str]:
    """The dotted names of all keys that build objects, that of the problem itself aside."""
    if isinstance(node, list):
        for index, each in enumerate(node):
            yield from _building_keys(each, f"{where}{index}.")
    elif isinstance(node, dict):
        for key, each in node.items():
            if key in _BUILDING and (where, key) != ("", "_target_"):
                yield f"{where}{key}"
            yield from _building_keys(each, f"{where}{key}.")


def _parsed(path: Path) -> dict[str, Any]:
    """The mapping that a file holds."""
    if not path.is_file():
        raise ConfigurationError(
            f"there is no problem file '{path}'. A problem of the library has no ending: "
            f"problem={path.stem}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
        _require_plain(path, yaml.safe_load(text))
        values = OmegaConf.create(text) if text.strip() else OmegaConf.create({})
        plain: Any = OmegaConf.to_container(values)
    except (yaml.YAMLError, OSError, ValueError, OmegaConfBaseException) as error:
        # PinnderivError is a ValueError where it is about a value
        if isinstance(error, ConfigurationError):
            raise
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigurationError(f"'{path}'{line} is no YAML: {what}") from error
    except RecursionError as error:
        raise ConfigurationError(f"'{path}' is nested too deep, or holds itself") from error
    if not isinstance(plain, dict):
        raise ConfigurationError(
            f"'{path}' must be a mapping with keys such as equation and domain"
        )
    parameters = plain.get("parameters")
    if isinstance(parameters, dict):
        plain["parameters"] = {name: _with_true(each) for name, each in parameters.items()}
    return plain


def _with_true(parameter: Any) -> Any:
    """The true value of an unknown stands under a key that YAML reads as a boolean."""
    if not isinstance(parameter, dict):
        return parameter
    return {"true" if key is True else key: each for key, each in parameter.items()}


def _require_plain(path: Path, values: Any) -> None:
    """Refuses what YAML can say and no problem holds: keys that are no text, or mean something to
    what builds objects out of configurations, references, and aliases that grow without bound."""
    sizes: dict[int, int] = {}

    def size(node: Any, where: str) -> int:
        if isinstance(node, str):
            _require_no_reference(path, where[:-1], node)
        if not isinstance(node, dict | list):
            return 1
        if id(node) not in sizes:
            inner = enumerate(node) if isinstance(node, list) else node.items()
            if isinstance(node, dict):
                for key in node:
                    if key is not True or not _PARAMETER.fullmatch(where):
                        _require_name(path, where, key)
            sizes[id(node)] = 1 + sum(size(each, f"{where}{key}.") for key, each in inner)
        return sizes[id(node)]

    if size(values, "") > _MOST_VALUES:
        raise ConfigurationError(f"'{path}' holds more than {_MOST_VALUES} values")


def _require_name(path: Path, where: str, key: Any) -> None:
    if not isinstance(key, str):
        switch = " (YAML reads on, off, yes and no as true and false)" * isinstance(key, bool)
        raise ConfigurationError(
            f"'{path}' has the key {where}{key}, which is no text{switch}: put it in quotes or "
            "choose another name"
        )
    if key in _BUILDING:
        raise ConfigurationError(
            f"'{path}' has the key {where}{key}: nothing in a problem file can name code to run. "
            "Remove it"
        )
    if key == "hydra":
        raise ConfigurationError(
            f"'{path}' has the key {where}{key}: a problem file holds a problem, and settings of "
            "Hydra are given on the command line, such as hydra.run.dir=<directory>"
        )
    if key.startswith("_"):
        raise ConfigurationError(
            f"'{path}' has the key {where}{key}: keys and names begin with a letter"
        )


def _require_no_reference(path: Path, where: str, text: str) -> None:
    """Refuses ``${...}``, by which a configuration can read the environment and other sections."""
    # a copy of one of the library's files may have the folder of its table
    if "${" in text and (where, text) != ("folder", _LIBRARY_FOLDER):
        shown = text if len(text) <= 60 else text[:60] + "…"
        raise ConfigurationError(
            f"'{path}': {where} is {shown!r}, and a problem file refers to nothing outside of it: "
            "write the value itself; numbers and texts that are used more than once go under "
            "parameters"
        )
