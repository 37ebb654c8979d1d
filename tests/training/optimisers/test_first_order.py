"""What first-order methods share."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pinnderiv.training.optimisers import SOAP, Adam, Optimiser


class Level:
    """A residual of a height that is set from outside, and hardly moves in a step."""

    def __init__(self) -> None:
        self.weights = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        self.height = 1.0

    def __call__(self) -> Tensor:
        return self.height + 1e-9 * self.weights


@pytest.mark.parametrize("kind", [Adam, SOAP])
def test_losses_of_other_points_are_not_compared(kind: Callable[..., Optimiser]) -> None:
    level = Level()
    going = kind(patience=4, least_fall=0.005).on(level.weights, level)
    for _ in range(6):
        going.step()
        assert not going.stalled
    level.height = 2.0  # with the means of before, the loss would seem to have risen
    going.points_changed()
    for step in range(1, 9):
        going.step()
        assert going.stalled == (step == 8)
    assert "fell by less than 0.5% in 4 steps" in going.note


@pytest.mark.parametrize("kind", [Adam, SOAP])
@pytest.mark.parametrize("taken", [2, 6])
def test_a_state_between_two_changes_stalls_at_the_same_step(
    kind: Callable[..., Optimiser], taken: int
) -> None:
    def stalls(saved: bool) -> list[bool]:
        level = Level()
        going = kind(patience=4).on(level.weights, level)
        for _ in range(3):
            going.step()
        going.points_changed()
        for _ in range(taken):
            going.step()
        if saved:
            state = going.state_dict()
            going = kind(patience=4).on(level.weights, level)
            going.load_state_dict(state)
        found = []
        for _ in range(8):
            going.step()
            found.append(going.stalled)
        return found

    assert stalls(saved=True) == stalls(saved=False)
    assert stalls(saved=True).index(True) == 7 - taken
