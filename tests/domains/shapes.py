"""Domains of every kind, with what is known of them without the code under test."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from pinnderiv.domains import (
    Ball,
    Box,
    Domain,
    Ellipse,
    Ellipsoid,
    HalfSpace,
    Interval,
    Polygon,
)

L_SHAPE = [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]
ARROW = [[0, 0], [3, 1], [0, 2], [1, 1]]
CLOCKWISE_STAR = [
    [
        (1 + 0.6 * (k % 2)) * math.cos(-k * math.pi / 5),
        (1 + 0.6 * (k % 2)) * math.sin(-k * math.pi / 5),
    ]
    for k in range(10)
]


def pierced_square() -> Domain:
    """PINNacle's Poisson2d-C: [−.5, .5]² without four discs."""
    domain: Domain = Box([-0.5, -0.5], [0.5, 0.5])
    for x in (-0.3, 0.3):
        for y in (-0.3, 0.3):
            domain = domain - Ball([x, y], 0.1)
    return domain


@dataclass(frozen=True)
class Case:
    make: Callable[[], Domain]
    measure: float
    boundary: float


CASES: dict[str, Case] = {
    "interval": Case(lambda: Interval(-1.0, 2.0), 3.0, 2.0),
    "box_2d": Case(lambda: Box([0.0, 1.0], [1.0, 3.0]), 2.0, 6.0),
    "box_4d": Case(lambda: Box([0.0] * 4, [1.0, 2.0, 1.0, 1.0]), 2.0, 14.0),
    "ball_1d": Case(lambda: Ball([1.0], 0.5), 1.0, 2.0),
    "ball_2d": Case(lambda: Ball([1.0, -2.0], 0.5), math.pi / 4, math.pi),
    "ball_3d": Case(lambda: Ball([0.0, 1.0, 0.0], 2.0), 32 * math.pi / 3, 16 * math.pi),
    "ball_5d": Case(lambda: Ball([0.0] * 5, 1.0), 8 * math.pi**2 / 15, 8 * math.pi**2 / 3),
    # The perimeter by the series of Gauss and Kummer, the area of a spheroid in closed form.
    "ellipse": Case(lambda: Ellipse([1.0, 2.0], [2.0, 1.0], 0.4), 2 * math.pi, 9.688448220547675),
    "spheroid": Case(
        lambda: Ellipsoid([0.0, 0.0, 1.0], [1.0, 1.0, 2.0]),
        8 * math.pi / 3,
        2 * math.pi * (1 + 2 / (math.sqrt(3) / 2) * math.asin(math.sqrt(3) / 2)),
    ),
    "triangle": Case(lambda: Polygon([[0, 0], [4, 0], [0, 3]]), 6.0, 12.0),
    "l_shape": Case(lambda: Polygon(L_SHAPE), 3.0, 8.0),
    "arrow": Case(lambda: Polygon(ARROW), 2.0, 2 * math.sqrt(10) + 2 * math.sqrt(2)),
    "star": Case(
        lambda: Polygon(CLOCKWISE_STAR),
        5 * 1.6 * math.sin(math.pi / 5),
        10 * math.sqrt(1 + 1.6**2 - 2 * 1.6 * math.cos(math.pi / 5)),
    ),
    "pierced_square": Case(pierced_square, 1 - 0.04 * math.pi, 4 + 0.8 * math.pi),
    "corner_cut": Case(
        lambda: Box([0.0, 0.0], [1.0, 1.0]) & HalfSpace([0.5, 0.5], [1.0, 1.0]),
        0.5,
        2 + math.sqrt(2),
    ),
    "notched": Case(
        lambda: Box([0.0, 0.0], [1.0, 1.0]) - Ball([0.0, 0.0], 0.5),
        1 - math.pi / 16,
        3 + math.pi / 4,
    ),
    "crossed": Case(lambda: Box([0.0, 1.0], [3.0, 2.0]) | Box([1.0, 0.0], [2.0, 3.0]), 5.0, 12.0),
    "lens": Case(
        lambda: Ball([-0.5, 0.0], 1.0) & Ball([0.5, 0.0], 1.0),
        2 * math.pi / 3 - math.sqrt(3) / 2,
        4 * math.pi / 3,
    ),
    "half_hole": Case(
        lambda: (
            Box([0.0, 0.0], [2.0, 2.0])
            - (Ball([1.0, 1.0], 0.5) & HalfSpace([1.0, 1.0], [1.0, 0.0]))
        ),
        4 - math.pi / 8,
        9 + math.pi / 2,
    ),
    "gap": Case(lambda: Interval(0.0, 3.0) - Interval(1.0, 2.0), 2.0, 4.0),
    "shell_5d": Case(
        lambda: Ball([0.0] * 5, 1.0) - Ball([0.1] * 5, 0.5),
        8 * math.pi**2 / 15 * (1 - 0.5**5),
        8 * math.pi**2 / 3 * (1 + 0.5**4),
    ),
    "cut_cube": Case(
        lambda: Box([0.0] * 3, [1.0] * 3) - Ball([0.0] * 3, 1.0),
        1 - math.pi / 6,
        3 + 3 * (1 - math.pi / 4) + math.pi / 2,
    ),
}
NAMES = sorted(CASES)
