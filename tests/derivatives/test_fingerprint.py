"""When the guard takes two functions for the same, and what it forgets."""

from __future__ import annotations

import enum
import functools
import gc
import itertools
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives import laplacian, partial
from pinnderiv.derivatives.cache import Cache
from pinnderiv.derivatives.fingerprint import Fingerprint
from tests.derivatives.common import fresh_network, points

Function = Callable[[Tensor], Tensor]


def same(first: Function, second: Function) -> bool:
    a, b = Fingerprint(first), Fingerprint(second)
    return a.key is not None and a.key == b.key and a.numbers == b.numbers


class Mode(enum.Enum):
    SOFT = 1
    HARD = 2


@dataclass
class Trainer:
    """What a user's training class looks like: much that f does not use."""

    net: nn.Module
    history: list[float]
    mode: Mode = Mode.SOFT
    scale: float = 1.0
    step: int = 0

    def u(self, x: Tensor) -> Tensor:
        return self._scaled(x) if self.mode is Mode.SOFT else self.net(x)

    def _scaled(self, x: Tensor) -> Tensor:
        return self.factor * self.net(x)

    @property
    def factor(self) -> float:
        return 2 * self.scale

    def __call__(self, x: Tensor) -> Tensor:
        return self.u(x)


class Slotted:
    __slots__ = ("net", "power")

    def __init__(self, net: nn.Module, power: int) -> None:
        self.net, self.power = net, power

    def u(self, x: Tensor) -> Tensor:
        return self.net(x) ** self.power


class TestSame:
    def test_a_lambda_that_is_made_at_each_step(self) -> None:
        net = fresh_network(2, 1)

        def made() -> Function:
            return lambda x: net(x) ** 2

        assert same(made(), made())
        assert same(laplacian(made()), laplacian(made()))
        assert not same(laplacian(made()), partial(made(), (0, 0)))

    def test_closures_over_fresh_tensors(self) -> None:
        net = fresh_network(2, 1)

        def made(rows: int) -> Function:
            data = torch.rand(rows, 1)
            return lambda x: net(x) * data

        assert same(made(3), made(5))
        assert not same(made(3), made(1)), "a single row broadcasts, several do not"

    def test_partial_and_methods(self) -> None:
        net, trainer = fresh_network(2, 1), Trainer(fresh_network(2, 1), [])

        def u(net: nn.Module, x: Tensor, power: int = 2) -> Tensor:
            return net(x) ** power

        assert same(functools.partial(u, net), functools.partial(u, net))
        assert not same(functools.partial(u, net), functools.partial(u, net, power=3))
        assert same(trainer.u, trainer.u)
        assert same(trainer, trainer)

    def test_what_f_does_not_use_may_change(self) -> None:
        trainer = Trainer(fresh_network(2, 1), [])
        before = Fingerprint(trainer.u)
        trainer.history.append(0.5)
        trainer.step += 1
        assert Fingerprint(trainer.u).key == before.key
        assert Fingerprint(trainer.u).numbers == before.numbers

    def test_new_numbers_in_parameters(self) -> None:
        net = fresh_network(2, 1)
        before = Fingerprint(net)
        with torch.no_grad():
            net[0].weight.mul_(2)
        assert Fingerprint(net).key == before.key

    def test_what_is_written_in_c(self) -> None:
        counter, lock = itertools.count(), object()
        for f in (lambda x: next(counter) * x, lambda x: (lock, x)[1], torch.sin, Tensor.sin):
            assert same(f, f)

    def test_recursion_ends(self) -> None:
        held: list[Any] = []

        def u(x: Tensor) -> Tensor:
            return held[0](x) if len(held) > 2 else x**2

        held.append(u)
        assert same(u, u)


def module() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.1), nn.Linear(4, 1))


CHANGES: dict[str, Callable[[nn.Sequential], Any]] = {
    "training": lambda net: net.eval(),
    "a part in training": lambda net: net[2].eval(),
    "a part of another class": lambda net: net.__setitem__(1, nn.GELU()),
    "an option of a part": lambda net: setattr(net[2], "p", 0.9),
    "a part more": lambda net: net.append(nn.Tanh()),
    "frozen": lambda net: net.requires_grad_(False),
    "a hook": lambda net: net.register_forward_hook(lambda m, i, o: o.floor()),
    "another forward": lambda net: setattr(net, "forward", lambda x: x**2),
    "parametrised": lambda net: nn.utils.parametrizations.weight_norm(net[0]),
}


