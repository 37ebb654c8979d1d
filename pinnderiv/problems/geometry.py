"""Domains out of a problem file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

from pinnderiv.domains import (
    Ball,
    Box,
    Domain,
    Ellipse,
    Ellipsoid,
    HalfSpace,
    Interval,
    Mesh,
    PointCloud,
    Polygon,
    SpaceTime,
    TimeInterval,
)
from pinnderiv.domains.shape import BOUNDARY
from pinnderiv.domains.time_interval import check_duration
from pinnderiv.errors import ConfigurationError, PinnderivError
from pinnderiv.problems.entries import Entry, readable, sequence, unknown_key
from pinnderiv.problems.texts import Texts

# The keys of each shape, and those of them that it must have; None where a list stands.
SHAPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]] | None] = {
    "interval": None,
    "box": (("lower", "upper", "name"), ("lower", "upper")),
    "ball": (("center", "radius", "name"), ("radius",)),
    "ellipse": (("center", "radii", "angle", "name"), ("radii",)),
    "polygon": (("vertices", "name"), ("vertices",)),
    "half_space": (("point", "normal", "name"), ("point", "normal")),
    "union": None,
    "intersection": None,
    "difference": None,
    "mesh": (("file",), ("file",)),
    "points": (("file",), ("file",)),
}


def domain_of(values: Any, time: Any, texts: Texts, folder: Path) -> Domain:
    """The domain that ``domain:`` and ``time:`` of a problem file describe.

    Args:
        values: what stands under ``domain``: one shape, such as ``{box: {lower: …, upper: …}}``;
            None where time is the only coordinate.
        time: ``[start, end]``, or None.
        texts: reads numbers; its coordinates are those of the problem.
        folder: where the names of files begin.

    Raises:
        ConfigurationError: a shape is not known, or its numbers make none; or there is none and
            there are coordinates of space, or the other way round.
    """
    spatial = _spatial(texts, time)
    if spatial and values is None:
        raise ConfigurationError(
            f"domain is missing: the problem has coordinates of space ({', '.join(spatial)}), and "
            "domain is the shape that they lie in, such as {interval: [0, 1]}. Only a problem in t "
            "alone has none"
        )
    if not spatial:
        if values is not None:
            raise ConfigurationError(
                "domain is a shape in space, and t is the only coordinate: remove domain, since "
                "time: [start, end] says where the equation holds, or add a coordinate of space"
            )
        start_end = texts.numbers("time", time)
        return _built("time", lambda: TimeInterval(*check_duration(start_end)))
    return shape_of("domain", values, time, texts, folder)[0]


def shape_of(
    path: str,
    values: Any,
    time: Any,
    texts: Texts,
    folder: Path,
    around: Domain | None = None,
) -> tuple[Domain, str]:
    """The shape that stands at ``path`` of a problem file, over the time of the problem.

    Args:
        around: the domain of the problem; the box around it cuts off a half-space.

    Returns:
        The shape, and the piece of its boundary that is meant: all of it, or its plane.

    Raises:
        ConfigurationError: see :func:`domain_of`.
    """
    spatial = _spatial(texts, time)
    if not spatial:
        raise ConfigurationError(f"{path} is a shape in space, and the problem is in t alone")
    space = _Shapes(texts, spatial, folder).shape(path, values)
    if space.dim != len(spatial):
        raise ConfigurationError(
            f"{path} has {space.dim} dimensions, and the coordinates of space are "
            f"{', '.join(spatial)}"
        )
    piece = BOUNDARY
    if around is not None and isinstance(space, HalfSpace):
        inner = around.space if isinstance(around, SpaceTime) else around
        space = _built(path, lambda: space & Box(inner.lower, inner.upper))
        piece = space.pieces[0]
    if time is None:
        return space, piece
    start_end = texts.numbers("time", time)
    return _built("time", lambda: SpaceTime(space, start_end)), piece


def _spatial(texts: Texts, time: Any) -> tuple[str, ...]:
    """The coordinates of space."""
    return tuple(name for name in texts.coordinates if time is None or name != "t")


class _Shapes:
    def __init__(self, texts: Texts, spatial: tuple[str, ...], folder: Path) -> None:
        self.texts, self.spatial, self.folder = texts, spatial, folder
        self.kinds: dict[str, Callable[[str, Any], Domain]] = {
            "interval": self._interval,
            "box": self._box,
            "ball": self._ball,
            "ellipse": self._ellipse,
            "polygon": self._polygon,
            "half_space": self._half_space,
            "union": self._combined(lambda a, b: a | b),
            "intersection": self._combined(lambda a, b: a & b),
            "difference": self._combined(lambda a, b: a - b),
            "mesh": self._mesh,
            "points": self._points,
        }

    def shape(self, path: str, values: Any) -> Domain:
        if not isinstance(values, Mapping) or len(values) != 1:
            raise ConfigurationError(
                f"{path} must name one shape, such as {{box: {{lower: [0, 0], upper: [1, 1]}}}}; "
                f"got {values!r}. Shapes: {', '.join(self.kinds)}"
            )
        kind, inner = next(iter(values.items()))
        if kind not in self.kinds:
            raise unknown_key(path, str(kind), list(self.kinds))
        where = f"{path}.{kind}"
        return _built(where, lambda: self.kinds[kind](where, inner))

    def _interval(self, path: str, values: Any) -> Domain:
        name = None
        if isinstance(values, Mapping):
            entry = Entry(path, values, *_keys("box"))
            values, name = [entry.get("lower"), entry.get("upper")], entry.text("name")
        ends = self.texts.numbers(path, values)
        if len(ends) != 2:
            raise ConfigurationError(f"{path} must be [lower, upper]; got {values!r}")
        return Interval(*ends, coordinate=self.spatial[0], **_named(name))

    def _box(self, path: str, values: Any) -> Domain:
        entry = Entry(path, values, *_keys("box"))
        size = len(self.spatial)
        corners = [
            self.texts.numbers(entry.at(key), entry.get(key))
            if isinstance(entry.get(key), list | tuple)
            else [self.texts.number(entry.at(key), entry.get(key))] * size
            for key in ("lower", "upper")
        ]
        for key, corner in zip(("lower", "upper"), corners, strict=True):
            if len(corner) != size:
                raise ConfigurationError(
                    f"{entry.at(key)} must have a number for each of {', '.join(self.spatial)}; "
                    f"got {len(corner)}"
                )
        return Box(*corners, coordinates=self.spatial, **_named(entry.text("name")))

    def _ball(self, path: str, values: Any) -> Domain:
        entry = Entry(path, values, *_keys("ball"))
        center = self.texts.numbers(
            entry.at("center"), entry.get("center", [0] * len(self.spatial))
        )
        radius = self.texts.number(entry.at("radius"), entry.get("radius"))
        return Ball(center, radius, **_named(entry.text("name")))

    def _ellipse(self, path: str, values: Any) -> Domain:
        entry = Entry(path, values, *_keys("ellipse"))
        radii = self.texts.numbers(entry.at("radii"), entry.get("radii"))
        center = self.texts.numbers(entry.at("center"), entry.get("center", [0] * len(radii)))
        angle = self.texts.number(entry.at("angle"), entry.get("angle", 0.0))
        name = _named(entry.text("name"))
        if len(radii) == 2:
            return Ellipse(center, radii, angle, **name)
        if angle:
            raise ConfigurationError(f"{entry.at('angle')} turns an ellipse in the plane")
        return Ellipsoid(center, radii, **name)

    def _polygon(self, path: str, values: Any) -> Domain:
        entry = Entry(path, values, *_keys("polygon"))
        rows = sequence(entry.at("vertices"), entry.get("vertices"))
        vertices = [
            self.texts.numbers(f"{entry.at('vertices')}[{index}]", row)
            for index, row in enumerate(rows)
        ]
        return Polygon(vertices, **_named(entry.text("name")))

    def _half_space(self, path: str, values: Any) -> Domain:
        entry = Entry(path, values, *_keys("half_space"))
        point, normal = (self.texts.numbers(entry.at(k), entry.get(k)) for k in ("point", "normal"))
        return HalfSpace(point, normal, **_named(entry.text("name")))

    def _combined(self, join: Callable[[Domain, Domain], Domain]) -> Callable[[str, Any], Domain]:
        def build(path: str, values: Any) -> Domain:
            parts = sequence(path, values)
            if len(parts) < 2:
                raise ConfigurationError(f"{path} must list two shapes or more; got {len(parts)}")
            shapes = [self.shape(f"{path}[{i}]", each) for i, each in enumerate(parts)]
            return reduce(join, shapes)

        return build

    def _mesh(self, path: str, values: Any) -> Domain:
        entry = Entry(path, values, *_keys("mesh"))
        return Mesh.from_file(readable(entry.at("file"), entry.get("file"), self.folder))

    def _points(self, path: str, values: Any) -> Domain:
        entry = Entry(path, values, *_keys("points"))
        return PointCloud.from_file(readable(entry.at("file"), entry.get("file"), self.folder))


def _keys(shape: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return SHAPES[shape] or ((), ())


def _named(name: str | None) -> dict[str, Any]:
    return {} if name is None else {"name": name}


def _built(path: str, build: Callable[[], Domain]) -> Domain:
    """``build()``, with the place in the file in front of what it complains of."""
    try:
        return build()
    except ConfigurationError:
        raise
    except PinnderivError as error:
        raise ConfigurationError(f"{path}: {error}") from error
