"""Modules and functions that the case table uses: how networks and physics codes are written."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor, nn

Operation = Callable[[Tensor], Tensor]


def square(z: Tensor, size: int = 2) -> Tensor:
    """(N, size²) -> well-conditioned (N, size, size)."""
    return 0.4 * z.reshape(-1, size, size) + 1.5 * torch.eye(size, dtype=z.dtype)


def positive_definite(z: Tensor, size: int = 2) -> Tensor:
    """(N, size²) -> symmetric positive definite (N, size, size)."""
    a = z.reshape(-1, size, size)
    return a @ a.mT + torch.diag(torch.arange(1.0, size + 1.0, dtype=z.dtype))


class SelfAttention(nn.Module):
    """(N, 8) seen as 4 tokens of 2 features, through nn.MultiheadAttention."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True)

    def forward(self, z: Tensor) -> Tensor:
        """Attend within each row."""
        tokens = z.unflatten(-1, (4, 2))
        return self.attention(tokens, tokens, tokens, need_weights=False)[0]


def attend(z: Tensor, **options: bool) -> Tensor:
    """F.scaled_dot_product_attention over 4 tokens of 2 features."""
    q = z.unflatten(-1, (1, 4, 2))
    return F.scaled_dot_product_attention(q, q.flip(-1), q.sin(), **options)


def attend_with_math(z: Tensor) -> Tensor:
    """The same, with the backend that is plain matrix products."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with sdpa_kernel(SDPBackend.MATH):
        return attend(z)


def attend_by_hand(z: Tensor) -> Tensor:
    """softmax(q kᵀ) v written out."""
    q = z.unflatten(-1, (4, 2))
    return torch.softmax(q @ q.flip(-1).mT / math.sqrt(2), -1) @ q.sin()


class Encoder(nn.Module):
    """nn.TransformerEncoderLayer over 2 tokens of 4 features, dropout off."""

    def __init__(self, norm_first: bool) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(
            4, 2, 8, 0.0, "gelu", batch_first=True, norm_first=norm_first
        )

    def forward(self, z: Tensor) -> Tensor:
        """Encode each row."""
        return self.layer(z.unflatten(-1, (2, 4)))


def sample_grid(z: Tensor) -> Tensor:
    """Bilinear look-up in a fixed image at points that move with x."""
    image = torch.arange(9.0, dtype=z.dtype).sin().reshape(1, 1, 3, 3).expand(z.shape[0], 1, 3, 3)
    return F.grid_sample(image, torch.tanh(z).reshape(-1, 1, 2, 2), align_corners=True)


class Recurrent(nn.Module):
    """A recurrent layer over 3 steps of 2 features; its last state."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.layer = kind(2, 3, batch_first=True)

    def forward(self, z: Tensor) -> Tensor:
        """Run over the row's 3 steps."""
        return self.layer(z.unflatten(-1, (3, 2)))[0][:, -1]


class Cell(nn.Module):
    """A recurrent cell stepped by hand."""

    def __init__(self, kind: type[nn.RNNCellBase]) -> None:
        super().__init__()
        self.cell = kind(2, 3)

    def forward(self, z: Tensor) -> Tensor:
        """Step over the row's 3 steps."""
        state = None
        for step in z.unflatten(-1, (3, 2)).unbind(1):
            state = self.cell(step, state)
        return state[0] if isinstance(state, tuple) else state


class BilinearPair(nn.Module):
    """nn.Bilinear of a row with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.form = nn.Bilinear(4, 4, 3)

    def forward(self, z: Tensor) -> Tensor:
        """Return (N, 3)."""
        return self.form(z, z.sin())


class CellEmbedding(nn.Module):
    """A smooth function times the embedding of the cell that x lies in."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(3, 4)

    def forward(self, z: Tensor) -> Tensor:
        """Look the cell up."""
        cell = torch.bucketize(
            z[:, 0].detach().contiguous(), torch.tensor([-0.3, 0.2], dtype=z.dtype)
        )
        return self.table(cell) * z**2


def in_place(step: Callable[[Tensor], object]) -> Operation:
    """A function that changes an intermediate tensor in place."""

    def operation(z: Tensor) -> Tensor:
        work = z * 1.5
        step(work)
        return work * z

    return operation


