"""Figures of a solution, of its error, and of the course of the run.

They are made with matplotlib's object interface, which needs no display and leaves the global
state of ``pyplot`` alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from pinnderiv.problems import Problem
from pinnderiv.training.history import History

_POINTS = 121
_MOMENTS = (0.0, 0.5, 1.0)
Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Slice:
    """A plane (or, in one dimension, a line) through the domain, and the values on it.

    Attributes:
        label: which slice, such as ``t = 0.5``; empty where it is the whole domain.
        axes: the coordinates' values along the one or two axes of the figure.
        names: their names.
        solution: array over the axes, not a number outside the domain.
        reference: the exact one, or None where it is not known.
    """

    label: str
    axes: tuple[np.ndarray, ...]
    names: tuple[str, ...]
    solution: np.ndarray
    reference: np.ndarray | None


def solution_figures(
    problem: Problem, network: Function, dtype: torch.dtype, device: torch.device | str
) -> dict[str, Figure]:
    """The figures ``solution`` (beside the exact one) and ``error``.

    In one or two coordinates the whole domain is drawn. In more, the plane of the first two
    coordinates through the middle of the others; with time among those, at its start, its
    middle and its end. Outside the domain nothing is drawn. With several outputs there is a pair
    of figures for each, ``solution_u`` and ``error_u``; without an exact solution no error.
    """
    planes = _slices(problem)
    found: dict[str, Figure] = {}
    for output, name in enumerate(problem.outputs):
        slices = [_evaluate(problem, network, fixed, output, dtype, device) for fixed in planes]
        ending = f"_{name}" if len(problem.outputs) > 1 else ""
        title = problem.title + (f": {name}" if ending else "")
        rows = {"network": [each.solution for each in slices]}
        exact = [each.reference for each in slices if each.reference is not None]
        if exact:
            rows["reference"] = exact
            gap = [np.abs(s.solution - r) for s, r in zip(slices, exact, strict=True)]
            found[f"error{ending}"] = _draw(
                f"{title}: absolute error", slices, {"|network − reference|": gap}
            )
        found[f"solution{ending}"] = _draw(title, slices, rows)
    return found


def history_figure(history: History, terms: tuple[str, ...]) -> Figure:
    """Loss, its terms and the relative error against the step."""
    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.add_subplot(xlabel="step", yscale="log")
    for name in ("loss", *(terms if len(terms) > 1 else ())):
        axes.plot(*history.column(name), label=name, linewidth=1.6 if name == "loss" else 0.8)
    axes.plot(*history.column("relative_l2"), "k.-", label="relative L2 error", markersize=4)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _slices(problem: Problem) -> list[dict[int, float]]:
    """For each panel, the coordinates that are held fixed, by column."""
    domain = problem.domain
    if domain.dim <= 2:
        return [{}]

    def between(axis: int, share: float) -> float:
        return domain.lower[axis] + share * (domain.upper[axis] - domain.lower[axis])

    middle = {axis: between(axis, 0.5) for axis in range(2, domain.dim)}
    if domain.time_axis is None:
        return [middle]
    return [{**middle, domain.time_axis: between(domain.time_axis, at)} for at in _MOMENTS]


def _evaluate(
    problem: Problem,
    network: Function,
    fixed: dict[int, float],
    output: int,
    dtype: torch.dtype,
    device: torch.device | str,
) -> Slice:
    domain = problem.domain
    free = [axis for axis in range(domain.dim) if axis not in fixed]
    lines = [
        torch.linspace(domain.lower[axis], domain.upper[axis], _POINTS, dtype=torch.float64)
        for axis in free
    ]
    mesh = torch.meshgrid(*lines, indexing="ij")
    points = torch.empty(mesh[0].numel(), domain.dim, dtype=torch.float64)
    for axis, values in zip(free, mesh, strict=True):
        points[:, axis] = values.reshape(-1)
    for axis, value in fixed.items():
        points[:, axis] = value
    with torch.no_grad():
        inside = problem.domain.contains(points)
        nowhere = torch.full((len(points),), torch.nan, dtype=torch.float64)
        found = network(points.to(device=device, dtype=dtype)).cpu().double()[:, output]
        solution, reference = torch.where(inside, found, nowhere), None
        if problem.solution is not None:
            exact = torch.where(inside, problem.exact(points)[:, output], nowhere)
            reference = exact.reshape(mesh[0].shape).numpy()
    shown = list(fixed.items()) if len(fixed) <= 3 else []
    label = ", ".join(f"{problem.coordinates[axis]} = {value:.3g}" for axis, value in shown)
    return Slice(
        label if shown or not fixed else "other coordinates at their middle",
        tuple(line.numpy() for line in lines),
        tuple(problem.coordinates[axis] for axis in free),
        solution.reshape(mesh[0].shape).numpy(),
        reference,
    )


def _draw(title: str, slices: list[Slice], rows: dict[str, list[np.ndarray]]) -> Figure:
    """One panel for each slice (across) and each kind of value (down)."""
    one_dimensional = len(slices[0].axes) == 1
    panels = [(row, column) for row in rows for column in range(len(slices))]
    # a single slice looks better with its kinds side by side
    shape = (len(rows), len(slices)) if len(slices) > 1 else (1, len(rows))
    if one_dimensional:
        shape = (1, 1)
    figure = Figure(figsize=(4.6 * shape[1], 3.6 * shape[0]), layout="constrained")
    figure.suptitle(title)
    if one_dimensional:
        axes = figure.add_subplot(xlabel=slices[0].names[0])
        for name, values in rows.items():
            axes.plot(
                slices[0].axes[0], values[0], "--" if name == "reference" else "-", label=name
            )
        axes.legend()
        return figure
    grid = figure.subplots(*shape, squeeze=False).reshape(-1)
    every = np.concatenate([values.ravel() for row in rows.values() for values in row])
    # a plane can miss the domain, and is empty then
    known = every[~np.isnan(every)]
    low, high = (known.min(), known.max()) if len(known) else (0.0, 1.0)
    for axes, (row, column) in zip(grid, panels, strict=True):
        part = slices[column]
        # time reads better along the horizontal axis
        # pcolormesh wants the rows of the array along the vertical axis
        across, up, shown = 0, 1, rows[row][column].T
        if part.names[1] == "t":
            across, up, shown = 1, 0, shown.T
        else:
            axes.set_aspect("equal")
        image = axes.pcolormesh(
            part.axes[across],
            part.axes[up],
            shown,
            vmin=low,
            vmax=high,
            # smooth shading knows no gaps
            shading="nearest" if np.isnan(shown).any() else "gouraud",
            rasterized=True,
        )
        title = ", ".join(filter(None, (row, part.label)))
        axes.set(xlabel=part.names[across], ylabel=part.names[up], title=title)
    figure.colorbar(image, ax=grid.tolist())
    return figure
