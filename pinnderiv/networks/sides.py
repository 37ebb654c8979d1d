"""Which walls of a box carry values of u."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pinnderiv.errors import ArgumentError
from pinnderiv.networks.options import check_axes

Wall = tuple[int, int]
"""Column of the axis that it is across, and 0 for the lower end or 1 for the upper."""


def sides_with_values(
    columns: int,
    time_axis: int | None,
    periodic: Sequence[int] = (),
    walls: Iterable[Wall] | None = None,
) -> tuple[tuple[int, ...], ...]:
    """For each column the ends at which u is given: (0, 1), (0,), (1,), or () for none.

    Args:
        columns: number of coordinates.
        time_axis: column of time, which has no walls, or ``None``.
        periodic: columns without walls, since u repeats along them.
        walls: the walls with values; ``None`` for all there are.

    Raises:
        ArgumentError: a column is none; time is periodic; or a wall is none, or is
            across time or a periodic axis.
    """
    repeated = check_axes("periodic", periodic, columns)
    if time_axis in repeated:
        raise ArgumentError(
            f"periodic must leave out column {time_axis}, which is time; got {list(periodic)}."
        )
    spatial = [axis for axis in range(columns) if axis != time_axis and axis not in repeated]
    if walls is None:
        return tuple((0, 1) if axis in spatial else () for axis in range(columns))
    given = list(walls)
    for wall in given:
        if not (isinstance(wall, Sequence) and len(wall) == 2 and wall[1] in (0, 1)):
            raise ArgumentError(
                "walls must list pairs of a column and an end (0 lower, 1 upper), such as "
                f"[(0, 0), (0, 1)]; got {wall!r}."
            )
        if wall[0] not in spatial:
            raise ArgumentError(
                f"walls must be across columns of space that are not periodic ({spatial}); got "
                f"{tuple(wall)}."
            )
    return tuple(
        tuple(side for side in (0, 1) if any(tuple(wall) == (axis, side) for wall in given))
        for axis in range(columns)
    )
