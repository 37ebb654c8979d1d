"""Linear least squares: singular, ill-conditioned and broken systems."""

import pytest
import torch

from pinnderiv.training.optimisers.least_squares import damped, minimum_norm


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_a_condition_number_of_1e12_leaves_a_residual_at_rounding() -> None:
    left, right = torch.linalg.qr(random(60, 20))[0], torch.linalg.qr(random(20, 20, seed=1))[0]
    matrix = left * torch.logspace(0, -12, 20, dtype=torch.float64) @ right
    target = matrix @ random(20, seed=2)
    found = minimum_norm(matrix, target)
    assert (matrix @ found - target).norm() < 1e-14 * target.norm()
    # the normal equations, for comparison, cannot
    squared = torch.linalg.lstsq(matrix.mT @ matrix, matrix.mT @ target[:, None], driver="gelsd")
    assert (matrix @ squared.solution[:, 0] - target).norm() > 1e-12 * target.norm()


def test_two_equal_columns_share_the_coefficient() -> None:
    column = random(10)
    matrix = torch.stack([column, column, random(10, seed=1)], dim=1)
    found = minimum_norm(matrix, 4 * column)
    torch.testing.assert_close(found, torch.tensor([2.0, 2.0, 0.0], dtype=torch.float64))


def test_a_zero_column_and_a_zero_matrix_are_no_trouble() -> None:
    matrix = torch.zeros(6, 2, dtype=torch.float64)
    assert minimum_norm(matrix, random(6)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_give_none(bad: float) -> None:
    matrix = random(6, 2)
    matrix[3, 1] = bad
    assert minimum_norm(matrix, random(6)) is None
    assert damped(matrix, random(6), 1e-3) is None
    assert damped(matrix.mT.contiguous(), random(2), 1e-20) is None


@pytest.mark.parametrize("shape", [(30, 8), (8, 30), (9, 9)])
@pytest.mark.parametrize("damping", [1.0, 1e-6, 1e-20])
def test_a_damped_step_makes_the_gradient_of_the_damped_model_zero(
    shape: tuple[int, int], damping: float
) -> None:
    jacobian, residual = random(*shape), random(shape[0], seed=3)
    step = damped(jacobian, residual, damping)
    gradient = jacobian.mT @ (residual + jacobian @ step) + damping * step
    assert gradient.norm() < 1e-12 * (jacobian.mT @ residual).norm()


def test_a_tiny_damping_of_a_bad_jacobian_keeps_its_digits() -> None:
    left, right = torch.linalg.qr(random(40, 12))[0], torch.linalg.qr(random(12, 12, seed=1))[0]
    jacobian = left * torch.logspace(0, -10, 12, dtype=torch.float64) @ right
    residual = -(jacobian @ random(12, seed=2))
    step = damped(jacobian, residual, 1e-26)
    assert (residual + jacobian @ step).norm() < 1e-12 * residual.norm()
