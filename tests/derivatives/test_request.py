"""Every kind of bad input gets an error of its own that says what to do."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives import (
    biharmonic,
    derivatives,
    divergence,
    hessian,
    hvp,
    jacobian,
    laplacian,
    linear_operator,
    partial,
    second_derivatives,
    second_order_operator,
)
from pinnderiv.errors import (
    ArgumentError,
    DtypeError,
    PinnderivError,
    ShapeError,
    UnsupportedOperationError,
)
from tests.derivatives.common import assert_close, fresh_network, network, points

NET, X = network(2, 1), points(4, 2)
NAN = torch.tensor([[0.1, 0.2], [math.nan, 0.3], [math.inf, 0.0]], dtype=torch.float64)

EVERY: dict[str, Callable[..., Any]] = {
    "jacobian": lambda f, x, **k: jacobian(f, **k)(x),
    "hessian": lambda f, x, **k: hessian(f, **k)(x),
    "second_derivatives": lambda f, x, **k: second_derivatives(f, **k)(x),
    "laplacian": lambda f, x, **k: laplacian(f, **k)(x),
    "second_order_operator": lambda f, x, **k: second_order_operator(f, torch.eye(2), **k)(x),
    "linear_operator": lambda f, x, **k: linear_operator(f, first=(1, 2), **k)(x),
    "hvp": lambda f, x, **k: hvp(f, **k)(x, (1.0, 2.0)),
    "partial": lambda f, x, **k: partial(f, (0, 1), **k)(x),
    "divergence": lambda f, x, **k: divergence(f, **k)(x),
    "biharmonic": lambda f, x, **k: biharmonic(f, **k)(x),
    "derivatives": lambda f, x, **k: derivatives(f, ["u_x"], ("x", "t"), **k)(x),
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (np.zeros((3, 2)), DtypeError, "x must be a torch.Tensor.*got ndarray.*as_tensor"),
        ([[0.0, 1.0]], DtypeError, "x must be a torch.Tensor.*got list"),
        (None, DtypeError, "x must be a torch.Tensor.*got NoneType"),
        (torch.zeros(3, 2, dtype=torch.int64), DtypeError, r"x has dtype torch.int64.*x.float\(\)"),
        (torch.zeros(3, 2, dtype=torch.half), DtypeError, "x has dtype torch.float16.*float32"),
        (torch.zeros(3, 2, dtype=torch.bfloat16), DtypeError, "x has dtype torch.bfloat16"),
        (torch.zeros(3, 2, dtype=torch.complex64), DtypeError, "x has dtype torch.complex64"),
        (torch.tensor(1.0), ShapeError, r"x has shape \(\).*reshape\(-1, 1\)"),
        (torch.zeros(3, 0), ShapeError, r"x has shape \(3, 0\).*D ≥ 1"),
        (torch.eye(2).to_sparse(), ArgumentError, "x is sparse; pass an ordinary"),
        (torch.zeros(3, 2, device="meta"), ArgumentError, "x is on the device 'meta'"),
        (NAN, ArgumentError, r"2 of the points are not finite.*x\[1\] = \[nan, 0.3\].*Remove"),
        (NAN[1], ArgumentError, r"1 of the points are not finite.*x = \[nan, 0.3\]"),
    ],
)
def test_points_that_are_none(name: str, x: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        EVERY[name](NET, x)


@pytest.mark.parametrize("name", EVERY)
def test_the_wrong_number_of_columns(name: str) -> None:
    with pytest.raises(ShapeError, match=r"Linear '0' takes 5 columns and x has 2|names 2"):
        EVERY[name](network(5, 1), X)


def two_of_them(x: Tensor) -> tuple[Tensor, Tensor]:
    return x, x


FUNCTIONS: list[tuple[Callable[[Tensor], Any], type[PinnderivError], str]] = [
    (two_of_them, DtypeError, r"f\(x\) returned tuple.*torch.cat"),
    (lambda x: None, DtypeError, r"f\(x\) returned NoneType"),
    (lambda x: x.sum().item(), DtypeError, r"f\(x\) returned float"),
    (nn.Tanh, DtypeError, r"f is the class Tanh; give an instance of it"),
    (lambda x: x.float(), DtypeError, r"f\(x\) has dtype torch.float32 but x has torch.float64"),
    (lambda x: (x * 2).long(), DtypeError, r"f\(x\) has dtype torch.int64"),
    (lambda x: x.sum(-1), ShapeError, r"f\(x\) has shape \(4,\).*unsqueeze\(-1\)"),
    (lambda x: x[:1], ShapeError, r"f\(x\) has shape \(1, 2\) for x of shape \(4, 2\)"),
    (lambda x: x.sum(), ShapeError, r"f\(x\) has shape \(\)"),
    (lambda x: x[None], ShapeError, r"f\(x\) has shape \(1, 4, 2\).*must be"),
    (lambda x: x[..., :0], ShapeError, "no outputs, M = 0"),
    (lambda x: x @ torch.ones(3, 1, dtype=x.dtype), ShapeError, "does it take D = 2 columns"),
    (lambda x: x[:, 3], ShapeError, "does it take D = 2 columns"),
]


@pytest.mark.parametrize("name", ["jacobian", "laplacian", "hvp", "derivatives"])
@pytest.mark.parametrize(("f", "kind", "message"), FUNCTIONS)
def test_functions_that_return_something_else(
    name: str, f: Callable[[Tensor], Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        EVERY[name](f, X)


def test_a_network_of_another_dtype_is_named() -> None:
    with pytest.raises(DtypeError, match=r"Linear '0' has dtype torch.float32.*net.to"):
        laplacian(fresh_network(2, 1, torch.float32))(X)


def test_an_error_of_f_s_own_stays_what_it_is() -> None:
    def broken(x: Tensor) -> Tensor:
        raise KeyError("a name")

    with pytest.raises(KeyError, match="a name"):
        laplacian(broken)(X)


def test_a_function_of_batches_is_not_for_single_points() -> None:
    with pytest.raises(ShapeError, match=r"cannot take x of shape \(2,\).*batch dimensions"):
        laplacian(lambda x: x[:, :1] ** 2)(X[0])
    single = laplacian(lambda x: (x[0] ** 2 * x[1])[None])(X[0])
    assert_close(single, 2 * X[0, 1:])


CALLS: list[tuple[str, Callable[[], Any], type[PinnderivError], str]] = [
    ("no function", lambda: laplacian(NET(X)), DtypeError, r"f must be a function.*laplacian\(f\)"),
    ("no function", lambda: hessian(3), DtypeError, "got int"),
    ("dims", lambda: laplacian(NET, (2,))(X), ArgumentError, "dims holds 2, but x has 2 columns"),
    ("dims", lambda: laplacian(NET, (-3,))(X), ArgumentError, "dims holds -3"),
    ("dims", lambda: laplacian(NET, (0, -2))(X), ArgumentError, "names a column twice.*weights"),
    ("dims", lambda: laplacian(NET, ())(X), ArgumentError, r"dims is empty.*dims=\(0,\)"),
    ("dims", lambda: laplacian(NET, "x")(X), ArgumentError, "holds 'x'.*pinnderiv.derivatives"),
    ("dims", lambda: laplacian(NET, 0.5)(X), ArgumentError, "holds 0.5"),
    ("dims", lambda: biharmonic(NET, (0, 2))(X), ArgumentError, "dims holds 2"),
    ("partial", lambda: partial(NET, ()), ArgumentError, "dims is empty"),
    ("partial", lambda: partial(NET, None), ArgumentError, "partial needs dims"),
    ("partial", lambda: partial(NET, "xx"), ArgumentError, "column numbers of x, such as 0 and 1"),
    ("partial", lambda: partial(NET, (0, 5))(X), ArgumentError, "dims holds 5"),
    (
        "weights",
        lambda: laplacian(NET, weights=(1, 2, 3))(X),
        ShapeError,
        r"\(3,\).*\(2,\).*\(4, 2",
    ),
    ("weights", lambda: laplacian(NET, weights=2.0)(X), ShapeError, r"weights has shape \(\)"),
    ("weights", lambda: laplacian(NET, (0,), (1, 2))(X), ShapeError, r"must be \(1,\)"),
    (
        "weights",
        lambda: laplacian(NET, weights=X[:3])(X),
        ShapeError,
        r"weights has shape \(3, 2\)",
    ),
    ("weights", lambda: laplacian(NET, weights=(1, math.nan))(X), ArgumentError, "weights.*NaN"),
    ("weights", lambda: laplacian(NET, weights="ab")(X), DtypeError, "weights must be a tensor"),
    ("weights", lambda: laplacian(NET, weights=(1, 1j))(X), DtypeError, "weights must be"),
    ("weights", lambda: laplacian(NET, weights=((1, 2), (3,)))(X), DtypeError, "weights must be"),
    (
        "weights",
        lambda: laplacian(NET, weights=X > 0)(X),
        DtypeError,
        "weights has dtype torch.bool",
    ),
    (
        "matrix",
        lambda: second_order_operator(NET, [[1, 2], [3, 1]])(X),
        ArgumentError,
        r"not symmetric.*by up to 1\).*A \+ A.mT",
    ),
    (
        "matrix",
        lambda: second_order_operator(NET, torch.ones(4, 3, 3))(X),
        ShapeError,
        r"matrix has shape \(4, 3, 3\)",
    ),
    ("matrix", lambda: second_order_operator(NET, None), ArgumentError, "needs a matrix"),
    ("no part", lambda: linear_operator(NET), ArgumentError, "second, matrix, first, zeroth"),
    ("first", lambda: linear_operator(NET, first=(1,))(X), ShapeError, r"first has shape \(1,\)"),
    ("zeroth", lambda: linear_operator(NET, zeroth=X)(X), ShapeError, r"zeroth has shape \(4, 2\)"),
    (
        "zeroth",
        lambda: linear_operator(NET, zeroth=math.inf)(X),
        ArgumentError,
        "zeroth holds NaN or infinity",
    ),
    ("v", lambda: hvp(NET)(X, torch.ones(3)), ShapeError, r"v has shape \(3,\)"),
    ("v", lambda: hvp(NET)(X, None), DtypeError, "v must be a tensor"),
    ("chunk_size", lambda: laplacian(NET, chunk_size=0), ArgumentError, "chunk_size=0"),
    (
        "chunk_size",
        lambda: laplacian(NET, chunk_size=2.5),
        ArgumentError,
        "positive number of rows",
    ),
    ("chunk_size", lambda: laplacian(NET, chunk_size=True), ArgumentError, "chunk_size=True"),
    ("method", lambda: laplacian(NET, method="nestd"), ArgumentError, "Did you mean 'nested'"),
    ("method", lambda: hessian(NET, method="forward"), ArgumentError, "unknown; choose one of"),
    ("method", lambda: jacobian(NET, method=None), ArgumentError, "method=None"),
    ("method", lambda: jacobian(NET, method=["auto"]), ArgumentError, "unknown"),
    ("names", lambda: derivatives(NET, [], ("x", "t")), ArgumentError, "request is empty"),
    ("names", lambda: derivatives(NET, 5, ("x", "t")), ArgumentError, "the request is 5"),
    ("names", lambda: derivatives(NET, [3], ("x", "t")), ArgumentError, "the request holds 3"),
    ("names", lambda: derivatives(NET, ["u_z"], ("x", "t")), ArgumentError, "Did you mean 'u_x'"),
    (
        "names",
        lambda: derivatives(NET, ["w"], ("x", "t")),
        ArgumentError,
        "'w' is not a derivative",
    ),
    ("names", lambda: derivatives(NET, ["u_"], ("x", "t")), ArgumentError, "'u_' is not"),
    ("names", lambda: derivatives(NET, ["u_xx"], "xt"), ArgumentError, "coordinates is the string"),
    ("names", lambda: derivatives(NET, ["u_x"], ()), ArgumentError, r"coordinates=\(\) must be"),
    ("names", lambda: derivatives(NET, ["u_x"], 2), ArgumentError, "coordinates=2 must be"),
    ("names", lambda: derivatives(NET, ["u_x"], ("x", "x")), ArgumentError, "distinct"),
    ("names", lambda: derivatives(NET, ["u"], ("x", "t"), "u"), ArgumentError, "outputs is the"),
    (
        "names",
        lambda: derivatives(NET, ["u_xxx"], ("x", "xx")),
        ArgumentError,
        "can be read in 2 ways.*rename a coordinate",
    ),
]


@pytest.mark.parametrize(
    ("call", "kind", "message"), [c[1:] for c in CALLS], ids=[f"{c[0]}-{c[3]}" for c in CALLS]
)
def test_bad_arguments(call: Callable[[], Any], kind: type[PinnderivError], message: str) -> None:
    with pytest.raises(kind) as caught:
        call()
    assert re.search(message, str(caught.value), re.DOTALL), str(caught.value)
    # A full sentence for people, not a traceback's last line.
    assert len(str(caught.value).split()) >= 5


def test_every_error_is_also_a_built_in_one() -> None:
    for kind, built_in in [
        (ArgumentError, ValueError),
        (ShapeError, ValueError),
        (DtypeError, TypeError),
        (UnsupportedOperationError, NotImplementedError),
    ]:
        assert issubclass(kind, built_in) and issubclass(kind, PinnderivError)


def test_bad_arguments_are_refused_before_f_runs() -> None:
    def never(x: Tensor) -> Tensor:
        raise AssertionError("f ran")

    for call in (
        lambda: laplacian(never, (7,))(X),
        lambda: laplacian(never, weights=(1, 2, 3))(X),
        lambda: second_order_operator(never, [[0, 1], [0, 0]])(X),
        lambda: partial(never, (7,))(X),
        lambda: derivatives(never, ["u_x"], ("x", "y", "z"))(X),
        lambda: hvp(never)(X, torch.ones(3)),
        lambda: laplacian(never)(NAN),
    ):
        with pytest.raises(PinnderivError):
            call()


class TestWhatIsAccepted:
    """Friendly forms that must not be refused."""

    def test_forms_of_dims(self) -> None:
        expected = laplacian(NET, (1,))(X)
        for dims in (1, -1, [1], (np.int64(1),), torch.tensor([1]), range(1, 2)):
            assert_close(laplacian(NET, dims)(X), expected)

    def test_forms_of_coefficients(self) -> None:
        expected = laplacian(NET, weights=(2.0, -1.0))(X)
        for w in ([2, -1], np.array([2, -1]), torch.tensor([2, -1]), torch.tensor([2.0, -1.0])):
            assert_close(laplacian(NET, weights=w)(X), expected)
        assert_close(laplacian(NET, weights=(torch.tensor(2), -1))(X), expected)
        assert_close(second_order_operator(NET, [[torch.tensor(2.0), 0], [0, -1]])(X), expected)

    def test_python_numbers_keep_double_precision(self) -> None:
        exact = laplacian(NET, weights=torch.tensor([0.1, 0.7], dtype=torch.float64))(X)
        assert torch.equal(laplacian(NET, weights=(0.1, 0.7))(X), exact)

    def test_a_matrix_that_is_symmetric_to_rounding(self) -> None:
        a = torch.rand(2, 2, dtype=torch.float32)
        a = a @ a.T / 3
        a[0, 1] *= 1 + 1e-7
        assert second_order_operator(network(2, 1, torch.float32), a)(X.float()).shape == (4, 1)

    def test_chunk_sizes_from_numpy(self) -> None:
        assert laplacian(NET, chunk_size=np.int64(3))(X).shape == (4, 1)

    def test_points_that_are_parameters(self) -> None:
        x = nn.Parameter(X.clone())
        assert_close(laplacian(NET)(x), laplacian(NET)(X))

    def test_nan_where_nobody_checks(self) -> None:
        found = laplacian(NET, check=False)(NAN[:2])
        assert found[0].isfinite().all() and found[1].isnan().all()

    def test_no_points(self) -> None:
        for call in EVERY.values():
            found = call(network(2, 2) if call is EVERY["divergence"] else NET, X[:0])
            assert len(found["u_x"] if isinstance(found, dict) else found) == 0


@pytest.mark.parametrize(
    "mask", [(True, False), torch.tensor([True, False]), [False, True], True, (False, False)]
)
def test_a_mask_is_not_read_as_column_numbers(mask: Any) -> None:
    with pytest.raises(ArgumentError, match=r"mask of booleans.*(write dims=\([01],\)|name the)"):
        laplacian(network(2, 1), mask)(points(3, 2))
    with pytest.raises(ArgumentError, match="mask of booleans"):
        partial(network(2, 1), mask)
