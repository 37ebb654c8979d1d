"""The Lotka-Volterra equations by a Runge-Kutta method of order 8, for problem=lotka_volterra.

What is conserved, x - ln x + y - ln y where all coefficients are 1, tells how exact it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

DEFAULT = Path(__file__).resolve().parents[2] / "conf" / "problem" / "lotka_volterra.csv"


def solved(times: np.ndarray) -> np.ndarray:
    """x and y at the times, (2, N)."""

    def rates(_: float, state: np.ndarray) -> list[float]:
        x, y = state
        return [x - x * y, x * y - y]

    span, start = (times[0], times[-1]), [2.0, 1.0]
    return solve_ivp(rates, span, start, method="DOP853", t_eval=times, rtol=1e-13, atol=1e-14).y


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    out = parser.parse_args().out
    times = np.linspace(0, 10, 201)
    x, y = solved(times)
    rows = np.stack([times, x, y], axis=1)
    np.savetxt(out, rows, delimiter=",", header="t,x,y", comments="", fmt="%.15g")
    conserved = x - np.log(x) + y - np.log(y)
    print(f"{len(rows)} times; largest change of what is conserved: {np.ptp(conserved):.1e}; {out}")


if __name__ == "__main__":
    main()
