"""Recurrent cells and layers, written out in their gates."""

# ruff: noqa: D103 - a rule is named after its function and is a formula
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from pinnderiv.derivatives.taylor.algebra import composite
from pinnderiv.derivatives.taylor.dispatch import Unsuited

Cell = Callable[..., Any]


@composite("rnn_tanh_cell")
def rnn_tanh_cell(z: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    return torch.tanh(F.linear(z, w_ih, b_ih) + F.linear(h, w_hh, b_hh))


@composite("rnn_relu_cell")
def rnn_relu_cell(z: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    return torch.relu(F.linear(z, w_ih, b_ih) + F.linear(h, w_hh, b_hh))


@composite("gru_cell")
def gru_cell(z: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    r_z, u_z, n_z = torch.chunk(F.linear(z, w_ih, b_ih), 3, -1)
    r_h, u_h, n_h = torch.chunk(F.linear(h, w_hh, b_hh), 3, -1)
    reset, update = torch.sigmoid(r_z + r_h), torch.sigmoid(u_z + u_h)
    new = torch.tanh(n_z + reset * n_h)
    return new + update * (h - new)


@composite("lstm_cell")
def lstm_cell(
    z: Any, state: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> tuple[Any, Any]:
    h, c = state
    gates = F.linear(z, w_ih, b_ih) + F.linear(h, w_hh, b_hh)
    i, f, g, o = torch.chunk(gates, 4, -1)
    memory = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(memory), memory


def _layer(cell: Cell, per_direction: int) -> Callable[..., Any]:
    """A recurrent layer with torch._VF's arguments, for one kind of cell."""
    has_memory = cell is lstm_cell

    def run_layer(
        z: Any,
        state: Any,
        weights: Any,
        has_biases: Any,
        num_layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: Any = None,
    ) -> Any:
        if batch_first is None or not isinstance(has_biases, bool):
            raise Unsuited  # packed sequences
        steps = torch.transpose(z, 0, 1) if batch_first else z
        states = (
            list(zip(*(torch.unbind(s, 0) for s in state), strict=True))
            if has_memory
            else [(s,) for s in torch.unbind(state, 0)]
        )
        directions = 2 if bidirectional else 1
        each = len(weights) // (num_layers * directions)
        if each not in (2, 4):
            raise Unsuited  # projections
        finals: list[tuple[Any, ...]] = []
        for layer in range(num_layers):
            outputs = []
            for direction in range(directions):
                number = layer * directions + direction
                own = weights[number * each : (number + 1) * each]
                rows = list(torch.unbind(steps, 0))
                rows = rows[::-1] if direction else rows
                current = states[number]
                made = []
                for row in rows:
                    result = cell(row, current if has_memory else current[0], *own)
                    current = result if has_memory else (result,)
                    made.append(current[0])
                outputs.append(torch.stack(made[::-1] if direction else made))
                finals.append(current)
            steps = torch.cat(outputs, -1) if directions == 2 else outputs[0]
            if dropout and train and layer + 1 < num_layers:
                steps = F.dropout(steps, dropout)
        out = torch.transpose(steps, 0, 1) if batch_first else steps
        return (out, *(torch.stack([f[i] for f in finals]) for i in range(1 + has_memory)))

    return run_layer


for _name, _cell in (
    ("rnn_tanh", rnn_tanh_cell),
    ("rnn_relu", rnn_relu_cell),
    ("gru", gru_cell),
    ("lstm", lstm_cell),
):
    composite(_name)(_layer(_cell, 4))
