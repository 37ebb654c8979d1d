"""Commands to type next, quoted so that the shell and Hydra both read what is meant."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

# What Hydra's grammar reads as it stands; anything else could be a number, a list or an error.
_PLAIN = re.compile(r"[A-Za-z_/][\w./:+-]*")
_WORDS = frozenset({"null", "true", "false", "nan", "inf"})


def override(key: str, value: str | Path) -> str:
    """``key=value`` for a shell, whatever characters ``value`` has."""
    text = str(value)
    if not _PLAIN.fullmatch(text) or text.lower() in _WORDS:
        # in Hydra's quotes only backslashes before a quote count, and ${ is still a reference
        text = re.sub(
            r"(\\*)('|$)", lambda found: found[1] * 2 + found[2].replace("'", "\\'"), text
        )
        text = "'" + text.replace("${", "\\${") + "'"
        in_shell = shlex.quote(text) if re.search(r'["$`\\!]', text) else f'"{text}"'
        return f"{key}={in_shell}"
    return f"{key}={text}"


def resume_command(directory: Path, *overrides: str) -> str:
    """The command that goes on with the run in ``directory``."""
    return " ".join(["pinnderiv", override("resume", directory), *overrides])
