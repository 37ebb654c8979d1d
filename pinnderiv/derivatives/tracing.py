"""What torch.compile traces, as the Python objects that it stands for.

The guard examines a function at the moment of compilation, on numbers. torch.compile hands
functions to such an examination only if nothing but constants is in their closures, which
leaves out ``lambda y: self.net(y)`` and operators of operators. So the function is put
together again here from what the compiler knows of its parts. This leans on the inside of
torch.compile; what it cannot put together it says.
"""

from __future__ import annotations

import functools
import math
import types
from typing import Any

import torch

from pinnderiv.derivatives.blame import told
from pinnderiv.derivatives.transforms import inside_transform, outside_transforms
from pinnderiv.errors import UnsupportedOperationError


def traced_local(name: str) -> Any:
    """A local variable of the function that is being traced, as an ordinary object.

    To be called while torch.compile traces, from a function that it takes for a constant.

    Raises:
        UnsupportedOperationError: it holds something that has no value before the code runs.
    """
    from torch._dynamo.symbolic_convert import InstructionTranslator

    frame = InstructionTranslator.current_tx().output.current_tx
    try:
        return _Rebuilding(frame).real(frame.symbolic_locals[name])
    except UnsupportedOperationError:
        raise
    except Exception as error:
        raise UnsupportedOperationError(
            "f is made inside of torch.compile out of parts that cannot be examined while "
            f"compiling ({told(error)}). Make f, and the operator of it, "
            "outside of the compiled function, or pass check=False."
        ) from error


class _Rebuilding:
    """Objects out of the compiler's variables, each made once.

    Args:
        frame: the frame that is being traced.
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        # The variables are held so that no id is used twice.
        self._made: dict[int, tuple[Any, Any]] = {}

    def real(self, variable: Any) -> Any:
        """The object that a variable of the compiler stands for."""
        from torch._dynamo.variables.lazy import LazyVariableTracker

        if isinstance(variable, LazyVariableTracker):
            variable = variable.realize()
        if id(variable) not in self._made:
            self._made[id(variable)] = (variable, self._build(variable))
        return self._made[id(variable)][1]

    def _build(self, variable: Any) -> Any:
        from torch._dynamo import variables as kinds

        if isinstance(variable, kinds.TensorVariable):
            return _tensor(variable)
        if isinstance(variable, kinds.NestedUserFunctionVariable):
            return self._function(variable)
        if isinstance(variable, kinds.UserMethodVariable):
            return types.MethodType(variable.get_function(), self.real(variable.obj))
        if isinstance(variable, kinds.FunctoolsPartialVariable):
            given = [self.real(a) for a in variable.args]
            named = {k: self.real(v) for k, v in variable.keywords.items()}
            return functools.partial(self.real(variable.func), *given, **named)
        if isinstance(variable, kinds.BaseListVariable):
            items = [self.real(i) for i in variable.items]
            return variable.python_type()(items)
        if isinstance(variable, kinds.ConstDictVariable):
            return {k.vt.as_python_constant(): self.real(v) for k, v in variable.items.items()}
        if isinstance(variable, kinds.UserDefinedObjectVariable):
            # An object that was there before, or one that the traced code has made.
            return variable.value if variable.source is not None else self._object(variable)
        return variable.as_python_constant()

    def _function(self, variable: Any) -> types.FunctionType:
        """A function that the traced code has defined, with what it closes over."""
        effects = self._frame.output.side_effects
        code = variable.code.as_python_constant()
        cells = tuple(types.CellType() for _ in code.co_freevars)
        function = types.FunctionType(
            code, variable.f_globals, variable.fn_name.as_python_constant(), None, cells
        )
        # Before the cells are filled: a function may close over itself.
        self._made[id(variable)] = (variable, function)
        if variable.defaults:
            function.__defaults__ = self.real(variable.defaults)
        if variable.kwdefaults:
            function.__kwdefaults__ = self.real(variable.kwdefaults)
        for cell, traced in zip(cells, variable.closure.items if cells else (), strict=True):
            cell.cell_contents = self.real(effects.load_cell(traced))
        return function

    def _object(self, variable: Any) -> Any:
        """An object that the traced code has made, with the attributes that it was given."""
        kind = variable.python_type()
        made = kind.__new__(kind)
        self._made[id(variable)] = (variable, made)
        given = self._frame.output.side_effects.store_attr_mutations.get(variable, {})
        for name, value in given.items():
            object.__setattr__(made, name, self.real(value))
        return made


def _tensor(variable: Any) -> torch.Tensor:
    """The numbers of a tensor, or a stand-in where there are none before the code runs."""
    if not inside_transform():
        return variable.get_real_value()
    # Inside of transforms the guard examines gradients in any case: no leaf is needed.
    example = variable.proxy.node.meta["example_value"]
    shape = tuple(int(length) for length in example.shape)
    with outside_transforms():
        if not example.is_floating_point():
            return torch.zeros(shape, dtype=example.dtype, device=example.device)
        numbers = torch.linspace(0.3, 0.8, math.prod(shape), dtype=example.dtype)
        return numbers.reshape(shape).to(example.device)
