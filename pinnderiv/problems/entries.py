"""Reading the parts of a problem file: what is there, what is missing, what was likely meant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pinnderiv.errors import ConfigurationError, did_you_mean


class Entry:
    """A mapping of a problem file, with the place where it stands.

    Args:
        path: of the entry in the file, such as ``conditions.left``.
        values: what stands there.
        known: the keys that it may have.
        required: those of them that it must have.

    Raises:
        ConfigurationError: it is no mapping, a key is not known, or one is missing.
    """

    def __init__(
        self, path: str, values: Any, known: Sequence[str], required: Sequence[str] = ()
    ) -> None:
        self.path = path
        if not isinstance(values, Mapping):
            raise ConfigurationError(
                f"{path} must be a mapping with the keys {', '.join(known)}; got {values!r}"
            )
        for key in values:
            if key not in known:
                raise unknown_key(path, str(key), known)
        missing = [key for key in required if values.get(key) is None]
        if missing:
            raise ConfigurationError(
                f"{path} lacks {' and '.join(missing)}: it has {', '.join(values) or 'nothing'}"
            )
        self.values = values

    def at(self, key: str) -> str:
        """The path of one of its keys."""
        return f"{self.path}.{key}" if self.path else key

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or ``default`` where it is absent or null."""
        value = self.values.get(key)
        return default if value is None else value

    def text(self, key: str, default: str | None = None) -> str | None:
        """The value of a key as a name."""
        value = self.get(key, default)
        if value is not None and not isinstance(value, str):
            raise ConfigurationError(f"{self.at(key)} must be a name; got {value!r}")
        return value

    def choice(self, key: str, options: Sequence[str], default: str) -> str:
        """The value of a key, one of ``options``."""
        value = self.get(key, default)
        if value not in options:
            raise unknown_value(self.at(key), value, options)
        return str(value)


def unknown_key(path: str, key: str, known: Sequence[str]) -> ConfigurationError:
    """The error for a key that an entry does not have."""
    where = f"{path} has no key {key!r}" if path else f"a problem has no key {key!r}"
    return ConfigurationError(f"{where}.{did_you_mean(key, known)} It can have: {', '.join(known)}")


def unknown_value(path: str, value: Any, options: Sequence[str]) -> ConfigurationError:
    """The error for a value that is none of a list."""
    return ConfigurationError(
        f"{path} cannot be {value!r}.{did_you_mean(value, options)} It can be: {', '.join(options)}"
    )


def sequence(path: str, value: Any) -> list[Any]:
    """``value`` as a list.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise ConfigurationError(f"{path} must be a list; got {value!r}")
    return list(value)


def finite(path: str, value: Any) -> float:
    """``value`` as a finite number.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"{path} must be a finite number; got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ConfigurationError(f"{path} must be a finite number; got {str(value)[:40]}")
    return number


def equation_texts(path: str, given: Any) -> list[str]:
    """The texts of an equation, or of several in a list or a mapping from names.

    Raises:
        ConfigurationError: something else stands there.
    """
    several = list(given.values()) if isinstance(given, Mapping) else given
    if isinstance(several, str) or not isinstance(several, Sequence):
        several = [several]
    for each in several:
        if not isinstance(each, str):
            raise ConfigurationError(
                f"{path} must be text such as 'u_t = u_xx', or a list of them; got {each!r}"
            )
    return list(several)


def readable(path: str, value: Any, folder: Path) -> Path:
    """A file whose name stands at ``path``.

    Raises:
        ConfigurationError: it is no name, or there is no such file.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"{path} must be the name of a file; got {value!r}")
    file = folder / value
    try:
        found = file.is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise ConfigurationError(
            f"{path}: there is no file '{file}' (names of files begin at the folder of the problem)"
        )
    return file
