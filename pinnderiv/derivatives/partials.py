"""Transforms that ask for partial derivatives of any order: by columns, and by name.

They take the keyword arguments, and raise the errors, that `operators.py` describes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.evaluate import Options, evaluate, points
from pinnderiv.derivatives.operators import Transform
from pinnderiv.derivatives.request import MultiIndex, check_dims, normalise_dims, parse_names
from pinnderiv.derivatives.transforms import attached, outside_inference_mode
from pinnderiv.derivatives.work import Work
from pinnderiv.errors import ArgumentError, ShapeError


def partial(
    f: Function,
    dims: Sequence[int],
    *,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """A mixed partial derivative of any order: ``dims=(0, 0, 1)`` is ∂³f_m/∂x₀²∂x₁.

    Args:
        f: the function.
        dims: the columns, one for each differentiation; the order does not matter.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M)``.

    Raises:
        ArgumentError: dims is empty or names a column that x does not have.
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)
    check_dims(dims)
    if dims is None:
        raise ArgumentError("partial needs dims, such as (0, 0) for ∂²f/∂x₀².")
    dims = normalise_dims(dims, None, repeat=True)

    @outside_inference_mode
    def apply(x: Tensor) -> Tensor:
        x = points(x, check)
        index = tuple(sorted(normalise_dims(dims, x.shape[-1], repeat=True)))

        def compute(engine: Engine, g: Function, y: Tensor) -> Mapping[Any, Tensor]:
            return partials_of(engine, g, y, (index,))

        return evaluate(options, x, Work.partials((index,)), compute)[index]

    return apply


def biharmonic(
    f: Function,
    dims: Sequence[int] | None = None,
    *,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """Δ²f = Σ_ij ∂⁴f_m/∂x_i²∂x_j² over the given columns.

    Args:
        f: the function.
        dims: columns to sum over, all by default.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns ``(*batch, M)``.

    Raises:
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)
    check_dims(dims)

    def compute(engine: Engine, g: Function, y: Tensor) -> Mapping[str, Tensor]:
        indices = squares(normalise_dims(dims, y.shape[-1]))
        # Each mixed pair stands twice in the double sum.
        found = partials_of(engine, g, y, indices)
        terms = [(1 if i[0] == i[3] else 2) * found[i] for i in indices]
        return {"result": sum(terms[1:], start=terms[0])}

    @outside_inference_mode
    def apply(x: Tensor) -> Tensor:
        x = points(x, check)
        work = Work.partials(squares(normalise_dims(dims, x.shape[-1])))
        return evaluate(options, x, work, compute)["result"]

    return apply


def squares(columns: Sequence[int]) -> list[MultiIndex]:
    """The indices (i, i, j, j) with i ≤ j of the biharmonic operator."""
    ordered = sorted(columns)
    # Not by itertools, which torch.compile cannot follow.
    return [(i, i, j, j) for n, i in enumerate(ordered) for j in ordered[n:]]


def derivatives(
    f: Function,
    request: Iterable[str],
    coordinates: Sequence[str],
    outputs: Sequence[str] = ("u",),
    *,
    method: str = "auto",
    chunk_size: int | None = None,
    check: bool = True,
    strict: bool = False,
) -> Transform:
    """Several derivatives by name, all out of one shared pass.

    ``derivatives(net, ["u", "u_t", "u_xx"], coordinates=("x", "t"))(x)["u_xx"]``.

    Args:
        f: the function.
        request: names: output, underscore, one coordinate for each differentiation.
        coordinates: a name for each column of x.
        outputs: a name for each output of f.
        method: the engine.
        chunk_size: rows at a time.
        check: examine f first.
        strict: refuse generic treatment in Taylor mode.

    Returns:
        A function of ``x (*batch, D)`` that returns a dict from each name to ``(*batch,)``.

    Raises:
        ArgumentError: a name that cannot be read.
        ShapeError: other numbers of columns or outputs than names.
        PinnderivError: as the module describes.
    """
    options = Options(f, method, chunk_size, check, strict)
    wanted = parse_names(request, coordinates, outputs)
    indices = tuple(dict.fromkeys(index for _, index in wanted.values()))
    work = Work.partials(indices)

    def compute(engine: Engine, g: Function, y: Tensor) -> Mapping[Any, Tensor]:
        found = partials_of(engine, g, y, indices)
        count = found[indices[0]].shape[-1]
        if count != len(outputs):
            raise ShapeError(
                f"f has {count} outputs, but outputs={tuple(outputs)} names {len(outputs)}: "
                "give one name for each output."
            )
        return found

    @outside_inference_mode
    def apply(x: Tensor) -> dict[str, Tensor]:
        x = points(x, check)
        if x.shape[-1] != len(coordinates):
            raise ShapeError(
                f"x has {x.shape[-1]} columns, but coordinates={tuple(coordinates)} names "
                f"{len(coordinates)}: give one name for each column."
            )
        found = evaluate(options, x, work, compute)
        return {name: found[index][..., output] for name, (output, index) in wanted.items()}

    return apply


def partials_of(
    engine: Engine, f: Function, x: Tensor, indices: Sequence[MultiIndex]
) -> dict[MultiIndex, Tensor]:
    """Partial derivatives that are a part of the graph of f(x), also where they are constants."""
    found = engine.partials(f, x, list(dict.fromkeys([(), *indices])))
    return {index: attached(found[index], found[()]) for index in indices}
