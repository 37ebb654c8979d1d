"""Where the frequencies of random features lie: in a band around zero, or around given tones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from pinnderiv.networks import RandomFeatureNetwork
from pinnderiv.training.collocation import Points
from pinnderiv.training.optimisers.linear_part import LinearPart, take
from pinnderiv.training.optimisers.tones import MOST_COORDINATES, find_tones

# Tones are looked for in no more values of a term than these.
_VALUES = 512
# A term with less of the right-hand side than this has nothing to say.
_SHARE = 1e-6


@dataclass(frozen=True)
class Band:
    """Where the frequencies lie, in radians per unit of input scaled to [-1, 1].

    Attributes:
        scale: half-width of the band around zero, for each axis.
        spread: half-width of the band around a tone, on the axes that tones are known of;
            ``None`` where tones are left aside.
    """

    scale: tuple[float, ...]
    spread: float | None = None

    @staticmethod
    def of(state: Any) -> Band:
        """Out of :meth:`state`, or of a scale alone, which is all that older checkpoints have."""
        return Band(tuple(state.tolist())) if isinstance(state, Tensor) else Band(*state)

    @staticmethod
    def even(value: float, axes: int, spread: float | None = None) -> Band:
        """All axes alike."""
        return Band((value,) * axes, spread)

    def along(self, axis: int, value: float) -> Band:
        """With another scale on one axis."""
        return replace(self, scale=(*self.scale[:axis], value, *self.scale[axis + 1 :]))

    def wider(self, factor: float) -> Band:
        """With another scale on all axes."""
        return replace(self, scale=tuple(factor * each for each in self.scale))

    def state(self) -> tuple[tuple[float, ...], float | None]:
        """Its arguments, as plain values."""
        return self.scale, self.spread

    def __str__(self) -> str:
        each = [f"{value:.3g}" for value in self.scale]
        scale = f"scale ({each[0] if len(set(each)) == 1 else ', '.join(each)})"
        return scale if self.spread is None else f"{scale}, within {self.spread:.3g} of the data's"


class FeatureBands:
    """Moves a random-feature network's frequencies, always from the same draw.

    Around tones a feature's frequency along an axis is ±ω + spread · w, with ω of one of the tones
    in turn and w uniform in [-1, 1]; on axes that the tone says nothing of it is scale · w.

    Args:
        network: as it was drawn.

    Attributes:
        tones: (K, D), NaN on the axes that a tone says nothing of.
    """

    def __init__(self, network: RandomFeatureNetwork) -> None:
        self._network = network
        self.drawn = network.hidden.weight.detach().clone()
        self.tones = self.drawn.new_zeros(0, self.drawn.shape[1])

    @property
    def free(self) -> list[int]:
        """The axes along which at least one tone says nothing."""
        return [axis for axis, known in enumerate((~self.tones.isnan()).all(dim=0)) if not known]

    def reach(self, band: Band) -> Tensor:
        """How wide the frequencies are scattered along each axis, (D,)."""
        scale = self.drawn.new_tensor(band.scale)
        if band.spread is not None:
            known = (~self.tones.isnan()).all(dim=0)
            scale[known] = band.spread
        return scale

    def put(self, band: Band) -> None:
        """Gives the network the frequencies of a band."""
        scale, weight = self.drawn.new_tensor(band.scale), self.drawn
        if band.spread is not None:
            around = self._centres() + band.spread * self.drawn
            weight = torch.where(around.isnan(), weight, around / scale)
        with torch.no_grad():
            self._network.scale.copy_(scale)
            self._network.hidden.weight.copy_(weight)

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn, "tones": self.tones}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = state.get("drawn", self.drawn)
        self.tones = state.get("tones", self.tones)

    def _centres(self) -> Tensor:
        """±ω for each feature, with all combinations of signs in turn, (width, D)."""
        width, axes = self.drawn.shape
        feature = torch.arange(width, device=self.drawn.device)
        turn = (feature // len(self.tones))[:, None]
        negative = (turn >> torch.arange(axes, device=turn.device)) & 1
        return self.tones[feature % len(self.tones)] * (1 - 2 * negative)

    @contextmanager
    def narrowed(self, count: int) -> Iterator[None]:
        """The network with its first features alone."""
        hidden = self._network.hidden
        few = nn.Linear(1, 1).to(hidden.weight)
        few.weight = nn.Parameter(hidden.weight.detach()[:count])
        few.bias = nn.Parameter(hidden.bias.detach()[:count])
        self._network.hidden = few
        try:
            yield
        finally:
            self._network.hidden = hidden


def tones_of_data(linear: LinearPart, points: Points, highest: float) -> Tensor:
    """The frequencies of what is given: of the source, and of the values of each condition.

    Args:
        linear: gives the right-hand side, term by term.
        points: where it is looked at.
        highest: the highest frequency to look for.

    Returns:
        (K, D) in radians per unit of input scaled to [-1, 1]; NaN along the axes on which the
        points of a term do not lie apart, such as time for initial values.
    """
    few = take(points, _VALUES)
    # of few numbers, and so that single precision does not pass for more tones
    domain, target = linear.loss.problem.domain, linear.target(few).double().cpu()
    lower, upper = (target.new_tensor(bound) for bound in (domain.lower, domain.upper))
    parts = linear.loss.parts(few).values()
    rows = [len(each.points) * each.components for each in parts]
    found = [target.new_zeros(0, domain.dim)]
    for part, values in zip(parts, target.split(rows), strict=True):
        x = 2 * (part.points.double().cpu() - lower) / (upper - lower) - 1
        apart = (x.amax(dim=0) - x.amin(dim=0) > 1e-6).nonzero().flatten()
        if not 1 <= len(apart) <= MOST_COORDINATES or values.norm() <= _SHARE * target.norm():
            continue
        inside = find_tones(x[:, apart], values.view(len(x), -1), highest)
        tones = inside.new_full((len(inside), domain.dim), float("nan"))
        tones[:, apart] = inside
        found.append(tones)
    return torch.cat(found)
