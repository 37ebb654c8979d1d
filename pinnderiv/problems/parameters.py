"""Coefficients out of a problem file: numbers, functions, grids, and what is to be found."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from pinnderiv.equations import GridFunction, Trainable
from pinnderiv.errors import ConfigurationError, PinnderivError
from pinnderiv.problems.entries import Entry, finite, readable
from pinnderiv.problems.texts import Texts, names_in, used_in

_KINDS = ("value", "trainable", "file", "network")
_PARAMETER = (*_KINDS, "true")
_NETWORK = ("width", "depth", "positive")


def parameters_of(
    given: Any, columns: tuple[str, ...], unknowns: tuple[str, ...], folder: Path
) -> dict[str, Any]:
    """The coefficients that ``parameters:`` of a problem file describes.

    Args:
        given: a mapping from names to a number, text, a list for a vector, or a mapping that says
            what the coefficient is.
        columns: names of the coordinates.
        unknowns: names of the outputs.
        folder: where the names of files begin.

    Returns:
        Numbers, texts, lists of them, grids, modules and unknown numbers, by name. Text may use
        other parameters, in any order; where it comes to a number, it is that number.

    Raises:
        ConfigurationError: a value makes no coefficient; the message says which and why.
    """
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            "parameters must be a mapping from names to values, such as {nu: 0.01}; got "
            f"{given!r}"
        )
    for name in given:
        path = f"parameters.{name}"
        if not isinstance(name, str) or not name.isidentifier():
            raise ConfigurationError(
                f"{path}: a parameter has a name of letters and digits; got {name!r}"
            )
        if name in (*columns, *unknowns):
            what = "a coordinate" if name in columns else "an output"
            raise ConfigurationError(f"{path} has the name of {what}: choose another")
    values: dict[str, Any] = {
        name: _value(f"parameters.{name}", each, columns, folder) for name, each in given.items()
    }
    texts = {name: each for name, each in values.items() if isinstance(each, str)}
    for name, text in texts.items():
        used = used_in([text], values)
        if name in used:
            raise ConfigurationError(f"parameters.{name} depends on itself: {text!r}")
        if all(isinstance(each, float | str) for each in used.values()):
            values[name] = _number_or_text(
                f"parameters.{name}", text, Texts(columns, plain(values))
            )
        # what is to be found, and values on grids, are for the equation to put together
    return values


def plain(values: Mapping[str, Any]) -> dict[str, float | str]:
    """Those of the parameters that any text of the file can use."""
    found = {name: each for name, each in values.items() if isinstance(each, float | str)}
    return {
        name: each for name, each in found.items() if set(used_in([each], values)) <= set(found)
    }


def require_use(values: Mapping[str, Any], texts: Sequence[Any]) -> None:
    """A parameter that occurs nowhere is likely misspelt where it was meant.

    Raises:
        ConfigurationError: it does; names it.
    """
    said = [each for part in texts for each in _texts_in(part)]
    used = {name for each in said for name in names_in(each, values)}
    for name in values:
        if name not in used:
            raise ConfigurationError(
                f"parameters.{name} does not occur in the problem: remove it, or correct its name"
            )


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts_in(each)
    elif isinstance(value, Sequence):
        for each in value:
            yield from _texts_in(each)


def _number_or_text(path: str, text: str, texts: Texts) -> float | str:
    """A number where the text is one; else the text, which the equation can take apart."""
    return text if texts.depends(path, text) else texts.number(path, text)


def _value(path: str, given: Any, columns: tuple[str, ...], folder: Path) -> Any:
    if isinstance(given, str):
        return given
    if isinstance(given, Sequence):
        for index, each in enumerate(given):
            if not isinstance(each, str):
                finite(f"{path}[{index}]", each)
        if len(given) < 2:
            raise ConfigurationError(f"{path} must have two components or more; got {given!r}")
        return list(given)
    if isinstance(given, int | float):
        return finite(path, given)
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"{path} must be a number, text, a list for a vector, or a mapping with one of "
            f"{', '.join(_KINDS)}; got {given!r}"
        )
    # YAML reads the key true as a boolean
    entry = Entry(path, {"true" if k is True else k: v for k, v in given.items()}, _PARAMETER)
    what = [key for key in _KINDS if entry.get(key) is not None]
    if len(what) != 1:
        raise ConfigurationError(
            f"{path} must have one of {', '.join(_KINDS)}; got {', '.join(what) or 'none'}"
        )
    kind, inner, texts = what[0], entry.get(what[0]), Texts(columns, {})
    if entry.get("true") is not None and kind != "trainable":
        raise ConfigurationError(f"{entry.at('true')} goes with trainable")
    if kind == "value":
        return _value(entry.at("value"), inner, columns, folder)
    if kind == "trainable":
        true = entry.get("true")
        return Trainable(
            texts.number(entry.at("trainable"), inner),
            true=None if true is None else texts.number(entry.at("true"), true),
        )
    if kind == "network":
        return _network(Entry(entry.at("network"), inner, _NETWORK), len(columns))
    return _grid(path, readable(entry.at("file"), inner, folder), columns)


def _network(entry: Entry, inputs: int) -> nn.Module:
    width, depth = (
        _size(entry.at(key), entry.get(key, usual)) for key, usual in (("width", 16), ("depth", 2))
    )
    positive = entry.get("positive", False)
    if not isinstance(positive, bool):
        raise ConfigurationError(f"{entry.at('positive')} must be true or false; got {positive!r}")
    layers: list[nn.Module] = []
    for layer in range(depth):
        layers += [nn.Linear(inputs if layer == 0 else width, width), nn.Tanh()]
    layers.append(nn.Linear(width, 1))
    if positive:
        layers.append(nn.Softplus())
    return nn.Sequential(*layers)


def _size(path: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 10_000:
        raise ConfigurationError(f"{path} must be a whole number from 1 to 10000; got {value!r}")
    return value


def _grid(path: str, file: Path, columns: tuple[str, ...]) -> GridFunction:
    """Values on a grid: an ``.npz`` with an axis for coordinates by their names, and ``values``."""
    try:
        return GridFunction.from_npz(file).over(columns)
    except (
        OSError,
        ValueError,
        EOFError,
        AttributeError,
        zipfile.BadZipFile,
        PinnderivError,
    ) as error:
        raise ConfigurationError(
            f"{path}: '{file}' is no grid of values: {error}. Write it with numpy.savez(path, "
            f"{', '.join(f'{name}=...' for name in columns)}, values=...)"
        ) from error
