"""What was likely meant: messages for keys and values that the configuration does not have."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

from omegaconf import DictConfig, OmegaConf

from pinnderiv import schema
from pinnderiv.errors import ConfigurationError, nearest


def check_keys(config: DictConfig) -> None:
    """Refuses keys that no schema has, and values where keys are wanted.

    Hydra does that for ``key=value``, but not for ``+key=value``, nor where an option brings the
    keys.

    Raises:
        ConfigurationError: names the key and the nearest that exists.
    """
    phases = [str(name) for name in config.optimiser if _is_part(config.optimiser, name)]
    for name in map(str, config.optimiser):
        if name in phases:
            continue
        key, value = f"optimiser.{name}", config.optimiser[name]
        if OmegaConf.is_dict(value):
            raise ConfigurationError(
                f"there is no phase {name}: the optimiser has {', '.join(phases)}; another "
                "optimiser is chosen with optimiser=<option>"
            )
        raise ConfigurationError(
            f"{key} is a phase with keys of its own and cannot be {value!r}: give one of them, "
            f"such as {key}.steps=100"
        )
    if not OmegaConf.is_missing(config.sampler, "method") and not OmegaConf.is_dict(
        config.sampler.method
    ):
        raise ConfigurationError(
            f"sampler.method cannot be {config.sampler.method!r}: choose how points are drawn with "
            "sampler=<option>, such as sampler=sobol"
        )
    for path, node in _typed_nodes(config, ""):
        part: Any = OmegaConf.get_type(node)
        known = [field.name for field in dataclasses.fields(part)]
        for name in map(str, node):
            if name not in known:
                raise ConfigurationError(unknown_key(f"{path}{name}", known))


def _typed_nodes(node: DictConfig, path: str) -> Iterator[tuple[str, DictConfig]]:
    if dataclasses.is_dataclass(OmegaConf.get_type(node)):
        yield path, node
    # as they are: the key `true` of a problem's parameter is no text to YAML
    for name in node:
        if not OmegaConf.is_missing(node, name) and OmegaConf.is_dict(node[name]):
            yield from _typed_nodes(node[name], f"{path}{name!s}.")


def _is_part(parent: DictConfig, name: Any) -> bool:
    return OmegaConf.is_dict(parent[name]) and dataclasses.is_dataclass(
        OmegaConf.get_type(parent[name])
    )


def wrong_value(key: str, message: str, value: Any) -> str:
    """The message for a value that its key cannot have.

    Args:
        key: dotted.
        message: what OmegaConf said of it.
        value: what was given, or None if that is not known.
    """
    if "is not a ListConfig" in message and value is not None:
        return f"{key} must be a list, got {value}: write {key}=[{value}]"
    wanted = re.search(r"is not a subclass of (\w+)", message)
    section: Any = _section(wanted[1]) if wanted else None
    if dataclasses.is_dataclass(section):
        fields = dataclasses.fields(section)
        for each in fields:
            # with a postponed annotation the default tells the type
            if isinstance(each.default, Enum) and str(value) in type(each.default).__members__:
                return f"{key} has keys of its own: did you mean {key}.{each.name}={value}?"
        names = ", ".join(each.name for each in fields if each.name[0] != "_")
        return f"{key} has keys of its own and cannot be {value}; it has: {names}"
    return f"{key}: {message.splitlines()[0]}"


def _section(name: str) -> Any:
    """The dataclass of the schemas that has this name, or None."""
    modules = (schema, schema.loss, schema.networks, schema.optimisers, schema.points)
    return next((getattr(each, name) for each in modules if hasattr(each, name)), None)


def unknown_key(path: str, siblings: Iterable[Any]) -> str:
    """The message for a key that does not exist beside ``siblings``."""
    siblings = [str(each) for each in siblings]
    parent, _, name = path.rpartition(".")
    prefix = f"{parent}." if parent else ""
    # the right name in the wrong section is as common as a slip of the finger
    elsewhere = [known for known in _schema_keys() if known.rpartition(".")[2] == name]
    close = nearest(name, siblings)
    meant = elsewhere if close is None else [f"{prefix}{close}"]
    hint = f" Did you mean {meant[0]}?" if meant else ""
    shown = ", ".join(each for each in siblings if each[0] != "_" and each != "hydra")
    return f"there is no key {path}.{hint} {parent or 'The configuration'} has: {shown}"


def _schema_keys() -> Iterator[str]:
    for field in dataclasses.fields(schema.RunConfig):
        yield field.name
        if dataclasses.is_dataclass(field.default_factory):
            yield from (
                f"{field.name}.{each.name}" for each in dataclasses.fields(field.default_factory)
            )
