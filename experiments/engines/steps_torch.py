"""Training steps on PyTorch, each behind the same interface: pinnderiv's engines and its peers.

Runs in the project's environment and in those of the peers: nothing here may import more than
torch and numpy before a contestant has been named.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from cases import HIDDEN_LAYERS, Case
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

MIB = 2**20
Residual = Callable[[nn.Module, Tensor], Tensor]
"""Network and points (N, D) to the Laplacian of every output, (N, M)."""


def pinnderiv_engines() -> list[str]:
    """The engines that the library has; a later one is measured without a change here."""
    from pinnderiv.derivatives.engines import ENGINES

    return list(ENGINES)


def pinnderiv_operator(engine: str, operator: str) -> Residual:
    """The library as a user calls it, its guard included (paid at the first step)."""
    import pinnderiv

    transform = getattr(pinnderiv, operator)
    if operator == "laplacian":
        return lambda network, points: transform(network, method=engine)(points)
    # Summed to the shape of the source; the cost of it is nothing beside the operator's.
    if operator == "hvp":
        return lambda network, points: transform(network, method=engine)(
            points, points.detach()
        ).sum(-1)
    return lambda network, points: transform(network, method=engine)(points).flatten(2).sum(-1)


def plain(network: nn.Module, points: Tensor) -> Tensor:
    """No derivative in the points: what the cost model counts in."""
    return network(points)


def vmap_hessian(network: nn.Module, points: Tensor) -> Tensor:
    """What torch.func's documentation would have one write."""
    hessians = torch.func.vmap(torch.func.hessian(network))(points)
    return hessians.diagonal(dim1=-2, dim2=-1).sum(-1)


def deepxde_laplacian() -> Residual:
    """DeepXDE's own second derivatives, summed, as its documentation writes a Laplacian."""
    os.environ["DDE_BACKEND"] = "pytorch"
    import deepxde

    def residual(network: nn.Module, points: Tensor) -> Tensor:
        points = points.detach().requires_grad_()
        u = network(points)
        columns = []
        for output in range(u.shape[1]):
            terms = [
                deepxde.grad.hessian(u, points, component=output, i=d, j=d)
                for d in range(points.shape[1])
            ]
            columns.append(sum(terms[1:], terms[0]))
        # DeepXDE's model does the same after each step: its cache is keyed by tensor.
        deepxde.grad.clear()
        return torch.cat(columns, dim=1)

    return residual


def pina_laplacian() -> Residual:
    """PINA's operator, on its tensors with names."""
    from pina import LabelTensor
    from pina.operator import laplacian

    def residual(network: nn.Module, points: Tensor) -> Tensor:
        names = [f"x{d}" for d in range(points.shape[1])]
        labelled = LabelTensor(points.detach(), names).requires_grad_()
        raw = network(labelled.as_subclass(Tensor))
        u = LabelTensor(raw, [f"u{m}" for m in range(raw.shape[1])])
        return laplacian(u, labelled, components=u.labels, d=names).as_subclass(Tensor)

    return residual


def neurodiffeq_laplacian() -> Residual:
    """neurodiffeq's operator, which takes columns (N, 1)."""
    from neurodiffeq.operators import laplacian

    torch.set_default_dtype(torch.float32)  # importing it sets float64

    def residual(network: nn.Module, points: Tensor) -> Tensor:
        columns = [c.detach().requires_grad_() for c in points.split(1, dim=1)]
        u = network(torch.cat(columns, dim=1))
        return torch.cat([laplacian(c, *columns) for c in u.split(1, dim=1)], dim=1)

    return residual


def jet_laplacian() -> Residual:
    """torch-jet's collapsed Taylor mode, vmapped over the points as its README does."""
    from jet import laplacian

    made: dict[tuple[int, torch.Size], Callable[..., Tensor]] = {}

    def residual(network: nn.Module, points: Tensor) -> Tensor:
        key = (id(network), points.shape)
        if key not in made:  # it traces the network
            made.clear()
            made[key] = torch.func.vmap(laplacian(network, (points[0],)))
        return made[key](points)

    return residual


