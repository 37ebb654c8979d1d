"""When are two functions the same to the guard? A key for what a function is made of.

The guard examines a function once. Training code often makes the function anew at each
step (``laplacian(lambda x: net(x))``), so identity of the function object is not enough:
the key holds the code, the modules, callables and objects that the code reaches and the
modules' training flags, but not the numbers in tensors. It refers to objects by
id and holds none of them, so that it keeps no network alive.
"""

from __future__ import annotations

import enum
import functools
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_MOST_VISITS = 20_000
# What every module has; the rest of its attributes its class has put there.
_OF_EVERY_MODULE = frozenset(vars(torch.nn.Module())) - {"training"}
_PLAIN = (type(None), bool, str, bytes, torch.dtype, torch.device, torch.layout)
_BUILTIN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)
# Code that is looked at no further: it does not change while a program runs.
_HERE = __name__.partition(".")[0]
_SETTLED = frozenset(sys.stdlib_module_names) - {"__main__"} | {"torch", "numpy", "scipy", _HERE}


class Fingerprint:
    """What a function is made of.

    Attributes:
        key: hashable, or None where the function cannot be recognised again.
        numbers: Python numbers that the function uses, in order; not part of the key,
            since some functions count their steps.
        modules: the torch modules that it uses, outermost first.
        anchors: the objects whose ids are in the key; while they live the ids hold.
    """

    def __init__(self, f: Callable[..., Any]) -> None:
        # Of a user's objects only those attributes count that some code looks up (a trainer
        # holds much besides its network). All code is known after a walk, so walk again.
        names: frozenset[str] = frozenset({"__call__"})
        while True:
            walk = _Walk(names)
            try:
                self.key: Any = walk.visit(f)
            except (_Unrecognisable, RecursionError):
                self.key = None
            if not walk.met_objects or walk.names == names or self.key is None:
                break
            names = walk.names
        self.numbers = tuple(walk.numbers)
        self.modules = walk.modules
        self.anchors = tuple(walk.anchors)


