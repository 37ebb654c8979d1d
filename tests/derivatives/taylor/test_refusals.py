"""What would be wrong in silence is refused, with the operation, the user's line and a way out."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pinnderiv.derivatives.request import Collapsed
from pinnderiv.derivatives.taylor import TaylorEngine, fallback, witness
from pinnderiv.derivatives.taylor.dispatch import Operation
from pinnderiv.errors import BatchMixingError, UnsupportedOperationError
from tests import case_functions as custom
from tests.oracle import by_reverse_mode

ENGINE = TaylorEngine()


def points() -> Tensor:
    return torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


LEAVING = {
    "item": lambda x: x * x.sum().item(),
    "float": lambda x: x * float(x.sum()),
    "int": lambda x: x * int(x.sum()),
    "tolist": lambda x: torch.tensor(x.tolist()),
    "numpy": lambda x: torch.from_numpy(np.sin(x.numpy())),
    "numpy_function": lambda x: torch.from_numpy(np.sin(x)),
    "asarray": lambda x: torch.from_numpy(np.asarray(x)),
    "torch_tensor": lambda x: torch.tensor(x) * 2,
    "as_tensor": lambda x: torch.as_tensor(x) * 2,
    "list_of_rows": lambda x: torch.tensor([row.sum() for row in x]),
    "new_leaf": lambda x: torch.nn.Parameter(x) * 2,
    "dlpack": lambda x: torch.from_dlpack(x),
    "deepcopy_of_memory": lambda x: torch.frombuffer(x.untyped_storage(), dtype=torch.float64),
}


@pytest.mark.parametrize("way", LEAVING)
def test_leaving_torch(way: str) -> None:
    with pytest.raises(UnsupportedOperationError):
        ENGINE.hessian(LEAVING[way], points())


def test_leaving_torch_says_where() -> None:
    def radius(x: Tensor) -> Tensor:
        return x * x.norm().item()

    with pytest.raises(UnsupportedOperationError, match=r"item\(\).*test_refusals\.py:\d+: "):
        ENGINE.hessian(radius, points())


def test_detached_parts_are_constants_as_in_autograd() -> None:
    x = points()
    for f in (
        lambda y: y.detach().sin() * y**2,
        lambda y: y.data.exp() * y**2,
        lambda y: torch.from_numpy(np.sin(y.detach().numpy())) * y**2,
        lambda y: torch.round(y * 3) * y**2,
        lambda y: (y > 0) * y**3,
        lambda y: y**2 * (1 if y.sum() > -100 else y),
        lambda y: y**2 * (1.0 if float(y.detach().sum()) > -100 else 2.0),
    ):
        for kind, found in (("hessian", ENGINE.hessian(f, x)), ("jacobian", ENGINE.jacobian(f, x))):
            torch.testing.assert_close(found[1], by_reverse_mode(f, x, kind))


def without_gradient(x: Tensor) -> Tensor:
    with torch.no_grad():
        factor = x.sin()
    return factor * x


@pytest.mark.parametrize("recording", [True, False])
@pytest.mark.parametrize(
    "function",
    [
        custom.StraightThroughRound,
        custom.CubeWrongBackward,
        custom.CubeOldStyle,
        custom.CubeWithJvp,
        custom.CubeNumpyBackward,
    ],
)
def test_custom_functions(function: Any, recording: bool) -> None:
    """Their backward is hidden from carriers, whether or not autograd is recording outside."""
    with torch.set_grad_enabled(recording), pytest.raises(UnsupportedOperationError) as caught:
        ENGINE.hessian(lambda x: function.apply(x), points())
    assert "reverse" in str(caught.value)


def test_a_custom_function_that_calls_the_engine() -> None:
    """Outside of f it is nobody's business."""

    class Outer(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return ENGINE.second_derivatives(torch.sin, x)[1].diagonal(dim1=-2, dim2=-1)

    x = points()
    torch.testing.assert_close(Outer.apply(x), -x.sin())


def test_what_f_keeps_from_an_earlier_call() -> None:
    class Keeps(nn.Module):
        kept = None

        def forward(self, x: Tensor) -> Tensor:
            if self.kept is None:
                self.kept = x.sin()
            return self.kept * x

    net = Keeps()
    ENGINE.jacobian(net, points())
    with pytest.raises(UnsupportedOperationError, match="kept from an earlier call"):
        ENGINE.jacobian(net, points())


def test_no_grad_inside() -> None:
    with pytest.raises(UnsupportedOperationError, match=r"no_grad.*|switched gradients off"):
        ENGINE.hessian(without_gradient, points())


def test_own_gradients_inside_f() -> None:
    def energy_gradient(x: Tensor) -> Tensor:
        x = x if x.requires_grad else x.detach().requires_grad_()
        return torch.autograd.grad((x**4).sum(), x, create_graph=True)[0]

    for f in (
        energy_gradient,
        lambda x: torch.func.vmap(torch.func.grad(lambda row: (row**4).sum()))(x),
        lambda x: torch.func.jvp(torch.sin, (x,), (torch.ones(3, 2).double(),))[1],
    ):
        with pytest.raises(UnsupportedOperationError):
            ENGINE.hessian(f, points())


def test_the_message_names_operation_line_and_way_out() -> None:
    def f(x: Tensor) -> Tensor:
        return torch.special.airy_ai(x)

    with pytest.raises(UnsupportedOperationError) as caught:
        ENGINE.hessian(f, points())
    text = str(caught.value)
    assert "torch.special.airy_ai" in text
    assert "test_refusals.py" in text and "return torch.special.airy_ai(x)" in text
    assert "method='auto'" in text


def test_errors_of_f_itself_are_not_disguised() -> None:
    def f(x: Tensor) -> Tensor:
        return x @ torch.ones(7, 7, dtype=torch.float64)

    with pytest.raises(RuntimeError, match=r"shape|size|dim") as caught:
        ENGINE.hessian(f, points())
    assert not isinstance(caught.value, UnsupportedOperationError)
    with pytest.raises(KeyError):
        ENGINE.hessian(lambda x: {}["missing"], points())


def test_batch_norm_in_training() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).double()
    with pytest.raises(BatchMixingError, match=r"net\.eval\(\)"):
        ENGINE.hessian(net, points())
    before = copy.deepcopy(net.state_dict())
    net.eval()
    ENGINE.hessian(net, points())
    for name, tensor in net.state_dict().items():
        assert torch.equal(tensor, before[name])


