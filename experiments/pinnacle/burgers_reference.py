"""Burgers' equation by the formula of Cole (1951) and Hopf (1950), for problem=burgers.

u_t + u u_x = ν u_xx on [-1, 1], u = -sin πx at t = 0, u = 0 at the ends. With
η = √(4νt) z the formula is a quotient of two integrals with the weight exp(-z²), done by
Gauss-Hermite quadrature.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

NU = 0.01 / np.pi
DEFAULT = Path(__file__).resolve().parents[2] / "conf" / "problem" / "burgers.npz"


def cole_hopf(x: np.ndarray, t: np.ndarray, nodes: int) -> np.ndarray:
    """u at points x, t, (N,) each."""
    z, weight = np.polynomial.hermite.hermgauss(nodes)
    y = x[:, None] - np.sqrt(4 * NU * t)[:, None] * z
    # the exponent is large: shifted so that its greatest is zero
    exponent = -np.cos(np.pi * y) / (2 * np.pi * NU) + np.log(weight)
    share = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return -(np.sin(np.pi * y) * share).sum(axis=1) / share.sum(axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT)
    out = parser.parse_args().out
    x, t = np.meshgrid(np.linspace(-1, 1, 201), np.linspace(0, 1, 26), indexing="ij")
    x, t = x.reshape(-1), t.reshape(-1)
    u, check = (cole_hopf(x, t, nodes) for nodes in (200, 140))
    np.savez_compressed(out, x=x, t=t, u=u)
    gap = np.linalg.norm(u - check) / np.linalg.norm(u)
    print(f"{len(u)} points; relative change from fewer nodes: {gap:.1e}; {out}")


if __name__ == "__main__":
    main()
