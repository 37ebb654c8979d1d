"""What a text equation costs beside the same residual written by hand.

    python experiments/equations/run.py             # a few minutes
    python experiments/equations/run.py --quick     # does it run at all?

Both residuals take a training step in turn (residual, mean square, backward), so that whatever
else the machine does meets both; the ratio is the median of the ratios of neighbours. Time is that
of the process, on one thread.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from pinnderiv import derivatives, linear_operator
from pinnderiv.equations import Equation, Trainable

Residual = Callable[[nn.Module, Tensor], Tensor]

NU = Equation("u_t + u*u_x - nu*u_xx", nu=Trainable(0.01))


def burgers(u: nn.Module, x: Tensor) -> Tensor:
    d = derivatives(u, ["u", "u_t", "u_x", "u_xx"], coordinates=("x", "t"))(x)
    return (d["u_t"] + d["u"] * d["u_x"] - 0.01 * d["u_xx"]).unsqueeze(-1)


def burgers_inverse(u: nn.Module, x: Tensor) -> Tensor:
    d = derivatives(u, ["u", "u_t", "u_x", "u_xx"], coordinates=("x", "t"))(x)
    return (d["u_t"] + d["u"] * d["u_x"] - NU.trainable["nu"] * d["u_xx"]).unsqueeze(-1)


def heat(u: nn.Module, x: Tensor) -> Tensor:
    return linear_operator(u, second=(-0.1, -0.1, 0.0), first=(0.0, 0.0, 1.0))(x)


def variable_heat(u: nn.Module, x: Tensor) -> Tensor:
    d = derivatives(u, ["u_t", "u_x", "u_xx"], coordinates=("x", "t"))(x)
    k, k_x = 1 + x[:, 0] ** 2, 2 * x[:, 0]
    return (d["u_t"] - k * d["u_xx"] - k_x * d["u_x"]).unsqueeze(-1)


def kovasznay(u: nn.Module, x: Tensor) -> Tensor:
    request = ["u", "v", "u_x", "u_y", "v_x", "v_y", "p_x", "p_y", "u_xx", "u_yy", "v_xx", "v_yy"]
    d = derivatives(u, request, coordinates=("x", "y"), outputs=("u", "v", "p"))(x)
    rows = [
        d["u"] * d["u_x"] + d["v"] * d["u_y"] + d["p_x"] - (d["u_xx"] + d["u_yy"]) / 20,
        d["u"] * d["v_x"] + d["v"] * d["v_y"] + d["p_y"] - (d["v_xx"] + d["v_yy"]) / 20,
        d["u_x"] + d["v_y"],
    ]
    return torch.stack(rows, dim=-1)


CASES: dict[str, tuple[Equation, Residual]] = {
    "burgers": (Equation("u_t + u*u_x - nu*u_xx", nu=0.01), burgers),
    "burgers, nu trained": (NU, burgers_inverse),
    "heat 2-d": (Equation("u_t - k*laplacian(u)", ("x", "y", "t"), k=0.1), heat),
    "heat, k = 1 + x**2": (Equation("u_t - div(k*grad(u))", k="1 + x**2"), variable_heat),
    "navier-stokes": (
        Equation(
            [
                "u*u_x + v*u_y + p_x - laplacian(u)/20",
                "u*v_x + v*v_y + p_y - laplacian(v)/20",
                "u_x + v_y",
            ],
            ("x", "y"),
            ("u", "v", "p"),
        ),
        kovasznay,
    ),
}
SIZES = ((64, 1000), (20, 200))


def network(columns: int, outputs: int, width: int) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Linear(columns, width), nn.Tanh()]
    layers += [nn.Linear(width, width), nn.Tanh()] * 2
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def step(residual: Residual, u: nn.Module, x: Tensor) -> float:
    start = time.process_time()
    residual(u, x).square().mean().backward()
    return time.process_time() - start


def compare(
    equation: Equation, by_hand: Residual, width: int, rows: int, steps: int
) -> list[float]:
    """Median milliseconds of both, and the median ratio."""
    u = network(len(equation.coordinates), len(equation.outputs), width)
    x = torch.rand(rows, len(equation.coordinates))
    if not torch.allclose(equation.residual(u, x), by_hand(u, x), rtol=1e-3, atol=1e-5):
        raise SystemExit("the text and the residual by hand differ")
    both: tuple[list[float], list[float]] = ([], [])
    for _ in range(steps):
        both[0].append(step(equation.residual, u, x))
        both[1].append(step(by_hand, u, x))
    ratio = statistics.median(a / b for a, b in zip(*both, strict=True))
    return [1e3 * statistics.median(each) for each in both] + [ratio]


def planning(steps: int) -> float:
    """Median milliseconds from the text of Navier–Stokes to a plan."""
    equation = CASES["navier-stokes"][0]
    times = []
    for _ in range(steps):
        start = time.process_time()
        Equation(equation.texts, equation.coordinates, equation.outputs)
        times.append(time.process_time() - start)
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--quick", action="store_true", help="a few steps, nothing written")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    steps = 3 if arguments.quick else arguments.steps
    rows = []
    for name, (equation, by_hand) in CASES.items():
        for width, count in SIZES:
            text, hand, ratio = compare(equation, by_hand, width, count, steps)
            rows.append([name, width, count, f"{text:.2f}", f"{hand:.2f}", f"{ratio:.3f}"])
            print(
                f"{name:22s} width {width:3d} points {count:5d}: text {text:6.2f} ms, "
                f"by hand {hand:6.2f} ms, ratio {ratio:.3f}",
                flush=True,
            )
    print(f"parsing and planning Navier-Stokes: {planning(steps):.2f} ms")
    if not arguments.quick:
        with (Path(__file__).parent / "results.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["case", "width", "points", "text_ms", "by_hand_ms", "ratio"])
            writer.writerows(rows)


if __name__ == "__main__":
    main()
