"""Equations that hold on a piece of the boundary, and may speak of its normal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pinnderiv.equations import Equation
from pinnderiv.errors import ConfigurationError, PinnderivError
from pinnderiv.problems.texts import used_in


def relation_equation(
    texts: Sequence[Any],
    path: str,
    coordinates: Sequence[str],
    outputs: Sequence[str],
    values: Mapping[str, Any],
    time_axis: int | None,
) -> tuple[Equation, bool]:
    """The equation of a relation, and whether it speaks of the normal n.

    ``u_n`` is written out as n · ∇u, and the components of n (``n_x``, …) are coordinates of their
    own after those of the problem.

    Args:
        texts: of the equations.
        path: where they stand in the problem file.
        coordinates: of the problem.
        outputs: of the problem.
        values: of the problem's parameters; those that occur are taken.
        time_axis: column of time, which the normal has no part in, or None.

    Raises:
        ConfigurationError: a text cannot be read.
    """
    space = [name for column, name in enumerate(coordinates) if column != time_axis]
    written = []
    for each in texts:
        text = str(each)
        for output in outputs:
            along = " + ".join(f"n_{x}*{output}_{x}" for x in space)
            text = re.sub(rf"\b{re.escape(output)}_n\b", f"({along})", text)
        written.append(text)
    components = tuple(f"n_{name}" for name in coordinates)
    with_normals = any(re.search(rf"\b{each}\b", text) for text in written for each in components)
    columns = (*coordinates, *(components if with_normals else ()))
    try:
        equation = Equation(written, columns, outputs, **used_in(written, values))
    except PinnderivError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return equation, with_normals