class Step:
    """A training step: Laplacian residual, its mean square, gradients of the parameters."""

    def __init__(self, contestant: str, device: str, dtype: str) -> None:
        name, _, how = contestant.partition("+")
        library, _, rest = name.partition(":")
        engine, _, operator = rest.partition(":")
        self.compiled = how == "compile"
        self.device = torch.device(device)
        self.dtype = getattr(torch, dtype)
        if library == "pinnderiv":
            self.residual = pinnderiv_operator(engine, operator or "laplacian")
        else:
            makers = {
                "deepxde": deepxde_laplacian,
                "pina": pina_laplacian,
                "neurodiffeq": neurodiffeq_laplacian,
                "torch-jet": jet_laplacian,
                "vmap(hessian)": lambda: vmap_hessian,
                "plain": lambda: plain,
            }
            self.residual = makers[library]()

    def prepare(self, case: Case, dtype: str) -> None:
        torch._dynamo.reset()
        layers: list[nn.Module] = []
        given = {n: torch.as_tensor(a).to(self.device) for n, a in case.arrays(dtype).items()}
        for number, (inputs, outputs) in enumerate(case.layers()):
            layer = nn.Linear(inputs, outputs).to(self.device, self.dtype)
            with torch.no_grad():
                layer.weight.copy_(given[f"weight{number}"])
                layer.bias.copy_(given[f"bias{number}"])
            layers += [layer, nn.Tanh()]
        self.network = nn.Sequential(*layers[:-1])
        self.points, self.source = given["points"], given["source"]
        self.loss = torch.compile(self._loss, fullgraph=True) if self.compiled else self._loss

    def _loss(self, points: Tensor, source: Tensor) -> Tensor:
        return (self.residual(self.network, points) - source).square().mean()

    def run(self) -> Tensor:
        self.network.zero_grad(set_to_none=True)
        loss = self.loss(self.points, self.source)
        loss.backward()
        return loss.detach()

    def answer(self) -> dict[str, float]:
        """Loss and gradient norm, by which contestants are compared."""
        loss = float(self.run())
        squares = [p.grad.square().sum() for p in self.network.parameters() if p.grad is not None]
        return {"loss": loss, "gradient": float(torch.stack(squares).sum().sqrt())}

    def seconds(self) -> float:
        self.wait()
        start = time.perf_counter()
        self.run()
        self.wait()
        return time.perf_counter() - start

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def memory(self) -> dict[str, float | None]:
        """Peak of one step above what was held before it, in MiB.

        `tensors`: what torch's allocator handed out and had not got back, at its highest; on a CPU
        from the profiler's allocation events, which are exact, on CUDA from the allocator's own
        statistics. `resident`: growth of the process's resident set, as the kernel saw it, which
        also counts scratch memory of the matrix library (Linux, CPU).
        """
        self._forget()
        self.wait()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            self.run()
            self.wait()
            peak = torch.cuda.max_memory_allocated(self.device) - before
            return {"tensors": peak / MIB, "resident": None}
        resident = resident_growth(self.run)
        return {"tensors": self._allocated_peak() / MIB, "resident": resident}

    def _forget(self) -> None:
        self.network.zero_grad(set_to_none=True)

    def _allocated_peak(self) -> int:
        self._forget()
        with quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
            self.run()
        events = [e for e in recorded.profiler.kineto_results.events() if e.name() == "[memory]"]
        live = peak = 0
        for event in sorted(events, key=lambda event: event.start_ns()):
            live += event.nbytes()
            peak = max(peak, live)
        return peak


class Floor(Step):
    """The matrix products that D + 2 channels cannot avoid, and nothing else.

    For each product of two hidden layers ((D + 2) N, width) times (width, width): forward, and
    backward for the channels and for the weights. The first layer's tangents are columns of its
    weight matrix and cost nothing; input and output layer are left out, which lowers the floor.
    """

    def __init__(self, device: str, dtype: str) -> None:
        self.device = torch.device(device)
        self.dtype = getattr(torch, dtype)

    def prepare(self, case: Case, dtype: str) -> None:
        rows = (case.inputs + 2) * case.points
        options = {"device": self.device, "dtype": self.dtype}
        self.stack = torch.randn(rows, case.width, **options)
        self.bars = torch.randn(rows, case.width, **options)
        self.weight = torch.randn(case.width, case.width, **options)
        self.channels, self.weights = torch.empty_like(self.stack), torch.empty_like(self.weight)

    def run(self) -> Tensor:
        for _ in range(HIDDEN_LAYERS - 1):
            torch.mm(self.stack, self.weight.T, out=self.channels)
            torch.mm(self.bars, self.weight, out=self.channels)
            torch.mm(self.bars.T, self.stack, out=self.weights)
        return self.weights

    def answer(self) -> dict[str, float]:
        self.run()
        return {}

    def _forget(self) -> None:
        pass


def resident_growth(run: Callable[[], object]) -> float | None:
    try:
        # The C library keeps what was freed; a step would reuse it and seem to grow by nothing.
        ctypes.CDLL(None).malloc_trim(0)
        # Writing 5 sets the high-water mark back to what is resident now (proc(5)).
        Path("/proc/self/clear_refs").write_text("5")
        before = _resident_kib("VmRSS")
        run()
        return (_resident_kib("VmHWM") - before) / 1024
    except (OSError, AttributeError):
        return None


def _resident_kib(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise OSError(f"no {field} in /proc/self/status")


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps back what the profiler's native code writes to standard error."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
