"""Unions, intersections and differences of domains."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pinnderiv.domains.combination import Combination
from pinnderiv.domains.distance import conjunction, disjunction
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.relations import apart, within
from pinnderiv.domains.sampling import both, choose, empty


class Union(Combination):
    """``a | b``: what lies in one of two domains, or in both."""

    operation = "union"
    _symbol = "|"

    def _bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        lower = tuple(map(min, self.first.lower, self.second.lower))
        return lower, tuple(map(max, self.first.upper, self.second.upper))

    def _exact_measure(self) -> tuple[float, float] | None:
        for inner, outer in ((self.first, self.second), (self.second, self.first)):
            if within(inner, outer):
                return outer.measure, outer.measure_error
        return _added(self.first, self.second, 1.0) if apart(*self.operands) else None

    def _propose(self, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        chosen, rest = choose(unit, [each._proposal_measure() for each in self._both()])
        points = torch.empty_like(unit)
        keep = torch.zeros(len(unit), dtype=torch.bool, device=unit.device)
        for number, operand in enumerate(self._both()):
            rows = chosen == number
            points[rows], kept = operand._propose(rest[rows])
            keep[rows] = torch.ones_like(rows[rows]) if kept is None else kept
        # What lies in both is proposed by both, and kept from the first alone.
        return points, keep & ~((chosen == 1) & self.first._within(points, 0.0))

    def _both(self) -> tuple[Domain, Domain]:
        return self.first, self.second

    def _proposal_measure(self) -> float:
        return sum(each._proposal_measure() for each in self._both())

    def _within(self, x: Tensor, slack: float) -> Tensor:
        return self.first._within(x, slack) | self.second._within(x, slack)

    def _level(self, x: Tensor) -> Tensor:
        return disjunction(self.first._level(x), self.second._level(x))


class Intersection(Combination):
    """``a & b``: what lies in both of two domains."""

    operation = "intersection"
    _symbol = "&"

    def _bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        lower = tuple(map(max, self.first.lower, self.second.lower))
        upper = tuple(map(min, self.first.upper, self.second.upper))
        if any(low >= high for low, high in zip(lower, upper, strict=True)):
            raise empty(f"the intersection of {self.first!r} and {self.second!r}")
        return lower, upper

    def _exact_measure(self) -> tuple[float, float] | None:
        for inner, outer in ((self.first, self.second), (self.second, self.first)):
            if within(inner, outer):
                return inner.measure, inner.measure_error
        return None

    def _source(self) -> tuple[float, int]:
        """The least that holds the whole: an operand (0, 1), or the bounding box (2)."""
        sizes = zip(self._lower, self._upper, strict=True)
        box = math.prod(high - low for low, high in sizes)
        first, second = (each._proposal_measure() for each in (self.first, self.second))
        return min((box, 2), (first, 0), (second, 1), key=lambda each: each[0])

    def _propose(self, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        source = self._source()[1]
        if source == 2:
            lower, upper = torch.tensor([self._lower, self._upper]).to(unit)
            points = lower + unit * (upper - lower)
            return points, self._within(points, 0.0)
        points, keep = (self.first, self.second)[source]._propose(unit)
        return points, both(keep, (self.second, self.first)[source]._within(points, 0.0))

    def _proposal_measure(self) -> float:
        return self._source()[0] if self._bounded else math.inf

    def _within(self, x: Tensor, slack: float) -> Tensor:
        return self.first._within(x, slack) & self.second._within(x, slack)

    def _level(self, x: Tensor) -> Tensor:
        return conjunction(self.first._level(x), self.second._level(x))

    def _inside(self, x: Tensor) -> Tensor:
        return conjunction(self.first._inside(x), self.second._inside(x))


class Difference(Combination):
    """``a - b``: what lies in one domain and not in another; normals of b then point into b."""

    operation = "difference"
    _symbol = "-"

    def _bounds(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        if within(self.first, self.second):
            raise empty(f"the difference of {self.first!r} and {self.second!r}")
        return tuple(self.first.lower), tuple(self.first.upper)

    def _exact_measure(self) -> tuple[float, float] | None:
        if apart(self.first, self.second):
            return self.first.measure, self.first.measure_error
        return _added(self.first, self.second, -1.0) if within(self.second, self.first) else None

    def _propose(self, unit: Tensor) -> tuple[Tensor, Tensor | None]:
        points, keep = self.first._propose(unit)
        return points, both(keep, ~self.second._within(points, 0.0))

    def _proposal_measure(self) -> float:
        return self.first._proposal_measure()

    def _within(self, x: Tensor, slack: float) -> Tensor:
        return self.first._within(x, slack) & ~self.second._within(x, -slack)

    def _level(self, x: Tensor) -> Tensor:
        return conjunction(self.first._level(x), -self.second._level(x))

    def _inside(self, x: Tensor) -> Tensor:
        return conjunction(self.first._inside(x), -self.second._level(x))


def _added(first: Domain, second: Domain, sign: float) -> tuple[float, float]:
    error = math.hypot(first.measure_error, second.measure_error)
    return first.measure + sign * second.measure, error
