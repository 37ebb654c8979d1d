"""A residual of one's own as an optimiser sees it: a function of one vector of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from pinnderiv.derivatives.transforms import inside_transform
from pinnderiv.errors import (
    ArgumentError,
    BatchMixingError,
    PinnderivError,
    ShapeError,
    UnsupportedOperationError,
)
from pinnderiv.training.jacobian import jacobian_of_graph, jacobian_of_rows
from pinnderiv.training.objective import Evaluation, Linearisation, Objective
from pinnderiv.training.residual_terms import Columns, Holder, Piece, Residual, pieces
from pinnderiv.training.trainable import Parameters, trainable


class ResidualObjective(Objective):
    """Σ weight · mean square over the terms that a residual function returns.

    Without ``points`` the residual is a closure, ``residual()``, which does with the parameters
    whatever it likes; each row of its Jacobian is a backward pass through all of it. With
    ``points`` it is ``residual(points)``, or ``residual(points, known, ...)`` for a tuple, and row
    i of what it returns may depend on row i of its arguments only: then all rows together cost
    about one backward pass. Different pieces, such as interior and boundary, are a mapping from
    names to functions and one from the same names to their points.

    Args:
        parameters: a module, a tensor, or several of them: what requires gradients is trained.
        residual: see above.
        points: see above; (N, ...) each.
        weights: factor on the mean square of each term; a term that is not named has 1.

    Raises:
        ArgumentError: there is nothing to train, the residual is empty or does not depend on the
            parameters, or a weight is out of range.
        DtypeError: the residual is no tensor of the parameters' type.
        ShapeError: points, or what the residual returns, have different numbers of rows.
    """

    def __init__(
        self,
        parameters: Parameters,
        residual: Residual | Mapping[str, Residual],
        points: Columns | Mapping[str, Columns] | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> None:
        found, modules = trainable(parameters)
        super().__init__(found)
        self.weights = dict(weights or {})
        self._holder = Holder(modules)
        ids = {id(each): name for name, each in self._holder.named_parameters()}
        self._names = [ids.get(id(each)) for each in found]
        self._residual = residual
        self._rows = points is not None
        self.set_points(points)
        self._require_dependence()
        # seen here, since inside of a transform of torch.func parameters cannot be moved
        self._reached = self._reaches()

    def set_points(self, points: Columns | Mapping[str, Columns] | None) -> None:
        """Other points for the same residual functions.

        Raises:
            ArgumentError, DtypeError, ShapeError: as for the class.
        """
        if (points is not None) != self._rows:
            raise ArgumentError("points are given to a residual that takes them, and only to it.")
        self._pieces = list(pieces(self._residual, points))
        if self._rows and None in self._names:
            raise UnsupportedOperationError(
                "points= needs all parameters inside the modules that are given, since it calls "
                "them with others: make a single tensor the nn.Parameter of a module, or leave out "
                "points= and return the residuals at all points from residual()."
            )
        self.points_changed()

    def points_changed(self) -> None:
        """Tells that the residual is another function now, and may return another number."""
        self._sizes: dict[str, int] | None = None
        self._trusted = False

    def repeats(self) -> bool:
        """Whether the residual is the same when it is asked again."""
        first, second = (torch.cat(list(self._detached().values())) for _ in range(2))
        close = (first - second).norm() <= torch.finfo(first.dtype).eps ** 0.5 * first.norm()
        return bool(close) or not bool(torch.isfinite(first).all())

    def evaluate(self) -> Evaluation:
        self._require_unfrozen()
        with torch.enable_grad():
            values = self._values()
            terms = {name: value.square().mean() for name, value in values.items()}
            loss = self._total(terms)
            gradient = self._gradient(loss)
        return Evaluation(
            loss.detach(), {name: term.detach() for name, term in terms.items()}, gradient
        )

    def residuals(self, vector: Tensor) -> Tensor:
        if inside_transform() or vector.requires_grad:
            self._require_reached()
            return self._joined(self._values(self._parameters(vector)))
        return self._in_place(vector)

    def linearise(self) -> Linearisation:
        self._require_unfrozen()
        if self._rows:
            if self._sizes is None:
                self._detached()
            self._require_reached()
            values, jacobian = self._by_rows()
        else:
            with torch.enable_grad():
                graph = self._values()
                joined = self._joined(graph)
                jacobian = jacobian_of_graph(joined, self.parameters)
            values = {name: value.detach() for name, value in graph.items()}
        terms = {name: value.square().mean() for name, value in values.items()}
        result = Linearisation(self._joined(values), jacobian, terms)
        if not self._trusted:
            self._compare(result)
        return result

    def evaluation_at(self, before: Evaluation) -> Evaluation:
        terms = {name: value.square().mean() for name, value in self._detached().items()}
        return Evaluation(self._total(terms), terms, before.gradient)

    def _gradient(self, scalar: Tensor) -> Tensor:
        gradients: Sequence[Tensor | None] = [None] * len(self.parameters)
        if scalar.requires_grad:
            gradients = torch.autograd.grad(scalar, self.parameters, allow_unused=True)
        return self.flat(gradients)

    def _in_place(self, vector: Tensor) -> Tensor:
        # for numbers alone they go where everything finds them, also what no module holds
        origin = self.vector()
        self.set_vector(vector)
        try:
            return self._joined(self._detached())
        finally:
            self.set_vector(origin)

    def _detached(self) -> dict[str, Tensor]:
        # gradients stay on: a residual may take derivatives by autograd inside
        with torch.enable_grad():
            return {name: value.detach() for name, value in self._values().items()}

    def _values(self, parameters: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """The residuals of each term, flat and unweighted: (N_term,)."""
        values: dict[str, Tensor] = {}
        for piece in self._pieces:
            values |= (
                piece.values(self.parameters[0])
                if parameters is None
                else piece.values_with(self._holder, parameters)
            )
        sizes = {name: len(value) for name, value in values.items()}
        if self._sizes is None:
            self._require_weights(sizes)
            self._sizes = sizes
        if sizes != self._sizes:
            raise ShapeError(
                f"the residual had the sizes {self._sizes} and now has {sizes}. Change its points "
                "between steps only, and tell it by points_changed()."
            )
        return values

    def _by_rows(self) -> tuple[dict[str, Tensor], Tensor]:
        """The values of each term (N_term,), and the scaled Jacobian (R, P)."""
        parameters = self._parameters(self.vector())
        values: dict[str, Tensor] = {}
        blocks: list[Tensor] = []
        for piece in self._pieces:
            widths: dict[str, int] = {}
            value, gradient = self._rows_of(piece, parameters, widths)
            split = list(widths.values())
            for name, part, slope in zip(
                widths, value.split(split, dim=1), gradient.split(split, dim=1), strict=True
            ):
                values[name] = part.reshape(-1)
                scale = self._scale(name, len(values[name]))
                blocks.append(slope.reshape(-1, self.size) * scale)
        return values, torch.cat(blocks)

    def _rows_of(
        self, piece: Piece, parameters: dict[str, Tensor], widths: dict[str, int]
    ) -> tuple[Tensor, Tensor]:
        """Values (N, M) and gradients (N, M, P) at the points of a piece.

        ``widths`` takes in how many of the M belong to each term.
        """
        sizes = self._sizes or {}

        def at(parameters: dict[str, Tensor], *row: Tensor) -> Tensor:
            found = piece.values_with(self._holder, parameters, row)
            widths.update((name, value.numel()) for name, value in found.items())
            piece.require_own_row(widths, sizes)
            flat = torch.cat(list(found.values()))
            return flat if len(flat) > 1 else flat[0]

        rows = len(piece.columns[0])
        mine = sizes.values() if piece.name is None else [sizes[piece.name]]
        outputs = sum(mine) // rows
        try:
            value, gradient = jacobian_of_rows(at, parameters, piece.columns, outputs)
        except (PinnderivError, torch.OutOfMemoryError):
            raise
        except RuntimeError as error:
            raise UnsupportedOperationError(
                f"torch.func cannot take the residual one row at a time ({error}). Take "
                "derivatives inside it with pinnderiv's operators, or leave out points= and "
                "return the residuals at all points from residual()."
            ) from error
        return value.view(rows, outputs), gradient.view(rows, outputs, -1)

    def _parameters(self, vector: Tensor) -> dict[str, Tensor]:
        return {str(name): part for name, part in zip(self._names, self.split(vector), strict=True)}

    def _scale(self, name: str, size: int) -> float:
        return float((self.weights.get(name, 1.0) / size) ** 0.5)

    def _joined(self, values: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([self._scale(name, len(v)) * v for name, v in values.items()])

    def _total(self, terms: Mapping[str, Tensor]) -> Tensor:
        weighted = [self.weights.get(name, 1.0) * term for name, term in terms.items()]
        return sum(weighted[1:], start=weighted[0])

    def _require_weights(self, names: Iterable[str]) -> None:
        for name, weight in self.weights.items():
            if name not in names or not 0.0 <= weight < float("inf"):
                raise ArgumentError(
                    f"weights[{name!r}] is {weight}; weights are finite numbers of at least 0, for "
                    f"the residual's terms: {', '.join(names)}."
                )
        if not any(self.weights.get(name, 1.0) for name in names):
            raise ArgumentError("weights are 0 for every term, so there is nothing to minimise.")

    def _require_dependence(self) -> None:
        with torch.enable_grad():
            joined = self._joined(self._values())
            slopes = (
                torch.autograd.grad(joined.sum(), self.parameters, allow_unused=True)
                if joined.requires_grad
                else ()
            )
        if all(each is None for each in slopes):
            raise ArgumentError(
                "the residual does not depend on any of the parameters: compute it with the very "
                "module that is trained, without detach() and outside of torch.no_grad()."
            )

    def _require_unfrozen(self) -> None:
        if not all(each.requires_grad for each in self.parameters):
            raise ArgumentError(
                "a parameter was frozen (requires_grad=False) after the optimiser began: begin "
                "anew with on(...) once all is frozen that shall be."
            )

    def _reaches(self) -> bool:
        """Whether the residual follows other parameters that are put where the modules hold them.

        One that got hold of a parameter by another way would have a derivative of zero by it,
        without any error.
        """
        if None in self._names:
            return False
        here = self.vector()
        there = here + 1e-3 * (1 + here.abs())
        start, expected = self._in_place(here), self._in_place(there)
        try:
            with torch.enable_grad():
                found = self._joined(self._values(self._parameters(there))).detach()
        except RuntimeError:
            return False
        if not bool(torch.isfinite(expected).all() and torch.isfinite(start).all()):
            return True  # nothing can be said; no step leads there
        scale = float(start.norm() + 1e3 * (expected - start).norm())
        return float((found - expected).norm()) <= torch.finfo(here.dtype).eps ** 0.75 * scale

    def _require_reached(self) -> None:
        if not self._reached:
            raise UnsupportedOperationError(
                "the residual holds on to a parameter itself, and would miss another that is put "
                "in its place: give the modules that hold all parameters, use these as attributes "
                "(net.weight, not a variable that was set to it), and leave out randomness such as "
                "dropout."
            )

    def _compare(self, found: Linearisation) -> None:
        """Holds a first Jacobian against one ordinary backward pass.

        Raises:
            BatchMixingError: they contradict each other.
        """
        with torch.enable_grad():
            joined = self._joined(self._values())
            gradient = self._gradient(joined.square().sum())
        expected = joined.detach()
        if not bool(torch.isfinite(expected).all() and torch.isfinite(gradient).all()):
            return
        # near a minimum r is a small difference of large numbers, of the size of J w
        steep = float(found.jacobian.norm())
        size = float(expected.norm()) + steep * float(self.vector().norm())
        share = torch.finfo(expected.dtype).eps ** 0.5
        off = float((found.residual - expected).norm()) > share * size
        turned = float((found.evaluation().gradient - gradient).norm()) > share * steep * size
        if off or turned:
            why = (
                "a row of it depends on other rows of points, or it is random: leave out points= "
                "and return the residuals at all points from residual()"
                if self._rows
                else "it is random, or an operation in it has a wrong derivative"
            )
            raise BatchMixingError(
                "the residual's Jacobian, row by row, contradicts the gradient of its mean square; "
                f"{why}."
            )
        self._trusted = True
