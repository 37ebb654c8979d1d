"""What a function of a user's sees of its argument: it works, or is refused by name.

Taylor mode calls f with a carrier, which is no torch.Tensor: what f asks of it must be
answered as a tensor would, and what leads f another way must not become a number.
"""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives import laplacian
from pinnderiv.errors import UnsupportedOperationError
from tests.derivatives.common import assert_close

X = torch.rand(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.2

# All of them are x³ on tensors.
WORK: dict[str, Callable[[Tensor], Tensor]] = {
    "len": lambda x: x**3 * (len(x) > 0),
    "iteration": lambda x: torch.stack([row**3 for row in x]),
    "unpacking": lambda x: torch.stack([c**3 for c in x.unbind(-1)], -1),
    "shape": lambda x: x.reshape(x.shape) ** 3 * x.size(-1) / x.shape[-1] + x.ndim - x.dim(),
    "dtype": lambda x: x**3 if x.dtype == torch.float64 and x.device.type == "cpu" else x * 0,
    "type": lambda x: x**3 if x.type() == "torch.DoubleTensor" else x * 0,
    "type of another": lambda x: x.type(torch.float64) ** 3,
    "bool": lambda x: x**3 if (x > -9).all() else x,
    "format": lambda x: x**3 if f"{x}" else x,
    "hasattr": lambda x: x**3 if hasattr(x, "grad_fn") else x,
    "NumPy scalar": lambda x: np.float64(0.5) * x**3 * 2,
    "sum": lambda x: torch.stack([sum([c, c]) ** 3 / 8 for c in x.unbind(-1)], -1),
    "max": lambda x: torch.stack([torch.stack([max(v, v - 1) ** 3 for v in row]) for row in x]),
}


@pytest.mark.parametrize("way", WORK)
def test_what_works(way: str) -> None:
    assert_close(laplacian(WORK[way], method="taylor", strict=True)(X), 6 * X)


@functools.singledispatch
def by_type(x: Any) -> Tensor:
    return x * 0


@by_type.register
def _(x: Tensor) -> Tensor:
    return x**3


def needs_a_tensor(x: Tensor) -> Tensor:
    if not isinstance(x, Tensor):
        raise TypeError("give me a tensor")
    return x**3


ANOTHER_WAY = r"takes another way through f.*isinstance.*x\.shape"
# What is refused in Taylor mode and right in reverse mode, so that "auto" is right.
ELSEWHERE: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "isinstance": (lambda x: x**3 if isinstance(x, Tensor) else x * 0, ANOTHER_WAY),
    "is_tensor": (lambda x: x**3 if torch.is_tensor(x) else x.exp(), ANOTHER_WAY),
    "type is": (lambda x: x**3 if type(x) is Tensor else x, ANOTHER_WAY),
    "singledispatch": (by_type, ANOTHER_WAY),
    "isinstance that raises": (needs_a_tensor, "TypeError: give me a tensor"),
    "isinstance that detaches": (
        lambda x: (x if isinstance(x, Tensor) else x.detach()) ** 3,
        "gives wrong first derivatives",
    ),
    "as_tensor": (lambda x: torch.as_tensor(x) ** 3, r"torch\.as_tensor.* inside f"),
    "asarray": (lambda x: torch.asarray(x) ** 3, r"torch\.asarray.* inside f"),
    "int": (lambda x: x**3 * (1 + 0 * int(x[0, 0])), r"int\(\) inside f"),
}


@pytest.mark.parametrize("way", ELSEWHERE)
def test_what_another_method_takes(way: str) -> None:
    f, message = ELSEWHERE[way]
    with pytest.raises(UnsupportedOperationError, match=message) as caught:
        laplacian(f, method="taylor")(X)
    assert "Use method='reverse' or method='auto'" in str(caught.value)
    assert_close(laplacian(f)(X), 6 * X)


def with_numbers(x: Tensor) -> Tensor:
    rows = [[float(v.detach()) ** 3 for v in row] for row in x]
    return torch.tensor(rows, dtype=x.dtype)


# What no method differentiates.
NOWHERE: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "numpy": (lambda x: torch.from_numpy(x.numpy()) ** 3, "f leaves PyTorch for NumPy"),
    "NumPy function": (lambda x: np.sin(x), "f leaves PyTorch for NumPy"),
    "NumPy array": (lambda x: x**3 * np.array([1.0, 1.0]), "f leaves PyTorch for NumPy"),
    "numpy, detached": (
        lambda x: torch.from_numpy(x.detach().numpy()) ** 3,
        r"gives wrong first derivatives \(detach\(\)\)",
    ),
    "float": (
        lambda x: torch.stack([torch.stack([v * float(v) ** 2 for v in row]) for row in x]),
        r"float\(\) inside f",
    ),
    "math": (
        lambda x: torch.stack([torch.stack([v * math.sin(v) for v in row]) for row in x]),
        r"float\(\) inside f",
    ),
    "tolist": (lambda x: torch.tensor(x.tolist(), dtype=x.dtype) ** 3, r"tolist\(\) inside f"),
    "item": (
        lambda x: torch.stack([torch.stack([v * v.item() for v in row]) for row in x]),
        r"item\(\) inside f",
    ),
    "torch.tensor": (lambda x: torch.tensor(x) ** 3, r"torch\.tensor.* inside f"),
    "Parameter": (lambda x: nn.Parameter(x) ** 3, "Parameter"),
    "copy": (lambda x: copy.copy(x) ** 3, "pickling inside f"),
    "data": (lambda x: x.data**3, "gives wrong first derivatives"),
    "numbers": (with_numbers, "gives wrong first derivatives"),
}


@pytest.mark.filterwarnings("ignore:To copy construct", "ignore:Converting a tensor")
@pytest.mark.parametrize("method", ["taylor", "auto"])
@pytest.mark.parametrize("way", NOWHERE)
def test_what_no_method_takes(way: str, method: str) -> None:
    f, message = NOWHERE[way]
    with pytest.raises(UnsupportedOperationError, match=message):
        laplacian(f, method=method)(X)
