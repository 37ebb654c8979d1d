"""Whether a problem says enough to have a solution, asked before any training."""

from __future__ import annotations

from collections.abc import Sequence

from pinnderiv.domains import Box, Domain, SpaceTime
from pinnderiv.equations import Equation
from pinnderiv.errors import ConfigurationError
from pinnderiv.problems.conditions import (
    AnyCondition,
    Condition,
    Observations,
    PeriodicCondition,
    Relation,
)

_INITIAL, _FINAL, _BOUNDARY = "initial", "final", "boundary"
# Measures of pieces may be estimates.
_ENOUGH = 0.98


def check_well_posed(
    equation: Equation,
    domain: Domain,
    conditions: Sequence[AnyCondition],
    outputs: Sequence[str],
    coordinates: Sequence[str],
) -> None:
    """Refuses a problem that obviously lacks something.

    Observations count for whatever is missing, and so do interfaces in space: with them nobody but
    the user can know. A condition that holds on a part of a piece counts for all of it.

    Args:
        equation: of the problem.
        domain: where it holds.
        conditions: all of them.
        outputs: the unknowns.
        coordinates: the columns.

    Raises:
        ConfigurationError: an output with no equation; a coordinate in which the equation is
            of some order, and too few conditions for it; a piece of the boundary without one.
    """
    require_enough(equation.count, outputs)
    if any(isinstance(each, Observations) for each in conditions):
        return
    if domain.time_axis is not None:
        time = coordinates[domain.time_axis]
        if any(domain.root(each.piece) == _FINAL for each in conditions):
            _check_ends(equation, domain, conditions, outputs, time)
        else:
            for index, output in enumerate(outputs):
                _check_time(equation, domain, conditions, index, output, time)
    if any(each.surface is not None for each in conditions):
        return
    _Boundary(equation, domain, conditions, outputs, coordinates).check()


def require_enough(equations: int, outputs: Sequence[str]) -> None:
    """Refuses a system with fewer equations than outputs.

    Raises:
        ConfigurationError: it is one.
    """
    if equations < len(outputs):
        raise ConfigurationError(
            f"there are {len(outputs)} outputs ({', '.join(outputs)}) and {equations} "
            f"equation{'s' * (equations != 1)}: a system needs one for each output"
        )


def _about(condition: AnyCondition, index: int) -> bool:
    output = getattr(condition, "output", None)
    return output is None or output == index


def _check_time(
    equation: Equation,
    domain: Domain,
    conditions: Sequence[AnyCondition],
    index: int,
    output: str,
    time: str,
) -> None:
    order, axis = equation.order(time, output), domain.time_axis
    about = [each for each in conditions if _about(each, index)]
    at_start = [each for each in about if domain.root(each.piece) == _INITIAL]
    given = {each.partial.count(axis) for each in at_start if isinstance(each, Condition)}
    if any(isinstance(each, Relation) for each in at_start):
        return
    if any(isinstance(each, PeriodicCondition) and each.axis == axis for each in about):
        return
    for missing in sorted(set(range(order)) - given):
        if missing > 1:
            raise ConfigurationError(
                f"the equation is of order {order} in {time} for {output}, and conditions at the "
                f"start are of {output} and {output}_{time}: make it a system of lower order, or "
                "add a condition of the kind relation with piece: initial"
            )
        name, kind = ((output, "initial"), (f"{output}_{time}", "velocity"))[missing]
        raise ConfigurationError(
            f"the equation is of order {order} in {time} for {output}, and there is no condition "
            f"for {name} at the start: add one under conditions, such as {{start_{kind}: {{kind: "
            f"{kind}, value: 0}}}}"
        )


def _check_ends(
    equation: Equation,
    domain: Domain,
    conditions: Sequence[AnyCondition],
    outputs: Sequence[str],
    time: str,
) -> None:
    """Where something is given at the end of time, how many conditions the two ends have in all:
    the unknowns of a system share them."""
    need = sum(equation.order(time, output) for output in outputs)
    have = sum(
        each.components(len(outputs))
        for each in conditions
        if domain.root(each.piece) in (_INITIAL, _FINAL)
    )
    if have < need:
        raise ConfigurationError(
            f"the equation is of order {need} in {time} for {', '.join(outputs)} together, and "
            f"there {'is 1 condition' if have == 1 else f'are {have} conditions'} at the start and "
            f"the end: {need} are needed in all"
        )


