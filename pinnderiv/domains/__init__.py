"""Where the points come from: domains, space-time, and the samplers that fill them."""

from pinnderiv.domains.ball import Ball
from pinnderiv.domains.box import Box
from pinnderiv.domains.cloud import PointCloud
from pinnderiv.domains.combine import Difference, Intersection, Union
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.ellipse import Ellipse, Ellipsoid
from pinnderiv.domains.half_space import HalfSpace
from pinnderiv.domains.interval import Interval
from pinnderiv.domains.mesh import Mesh
from pinnderiv.domains.polygon import Polygon
from pinnderiv.domains.samplers import (
    LatinHypercubeSampler,
    Sampler,
    SobolSampler,
    UniformSampler,
)
from pinnderiv.domains.spacetime import SpaceTime
from pinnderiv.domains.time_interval import TimeInterval

__all__ = [
    "Domain",
    "Interval",
    "Box",
    "Ball",
    "Ellipse",
    "Ellipsoid",
    "Polygon",
    "HalfSpace",
    "Mesh",
    "PointCloud",
    "Union",
    "Intersection",
    "Difference",
    "SpaceTime",
    "TimeInterval",
    "Sampler",
    "UniformSampler",
    "LatinHypercubeSampler",
    "SobolSampler",
]
