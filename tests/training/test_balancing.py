"""Balanced losses against their papers' formulas, computed by other means."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from pinnderiv.domains import SobolSampler
from pinnderiv.errors import CheckpointError, ConfigurationError
from pinnderiv.networks import MLP
from pinnderiv.problems import CASES
from pinnderiv.training.ansatz import Ansatz
from pinnderiv.training.balancing import NTK, Balance, GradientNorm, ReLoBRaLo
from pinnderiv.training.causality import Causality
from pinnderiv.training.collocation import Collocation
from pinnderiv.training.loss import Loss
from pinnderiv.training.loss_objective import LossObjective

COUNTS = {"interior": 20, "walls": 8, "initial": 12}


def build(
    balance: Balance | None, constraint: str = "soft", causal: float | None = None, **weights: float
) -> LossObjective:
    torch.manual_seed(0)
    problem = CASES["wave"]("wave")
    ansatz = Ansatz(
        problem, lambda inputs, outputs: MLP(inputs, outputs, width=6, depth=2), constraint
    )
    ansatz.u.double()
    collocation = Collocation(problem, ansatz, SobolSampler, COUNTS, seed=1)
    causality = None if causal is None else Causality(problem, causal, chunks=4)
    return LossObjective(Loss(problem, ansatz, weights, balance, causality), collocation)


def update(objective: LossObjective, step: int = 0) -> bool:
    return objective.loss.update(step, objective.collocation.points)


def gradient_norms(objective: LossObjective) -> dict[str, float]:
    """‖∇(weight · term)‖ by the gradient of one term at a time."""
    loss, norms = objective.loss, {}
    for name in loss.names:
        term = loss.terms(objective.collocation.points)[name]
        found = torch.autograd.grad(term, objective.parameters, allow_unused=True)
        squares = [each.square().sum() for each in found if each is not None]
        norms[name] = loss.weights[name] * float(torch.stack(squares).sum().sqrt())
    return norms


def test_gradient_norms_become_equal() -> None:
    objective = build(GradientNorm(momentum=0.0))
    before = gradient_norms(objective)
    assert max(before.values()) > 10 * min(before.values())
    assert update(objective)
    after = gradient_norms(objective)
    # λ_i ‖∇L_i‖ = Σ_j ‖∇L_j‖ for each i
    assert list(after.values()) == pytest.approx([sum(before.values())] * 4, rel=1e-10)


def test_the_weights_given_are_the_ratio_of_balanced_terms() -> None:
    objective = build(GradientNorm(momentum=0.0), walls=3.0, equation=0.5)
    update(objective)
    norms = gradient_norms(objective)
    assert norms["walls"] == pytest.approx(6 * norms["equation"], rel=1e-10)
    assert objective.loss.base["walls"] == 3.0


def test_momentum_keeps_a_share_of_the_factors_before() -> None:
    at_once, slowly = build(GradientNorm(momentum=0.0)), build(GradientNorm(momentum=0.9))
    update(at_once)
    for _ in range(3):
        update(slowly)
    for name, wanted in at_once.loss.weights.items():
        found = slowly.loss.weights[name]
        assert found == pytest.approx(0.9**3 + (1 - 0.9**3) * wanted, rel=1e-10)


def test_a_term_of_weight_zero_takes_no_part() -> None:
    objective = build(GradientNorm(momentum=0.0), initial=0.0)
    before = gradient_norms(build(None, initial=0.0))
    update(objective)
    assert objective.loss.weights["initial"] == 0.0
    assert gradient_norms(objective)["walls"] == pytest.approx(sum(before.values()), rel=1e-10)


def test_a_term_without_gradient_keeps_its_factor() -> None:
    class Given(GradientNorm):
        def sizes(self, *_: Any) -> dict[str, float]:
            return {"equation": 3.0, "walls": 0.0, "initial": 1.0}

    rule = Given(momentum=0.5)
    rule.update(build(None).loss, None)  # type: ignore[arg-type]
    assert rule.factors == {
        "equation": pytest.approx(0.5 + 0.5 * 4 / 3),
        "walls": 1.0,
        "initial": pytest.approx(0.5 + 0.5 * 4),
    }


@pytest.mark.parametrize("causal", [None, 0.3])
def test_traces_of_the_kernel_are_those_of_the_dense_one(causal: float | None) -> None:
    objective = build(NTK(momentum=0.0), causal=causal)
    update(objective)
    # the dense Jacobian of the residuals times √(w / N), by reverse mode over all of them at once
    plain = build(None, causal=causal)
    update(plain)
    jacobian = torch.func.jacrev(plain.residuals)(plain.vector())
    rows = [COUNTS["interior"], COUNTS["walls"], COUNTS["initial"], COUNTS["initial"]]
    kernels = [part @ part.mT for part in jacobian.split(rows)]
    traces = [float(kernel.trace()) for kernel in kernels]
    wanted = [sum(traces) / trace for trace in traces]
    assert list(objective.loss.weights.values()) == pytest.approx(wanted, rel=1e-9)


def test_traces_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build(NTK())
    update(whole)
    monkeypatch.setattr("pinnderiv.training.balancing._BLOCK", 1)
    few = build(NTK())
    update(few)
    assert few.loss.weights == pytest.approx(whole.loss.weights, rel=1e-12)


HISTORY = np.array(
    [[5.0, 2.0, 0.1], [4.0, 2.5, 0.09], [3.9, 0.5, 0.1], [1.0, 0.4, 0.02], [0.9, 0.41, 0.01]]
)


@pytest.mark.parametrize("lookback", [0.0, 0.4, 1.0])
def test_relobralo_is_its_formula(lookback: float) -> None:
    rule = ReLoBRaLo(momentum=0.7, temperature=0.5, lookback=lookback, seed=3)
    rhos = []

    def drawn() -> float:
        value = float(np.random.default_rng([7, len(rhos)]).random())
        rhos.append(float(value < lookback))
        return value

    rule._uniform = drawn  # type: ignore[method-assign]
    found = []
    for losses in HISTORY:
        rule.observe(dict(zip("abc", losses.tolist(), strict=True)))
        found.append([rule.factors[name] for name in "abc"])

    def b(t: int, s: int) -> np.ndarray:
        powers = np.exp(HISTORY[t] / (0.5 * HISTORY[s]))
        return 3 * powers / powers.sum()

    wanted = [np.ones(3)]
    for t in range(1, len(HISTORY)):
        kept = rhos[t - 1] * wanted[-1] + (1 - rhos[t - 1]) * b(t, 0)
        wanted.append(0.7 * kept + 0.3 * b(t, t - 1))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    if lookback == 0.4:
        assert set(rhos) == {0.0, 1.0}


def test_relobralo_draws_rho_with_its_expectation() -> None:
    rule = ReLoBRaLo(seed=5)
    drawn = np.array([rule._uniform() for _ in range(2000)])
    assert abs((drawn < 0.3).mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 2000)
    again = ReLoBRaLo(seed=5)
    again.load_state_dict({**ReLoBRaLo(seed=5).state_dict(), "draws": 1990})
    assert [again._uniform() for _ in range(10)] == drawn[1990:].tolist()


def test_relobralo_survives_losses_that_no_exponential_does() -> None:
    rule = ReLoBRaLo(momentum=0.0)
    for losses in ({"a": 1e-9, "b": 1.0}, {"a": 1e6, "b": 1.0}):
        rule.observe(losses)
    assert rule.factors == {"a": pytest.approx(2.0), "b": pytest.approx(0.0)}
    for losses in ({"a": float("nan"), "b": 1.0}, {"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 1.0}):
        rule.observe(losses)
    assert all(math.isfinite(each) for each in rule.factors.values())


@pytest.mark.parametrize("rule", [GradientNorm, NTK, ReLoBRaLo])
def test_the_balanced_loss_is_that_of_gauss_newton(rule: Callable[..., Balance]) -> None:
    objective = build(rule(momentum=0.5, every=1), causal=0.3, walls=7.0)
    for step in range(2):
        update(objective, step)
        objective.set_vector(objective.vector() * 0.9)
    evaluation, here = objective.evaluate(), objective.linearise()
    assert float(here.residual.square().sum()) == pytest.approx(float(evaluation.loss), rel=1e-12)
    assert torch.allclose(here.evaluation().gradient, evaluation.gradient, rtol=1e-8, atol=1e-9)
    weighted = sum(objective.loss.weights[k] * float(v) for k, v in evaluation.terms.items())
    assert weighted == pytest.approx(float(evaluation.loss), rel=1e-12)
    for name, term in here.terms.items():
        assert float(term) == pytest.approx(float(evaluation.terms[name]), rel=1e-12)


def test_updates_come_when_they_are_due() -> None:
    objective = build(GradientNorm(every=3))
    assert [update(objective, step) for step in range(7)] == [
        True, False, False, True, False, False, True
    ]  # fmt: skip


def test_another_rule_s_state_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"ntk.*loss\.balance=relobralo"):
        ReLoBRaLo().load_state_dict(NTK().state_dict())
    with pytest.raises(CheckpointError, match=r"state of balance.*neither"):
        build(None).loss.load_weighting_state(build(NTK()).loss.weighting_state())


def test_one_term_cannot_be_balanced() -> None:
    with pytest.raises(ConfigurationError, match=r"loss\.balance=ntk.*constraint=soft"):
        build(NTK(), constraint="hard")
    with pytest.raises(ConfigurationError, match="one term, 'walls'"):
        build(NTK(), equation=0.0, initial=0.0, initial_velocity=0.0)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: GradientNorm(every=0), r"loss\.balance_every .*0"),
        (lambda: NTK(momentum=1.0), r"loss\.balance_momentum .*1\.0"),
        (lambda: ReLoBRaLo(temperature=0.0), r"loss\.balance_temperature"),
        (lambda: ReLoBRaLo(lookback=1.5), r"loss\.balance_lookback"),
    ],
)
def test_nonsense_is_refused(make: Callable[[], Balance], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        make()