class _Boundary:
    """Counts conditions on the boundary of space.

    Across an axis in which an unknown is differentiated 2k times each end needs k conditions; the
    unknowns of a system share them (a plate as u_xx = v, v_xx = f has two for u and none for v).
    """

    def __init__(
        self,
        equation: Equation,
        domain: Domain,
        conditions: Sequence[AnyCondition],
        outputs: Sequence[str],
        coordinates: Sequence[str],
    ) -> None:
        self.equation, self.domain, self.outputs = equation, domain, outputs
        self.axes = {coordinates[i]: i for i in range(domain.dim) if i != domain.time_axis}
        ends = (_INITIAL, _FINAL)
        self.conditions = [each for each in conditions if domain.root(each.piece) not in ends]
        self.periodic = {
            each.axis for each in self.conditions if isinstance(each, PeriodicCondition)
        }

    def check(self) -> None:
        orders = {name: self._order(name) for name in self.axes}
        space = self.domain.space if isinstance(self.domain, SpaceTime) else self.domain
        if isinstance(space, Box):
            for name, axis in self.axes.items():
                if orders[name] and axis not in self.periodic:
                    self._check_sides(name, orders[name])
        elif orders:
            self._check_pieces(max(orders.values()))
        # what is carried along streamlines needs no values where these do not cross the boundary
        carried = self.domain.time_axis is not None and max(orders.values(), default=0) <= 1
        needed = any(self.equation.order(name) for name in self.axes) and not carried
        if not self.conditions and needed:
            raise ConfigurationError(
                "there is no condition on the boundary: add one under conditions, such as "
                "{walls: {piece: boundary, value: 0}}"
            )

    def _order(self, name: str) -> int:
        """How many conditions the equation needs along an axis."""
        every = [self.equation.order(name, output) for output in self.outputs]
        # which of the unknowns of first order need one depends on the system
        return every[0] if len(every) == 1 else sum(each for each in every if each > 1)

    def _count(self, *pieces: str) -> int:
        """How many conditions hold on all of a piece, which has several names."""
        return sum(
            each.components(len(self.outputs))
            for each in self.conditions
            if not isinstance(each, PeriodicCondition) and self.domain.root(each.piece) in pieces
        )

    def _check_sides(self, name: str, order: int) -> None:
        sides = (f"{name}_min", f"{name}_max")
        everywhere = self._count(_BOUNDARY, "walls", *self._own_names())
        counts = {side: everywhere + self._count(side) for side in sides}
        # all at one end is an initial-value problem
        if max(counts.values()) >= order:
            return
        bare = [side for side in sides if not counts[side]]
        what = f"the equation is of order {order} in {name} for {', '.join(self.outputs)}, and "
        if bare:
            raise ConfigurationError(
                f"{what}there is no condition for {' and '.join(self.outputs)} on "
                f"{' or '.join(bare)}: add one under conditions, such as {{{bare[0]}: {{piece: "
                f"{bare[0]}, value: 0}}}}, or {{wrap: {{kind: periodic, axis: {name}}}}}"
            )
        if sum(counts.values()) < order:
            raise ConfigurationError(
                f"{what}there are {counts[sides[0]]} conditions on {sides[0]} and "
                f"{counts[sides[1]]} on {sides[1]}, {order} are needed in all: {self._more()}"
            )

    def _check_pieces(self, order: int) -> None:
        # of first order it depends on the direction at which pieces something flows in
        need = order // 2
        everywhere = self._count(_BOUNDARY)
        short = [
            piece
            for piece in self.domain.pieces
            if piece != _INITIAL and everywhere + self._count(piece) < need
        ]
        if not short or self._covered() >= need * _ENOUGH:
            return
        piece = short[0]
        some = everywhere + self._count(piece)
        raise ConfigurationError(
            f"there is no condition for {' and '.join(self.outputs)} on the piece {piece} of the "
            f"boundary, or not on all of it: add one under conditions, such as {{{piece}: {{piece: "
            f"{piece}, value: 0}}}}"
            if some == 0
            else f"there are {some} conditions on the piece {piece} of the boundary and the "
            f"equation, of order {order}, needs {need}: {self._more()}"
        )

    def _covered(self) -> float:
        """Conditions for each point of the boundary, on average: pieces can have many names."""
        sizes = {
            piece: self.domain.piece_measure(piece)
            for piece in {_BOUNDARY, *(self.domain.root(each.piece) for each in self.conditions)}
        }
        return sum(
            each.components(len(self.outputs)) * sizes[self.domain.root(each.piece)]
            for each in self.conditions
        ) / (sizes[_BOUNDARY] or 1.0)

    def _own_names(self) -> tuple[str, ...]:
        space = self.domain.space if isinstance(self.domain, SpaceTime) else self.domain
        return () if space.name is None else (space.name,)

    @staticmethod
    def _more() -> str:
        return "add a value, a slope {kind: neumann, value: 0}, or a relation such as u_xx = 0"
