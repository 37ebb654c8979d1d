"""How the residuals of an equation are computed with the fewest channels.

Taylor mode carries one tangent for each direction and one curvature channel for each second
derivative that is wanted by itself; a sum of second derivatives needs one for all of them, and
first derivatives added to that sum come in free, as the start of the channel (forward Laplacian:
Li et al. 2024; collapsed Taylor mode: Dangel et al. 2025). So the planner looks for one sum of
second derivatives that all equations share, moves into it what it can of the first derivatives,
and leaves the rest to the same pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pinnderiv.equations.text.calculus import Affine, affine
from pinnderiv.equations.text.expression import (
    ONE,
    ZERO,
    Atom,
    Expression,
    Index,
    Number,
    add,
    atoms,
    combine,
    multiply,
    power,
    scale,
    split,
)

Group = dict[int, Expression]
"""Coefficients of the unmixed second derivatives of one unknown in one equation, by column."""


@dataclass(frozen=True)
class Channel:
    """A linear operator that is summed before it leaves the pass.

    Attributes:
        second: coefficients of ∂²/∂x_i² by column.
        mixed: coefficients of ∂²/∂x_i∂x_j by columns, i < j.
        first: coefficients of ∂/∂x_i by column.
        zeroth: coefficient of the unknown itself.
    """

    second: Group
    mixed: dict[Index, Expression] = field(default_factory=dict)
    first: Group = field(default_factory=dict)
    zeroth: Expression = ZERO


@dataclass(frozen=True)
class Plan:
    """What is computed, and how.

    Attributes:
        residuals: of each equation, in unknowns, their derivatives and the operators below.
        indices: derivatives that are wanted by themselves; ``()`` is the unknown.
        channel: the collapsed operator, the atom "operator" of ``residuals``.
        whole: the channel is the whole linear equation (but for its free part).
        squared: weights w by column of (Σ w_i ∂²/∂x_i²)², the atom "squared".
    """

    residuals: tuple[Expression, ...]
    indices: tuple[Index, ...]
    channel: Channel | None = None
    whole: bool = False
    squared: dict[int, float] | None = None

    @property
    def channels(self) -> int:
        """Channels beside the value that Taylor mode carries, in all passes together."""
        return _pass_channels(self.indices, self.channel) + (
            (len(self.squared) + 2) ** 2 - 1 if self.squared else 0
        )


def plan_of(residuals: Sequence[Expression], outputs: Sequence[str]) -> Plan:
    """The plan with the fewest channels among those that this module knows."""
    parts = [affine(each, _is_output) for each in residuals]
    order = max((len(atom.index) for each in residuals for atom in _unknowns(each)), default=0)
    one = len(residuals) == len(outputs) == 1
    if one and order <= 2 and parts[0].other == ZERO:
        whole = _whole(parts[0])
        if whole is not None:
            return whole
    plain = Plan(tuple(residuals), _indices(residuals))
    found = [plain]
    if order == 2:
        shared = _shared(residuals, outputs)
        found += [shared] if shared else []
    if order == 4:
        squared = _squared(residuals, outputs)
        found += [squared] if squared else []
    # the later one of two equals, which leaves less arithmetic to do
    return min(reversed(found), key=lambda plan: plan.channels)


def _is_output(atom: Atom) -> bool:
    return atom.kind == "output"


def _by(column: int) -> Callable[[Atom], bool]:
    return lambda atom: atom.kind == "output" and atom.index == (column,)


def _unknowns(*expressions: Expression) -> list[Atom]:
    return [atom for atom in atoms(*expressions) if atom.kind == "output"]


def _indices(residuals: Sequence[Expression]) -> tuple[Index, ...]:
    found = {atom.index for atom in _unknowns(*residuals)}
    return tuple(sorted(found, key=lambda index: (len(index), index)))


def _scalar(expression: Expression) -> bool:
    """Whether an expression is the same at every point."""
    return all(atom.kind == "parameter" for atom in atoms(expression))


def _pass_channels(indices: Sequence[Index], channel: Channel | None) -> int:
    columns = {column for index in indices for column in index}
    if channel is not None:
        mixed = {column for pair in channel.mixed for column in pair}
        return len(columns | set(channel.second) | mixed) + 1
    order = max((len(index) for index in indices), default=0)
    if order <= 2:
        return len(columns) + sum(len(index) == 2 for index in indices)
    # Taylor mode of Taylor mode, two orders a level (see TaylorEngine.partials)
    inner = _pass_channels(sorted({index[-2:] for index in indices if index}), None)
    outer = _pass_channels(sorted({index[:-2] for index in indices if index}), None)
    return (1 + inner) * (1 + outer) - 1


def _whole(part: Affine) -> Plan | None:
    """One linear equation of second order or less as one operator."""
    channel = Channel({}, {}, {}, ZERO)
    for atom, coefficient in part.coefficients.items():
        match atom.index:
            case ():
                channel = replace(channel, zeroth=coefficient)
            case (i,):
                channel.first[i] = coefficient
            case (i, j) if i == j:
                channel.second[i] = coefficient
            case _:
                channel.mixed[atom.index] = coefficient
    weights = [*channel.second.values(), *channel.mixed.values()]
    (name,) = {atom.name for atom in part.coefficients}
    # Weights that vary from point to point make every tangent vary with them, or need a channel
    # each where they may need a gradient; weights that are trained are in no fused formula. So
    # a common factor that is no number is kept outside.
    numbers = all(isinstance(weight, Number) for weight in weights)
    if not numbers and not channel.mixed and len({split(each)[1] for each in weights}) == 1:
        return None
    residual = add([Atom("operator", name), part.free])
    return Plan((residual,), (), channel, whole=True)


def _shared(residuals: Sequence[Expression], outputs: Sequence[str]) -> Plan | None:
    """All second derivatives as multiples of one sum of them."""
    parts = [affine(each, lambda a: _is_output(a) and len(a.index) == 2) for each in residuals]
    if any(part.other != ZERO for part in parts):
        return None
    groups: dict[tuple[int, str], Group] = {}
    for number, part in enumerate(parts):
        for atom, coefficient in part.coefficients.items():
            if atom.index[0] != atom.index[1]:
                return None
            groups.setdefault((number, atom.name), {})[atom.index[0]] = coefficient
    rests = [part.free for part in parts]
    first: Group = {}
    found = _common_factors(groups)
    numbers = all(isinstance(w, Number) for group in groups.values() for w in group.values())
    factors = _constant_multiples(groups) if numbers or found is None else None
    if factors is not None:
        weights = next(iter(groups.values()))
        common = set(weights.values())
        if len(common) == 1 and all(isinstance(w, Number) for w in common):
            # ν (u_xx + u_yy): the sum costs less where its weights are all one
            factor = common.pop()
            weights = dict.fromkeys(weights, ONE)
            factors = {place: multiply([f, factor]) for place, f in factors.items()}
        first, rests = _absorb(rests, groups, factors, outputs, set(weights))
    elif found is not None:
        weights, factors = found
    else:
        return None
    channel = Channel(weights, first=first)
    made = [
        add(
            [rests[number]]
            + [multiply([f, Atom("operator", u)]) for (n, u), f in factors.items() if n == number]
        )
        for number in range(len(residuals))
    ]
    return Plan(tuple(made), _indices(made), channel)


def _constant_multiples(
    groups: dict[tuple[int, str], Group],
) -> dict[tuple[int, str], Expression] | None:
    """Each group as a number times the first one, whose coefficients are the same everywhere."""
    model = next(iter(groups.values()))
    if not all(map(_scalar, model.values())):
        return None
    factors: dict[tuple[int, str], Expression] = {}
    for place, group in groups.items():
        column = next(iter(model))
        ratio = split(group.get(column, ZERO))[0] / split(model[column])[0]
        if not _same({c: scale(w, ratio) for c, w in model.items()}, group):
            return None
        factors[place] = Number(ratio)
    return factors


def _common_factors(
    groups: dict[tuple[int, str], Group],
) -> tuple[Group, dict[tuple[int, str], Expression]] | None:
    """Each group as a factor, which may be anything, times the same numbers."""
    weights: Group | None = None
    factors: dict[tuple[int, str], Expression] = {}
    for place, group in groups.items():
        pieces = {column: split(coefficient) for column, coefficient in sorted(group.items())}
        if len({core for _, core in pieces.values()}) > 1:
            return None
        number, core = next(iter(pieces.values()))
        relative = {column: piece[0] / number for column, piece in pieces.items()}
        made: Group = {column: Number(w) for column, w in relative.items()}
        if weights is not None and not _same(weights, made):
            return None
        weights, factors[place] = made, scale(core, number)
    return weights or {}, factors


def _same(a: Group, b: Group) -> bool:
    """Whether two groups are equal, but for the rounding of their numbers."""
    if a.keys() != b.keys():
        return False
    pairs = [(split(a[column]), split(b[column])) for column in a]
    return all(
        x[1] == y[1] and math.isclose(x[0], y[0], rel_tol=1e-14, abs_tol=0.0) for x, y in pairs
    )


def _absorb(
    rests: list[Expression],
    groups: dict[tuple[int, str], Group],
    factors: dict[tuple[int, str], Expression],
    outputs: Sequence[str],
    columns: set[int],
) -> tuple[Group, list[Expression]]:
    """First derivatives that can start the channel, and what is left without them.

    A column that is a direction already has its tangent; one that is not costs nothing if it
    occurs in each equation beside the operator, in the same proportion.
    """
    taken: Group = {}
    candidates = sorted({i[0] for i in _indices(rests) if len(i) == 1} - columns)
    for column in candidates:
        parts = [affine(rest, _by(column)) for rest in rests]
        if any(part.other != ZERO for part in parts):
            continue
        wanted: list[Expression] = []
        for number, part in enumerate(parts):
            for output in outputs:
                coefficient = part.coefficients.get(Atom("output", output, (column,)), ZERO)
                factor = factors.get((number, output))
                if factor is not None:
                    wanted.append(multiply([coefficient, power(factor, Number(-1))]))
                elif coefficient != ZERO:
                    wanted += [ONE, ZERO]  # which are not equal: the column stays
        if any(each != wanted[0] for each in wanted) or _unknowns(wanted[0]):
            continue
        taken[column] = wanted[0]
        rests = [part.free for part in parts]
    return taken, rests


def _squared(residuals: Sequence[Expression], outputs: Sequence[str]) -> Plan | None:
    """All fourth derivatives as multiples of (Σ w_i ∂²/∂x_i²)², such as Δ²."""
    parts = [affine(each, lambda a: _is_output(a) and len(a.index) > 2) for each in residuals]
    weights: dict[int, float] | None = None
    rests = []
    for part in parts:
        made = [(part.free, 1.0)]
        by_output: dict[str, dict[Index, float]] = {}
        for atom, coefficient in part.coefficients.items():
            if not isinstance(coefficient, Number):
                return None
            by_output.setdefault(atom.name, {})[atom.index] = coefficient.value
        for name, coefficients in by_output.items():
            found = _square_root(coefficients)
            if part.other != ZERO or found is None or (weights is not None and found[0] != weights):
                return None
            weights = found[0]
            made.append((Atom("squared", name), found[1]))
        if part.other != ZERO:
            return None
        rests.append(combine(made))
    inner = plan_of(rests, [*outputs, ""])  # never one linear operator, as it is not the whole
    return replace(inner, squared=weights)


def _square_root(coefficients: dict[Index, float]) -> tuple[dict[int, float], float] | None:
    """w and s with Σ coefficients ∂⁴ = s (Σ w_i ∂²/∂x_i²)²; the first weight is 1."""
    pure = {i[0]: a for i, a in coefficients.items() if len(set(i)) == 1 and len(i) == 4}
    if not pure:
        return None
    s = pure[min(pure)]
    if any(a / s <= 0 for a in pure.values()):
        return None
    weights = {column: math.sqrt(a / s) for column, a in sorted(pure.items())}
    expected = {(c, c, c, c): a for c, a in pure.items()}
    for c in weights:
        for d in weights:
            if c < d:
                expected[(c, c, d, d)] = 2 * s * weights[c] * weights[d]
    close = expected.keys() == coefficients.keys() and all(
        math.isclose(coefficients[i], a, rel_tol=1e-14) for i, a in expected.items()
    )
    return (weights, s) if close else None
