"""How often the guard examines: once for each function and circumstance, and again on changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives import hessian, jacobian, laplacian, safety
from pinnderiv.errors import UnsupportedOperationError
from tests.derivatives.common import fresh_network, points


class Counts:
    """How often functions were looked at, and engines judged."""

    functions = verdicts = 0

    def since(self, act: Callable[[], Any]) -> tuple[int, int]:
        before = self.functions, self.verdicts
        act()
        return self.functions - before[0], self.verdicts - before[1]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counts]:
    found = Counts()
    first_run, examine = safety.first_run, safety._examine

    def counted_run(*args: Any) -> Any:
        found.functions += 1
        return first_run(*args)

    def counted_examine(*args: Any) -> Any:
        found.verdicts += 1
        return examine(*args)

    monkeypatch.setattr(safety, "first_run", counted_run)
    monkeypatch.setattr(safety, "_examine", counted_examine)
    yield found


NOTHING, AGAIN = (0, 0), (1, 1)


def net_with_dropout() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 1)).double()


def test_once_for_a_function_whatever_the_number_of_points(counts: Counts) -> None:
    net = fresh_network(2, 1)
    apply = laplacian(net, method="reverse")
    assert counts.since(lambda: apply(points(5, 2))) == AGAIN
    for rows in (5, 7, 1, 0):
        assert counts.since(lambda rows=rows: apply(points(rows, 2))) == NOTHING
    assert counts.since(lambda: laplacian(net, method="reverse")(points(3, 2))) == NOTHING
    assert counts.since(lambda: laplacian(net, (0,), method="reverse")(points(3, 2))) == NOTHING


def test_again_for_another_circumstance(counts: Counts) -> None:
    net = fresh_network(2, 1)
    x = points(5, 2)
    laplacian(net, method="reverse")(x)
    assert counts.since(lambda: laplacian(net, method="nested")(x)) == (0, 1)
    assert counts.since(lambda: jacobian(net, method="reverse")(x)) == (0, 1)
    assert counts.since(lambda: hessian(net, method="reverse")(x)) == NOTHING
    assert counts.since(lambda: laplacian(net, method="reverse")(points(2, 3, 2))) == AGAIN
    assert counts.since(lambda: laplacian(net, method="reverse")(x[0])) == AGAIN
    net.float()
    assert counts.since(lambda: laplacian(net, method="reverse")(x.float())) == AGAIN
    with torch.no_grad():
        assert counts.since(lambda: laplacian(net, method="reverse")(x.float())) == (0, 1)


def test_functions_made_anew_at_each_step(counts: Counts) -> None:
    net, x = fresh_network(2, 1), points(5, 2)

    class Trainer:
        def __init__(self) -> None:
            self.net, self.steps = net, 0

        def u(self, y: Tensor) -> Tensor:
            return self.net(y)

        def step(self) -> None:
            self.steps += 1
            data = torch.rand(5, 1, dtype=x.dtype)
            laplacian(lambda y: net(y) ** 2, method="reverse")(x)
            laplacian(lambda y: net(y) * data, method="reverse")(x)
            laplacian(self.u, method="reverse")(x)
            laplacian(laplacian(lambda y: net(y) ** 3, method="reverse"), method="reverse")(x)

    trainer = Trainer()
    trainer.step()
    for _ in range(3):
        assert counts.since(trainer.step) == NOTHING


def test_a_number_that_changes_at_each_step_is_not_examined_for_ever(counts: Counts) -> None:
    net, x = fresh_network(2, 1), points(5, 2)

    def step(k: int) -> None:
        ramp = k / 100
        laplacian(lambda y: ramp * net(y), method="reverse")(x)

    examined = [counts.since(lambda k=k: step(k))[0] for k in range(20)]
    assert 1 <= sum(examined) <= 8 and not any(examined[8:])


@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: lambda y: net(y)])
def test_again_when_the_network_changes(wrap: Callable[[nn.Module], Any], counts: Counts) -> None:
    net, x = net_with_dropout().eval(), points(5, 2)

    def use() -> None:
        laplacian(wrap(net), method="reverse")(x)

    use()
    assert counts.since(use) == NOTHING
    net.train()
    with pytest.raises(UnsupportedOperationError, match="random"):
        use()
    net.eval()
    assert counts.since(use) == NOTHING
    net[1] = nn.GELU()
    assert counts.since(use) == AGAIN
    net.requires_grad_(False)
    assert counts.since(use)[0] == 1
    with torch.no_grad():
        net[0].weight.mul_(2)
    assert counts.since(use) == NOTHING


def test_never_without_check(counts: Counts) -> None:
    net, x = net_with_dropout().train(), points(5, 2)
    for method in ("nested", "reverse"):
        apply = laplacian(net, method=method, check=False)
        assert counts.since(lambda apply=apply: apply(x)) == NOTHING
    calls: list[int] = []

    def counted(y: Tensor) -> Tensor:
        calls.append(len(y))
        return y**2

    laplacian(counted, method="reverse", check=False)(x)
    assert calls == [5]


def test_a_refusal_is_remembered_too(counts: Counts) -> None:
    def f(y: Tensor) -> Tensor:
        return torch.cumprod(y, -1)

    def use() -> None:
        with pytest.raises(UnsupportedOperationError, match="cumprod"):
            laplacian(f, method="nested")(points(5, 2))

    assert counts.since(use)[0] == 1
    assert counts.since(use) == NOTHING


def test_f_runs_on_a_few_rows_only() -> None:
    rows: list[int] = []

    def f(y: Tensor) -> Tensor:
        rows.append(y.shape[0])
        return torch.sin(y)

    with torch.no_grad():
        laplacian(f, method="reverse")(points(10_000, 2))
    assert rows.count(10_000) == 1
    assert sum(rows) - 10_000 < 1000
