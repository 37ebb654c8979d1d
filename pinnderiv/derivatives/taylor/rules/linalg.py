"""Inverses, solutions of linear systems, determinants and factorisations.

All follow from differentiating the defining equation twice along the directions: for
A X = B it is A X_k = B_k − A_k X and A C_X = C_B − C_A X − 2 Σ w A_k X_k. See Giles (2008),
"Collected matrix derivative results for forward and reverse mode algorithmic
differentiation", and Townsend (2016), "Differentiating the singular value decomposition".
"""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

from typing import Any

import torch

from pinnderiv.derivatives.taylor.algebra import composite, parts, rule
from pinnderiv.derivatives.taylor.channels import lift, spread, total
from pinnderiv.derivatives.taylor.dispatch import Unsuited, active, strip
from pinnderiv.derivatives.taylor.jet import Jet
from pinnderiv.derivatives.taylor.run import Run


def _held(run: Run, a: Any) -> tuple[Any, Any]:
    """Tangents and curvature with all entries."""
    value = strip(run, a)
    return tuple(  # type: ignore[return-value]
        None if s is None else spread(s, value.shape) for s in parts(run, a)
    )


def _minus(stack: Any) -> Any:
    return None if stack is None else -stack


def _cross(run: Run, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    ndim = max(left.ndim, right.ndim) - 1
    return run.structure.cross(torch.matmul, lift(left, ndim), lift(right, ndim))


@rule("inv", "inverse", kind="linear system")
def inv(run: Run, a: Any, **keywords: Any) -> Any:
    ta, ca = _held(run, a)
    y = torch.linalg.inv(a.value)

    def around(stack: Any) -> Any:
        return None if stack is None else y @ stack @ y

    first = _minus(around(ta))
    bent = _cross(run, ta, first)
    return Jet(run, y, first, _minus(total(around(ca), None if bent is None else y @ bent)))


@rule("inv_ex", kind="linear system")
def inv_ex(run: Run, a: Any, **keywords: Any) -> Any:
    return inv(run, a), torch.linalg.inv_ex(strip(run, a), **keywords).info


@rule(torch.linalg.solve, kind="linear system")
def solve(run: Run, a: Any, b: Any, *, left: bool = True, **keywords: Any) -> Any:
    if not left:
        flipped = torch.linalg.solve(torch.transpose(a, -1, -2), torch.transpose(b, -1, -2))
        return torch.transpose(flipped, -1, -2)
    va, vb = strip(run, a), strip(run, b)
    vector = vb.ndim == 1 or (vb.ndim == va.ndim - 1 and tuple(vb.shape) == tuple(va.shape[:-1]))
    if vector:
        return torch.squeeze(torch.linalg.solve(a, torch.unsqueeze(b, -1)), -1)
    return _solved(run, a, b, lambda m, r: torch.linalg.solve(m, r))


def _solved(run: Run, a: Any, b: Any, solver: Any) -> Any:
    """X with A X = B, for matrices."""
    x = solver(strip(run, a), strip(run, b))
    ta, ca = _held(run, a)
    tb, cb = _held(run, b)

    def times(stack: Any) -> Any:
        return None if stack is None else -(lift(stack, x.ndim) @ x)

    def undone(stack: Any) -> Any:
        return None if stack is None else solver(strip(run, a), lift(stack, x.ndim))

    first = undone(total(tb, times(ta)))
    bent = _minus(_cross(run, ta, first))
    return Jet(run, x, first, undone(total(total(cb, times(ca)), bent)))


@rule("solve_ex", kind="linear system")
def solve_ex(run: Run, a: Any, b: Any, *, left: bool = True, **keywords: Any) -> Any:
    info = torch.linalg.solve_ex(strip(run, a), strip(run, b), left=left).info
    return solve(run, a, b, left=left), info


@rule("solve_triangular", kind="linear system")
def solve_triangular(
    run: Run, a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    if not left:
        flipped = torch.linalg.solve_triangular(
            torch.transpose(a, -1, -2),
            torch.transpose(b, -1, -2),
            upper=not upper,
            unitriangular=unitriangular,
        )
        return torch.transpose(flipped, -1, -2)
    if active(run, a):
        # Only the triangle that is read may carry derivatives.
        inside = -1 if unitriangular else 0
        a = torch.triu(a, -inside) if upper else torch.tril(a, inside)

    def solver(m: Any, r: Any) -> Any:
        return torch.linalg.solve_triangular(m, r, upper=upper, unitriangular=unitriangular)

    return _solved(run, a, b, solver)


def _trace(a: Any) -> Any:
    return a.diagonal(dim1=-2, dim2=-1).sum(-1)


def _log_determinant(run: Run, a: Any) -> tuple[Any, Any]:
    """Tangents and curvature of log|det A|: tr(A⁻¹A_k) and tr(A⁻¹C_A) − Σ w tr((A⁻¹A_k)²)."""
    ta, ca = _held(run, a)
    inverse = torch.linalg.inv(a.value)
    scaled = None if ta is None else inverse @ ta
    bent = None
    if scaled is not None:
        doubled = run.structure.cross(torch.matmul, scaled, scaled)
        bent = None if doubled is None else -0.5 * _trace(doubled)
    straight = None if ca is None else _trace(inverse @ ca)
    return (None if scaled is None else _trace(scaled)), total(straight, bent)


@rule("slogdet", kind="linear system")
def slogdet(run: Run, a: Any) -> Any:
    found = torch.linalg.slogdet(a.value)
    jet = Jet(run, found.logabsdet, *_log_determinant(run, a))
    return type(found)((found.sign, jet))


@rule("logdet", kind="linear system")
def logdet(run: Run, a: Any) -> Any:
    return Jet(run, torch.logdet(a.value), *_log_determinant(run, a))


@composite("det")
def det(a: Any) -> Any:
    size = a.shape[-1]
    if size <= 3:
        # A polynomial: right for singular matrices too.
        return _small_determinant(a, size)
    sign, logarithm = torch.linalg.slogdet(a)
    return sign * torch.exp(logarithm)


def _small_determinant(a: Any, size: int) -> Any:
    if size == 0:
        return torch.det(a.detach())
    rows = [torch.unbind(row, -1) for row in torch.unbind(a, -2)]
    if size == 1:
        return rows[0][0]
    if size == 2:
        return rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]
    (a0, a1, a2), (b0, b1, b2), (c0, c1, c2) = rows
    return a0 * (b1 * c2 - b2 * c1) - a1 * (b0 * c2 - b2 * c0) + a2 * (b0 * c1 - b1 * c0)


@rule("cholesky", kind="factorisation")
def cholesky(run: Run, a: Any, upper: bool = False) -> Any:
    """A = L Lᵀ: with Φ the lower triangle with half its diagonal, L_k = L Φ(L⁻¹ A_k L⁻ᵀ)."""
    if a.is_complex():
        raise Unsuited
    # Each variant reads one triangle only.
    y = torch.linalg.cholesky(a.value, upper=True).mT if upper else torch.linalg.cholesky(a.value)
    ta, ca = _held(run, a)

    def half(m: Any) -> Any:
        low = torch.tril(m)
        return low - 0.5 * torch.diag_embed(torch.diagonal(low, dim1=-2, dim2=-1))

    def inside(stack: Any) -> Any:
        stack = _symmetric(stack, "U" if upper else "L")
        once = torch.linalg.solve_triangular(y, stack, upper=False)
        return torch.linalg.solve_triangular(y, once.mT, upper=False).mT

    def factor(stack: Any) -> Any:
        return None if stack is None else y @ half(inside(stack))

    first = factor(ta)
    bent = None if first is None else run.structure.cross(lambda p, q: p @ q.mT, first, first)
    second = factor(total(ca, _minus(bent)))
    return Jet(run, y.mT, _turned(first), _turned(second)) if upper else Jet(run, y, first, second)


def _turned(stack: Any) -> Any:
    return None if stack is None else stack.mT


@rule("cholesky_ex", kind="factorisation")
def cholesky_ex(run: Run, a: Any, *, upper: bool = False, **keywords: Any) -> Any:
    return cholesky(run, a, upper), torch.linalg.cholesky_ex(strip(run, a)).info


@composite("cholesky_inverse")
def cholesky_inverse(factor: Any, upper: bool = False) -> Any:
    low = torch.transpose(torch.triu(factor), -1, -2) if upper else torch.tril(factor)
    return torch.linalg.inv(torch.matmul(low, torch.transpose(low, -1, -2)))


@composite("cholesky_solve")
def cholesky_solve(b: Any, factor: Any, upper: bool = False) -> Any:
    low = torch.transpose(torch.triu(factor), -1, -2) if upper else torch.tril(factor)
    half = torch.linalg.solve_triangular(low, b, upper=False)
    return torch.linalg.solve_triangular(torch.transpose(low, -1, -2), half, upper=True)


def _gaps(values: Any) -> Any:
    """1/(λ_j − λ_i) off the diagonal, 0 on it."""
    gap = values.unsqueeze(-2) - values.unsqueeze(-1)
    eye = torch.eye(values.shape[-1], dtype=torch.bool, device=values.device)
    return torch.where(eye, 0.0, 1 / torch.where(eye, 1.0, gap))


@rule("eigh", kind="factorisation")
def eigh(run: Run, a: Any, UPLO: str = "L") -> Any:
    """Second-order perturbation theory; repeated eigenvalues have no derivative."""
    if a.is_complex():
        raise Unsuited
    found = torch.linalg.eigh(a.value, UPLO)
    values, vectors = found.eigenvalues, found.eigenvectors
    ta, ca = (None if s is None else _symmetric(s, UPLO) for s in _held(run, a))
    gaps = _gaps(values)

    def seen(stack: Any) -> Any:
        return None if stack is None else vectors.mT @ stack @ vectors

    def diagonal(stack: Any) -> Any:
        return None if stack is None else torch.diagonal(stack, dim1=-2, dim2=-1)

    first, second = seen(ta), seen(ca)
    # V_k = V P_k with antisymmetric P_k; of A V = V Λ differentiated twice, seen from V:
    # M = C + 2 Σ w (A_k P_k − P_k Λ_k), Λ″ = diag M, and the rest gives V″.
    turn = None if first is None else gaps * first
    if turn is not None:
        slopes = diagonal(first)
        bent = run.structure.cross(lambda p, q: p @ q, first, turn)
        shifted = run.structure.cross(lambda p, q: p * q.unsqueeze(-2), turn, slopes)
        second = total(second, None if bent is None else bent - shifted)
    else:
        slopes = None
    vectors2 = None
    if second is not None:
        inner = gaps * second
        if turn is not None:
            length = run.structure.cross(torch.mul, turn, turn)
            inner = inner - 0.5 * torch.diag_embed(length.sum(-2))
        vectors2 = vectors @ inner
    turned = None if turn is None else vectors @ turn
    return type(found)(
        (Jet(run, values, slopes, diagonal(second)), Jet(run, vectors, turned, vectors2))
    )


def _symmetric(stack: Any, uplo: str) -> Any:
    """What eigh reads: one triangle, mirrored."""
    if uplo.upper() == "L":
        low = torch.tril(stack)
        return low + torch.tril(stack, -1).mT
    high = torch.triu(stack)
    return high + torch.triu(stack, 1).mT


@composite("eigvalsh")
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return torch.linalg.eigh(a, UPLO)[0]


@composite("matrix_power")
def matrix_power(a: Any, n: int) -> Any:
    if n < 0:
        return matrix_power(torch.linalg.inv(a), -n)
    if n == 0:
        eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
        return eye.expand(tuple(a.shape)) + 0 * a
    result = None
    while n:
        if n & 1:
            result = a if result is None else torch.matmul(result, a)
        n >>= 1
        if n:
            a = torch.matmul(a, a)
    return result


@composite("matrix_norm")
def matrix_norm(
    a: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Any:
    if ord != "fro" or dtype is not None:
        raise Unsuited
    return torch.linalg.vector_norm(a, 2, tuple(dim), keepdim)


@composite(torch.linalg.norm)
def norm(
    a: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    vector = isinstance(dim, int) or (dim is None and (a.ndim == 1 or ord is None))
    if vector or (isinstance(dim, (tuple, list)) and len(dim) == 1):
        return torch.linalg.vector_norm(a, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    dims = (-2, -1) if dim is None else tuple(dim)
    return torch.linalg.matrix_norm(a, "fro" if ord is None else ord, dims, keepdim, dtype=dtype)


@composite("pinv")
def pinv(a: Any, *args: Any, **keywords: Any) -> Any:
    if keywords.pop("hermitian", False):  # only the lower triangle is looked at
        lower = torch.tril(a)
        a = lower + torch.conj(torch.transpose(torch.tril(a, -1), -1, -2))
    if args or keywords:
        raise Unsuited
    rows, columns = a.shape[-2:]
    if bool((torch.linalg.matrix_rank(a.detach()) < min(rows, columns)).any()):
        raise Unsuited
    turned = torch.transpose(a, -1, -2)
    if rows >= columns:
        return torch.linalg.solve(torch.matmul(turned, a), turned)
    return torch.transpose(torch.linalg.solve(torch.matmul(a, turned), a), -1, -2)


@composite("vander")
def vander(z: Any, N: int | None = None) -> Any:
    count = z.shape[-1] if N is None else N
    return torch.stack([torch.pow(z, k) for k in range(count)], -1)