class TestDifferent:
    @pytest.mark.parametrize("name", CHANGES)
    @pytest.mark.parametrize("wrap", ["itself", "closure", "global", "method", "attribute"])
    def test_a_module_that_changed(
        self, name: str, wrap: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        net = module()
        trainer = Trainer(net, [])
        monkeypatch.setitem(globals(), "NETWORK", net)
        f: Function = {
            "itself": net,
            "closure": lambda x: net(x),
            "global": through_a_global,
            "method": trainer.u,
            "attribute": lambda x: trainer.net(x),
        }[wrap]
        before = Fingerprint(f)
        CHANGES[name](net)
        after = Fingerprint(f)
        assert (before.key, before.numbers) != (after.key, after.numbers)

    def test_another_network(self) -> None:
        first, second = module(), module()
        assert not same(first, second)
        assert not same(lambda x: first(x), lambda x: second(x))
        trainer = Trainer(first, [])
        before = Fingerprint(trainer.u)
        trainer.net = second
        assert Fingerprint(trainer.u).key != before.key

    def test_another_state_of_an_object(self) -> None:
        trainer = Trainer(module(), [])
        before = Fingerprint(trainer.u)
        trainer.scale = 3.0
        assert Fingerprint(trainer.u).numbers != before.numbers
        before = Fingerprint(trainer.u)
        trainer.mode = Mode.HARD
        assert Fingerprint(trainer.u).key != before.key
        net = module()
        assert not same(Slotted(net, 2).u, Slotted(net, 3).u)

    def test_other_code_on_the_same_data(self) -> None:
        net = module()
        assert not same(lambda x: net(x) ** 2, lambda x: net(x) ** 3)

    def test_bound_builtins(self) -> None:
        assert not same(torch.sin, torch.cos)
        assert not same(torch.rand(2, 2).add, torch.rand(2, 2).mul)


def through_a_global(x: Tensor) -> Tensor:
    return NETWORK(x)  # type: ignore[name-defined]  # noqa: F821


def test_too_much_to_look_through_is_not_recognised() -> None:
    data = [float(i) for i in range(50_000)]
    assert Fingerprint(lambda x: x * data[3]).key is None


class TestCache:
    def test_remembers_and_tells_circumstances_apart(self) -> None:
        net, cache = module(), Cache()
        assert cache.get(Fingerprint(net), (2,)) is None
        cache.put(Fingerprint(net), (2,), "two")
        assert cache.get(Fingerprint(net), (2,)) == "two"
        assert cache.get(Fingerprint(net), (3,)) is None
        cache.clear()
        assert cache.get(Fingerprint(net), (2,)) is None

    def test_forgets_what_no_longer_exists(self) -> None:
        """A new object may have the id of an old one."""
        net, cache = module(), Cache()
        old = Fingerprint(net)
        cache.put(old, (), "old")
        old.modules.clear()
        del net
        gc.collect()
        assert cache.get(old, ()) is None

    def test_drops_the_least_used(self) -> None:
        nets, cache = [module() for _ in range(3)], Cache(size=2)
        for net in nets[:2]:
            cache.put(Fingerprint(net), (), "value")
        cache.get(Fingerprint(nets[0]), ())
        cache.put(Fingerprint(nets[2]), (), "value")
        found = [cache.get(Fingerprint(net), ()) for net in nets]
        assert found == ["value", None, "value"]

    def test_a_schedule_is_examined_a_few_times_only(self) -> None:
        net, cache = module(), Cache(variants=3)

        def at(a: float) -> Fingerprint:
            return Fingerprint(lambda x: a * net(x))

        for step in range(3):
            assert cache.get(at(float(step)), ()) is None
            cache.put(at(float(step)), (), step)
        assert cache.get(at(1.0), ()) == 1
        assert cache.get(at(17.0), ()) == 2

    def test_what_cannot_be_recognised_is_not_kept(self) -> None:
        data = list(range(50_000))
        cache = Cache()
        cache.put(Fingerprint(lambda x: data[0] * x), (), "value")
        assert cache.get(Fingerprint(lambda x: data[0] * x), ()) is None


class WithClosure(nn.Module):
    """A module that holds a function that holds the module."""

    def __init__(self) -> None:
        super().__init__()
        self.net = fresh_network(2, 1)
        self.activation = lambda z: z * self.net[0].bias[0]

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.net(x))


@pytest.mark.parametrize(
    "use",
    [
        lambda net: laplacian(net),
        lambda net: laplacian(lambda x: net(x)),
        lambda net: laplacian(Trainer(net, []).u),
        lambda net: laplacian(functools.partial(net)),
        lambda net: laplacian(laplacian(net)),
        lambda net: laplacian(net, chunk_size=2),
    ],
    ids=["module", "lambda", "method", "partial", "nested", "chunks"],
)
@pytest.mark.parametrize("make", [lambda: fresh_network(2, 1), WithClosure])
def test_a_network_can_be_collected_after_use(
    make: Callable[[], nn.Module], use: Callable[[nn.Module], Any]
) -> None:
    net = make()
    watched = weakref.ref(net)
    use(net)(points(4, 2)).sum().backward()
    del net
    gc.collect()
    assert watched() is None