class _Walk:
    """One walk through all that a function reaches."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.met_objects = False
        self.modules: list[torch.nn.Module] = []
        self.anchors: list[weakref.ref[Any]] = []
        self.numbers: list[complex] = []
        # The objects are held so that no id is used twice during the walk.
        self._seen: dict[int, tuple[int, Any]] = {}
        self._visits = 0

    def visit(self, item: Any) -> Any:
        """The part of the key that stands for ``item``."""
        self._visits += 1
        if self._visits > _MOST_VISITS:
            raise _Unrecognisable
        if isinstance(item, _PLAIN):
            return item
        if isinstance(item, enum.Enum):
            return (self._anchor(type(item)), item.name)
        if isinstance(item, (int, float, complex)):
            self.numbers.append(item)
            return type(item).__name__
        if isinstance(item, Tensor):
            # A length of 1 broadcasts; any other may be the number of rows.
            alone = tuple(length == 1 for length in item.shape)
            return ("tensor", item.dtype, alone, item.requires_grad)
        if isinstance(item, types.ModuleType):
            return ("module", item.__name__)
        if id(item) in self._seen:
            return ("again", self._seen[id(item)][0])
        self._note(item)
        if isinstance(item, (list, tuple, set, frozenset)):
            return (type(item).__name__, *map(self.visit, item))
        if isinstance(item, (dict, types.MappingProxyType)):
            return ("dict", *((str(k), self.visit(v)) for k, v in item.items()))
        if isinstance(item, torch.nn.Module):
            self.modules.append(item)
            return self._visit_module(item)
        if isinstance(item, types.FunctionType):
            return self._visit_function(item)
        if isinstance(item, types.MethodType):
            return (self.visit(item.__func__), self.visit(item.__self__))
        if isinstance(item, functools.partial):
            return tuple(map(self.visit, (item.func, item.args, item.keywords)))
        if isinstance(item, type):
            return self._anchor(item)
        if isinstance(item, _BUILTIN):
            return (item.__name__, self.visit(getattr(item, "__self__", None)))
        return self._visit_object(item)

    def _note(self, item: Any) -> None:
        self._seen.setdefault(id(item), (len(self._seen), item))

    def _visit_function(self, item: types.FunctionType) -> Any:
        names = _names(item.__code__)
        cells = []
        for cell in item.__closure__ or ():
            try:
                cells.append(self.visit(cell.cell_contents))
            except ValueError:  # a cell that is not filled yet
                cells.append("empty")
        used = []
        if not _settled(item.__module__):
            self.names |= names
            used = [self._visit_global(item.__globals__, n) for n in sorted(names)]
        defaults = self.visit((item.__defaults__, item.__kwdefaults__))
        return (self._anchor(item.__code__), tuple(cells), defaults, tuple(used))

    def _visit_global(self, scope: dict[str, Any], name: str) -> Any:
        value = scope.get(name)
        if not isinstance(value, types.ModuleType):
            return self.visit(value)
        if _settled(value.__name__):
            return None
        kinds = (torch.nn.Module, types.FunctionType, functools.partial)
        inside = sorted(self.names & vars(value).keys())
        return tuple(
            self.visit(vars(value)[n]) for n in inside if isinstance(vars(value)[n], kinds)
        )

    def _visit_module(self, item: torch.nn.Module) -> Any:
        trained = any(p.requires_grad for p in item.parameters())
        parts = []
        for m in item.modules():
            self._note(m)
            if not _settled(type(m).__module__):
                self.names = _with_methods(type(m), self.names | {"forward"})
            own = tuple(self.visit(v) for k, v in vars(m).items() if k not in _OF_EVERY_MODULE)
            hooks = [*m._forward_pre_hooks.values(), *m._forward_hooks.values()]
            parts.append((self._anchor(type(m)), own, *map(self.visit, hooks)))
        return (self._anchor(item), trained, tuple(parts))

    def _visit_object(self, item: Any) -> Any:
        """An object of a class of the user's."""
        kind = type(item)
        if isinstance(item, weakref.ref):
            return "weakref"
        if hasattr(item, "dtype") and hasattr(item, "ndim"):
            return ("array", str(item.dtype), item.ndim)
        slots = _slots(kind)
        if isinstance(item, (range, slice, type(...))):
            return repr(item)
        if not hasattr(item, "__dict__") and not slots:
            # Written in C: an iterator, a generator, a lock.
            return self._anchor(item if kind.__weakrefoffset__ else kind)
        self.met_objects = True
        self.names = _with_methods(kind, self.names)
        state = {s: getattr(item, s) for s in slots if hasattr(item, s)}
        state.update(getattr(item, "__dict__", {}))
        # With __getattr__ any attribute may stand for any other; what our own classes hold
        # is all of it used.
        every = hasattr(kind, "__getattr__") or kind.__module__.partition(".")[0] == _HERE
        held = tuple(self.visit(v) for k, v in state.items() if every or k in self.names)
        return (self._anchor(kind), held)

    def _anchor(self, item: Any) -> int:
        self.anchors.append(weakref.ref(item))
        return id(item)


class _Unrecognisable(Exception):
    """The function reaches too much to be looked through at every call."""


def _settled(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _SETTLED


@functools.lru_cache(maxsize=4096)
def _names(code: types.CodeType) -> frozenset[str]:
    """Names that a piece of code, and the functions inside it, may look up."""
    inner = (c for c in code.co_consts if isinstance(c, types.CodeType))
    return frozenset(code.co_names).union(*(_names(c) for c in inner))


def _with_methods(kind: type, names: frozenset[str]) -> frozenset[str]:
    """``names`` and those that the methods and properties among them look up in their turn."""
    done: frozenset[str] = frozenset()
    while names - done:
        new, done = names - done, names
        for code in filter(None, (_method(kind, name) for name in new)):
            names |= _names(code)
    return names


def _method(kind: type, name: str) -> types.CodeType | None:
    """The code behind an attribute of a class: a method, property or cached property."""
    owner = next((owner for owner in kind.__mro__ if name in vars(owner)), None)
    if owner is None or _settled(owner.__module__):
        return None
    value = vars(owner)[name]
    for inner in ("fget", "__func__", "func"):
        value = getattr(value, inner, value)
    return getattr(value, "__code__", None)


def _slots(kind: type) -> tuple[str, ...]:
    named = [vars(owner).get("__slots__", ()) for owner in kind.__mro__]
    return tuple(s for part in named for s in ((part,) if isinstance(part, str) else part))
