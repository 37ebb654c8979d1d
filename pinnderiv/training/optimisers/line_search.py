"""A line search for the strong Wolfe conditions.

The algorithm is that of Nocedal and Wright, Numerical Optimization (2006), algorithms 3.5 (find
a bracket) and 3.6 (zoom into it), with cubic interpolation. A trial where the loss is not finite
counts as one that is too far.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from pinnderiv.training.objective import Evaluation

# The usual constants for quasi-Newton directions (Nocedal and Wright, section 3.1).
SUFFICIENT_DECREASE = 1e-4
CURVATURE = 0.9


@dataclass(frozen=True)
class Trial:
    """The loss along the line at ``length``: its value, its slope, and all else known there."""

    length: float
    value: float
    slope: float
    evaluation: Evaluation

    @property
    def finite(self) -> bool:
        return math.isfinite(self.value) and math.isfinite(self.slope)


@dataclass(frozen=True)
class Search:
    """What a search found: the accepted trial, or None; and how many trials it took."""

    accepted: Trial | None
    evaluations: int


def strong_wolfe(
    at: Callable[[float], Trial], start: Trial, first: float, max_evaluations: int = 25
) -> Search:
    """Finds a step length that meets the strong Wolfe conditions.

    If the trials run out first, the lowest trial with sufficient decrease is taken.

    Args:
        at: evaluates the line at a length.
        start: the trial at length 0; its slope must be negative.
        first: the length to try first, positive.
        max_evaluations: trials at most.
    """
    previous = start
    length = first
    for count in range(1, max_evaluations + 1):
        trial = at(length)
        if not _decreases(trial, start) or (count > 1 and trial.value >= previous.value):
            return _zoom(at, start, previous, trial, count, max_evaluations)
        if _flat(trial, start):
            return Search(trial, count)
        if trial.slope >= 0.0:
            return _zoom(at, start, trial, previous, count, max_evaluations)
        # still going down steeply: where the cubic turns, if it does so ahead, else far on
        guess = _cubic_minimum(previous, trial)
        if guess <= length:
            guess = 10.0 * length
        shortest = 2.0 * length - previous.length
        previous, length = trial, min(max(guess, shortest), 10.0 * length)
    return Search(previous, max_evaluations)


def _zoom(
    at: Callable[[float], Trial],
    start: Trial,
    low: Trial,
    high: Trial,
    count: int,
    max_evaluations: int,
) -> Search:
    """Narrows the bracket; ``low`` is its lowest trial with sufficient decrease."""
    while count < max_evaluations:
        width = high.length - low.length
        if abs(width) * abs(start.slope) <= 1e-16 * abs(start.value):
            break  # what is left to gain is below rounding
        trial = at(_inside(low, high))
        count += 1
        if not _decreases(trial, start) or trial.value >= low.value:
            high = trial
        elif _flat(trial, start):
            return Search(trial, count)
        else:
            if trial.slope * width >= 0.0:
                high = low
            low = trial
    return Search(low if low.length > 0.0 else None, count)


def _decreases(trial: Trial, start: Trial) -> bool:
    bound = start.value + SUFFICIENT_DECREASE * trial.length * start.slope
    return trial.finite and trial.value <= bound


def _flat(trial: Trial, start: Trial) -> bool:
    return abs(trial.slope) <= CURVATURE * abs(start.slope)


def _inside(low: Trial, high: Trial) -> float:
    """The next length in a bracket: by the cubic, but a tenth of the width away from its ends."""
    width = high.length - low.length
    if not high.finite:
        return low.length + 0.1 * width
    guess = (_cubic_minimum(low, high) - low.length) / width
    return low.length + min(max(guess, 0.1), 0.9) * width


def _cubic_minimum(a: Trial, b: Trial) -> float:
    """The minimum of the cubic with the values and slopes of both trials (equation 3.59 there)."""
    span = b.length - a.length
    first = a.slope + b.slope - 3.0 * (b.value - a.value) / span
    square = first * first - a.slope * b.slope
    if square < 0.0:
        return a.length + 0.5 * span
    second = math.copysign(math.sqrt(square), span)
    bottom = b.slope - a.slope + 2.0 * second
    if bottom == 0.0:
        return a.length + 0.5 * span
    return b.length - span * (b.slope + second - first) / bottom
