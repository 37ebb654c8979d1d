"""Problems in YAML files of the user's own: ``problem=<path>.yaml`` on the command line."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pinnderiv.errors import ConfigurationError
from pinnderiv.hints import unknown_key
from pinnderiv.schema.problems import PDEConfig

_ARGUMENT = re.compile(r"^problem=(?P<files>.*\.ya?ml)$")


def problem_files(arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
    """Reads the problem files that a command line names.

    Args:
        arguments: of the command; ``problem=a.yaml`` or, for a multirun, ``problem=a.yaml,b.yaml``.

    Returns:
        The arguments with names of options in the place of files, and those options.

    Raises:
        ConfigurationError: a file is not there or holds no problem; the message says why.
    """
    options: dict[str, Any] = {}
    changed = []
    for argument in arguments:
        match = _ARGUMENT.match(argument)
        if match is None:
            changed.append(argument)
            continue
        names = []
        for file in match["files"].split(","):
            if not file.endswith((".yaml", ".yml")):
                names.append(file)  # an option of the group, beside files
                continue
            path = Path(file.strip("'\""))
            name = re.sub(r"\W", "_", str(path.with_suffix("")))
            options[name] = read_problem(path)
            names.append(name)
        changed.append(f"problem={','.join(names)}")
    return changed, options


def read_problem(path: Path) -> Any:
    """A problem file as a configuration, checked for keys that no problem has.

    Raises:
        ConfigurationError: it is not there, is no YAML, or has a key that is not known.
    """
    if not path.is_file():
        raise ConfigurationError(
            f"there is no problem file '{path}'. A problem of the library has no ending: "
            f"problem={path.stem}"
        )
    try:
        values = OmegaConf.load(path)
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f", line {where.line + 1}, column {where.column + 1}" if where else ""
        what = getattr(error, "problem", None) or error
        raise ConfigurationError(f"'{path}'{line} is no YAML: {what}") from error
    if not OmegaConf.is_dict(values):
        raise ConfigurationError(
            f"'{path}' must be a mapping with keys such as equation and domain"
        )
    plain: Any = values
    bad = [key for key in plain if not isinstance(key, str)]
    if bad:
        raise ConfigurationError(f"'{path}' has the key {bad[0]!r}, which is no name")
    plain.pop("defaults", None)
    schema = OmegaConf.structured(PDEConfig)
    # a key without a default is not "in" the configuration
    known = [each.name for each in dataclasses.fields(PDEConfig)]
    for key in plain:
        if key not in known:
            raise ConfigurationError(f"'{path}': {unknown_key(f'problem.{key}', known)}")
    try:
        problem = OmegaConf.merge(
            schema, {"name": path.stem, "folder": str(path.resolve().parent)}, plain
        )
    except OmegaConfBaseException as error:
        raise ConfigurationError(f"'{path}': {str(error).splitlines()[0]}") from error
    for key in ("coordinates", "domain", "equation"):
        if OmegaConf.is_missing(problem, key):
            raise ConfigurationError(
                f"'{path}' lacks {key}: docs/problems.md shows what it can hold"
            )
    return problem