class TestGenericTreatment:
    """Operations without a rule: right by a guarded formula of PyTorch's, or refused."""

    def test_a_custom_operator_with_a_right_gradient(self) -> None:
        x = points()
        _, second = ENGINE.second_derivatives(custom.cube_operator, x)
        torch.testing.assert_close(second.diagonal(dim1=-2, dim2=-1), 6 * x)
        request = Collapsed(
            (0, 1), None, torch.tensor([1.0, -2.0]).double(), torch.ones(2).double()
        )
        scale = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
        _, result = ENGINE.collapsed(lambda y: custom.cube_operator(scale * y), x, request)
        wanted = scale**2 * 6 * scale * x * torch.tensor([1.0, -2.0]) + 3 * scale**3 * x**2
        torch.testing.assert_close(result, wanted)
        (gradient,) = torch.autograd.grad(result.sum(), scale, retain_graph=True)
        torch.testing.assert_close(gradient, torch.autograd.grad(wanted.sum(), scale)[0])

    def test_wrong_formulas_are_found_out(self) -> None:
        for name, backward in {
            "wrong": lambda ctx, g: 2 * ctx.saved_tensors[0] ** 2 * g,
            "detached": lambda ctx, g: 3 * ctx.saved_tensors[0].detach() ** 2 * g,
        }.items():
            operator = torch.library.custom_op(
                f"pinnderiv_tests::taylor_cube_{name}",
                lambda x: x**3,
                mutates_args=(),
                schema="(Tensor x) -> Tensor",
            )
            operator.register_autograd(
                backward, setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs)
            )
            with pytest.raises(UnsupportedOperationError, match="finite differences"):
                ENGINE.second_derivatives(operator, points())

    def test_results_beside_floating_point_ones(self) -> None:
        def f(x: Tensor) -> Tensor:
            mantissa, exponent = torch.frexp(x)
            return mantissa * 2.0**exponent * x

        try:
            _, hessian = ENGINE.hessian(f, points())
        except UnsupportedOperationError:
            return
        torch.testing.assert_close(hessian, by_reverse_mode(f, points(), "hessian"))

    def test_strict_and_the_log_of_operations(self) -> None:
        def f(x: Tensor) -> Tensor:
            return torch.tanh(custom.cube_operator(x))

        log: list[Operation] = []
        TaylorEngine(log=log).hessian(f, points())
        assert ENGINE.operations(f, points()) == log
        assert [(o.name.rpartition(".")[2], o.kind) for o in log if "tanh" in o.name] == [
            ("tanh", "elementwise")
        ]
        assert [o.kind for o in log if "cube" in o.name] == ["fallback"]
        assert all("test_refusals.py" in o.line for o in log)
        with pytest.raises(UnsupportedOperationError, match="strict"):
            TaylorEngine(strict=True).hessian(f, points())

    def test_derivatives_of_derivatives_need_rules(self) -> None:
        def inner(x: Tensor) -> Tensor:
            return ENGINE.second_derivatives(custom.cube_operator, x)[1].diagonal(dim1=-2, dim2=-1)

        with pytest.raises(UnsupportedOperationError, match="derivatives of derivatives"):
            ENGINE.hessian(inner, points())

    def test_inside_transforms_only_what_was_examined_before(self) -> None:
        def f(y: Tensor) -> Tensor:
            return torch.linalg.matrix_exp(y.reshape(-1, 1, 2) * y.unsqueeze(-1)).flatten(1)

        def loss(scale: Tensor) -> Tensor:
            return ENGINE.second_derivatives(lambda y: f(y * scale), points())[1].sin().sum()

        scale = torch.tensor(0.7, dtype=torch.float64)
        fallback._trusted.clear()
        with pytest.raises(UnsupportedOperationError, match="outside of them first"):
            torch.func.grad(loss)(scale)
        loss(scale)
        found = torch.func.grad(loss)(scale)
        step = 1e-4
        wanted = (loss(scale + step) - loss(scale - step)) / (2 * step)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)

    def test_a_singular_point_does_not_condemn_the_operation(self) -> None:
        """Singular values that coincide divide zero by zero, whichever points come first."""

        def f(y: Tensor) -> Tensor:
            return torch.linalg.svdvals(torch.diag_embed(y + 2)).sum(-1, keepdim=True)

        fallback._trusted.clear()
        _, at_the_tie = ENGINE.hessian(f, torch.zeros(1, 2, dtype=torch.float64))
        assert bool(at_the_tie.isnan().any())
        _, beside_it = ENGINE.hessian(f, torch.tensor([[0.3, 0.0]], dtype=torch.float64))
        torch.testing.assert_close(beside_it, torch.zeros_like(beside_it))

    @pytest.mark.parametrize("factor", [1.0, 1.05])
    def test_the_witness_tells_a_formula_from_one_that_is_off_by_five_percent(
        self, factor: float
    ) -> None:
        first, second = fallback.WAYS["forward"]
        ways = {"way": (first, lambda *given: tuple(factor * q for q in second(*given)))}
        found = witness.right_way(lambda p: (p.sin(),), (points(),), ways)
        assert found == ("way" if factor == 1 else None)
