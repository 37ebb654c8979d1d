"""Watching a function run: which operations, in which modules, and which rows they mix."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules import module as nn_module
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from pinnderiv.derivatives.engine import Function
from pinnderiv.derivatives.transforms import graph_nodes, inside_transform, leaves, plain


@dataclass
class Observation:
    """What was seen while f ran once.

    Attributes:
        value: f(x).
        operations: operation → the module that ran it first ("" outside of modules); ATen
            names such as ``aten.native_layer_norm``, and ``autograd.Function NAME``.
        modified_input: f changed x in place.
        trainable: f holds something that requires gradients.
        calls: how many ATen operations ran.
        elements: how many numbers they returned in all.
    """

    value: Any
    operations: dict[str, str] = field(default_factory=dict)
    modified_input: bool = False
    trainable: bool = True
    calls: int = 0
    elements: int = 0


def watch(f: Function, x: Tensor, names: dict[int, str]) -> Observation:
    """Runs ``f`` on ``x`` and notes what it does.

    Args:
        f: the function.
        x: points; f receives a copy, so x is never changed.
        names: id of a module → its name.
    """
    inner = leaf = x.detach().clone()
    if not inside_transform():
        # The graph shows custom functions and parameters. f gets a copy of the leaf: an f
        # that works in place could not change the leaf itself.
        leaf = leaf.requires_grad_()
        with torch.enable_grad():
            inner = leaf.clone()
    version = inner._version
    recorder = _Recorder()
    calls = _Calls(recorder)
    with _modules_entered(recorder.stack, names), torch.enable_grad(), recorder, calls:
        value = f(inner)
    seen = Observation(value, recorder.operations, inner._version != version)
    seen.calls, seen.elements = recorder.calls, recorder.elements
    if isinstance(value, Tensor) and not inside_transform():
        for name in _custom_functions(value):
            seen.operations.setdefault(f"autograd.Function {name}", "")
        seen.trainable = any(other is not leaf for other in leaves(value))
    return seen


def module_names(modules: list[torch.nn.Module]) -> dict[int, str]:
    """A readable name for each module below the given ones: ``"LayerNorm 'net.1'"``."""
    names: dict[int, str] = {}
    for root in modules:
        for path, part in root.named_modules():
            kind = type(part).__name__
            names.setdefault(id(part), f"{kind} {path!r}" if path else kind)
    return names


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.operations: dict[str, str] = {}
        self.stack: list[str] = []
        self.calls = self.elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func.overloadpacket)
        if _trains(func, args):
            name += "[train]"
        self.operations.setdefault(name, self.stack[-1] if self.stack else "")
        result = func(*args, **(kwargs or {}))
        self.calls += 1
        self.elements += result.numel() if isinstance(result, Tensor) else 0
        return result


class _Calls(TorchFunctionMode):
    """Notes what cannot be told from the operations: a deliberate detach()."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in (Tensor.detach, torch.detach, Tensor.detach_):
            stack = self._recorder.stack
            self._recorder.operations.setdefault("detach()", stack[-1] if stack else "")
        return func(*args, **(kwargs or {}))


def _trains(func: Any, args: Any) -> bool:
    """Whether a normalisation runs in training mode; the operation is the same in eval mode."""
    if "batch_norm" not in func.__name__:
        return False
    names = [a.name for a in func._schema.arguments]
    flags = [n for n in ("train", "training") if n in names]
    return bool(flags) and names.index(flags[0]) < len(args) and bool(args[names.index(flags[0])])


@contextlib.contextmanager
def _modules_entered(stack: list[str], names: dict[int, str]) -> Iterator[None]:
    """Keeps ``stack`` at the names of the modules whose forward is running."""

    def enter(module: torch.nn.Module, _: Any) -> None:
        stack.append(names.get(id(module), type(module).__name__))

    def leave(*_: Any) -> None:
        stack.pop()

    before = nn_module.register_module_forward_pre_hook(enter)
    after = nn_module.register_module_forward_hook(leave, always_call=True)
    try:
        yield
    finally:
        before.remove()
        after.remove()


def _custom_functions(value: Tensor) -> list[str]:
    """Names of the autograd.Function classes in the graph behind ``value``."""
    return [
        type(node).__name__.removesuffix("Backward")
        for node in graph_nodes(value)
        if isinstance(node, torch.autograd.function.BackwardCFunction)
    ]


class _Sizes(TorchFunctionMode):
    """Notes the largest number that any function of PyTorch returns."""

    largest = 0.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.is_floating_point():
            numbers = plain(result).abs()
            if numbers.numel():
                self.largest = max(self.largest, float(numbers.nan_to_num(0.0, 0.0, 0.0).max()))
        return result


def largest_number(f: Function, x: Tensor) -> float:
    """The largest number that f meets on its way, as far as Python can see."""
    with torch.no_grad(), _Sizes() as sizes:
        f(x.detach().clone())
    return sizes.largest


def last_module_entered(f: Function, x: Tensor) -> tuple[torch.nn.Module | None, Any]:
    """The module at which an f that fails stops, with what it was given first."""
    entered: list[tuple[torch.nn.Module, Any]] = []
    handle = nn_module.register_module_forward_pre_hook(
        lambda module, args: entered.append((module, args[0] if args else None))
    )
    try:
        with torch.no_grad():
            f(x.detach().clone())
    except Exception:
        return entered[-1] if entered else (None, None)
    finally:
        handle.remove()
    return None, None


def first_module_that_mixes(
    f: Function, x: Tensor, moved: Tensor, row: tuple[int, ...], names: dict[int, str]
) -> str:
    """The first module whose output at ``row`` differs between two inputs though its own
    input at that row is the same; "" where no single module does that.
    """
    runs = []
    for points in (x, moved):
        calls: list[tuple[str, list[Tensor], list[Tensor]]] = []

        def note(module: torch.nn.Module, args: Any, out: Any, calls: Any = calls) -> None:
            name = names.get(id(module), type(module).__name__)
            normalises = isinstance(module, torch.nn.modules.batchnorm._NormBase)
            mode = " is in training mode" if module.training and normalises else ""
            calls.append((name + mode, _rows(args, x, row), _rows(out, x, row)))

        handle = nn_module.register_module_forward_hook(note)
        try:
            with torch.no_grad():
                f(points.detach().clone())
        finally:
            handle.remove()
        runs.append(calls)
    for (name, inputs, outputs), (_, inputs2, outputs2) in zip(*runs, strict=False):
        if _same(inputs, inputs2) and not _same(outputs, outputs2):
            return name
    return ""


def _rows(items: Any, x: Tensor, row: tuple[int, ...]) -> list[Tensor]:
    batch = x.shape[:-1]
    items = items if isinstance(items, (tuple, list)) else (items,)
    tensors = [t for t in items if isinstance(t, Tensor) and t.shape[: len(batch)] == batch]
    return [t[row].detach().clone() for t in tensors]


def _same(first: list[Tensor], second: list[Tensor]) -> bool:
    return len(first) == len(second) and all(
        torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-6, equal_nan=True)
        for a, b in zip(first, second, strict=True)
    )