def assign_column(z: Tensor) -> Tensor:
    """out[:, i] = … into a buffer made inside."""
    out = torch.zeros_like(z)
    out[:, 0] = z[:, 0] * z[:, 1]
    out[:, 1:] = z[:, 1:].sin()
    out[:, 2] += z[:, 3] ** 2
    return out


def assign_into_empty(z: Tensor) -> Tensor:
    """The same through torch.empty and copy_."""
    out = torch.empty(z.shape[0], 4, dtype=z.dtype)
    out.copy_(z.exp())
    return out * z


def change_the_input(x: Tensor) -> Tensor:
    """Scales its own argument in place before use."""
    x.mul_(2.0)
    return (x**3).sum(-1, keepdim=True)


class Checkpointed(nn.Module):
    """A hidden layer under torch.utils.checkpoint."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.reentrant = reentrant

    def forward(self, z: Tensor) -> Tensor:
        """Run the layer, to be run again in backward."""
        return torch.utils.checkpoint.checkpoint(self.layer, z, use_reentrant=self.reentrant)


def without_gradient(z: Tensor) -> Tensor:
    """A smooth function one factor of which is computed under no_grad."""
    with torch.no_grad():
        factor = z.sin()
    return factor * z


def through_float32(z: Tensor) -> Tensor:
    """A function that leaves float64 on its way."""
    return (z.float().sin() * z.float()).to(z.dtype)


def branch_on_a_value(z: Tensor) -> Tensor:
    """Python branches on a number read out of the tensor; the branch is the same everywhere."""
    return z.sin() if float(z.detach().abs().max()) < 1e6 else z.cos()


def through_numpy(z: Tensor) -> Tensor:
    """Leaves torch for NumPy in the middle."""
    import numpy

    return torch.from_numpy(numpy.sin(z.detach().numpy())) * z


def sparse_product(z: Tensor) -> Tensor:
    """A constant sparse matrix times the rows."""
    matrix = torch.tensor([[0.0, 2.0, 0.0, 0.0], [1.0, 0.0, 0.0, -1.0]], dtype=z.dtype).to_sparse()
    return torch.sparse.mm(matrix, (z**2).mT).mT


def own_gradient(x: Tensor) -> Tensor:
    """A gradient field that the function computes itself, with torch.func."""
    return torch.func.vmap(torch.func.grad(lambda p: p.sin().prod() + (p**3).sum()))(x)


def own_autograd_gradient(x: Tensor) -> Tensor:
    """The same with torch.autograd.grad, as most physics codes do it."""
    with torch.enable_grad():
        p = x if x.requires_grad else x.detach().requires_grad_()
        energy = (p.sin().prod(-1) + (p**3).sum(-1)).sum()
        return torch.autograd.grad(energy, p, create_graph=True)[0]


def loop_over_rows(x: Tensor) -> Tensor:
    """A Python loop over the rows of a batch."""
    return torch.stack([(row.sin() * row.flip(-1)).sum()[None] for row in x])


class Residual(nn.Module):
    """A residual block with a gate, as in modified MLPs."""

    def __init__(self) -> None:
        super().__init__()
        self.u, self.v, self.h = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, z: Tensor) -> Tensor:
        """Mix two encodings by a gate."""
        gate = torch.tanh(self.h(z))
        return z + gate * torch.sin(self.u(z)) + (1 - gate) * torch.tanh(self.v(z))


class FourierFeatures(nn.Module):
    """sin and cos of a fixed random projection."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frequencies", torch.randn(4, 6))

    def forward(self, z: Tensor) -> Tensor:
        """Return (N, 12)."""
        phase = 2 * math.pi * z @ self.frequencies / 3
        return torch.cat([phase.sin(), phase.cos()], -1)


class HyperNetwork(nn.Module):
    """Weights that depend on the input, through torch.func.functional_call-like products."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Linear(4, 8)

    def forward(self, z: Tensor) -> Tensor:
        """Apply each row's own 2 x 4 matrix to it."""
        return torch.tanh(self.weights(z).unflatten(-1, (2, 4)) @ z.unsqueeze(-1))


class FirstOf(nn.Module):
    """The first result of a module, which here sees the batch as a sequence."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """Return the module's first result."""
        return self.module(x)[0]


class AttendOverBatch(nn.Module):
    """Attention with the rows as tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Attend between rows."""
        return self.attention(x, x, x)[0]


class ConvolveOverBatch(nn.Module):
    """A convolution that takes the rows for positions."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv1d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve along the batch."""
        return self.layer(x.mT.sin()).mT
