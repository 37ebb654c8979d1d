"""The boundary of a combination: whose face each part of it is, and what it is called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from torch import Tensor

from pinnderiv.domains.distance import conjunction, trimmed
from pinnderiv.domains.domain import Domain
from pinnderiv.domains.sampling import Predicate
from pinnderiv.domains.shape import BOUNDARY


@dataclass(frozen=True)
class Sibling:
    """What stands beside a shape in an operation, on the way up to the whole.

    Attributes:
        domain: the other operand.
        sign: +1 if the whole grows with it, −1 if it shrinks.
        either: whether a point is in if it is in one of the two (and not: in both); for a
            complement, by De Morgan's laws.
    """

    domain: Domain
    sign: float
    either: bool


@dataclass(frozen=True)
class Leaf:
    """A shape that a combination is made of.

    Attributes:
        shape: the shape.
        sign: +1 if the whole grows with it; −1 if it is cut out, so that its normals point in.
        path: what it is combined with, from the whole down to the shape.
    """

    shape: Domain
    sign: float
    path: tuple[Sibling, ...]

    def trims(self) -> list[tuple[Domain, float]]:
        """Domains, with signs, whose levels are positive where the shape's boundary is the whole's.

        Without a union on the path, the shape's boundary is outside the whole wherever it is not
        its boundary, and nothing has to be trimmed off.
        """
        found, united = [], False
        for each in self.path:
            united = united or each.either
            if united:
                found.append((each.domain, -each.sign if each.either else each.sign))
        return found


@dataclass(frozen=True)
class Part:
    """A part of the boundary of one leaf.

    Attributes:
        leaf: number of the leaf.
        face: the name of the part on that leaf.
        where: predicates that must hold on it.
    """

    leaf: int
    face: str
    where: tuple[Predicate, ...] = ()


Table = dict[str, tuple[Part, ...]]


def label_parts(
    leaves: Sequence[Leaf], named: Iterable[tuple[str, tuple[Part, ...]]]
) -> tuple[tuple[str, ...], Table]:
    """Gives every part of the boundary a name.

    A shape's boundary is called by the shape's name; without one by what it is, ``"walls"`` or
    ``"sphere"``, numbered where there are several. Shapes that were given the same name share
    it. A face has its own name, ``"x_min"``, where that is unique, and always its shape's before
    it, ``"plate_x_min"``.

    Args:
        leaves: the shapes.
        named: further names that operands brought with them.

    Returns:
        Names that together are the boundary, and the parts of every name.
    """
    shared = Counter(leaf.shape.label for leaf in leaves if leaf.shape.name is None)
    seen: Counter[str] = Counter()
    table: dict[str, list[Part]] = {BOUNDARY: []}
    bare: dict[str, list[Part]] = {}
    labels = []
    for number, leaf in enumerate(leaves):
        shape, part = leaf.shape, Part(number, BOUNDARY)
        label = shape.name or shape.label
        if shape.name is None and shared[label] > 1:
            seen[label] += 1
            bare.setdefault(label, []).append(part)
            label = f"{label}_{seen[label]}"
        labels.append(label)
        for name in (label, BOUNDARY):
            table.setdefault(name, []).append(part)
        for face in shape.names:
            if shape._find(face) == BOUNDARY:
                continue
            table.setdefault(f"{label}_{face}", []).append(Part(number, face))
            if face in shape._where:
                table.setdefault(face, []).append(Part(number, face))
            else:
                bare.setdefault(face, []).append(Part(number, face))
    for name, parts in named:
        table.setdefault(name, []).extend(parts)
    for name, found in bare.items():
        # A label without its number means all that it stands for; a face must be unique.
        if name not in table and (len(found) == 1 or found[0].face == BOUNDARY):
            table[name] = found
    return tuple(dict.fromkeys(labels)), {name: tuple(parts) for name, parts in table.items()}


def part_level(leaf: Leaf, face: str, x: Tensor, length: float) -> Tensor:
    """(*batch, 1): zero on a part of the boundary of a combination, positive elsewhere in it."""
    trims = leaf.trims()
    if not trims and leaf.sign > 0:
        return leaf.shape._piece_inside((face,), x)
    level = leaf.shape._piece_anywhere(face, x)
    if not trims:
        return leaf.sign * level if face == BOUNDARY else level
    trim = reduce(conjunction, [sign * domain._level(x) for domain, sign in trims])
    return trimmed(level, trim, length)
