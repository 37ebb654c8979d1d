"""The guard: what is known to go silently wrong, and how it is caught.

Before a function is first differentiated by a method it is examined on a few rows:

1. It runs once while its operations are watched. Operations whose formulas in PyTorch
   are known to be wrong (`KNOWN_WRONG`) rule out the methods that use those formulas.
2. Rows are moved one against the other: a function that mixes rows has no derivative
   "per row", and every engine would return a number for it.
3. The method is spot-checked (`probe.py`) against finite differences and against an
   engine that shares no formula with it.

What was found is remembered for each function, dtype, device and order.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pinnderiv.derivatives.blame import blame, own_slip, suspects
from pinnderiv.derivatives.cache import Cache
from pinnderiv.derivatives.engine import Engine, Function
from pinnderiv.derivatives.fingerprint import Fingerprint
from pinnderiv.derivatives.known_wrong import KNOWN_WRONG
from pinnderiv.derivatives.probe import (
    Probe,
    agree,
    gradients_of,
    order_that_fails,
    rounding_of,
    sample,
    sums_alike,
)
from pinnderiv.derivatives.repairs import exact_formulas
from pinnderiv.derivatives.request import MultiIndex
from pinnderiv.derivatives.rows import check_rows, first_run
from pinnderiv.derivatives.transforms import inside_transform, plain
from pinnderiv.derivatives.watch import module_names
from pinnderiv.errors import BatchMixingError

_CACHE = Cache()
_ORDINALS = {1: "first", 2: "second", 3: "third", 4: "fourth"}


@dataclass
class Profile:
    """What the guard knows of a function.

    Attributes:
        outputs: M.
        operations: operation → the module that ran it first.
        modified_input: f changes its argument in place.
        trainable: f holds something that requires gradients.
        probe: the rows that it was tried on.
        calls: how many operations ran.
        width: how many numbers one of its operations returns for a row, on average.
        generic: the share of them that Taylor mode treats generically, once it is known.
        flatness: what the user is told of second derivatives that vanish everywhere, or "".
        verdicts: (engine, strict, order, training) → None where it is right, else why it is not.
    """

    outputs: int
    operations: dict[str, str]
    modified_input: bool
    trainable: bool
    probe: Probe
    calls: int
    width: float
    generic: float | None = None
    flatness: str = ""
    verdicts: dict[tuple[str, bool, int, bool], str | None] = field(default_factory=dict)


def profile(f: Function, x: Tensor) -> Profile:
    """Runs f on a few rows, checks what it returns and that it treats rows independently.

    Args:
        f: the function.
        x: points ``(*batch, D)``, checked.

    Raises:
        DtypeError: f returns no tensor, or one of another dtype.
        ShapeError: what f returns is not ``(*batch, M)``.
        BatchMixingError: a row of f(x) depends on another row of x.
        UnsupportedOperationError: f is random.
    """
    fingerprint = Fingerprint(f)
    # While compiling no formula is replaced, so what is found then holds only then.
    around = (inside_transform(), torch.compiler.is_compiling())
    circumstance = (x.shape[-1], x.ndim, x.dtype, x.device, *around)
    # An f that only takes as many rows as x has is known for that many.
    for place in (circumstance, (*circumstance, x.shape)):
        known = _CACHE.get(fingerprint, place)
        if known is not None:
            return known
    names = module_names(fingerprint.modules)
    with _undisturbed(fingerprint.modules, x), exact_formulas():
        points, probe, seen = first_run(f, x, names)
        if x.ndim > 1:
            check_rows(f, points, probe, seen, names)
    width = seen.elements / max(seen.calls * seen.value[..., 0].numel(), 1)
    result = Profile(
        seen.value.shape[-1],
        seen.operations,
        seen.modified_input,
        seen.trainable,
        probe,
        seen.calls,
        width,
    )
    _CACHE.put(fingerprint, circumstance if probe.free else place, result)
    return result


def verdict(
    known: Profile, f: Function, x: Tensor, engine: Engine, order: int, witness: Engine | None
) -> str | None:
    """Whether an engine is right for f; None if so, else what is wrong.

    Args:
        known: the profile of f.
        f: the function.
        x: the points of this call.
        engine: the engine in question.
        order: the highest order of differentiation.
        witness: an engine that shares no formula with it and is believed before it.
    """
    # A result that is trained on is differentiated once more.
    training = inside_transform() or (
        torch.is_grad_enabled() and (known.trainable or x.requires_grad)
    )
    key = (engine.name, engine.strict, order, training)
    if key not in known.verdicts:
        with _undisturbed(Fingerprint(f).modules, x):
            known.verdicts[key] = _examine(known, f, engine, order, training, witness)
    return known.verdicts[key]


def generic_share(known: Profile, f: Function, x: Tensor, count: Callable[..., int]) -> float:
    """Which share of f's operations an engine treats generically; 0 where it cannot run.

    Args:
        known: the profile of f.
        f: the function.
        x: the points of this call.
        count: takes f and a few rows, and counts such calls.
    """
    if known.generic is None:
        try:
            with _undisturbed(Fingerprint(f).modules, x), torch.no_grad():
                number = count(f, known.probe.points.clone())
        except Exception:  # whether and why it cannot run is told by its examination
            number = 0
        known.generic = min(number / max(known.calls, 1), 1.0)
    return known.generic


def failure_of(known: Profile, f: Function, x: Tensor, engine: Engine, order: int) -> Any:
    """The exception behind a verdict that an engine cannot run, got by running it again.

    Verdicts are kept, and an exception would keep alive whatever it met; None where the
    engine runs.
    """
    with _undisturbed(Fingerprint(f).modules, x):
        try:
            found = sample(engine, known.probe, f, order)
            if torch.is_grad_enabled():
                gradients_of(engine, known.probe, f, found, order)
        except Exception as error:
            return error
    return None


def forward_over_reverse_is_right(known: Profile, f: Function, x: Tensor, engine: Any) -> bool:
    """Whether ``engine.hvp`` (forward over reverse) equals ``engine.hvp_by_reverse_twice``."""
    key = ("forward over reverse", False, 2, False)
    if key not in known.verdicts:
        with _undisturbed(Fingerprint(f).modules, x), exact_formulas():
            known.verdicts[key] = _examine_hvp(known, f, engine)
    return known.verdicts[key] is None


def _examine_hvp(known: Profile, f: Function, engine: Any) -> str | None:
    reason = _known_wrong(known, "nested", 2)
    if reason is not None:
        return reason
    g, origin = known.probe.along_two(f)
    v = torch.ones_like(origin)
    try:
        fast, slow = engine.hvp(g, origin, v), engine.hvp_by_reverse_twice(g, origin, v)
    except Exception as error:
        return f"cannot run it ({blame(error, known.operations)})"
    # Outputs last, as `agree` wants them.
    agreed = agree({(): plain(fast).mT}, {(): plain(slow).mT})
    return None if agreed else "disagrees with reverse twice"


def _examine(
    known: Profile,
    f: Function,
    engine: Engine,
    order: int,
    training: bool,
    witness: Engine | None,
) -> str | None:
    reason = _known_wrong(known, engine.name, order + training)
    if reason is not None or order == 0:
        return reason
    try:
        found = sample(engine, known.probe, f, order)
    except BatchMixingError:  # f is at fault, whatever the engine
        raise
    except Exception as error:
        reason = f"cannot run it ({blame(error, known.operations)})"
        if own_slip(error):  # "auto" goes on to the next engine, which would hide it
            warnings.warn(f"method={engine.name!r} {reason}", stacklevel=2)
        return reason
    gradient = None
    if training:
        try:
            gradient = gradients_of(engine, known.probe, f, found, order)
        except Exception as error:
            return (
                "cannot be trained on, though its derivatives may be right "
                f"({blame(error, known.operations)}); under torch.no_grad() no gradient is needed"
            )
    try:
        rounding = rounding_of(known.probe, f)
        failing = order_that_fails(engine, known.probe, f, found, gradient, rounding)
        summed = order != 2 or sums_alike(engine, known.probe, f, found, rounding)
    except Exception as error:  # it goes another way beside the probe, or to collapse
        return f"cannot run it ({blame(error, known.operations)})"
    named = suspects(known.operations)
    if failing is not None:
        what = f"{_ordinal(failing)} derivatives"
        if _goes_another_way(known, f, found):
            return _OTHER_WAY
        if failing > order:
            what = f"gradients of {_ordinal(order)} derivatives, as training takes them,"
        held = ""
        if "detach()" in known.operations:
            held = " (if f holds a part constant on purpose, pass check=False)"
        return f"gives wrong {what} ({named}): finite differences contradict them{held}"
    if not summed:
        return (
            f"gives wrong sums of second derivatives ({named}): they are not the sums "
            "of those that it gives one by one"
        )
    if witness is not None:
        try:
            expected = sample(witness, known.probe, f, order)
        except Exception:
            return None
        trusted = _known_wrong(known, witness.name, order) is None
        # A witness that cannot see all of f (a part in NumPy) is itself refuted by differences.
        if (
            trusted
            and not agree(found, expected, rounding)
            and order_that_fails(witness, known.probe, f, expected, None, rounding) is None
        ):
            if _goes_another_way(known, f, found):
                return _OTHER_WAY
            return (
                f"gives wrong {_ordinal(order)} derivatives ({named}): "
                f"method={witness.name!r} contradicts them"
            )
    _tell_flatness(known, found)
    return None


_OTHER_WAY = (
    "takes another way through f than tensors do, so that its values differ from f(x): f asks "
    "what its argument is (isinstance, torch.is_tensor, type), and this method calls it with a "
    "carrier of derivatives; let f ask for x.ndim, x.shape or x.dtype"
)


def _goes_another_way(known: Profile, f: Function, found: dict[MultiIndex, Tensor]) -> bool:
    """Whether not only derivatives are wrong, but the values beside them as well."""
    try:
        with torch.no_grad():
            value = plain(f(known.probe.points.clone()))
    except Exception:  # the caller has something better to say
        return False
    seen = found[()][0]
    return seen.shape != value.shape or not agree({(): seen}, {(): value})


_KINKED = (
    "relu",
    "leaky_relu",
    "threshold",
    "hardtanh",
    "prelu",
    "_prelu_kernel",
    "rrelu_with_noise",
)


def _tell_flatness(known: Profile, found: dict[MultiIndex, Tensor]) -> None:
    """Warns, once for a function, where it is piecewise linear by its activations."""
    flat = all(not t.any() for i, t in found.items() if len(i) > 1)
    kinked = [n for n in known.operations if n.rpartition(".")[2].rstrip("_") in _KINKED]
    if known.flatness or not kinked or not flat or all(len(i) < 2 for i in found):
        return
    module = known.operations[kinked[0]]
    known.flatness = (
        f"f is piecewise linear ({kinked[0]}{f' in {module}' if module else ''}): its second "
        "derivatives are zero almost everywhere, so that no training can fit an equation of "
        "second order with it. Use a smooth activation, such as tanh, SiLU or GELU."
    )
    warnings.warn(known.flatness, stacklevel=2)


def _known_wrong(known: Profile, engine: str, order: int) -> str | None:
    for operation, module in known.operations.items():
        entry = KNOWN_WRONG.get(engine, {}).get(operation)
        if entry is not None and order >= entry.from_order:
            place = f" in {module}" if module else ""
            return (
                f"gives wrong {_ordinal(entry.from_order)} derivatives for {operation}{place}: "
                f"{entry.reason}"
            )
    return None


def _ordinal(order: int) -> str:
    return _ORDINALS.get(order, f"order-{order}")


@contextlib.contextmanager
def _undisturbed(modules: list[torch.nn.Module], x: Tensor) -> Iterator[None]:
    """Examines f without a trace: the random state stays what it was, and so do buffers
    that a module in training mode updates when it runs (BatchNorm).
    """
    saved = [
        (buffer, buffer.detach().clone())
        for root in modules
        for module in root.modules()
        if module.training
        for buffer in module.buffers(recurse=False)
    ]
    devices = [x.device] if x.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            yield
    finally:
        with torch.no_grad():
            for buffer, value in saved:
                if not torch.equal(plain(buffer), plain(value)):
                    buffer.copy_(value)
