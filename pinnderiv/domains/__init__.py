"""Where the points come from: domains, space-time, and the samplers that fill them."""

from pinnderiv.domains.box import Box
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.samplers import (
    LatinHypercubeSampler,
    Sampler,
    SobolSampler,
    UniformSampler,
)
from pinnderiv.domains.spacetime import SpaceTime

__all__ = [
    "Box",
    "Domain",
    "LatinHypercubeSampler",
    "Sampler",
    "SobolSampler",
    "SpaceTime",
    "UniformSampler",
]
