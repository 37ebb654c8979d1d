"""The carrier: what a function is called with in place of its points.

A :class:`Jet` stands for a tensor z(x) and holds its value, its tangents and its
curvature (see `run.py`). It is no tensor, but PyTorch hands every function that meets one
over to `__torch_function__`, from where the rule of that function is looked up. So it goes
through ``nn.Module.forward``, through ``torch.compile`` and through ``torch.func``
transforms over parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from pinnderiv.derivatives.request import unit_vectors
from pinnderiv.derivatives.taylor import dispatch as _dispatch
from pinnderiv.derivatives.taylor.run import Run
from pinnderiv.errors import UnsupportedOperationError


class Jet:
    """A tensor ``(*shape)`` with its first and second derivatives along the pass's directions.

    Attributes:
        run: the pass it belongs to.
        value: z, ``(*shape)``.
        tangents: ``(K, *shape)``, see `channels.py`; None where all are zero.
        curvature: ``(C, *shape)``, likewise.
        origin: for a view, where it came from (see `aliasing.py`).
        version: how often it was changed in place.
    """

    requires_grad = True
    is_leaf = False
    is_nested = False
    is_sparse = False
    is_quantized = False
    is_mkldnn = False
    grad = None
    grad_fn = None
    names = None
    __array_priority__ = 1000

    def __init__(self, run: Run, value: Any, tangents: Any = None, curvature: Any = None) -> None:
        self.run = run
        self.value = value
        self.tangents = tangents
        self.curvature = curvature
        self.origin: Any = None
        self.version = 0

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        return _dispatch.dispatch(func, args, kwargs or {})

    @property
    def shape(self) -> torch.Size:
        return self.value.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.value.dtype

    @property
    def device(self) -> torch.device:
        return self.value.device

    @property
    def layout(self) -> torch.layout:
        return self.value.layout

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def is_cuda(self) -> bool:
        return self.value.is_cuda

    @property
    def is_cpu(self) -> bool:
        return self.value.is_cpu

    @property
    def is_meta(self) -> bool:
        return self.value.is_meta

    def size(self, dim: int | None = None) -> Any:
        return self.value.size() if dim is None else self.value.size(dim)

    def dim(self) -> int:
        return self.value.dim()

    def ndimension(self) -> int:
        return self.value.dim()

    def numel(self) -> int:
        return self.value.numel()

    def nelement(self) -> int:
        return self.value.numel()

    def type(self, dtype: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
        """The name of the type, or the carrier in another dtype, as torch.Tensor.type has it."""
        if dtype is None:
            return self.value.type()
        return _dispatch.dispatch(torch.Tensor.type, (self, dtype, non_blocking), kwargs)

    def element_size(self) -> int:
        return self.value.element_size()

    def stride(self, *args: Any) -> Any:
        return self.value.stride(*args)

    def storage_offset(self) -> int:
        return self.value.storage_offset()

    def is_contiguous(self, **kwargs: Any) -> bool:
        return self.value.is_contiguous(**kwargs)

    def is_floating_point(self) -> bool:
        return self.value.is_floating_point()

    def is_complex(self) -> bool:
        return self.value.is_complex()

    def is_conj(self) -> bool:
        return self.value.is_conj()

    def is_neg(self) -> bool:
        return self.value.is_neg()

    def is_inference(self) -> bool:
        return self.value.is_inference()

    def get_device(self) -> int:
        return self.value.get_device()

    def requires_grad_(self, requires_grad: bool = True) -> Jet:
        """Carriers always carry derivatives: asking for it changes nothing."""
        if not requires_grad:
            raise UnsupportedOperationError(
                "requires_grad_(False) on the points inside f would cut the derivative that is "
                "being computed. Use x.detach() where a part is meant to be constant."
            )
        return self

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return iter(torch.unbind(self, 0))

    def __bool__(self) -> bool:
        return bool(self.value)

    def __contains__(self, item: Any) -> bool:
        return bool((self == item).any())

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        kind = type(self.run.structure).__name__.lower()
        return (
            f"Jet(shape={tuple(self.shape)}, dtype={self.dtype}, level={self.run.level}, "
            f"tangents={self.run.channels}, curvature={kind})"
        )

    def __deepcopy__(self, memo: Any) -> Any:
        return torch.clone(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise _leaves_torch("pickling")


class Points(Jet):
    """The points that a pass starts from, where its directions are coordinates.

    Its tangents, unit vectors, are made when they are asked for: a linear layer takes the
    columns of its weight matrix instead.

    Attributes:
        columns: the coordinates, one for each direction.
    """

    def __init__(self, run: Run, value: Any, columns: tuple[int, ...], curvature: Any) -> None:
        super().__init__(run, value, None, curvature)
        self.columns = columns

    @property
    def tangents(self) -> Any:
        if self._tangents is None and self.columns:
            vectors = unit_vectors(self.columns, self.value)
            shape = (len(self.columns), *(1,) * (self.value.ndim - 1), self.value.shape[-1])
            self._tangents = vectors.reshape(shape)
        return self._tangents

    @tangents.setter
    def tangents(self, stack: Any) -> None:
        # Whatever is written into the points in place replaces their unit vectors.
        self._tangents = stack
        self.columns = ()


def _leaves_torch(how: str) -> UnsupportedOperationError:
    return UnsupportedOperationError(
        f"{how} inside f takes the numbers out of PyTorch and would lose their derivatives"
        f"{_dispatch.place()}. If that part is meant to be constant call .detach() first; "
        "otherwise write it with torch functions, or use method='reverse'."
    )


def _leaving(name: str, how: str) -> Callable[..., Any]:
    def leave(self: Jet, *args: Any, **kwargs: Any) -> Any:
        raise _leaves_torch(how)

    leave.__name__ = name
    return leave


def _method(name: str, function: Any) -> Callable[..., Any]:
    def call(self: Jet, *args: Any, **kwargs: Any) -> Any:
        return _dispatch.dispatch(function, (self, *args), kwargs)

    call.__name__ = name
    return call


# How a user calls what leaves PyTorch.
_LEAVING = {
    **{name: f"{name}()" for name in ("item", "tolist", "numpy", "data_ptr", "storage")},
    **{f"__{name}__": f"{name}()" for name in ("float", "int", "complex")},
    "untyped_storage": "untyped_storage()",
    "__array__": "NumPy (np.asarray, a NumPy function or array)",
    "__index__": "a use as an index or a length",
    "__dlpack_device__": "torch.as_tensor, torch.asarray, torch.tensor or torch.from_dlpack",
    "__dlpack__": "torch.as_tensor, torch.asarray, torch.tensor or torch.from_dlpack",
}
# The operators as functions of torch, by name, which torch.compile knows by their identity;
# r… takes its operands in the other order.
_OPERATORS = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "truediv": torch.div,
    "floordiv": torch.floor_divide,
    "mod": torch.remainder,
    "pow": torch.pow,
    "matmul": torch.matmul,
}
_COMPARISONS = {
    "eq": torch.eq,
    "ne": torch.ne,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
}
_UNARY = {"neg": torch.neg, "pos": torch.positive, "abs": torch.abs}
_PROPERTIES = ("T", "mT", "H", "mH", "real", "imag", "data")


def _reflected(name: str, function: Any) -> Callable[..., Any]:
    def call(self: Jet, other: Any) -> Any:
        return _dispatch.dispatch(function, (other, self), {})

    call.__name__ = name
    return call


def _furnish() -> None:
    """Gives the carrier the operators and every method of torch.Tensor that it has not."""
    for name, how in _LEAVING.items():
        setattr(Jet, name, _leaving(name, how))
    for name, function in {**_OPERATORS, **_COMPARISONS, **_UNARY}.items():
        setattr(Jet, f"__{name}__", _method(f"__{name}__", function))
    for name, function in _OPERATORS.items():
        setattr(Jet, f"__r{name}__", _reflected(f"__r{name}__", function))
        in_place = f"__i{name}__"
        if not hasattr(torch.Tensor, in_place):
            continue
        setattr(Jet, in_place, _method(in_place, getattr(torch.Tensor, in_place)))
    for name in ("__getitem__", "__setitem__"):
        setattr(Jet, name, _method(name, getattr(torch.Tensor, name)))
    for name in dir(torch.Tensor):
        function = getattr(torch.Tensor, name, None)
        if callable(function) and not name.startswith("_") and not hasattr(Jet, name):
            setattr(Jet, name, _method(name, function))
    for name in _PROPERTIES:
        getter = getattr(torch.Tensor, name).__get__
        setattr(Jet, name, property(_method(name, getter)))


_furnish()
_dispatch.CARRIER = Jet
