"""A table of named functions and modules of every kind, to hold the engines against.

Every case builds a ``nn.Module`` that maps ``(*batch, D) -> (*batch, M)`` (``(N, D)`` where
its tags say ``"two_dim_only"``), seeded by its name and in float64. Most are sandwiches
``Linear -> operation -> Linear``: the operation sees values that depend on every input, and
every entry of its result counts, so that a wrong formula cannot hide in a zero.

Tags: the kind (``"activation"``, ``"norm"``, …), and what an engine may do with it:

* ``"mixes_rows"``: row i of f(x) depends on other rows; only a refusal is right.
* ``"random"``: two calls at the same points differ.
* ``"piecewise"``: smooth around the sampled points, but not everywhere.
* ``"special_point"``: evaluated where a formula divides zero by zero, at ties and the like.
* ``"stop_gradient"``: holds a part constant on purpose (detach, no_grad, straight-through), so
  that autograd's derivative is not that of the function.
* ``"wrong_formula"``: autograd's derivative is wrong or missing without any such purpose.
* ``"loses_precision"``: computes in float32 on the way.
* ``"changes_input"``: changes its argument in place.
* ``"two_dim_only"``: takes (N, D), not other leading shapes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests import case_functions as custom
from tests import case_parts as parts

Operation = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    ``case.make()`` is f, ``case.dimension`` is D and ``case.sample(n)`` are suitable points.

    Attributes:
        name: unique, and the name of the test.
        build: makes the module; called with the generator seeded by the name.
        dimension: D.
        tags: see the module's docstring.
        lower, upper: box of the sampled points.
        points: fixed points instead of sampled ones, for special points.
    """

    name: str
    build: Callable[[], nn.Module]
    dimension: int
    tags: frozenset[str]
    lower: float = -1.0
    upper: float = 1.0
    points: tuple[tuple[float, ...], ...] = ()

    def make(self) -> nn.Module:
        """Return a fresh module in float64, the same at every call, whatever the random state."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(zlib.crc32(self.name.encode()))
            default = torch.get_default_dtype()
            torch.set_default_dtype(torch.float64)
            try:
                return self.build()
            finally:
                torch.set_default_dtype(default)

    def sample(self, n: int) -> Tensor:
        """Return the case's points ``(n, D)`` in float64 (its own, if it has fixed ones)."""
        if self.points:
            return torch.tensor(self.points, dtype=torch.float64)
        generator = torch.Generator().manual_seed(zlib.crc32(self.name.encode()) + 1)
        unit = torch.rand(n, self.dimension, generator=generator, dtype=torch.float64)
        return self.lower + (self.upper - self.lower) * unit


class Sandwich(nn.Module):
    """Linear -> operation -> Linear, M outputs; the operation sees (N, width).

    The operation may return any shape with N rows; it is flattened. ``low`` and ``high``
    squash what the operation sees into an interval, for functions with a domain.
    """

    def __init__(
        self,
        operation: Operation,
        dimension: int,
        width: int,
        outputs: int,
        low: float | None = None,
        high: float | None = None,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(dimension, width)
        self.operation = operation
        self.low, self.high = low, high
        with torch.no_grad():
            probe = self.inside(torch.rand(2, dimension))
        self.last = nn.Linear(probe.shape[-1], outputs)

    def inside(self, x: Tensor) -> Tensor:
        """Return what the last layer sees, (N, features)."""
        z = self.first(x)
        if self.low is not None and self.high is not None:
            z = self.low + (self.high - self.low) * torch.sigmoid(z)
        elif self.low is not None:
            z = self.low + z**2
        return self.operation(z).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, D) to (N, M)."""
        return self.last(self.inside(x))


class Bare(nn.Module):
    """A function taken as it is, times one parameter, so that parameter gradients exist."""

    def __init__(self, function: Operation) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.3))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, D) to (N, M)."""
        return self.scale * self.function(x)


CASES: list[Case] = []


def add(
    name: str,
    operation: Operation | Callable[[], nn.Module],
    *tags: str,
    D: int | None = None,
    width: int = 4,
    M: int | None = None,
    low: float | None = None,
    high: float | None = None,
    fresh: bool = False,
) -> None:
    """Add a sandwich, 1 to 4 inputs and outputs; ``fresh``: ``operation`` makes modules."""
    number = zlib.crc32(name.encode())
    inputs = D or 1 + number % 4
    outputs = M or 1 + number // 4 % 4

    def build() -> nn.Module:
        made = operation() if fresh else operation  # type: ignore[call-arg]
        return Sandwich(made, inputs, width, outputs, low, high)  # type: ignore[arg-type]

    CASES.append(Case(name, build, inputs, frozenset(tags)))


def bare(
    name: str,
    function: Operation | Callable[[], nn.Module],
    *tags: str,
    D: int = 2,
    box: tuple[float, float] = (-1.0, 1.0),
    points: tuple[tuple[float, ...], ...] = (),
    fresh: bool = False,
) -> None:
    """Add a function as it stands."""

    def build() -> nn.Module:
        return function() if fresh else Bare(function)  # type: ignore

    CASES.append(Case(name, build, D, frozenset(tags), *box, points))


# ---------------------------------------------------------------------------- activations
for _name, _module in {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "softplus": nn.Softplus,
    "softplus_beta": lambda: nn.Softplus(beta=3.0),
    "gelu": nn.GELU,
    "gelu_tanh": lambda: nn.GELU("tanh"),
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "logsigmoid": nn.LogSigmoid,
    "tanhshrink": nn.Tanhshrink,
    "softmax": lambda: nn.Softmax(-1),
    "softmin": lambda: nn.Softmin(-1),
    "log_softmax": lambda: nn.LogSoftmax(-1),
    "glu": lambda: nn.GLU(-1),
}.items():
    add(_name, _module, "activation", fresh=True)
for _name, _module in {
    "softsign": nn.Softsign,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "celu": lambda: nn.CELU(1.3),
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "rrelu_eval": lambda: nn.RReLU().eval(),
    "relu6": nn.ReLU6,
    "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid,
    "hardswish": nn.Hardswish,
    "softshrink": nn.Softshrink,
    "hardshrink": nn.Hardshrink,
    "threshold": lambda: nn.Threshold(0.1, 0.3),
}.items():
    # Twice, with a smooth map behind: a single ReLU layer has no second derivative to get wrong.
    add(
        _name,
        lambda m=_module: nn.Sequential(m(), nn.Linear(4, 5), nn.Tanh()),
        "activation",
        "piecewise",
        fresh=True,
    )
add("siren", lambda z: torch.sin(3 * z), "activation")
add("swiglu", lambda z: F.silu(z[:, :2]) * z[:, 2:], "activation")
add("relu_squared", lambda z: F.relu(z) ** 2, "activation", "piecewise")

# ------------------------------------------------------------------------------- pointwise
for _name, _op in {
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "sin": torch.sin,
    "cos": torch.cos,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "atan": torch.atan,
    "asinh": torch.asinh,
    "erf": torch.erf,
    "erfc": torch.erfc,
    "square": torch.square,
    "sinc": torch.sinc,
    "i0": torch.special.i0,
    "i0e": torch.special.i0e,
    "i1": torch.special.i1,
    "i1e": torch.special.i1e,
    "ndtr": torch.special.ndtr,
    "log_ndtr": torch.special.log_ndtr,
    "erfcx": torch.special.erfcx,
    "integer_power": lambda z: z**3,
    "power_of_base": lambda z: 1.7**z,
    "hypot": lambda z: torch.hypot(z[:, :2], z[:, 2:] + 3),
    "atan2": lambda z: torch.atan2(z[:, :2], z[:, 2:] + 4),
    "logaddexp": lambda z: torch.logaddexp(z[:, :2], z[:, 2:]),
    "logaddexp2": lambda z: torch.logaddexp2(z[:, :2], z[:, 2:]),
    "divide": lambda z: z[:, :2] / (2 + z[:, 2:] ** 2),
    "lerp": lambda z: torch.lerp(z[:, :2], z[:, 2:], z[:, 1:3]),
    "addcmul": lambda z: torch.addcmul(z[:, :2], z[:, 1:3], z[:, 2:], value=0.7),
    "addcdiv": lambda z: torch.addcdiv(z[:, :2], z[:, 1:3], 3 + z[:, 2:] ** 2, value=0.7),
}.items():
    add(_name, _op, "pointwise")
for _name, _op in {
    "log": torch.log,
    "log2": torch.log2,
    "log10": torch.log10,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
    "fractional_power": lambda z: z**1.7,
    "tensor_power": lambda z: z[:, :2] ** z[:, 2:],
    "lgamma": torch.lgamma,
    "digamma": torch.digamma,
    "polygamma": lambda z: torch.polygamma(1, z),
    "multigammaln": lambda z: torch.special.multigammaln(z + 1, 2),
    "entr": torch.special.entr,
    "xlogy": lambda z: torch.xlogy(z[:, :2], z[:, 2:]),
    "xlog1py": lambda z: torch.special.xlog1py(z[:, :2], z[:, 2:]),
    "gammainc_in_x": lambda z: torch.special.gammainc(torch.full_like(z, 1.5), z),
    "bessel_j0": torch.special.bessel_j0,
    "bessel_j1": torch.special.bessel_j1,
    "bessel_y0": torch.special.bessel_y0,
    "modified_bessel_k0": torch.special.modified_bessel_k0,
    "airy_ai": torch.special.airy_ai,
    "zeta_in_x": lambda z: torch.special.zeta(z + 1.5, torch.full_like(z, 2.0)),
}.items():
    add(_name, _op, "pointwise", low=0.4)
for _name, _op in {
    "asin": torch.asin,
    "acos": torch.acos,
    "atanh": torch.atanh,
    "tan": torch.tan,
    "erfinv": torch.erfinv,
}.items():
    add(_name, _op, "pointwise", low=-0.8, high=0.8)
add("acosh", torch.acosh, "pointwise", low=1.3)
add("logit", torch.logit, "pointwise", low=0.1, high=0.9)
add("ndtri", torch.special.ndtri, "pointwise", low=0.1, high=0.9)
for _name, _op in {
    "abs": torch.abs,
    "maximum": lambda z: torch.maximum(z[:, :2] ** 2, z[:, 2:]),
    "minimum": lambda z: torch.minimum(z[:, :2] ** 2, z[:, 2:]),
    "fmax": lambda z: torch.fmax(z[:, :2] ** 2, z[:, 2:]),
    "clamp": lambda z: torch.clamp(z, -0.4, 0.5) ** 3,
    "clamp_by_tensor": lambda z: torch.clamp(z[:, :2] ** 3, z[:, 2:] - 0.2, z[:, 2:] + 0.5),
    "where": lambda z: torch.where(z > 0, z.sin(), z**3),
    "remainder": lambda z: torch.remainder(z**2, 0.37) ** 2,
    "fmod": lambda z: torch.fmod(z**2, 0.37) ** 2,
    "frac": lambda z: torch.frac(3 * z) ** 2,
    "copysign": lambda z: torch.copysign(z[:, :2] ** 2, z[:, 2:]),
    "sign": lambda z: torch.sign(z) * z**2,
    "floor": lambda z: torch.floor(3 * z) * z**2,
    "nan_to_num": lambda z: torch.nan_to_num(z**2),
    "heaviside": lambda z: torch.heaviside(z, torch.full_like(z, 0.5)) * z**2,
}.items():
    add(_name, _op, "pointwise", "piecewise")

# --------------------------------------------------------------- losses applied row by row
add("mse_loss", lambda z: F.mse_loss(z[:, :2], z[:, 2:], reduction="none"), "loss")
add(
    "smooth_l1",
    lambda z: F.smooth_l1_loss(z[:, :2], z[:, 2:], reduction="none"),
    "loss",
    "piecewise",
)
add("huber", lambda z: F.huber_loss(z[:, :2], z[:, 2:], reduction="none"), "loss", "piecewise")
add("soft_margin", lambda z: F.softplus(-z[:, :2] * z[:, 2:]), "loss")
add(
    "binary_cross_entropy",
    lambda z: F.binary_cross_entropy(z[:, :2], z[:, 2:], reduction="none"),
    "loss",
    low=0.1,
    high=0.9,
)
add(
    "binary_cross_entropy_with_logits",
    lambda z: F.binary_cross_entropy_with_logits(z[:, :2], z[:, 2:], reduction="none"),
    "loss",
)
add(
    "cross_entropy",
    lambda z: F.cross_entropy(z, torch.zeros(z.shape[0], dtype=torch.long), reduction="none")[
        :, None
    ],
    "loss",
)
add(
    "kl_div",
    lambda z: F.kl_div(z.log_softmax(-1), z.flip(-1).softmax(-1), reduction="none"),
    "loss",
)
add(
    "gaussian_nll",
    lambda z: F.gaussian_nll_loss(z[:, :2], z[:, 1:3], 0.3 + z[:, 2:] ** 2, reduction="none"),
    "loss",
)
add("poisson_nll", lambda z: F.poisson_nll_loss(z[:, :2], z[:, 2:] ** 2, reduction="none"), "loss")

# ------------------------------------------------------------------- reductions along a row
for _name, _op in {
    "sum": lambda z: z.sin().sum(-1, keepdim=True),
    "mean": lambda z: z.exp().mean(-1, keepdim=True),
    "prod": lambda z: z.prod(-1, keepdim=True),
    "prod_all_but_rows": lambda z: z.reshape(-1, 2, 2).prod(-1),
    "var": lambda z: z.var(-1, keepdim=True),
    "std": lambda z: z.std(-1, keepdim=True),
    "var_mean": lambda z: torch.cat(torch.var_mean(z, -1, keepdim=True), -1),
    "vector_norm": lambda z: torch.linalg.vector_norm(z, dim=-1, keepdim=True),
    "norm_3": lambda z: (z**2 + 0.1).norm(3, -1, keepdim=True),
    "logsumexp": lambda z: z.logsumexp(-1, keepdim=True),
    "cumsum": lambda z: z.sin().cumsum(-1),
    "cumprod": lambda z: z.cumprod(-1),
    "logcumsumexp": lambda z: z.logcumsumexp(-1),
    "pairwise_distance": lambda z: F.pairwise_distance(z[:, :2], z[:, 2:])[:, None],
    "cosine_similarity": lambda z: F.cosine_similarity(z[:, :2], z[:, 2:])[:, None],
    "normalize": lambda z: F.normalize(z, dim=-1),
    "norm_of_difference": lambda z: torch.linalg.norm(z[:, :2] - z[:, 2:], dim=-1, keepdim=True),
    "cdist": lambda z: torch.cdist(z.reshape(-1, 2, 2), z.reshape(-1, 2, 2) ** 2 + 1),
    "cdist_p1": lambda z: torch.cdist(z.reshape(-1, 2, 2), z.reshape(-1, 2, 2) ** 2 + 1, p=1.0),
    "trapezoid": lambda z: torch.trapezoid(z**2, dx=0.3)[:, None],
    "diff": lambda z: torch.diff(z**2),
    "nansum": lambda z: z.exp().nansum(-1, keepdim=True),
}.items():
    add(_name, _op, "reduction")
for _name, _op in {
    "amax": lambda z: (z**2).amax(-1, keepdim=True),
    "max_with_index": lambda z: (z**2).max(-1, keepdim=True).values,
    "median": lambda z: (z**2).median(-1, keepdim=True).values,
    "quantile": lambda z: torch.quantile(z**2, 0.3, dim=-1, keepdim=True),
    "cummax": lambda z: (z**2).cummax(-1).values,
    "cummin": lambda z: (z**2).cummin(-1).values,
    "sort": lambda z: (z**2).sort(-1).values,
    "topk": lambda z: (z**2).topk(2, -1).values,
    "kthvalue": lambda z: (z**2).kthvalue(2, -1, keepdim=True).values,
    "renorm": lambda z: torch.renorm(z, 2, 0, 0.5),
    "norm_1": lambda z: (z**3).norm(1, -1, keepdim=True),
    "norm_inf": lambda z: (z**3).norm(math.inf, -1, keepdim=True),
}.items():
    add(_name, _op, "reduction", "piecewise")

# ---------------------------------------------------------------------------------- norms
for _name, _module in {
    "layer_norm": lambda: nn.LayerNorm(6),
    "layer_norm_plain": lambda: nn.LayerNorm(6, elementwise_affine=False),
    "rms_norm": lambda: nn.RMSNorm(6),
    "group_norm": lambda: nn.GroupNorm(2, 6),
    "instance_norm": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.InstanceNorm1d(2, affine=True), nn.Flatten()
    ),
    "batch_norm_eval": lambda: nn.BatchNorm1d(6).eval(),
    "local_response_norm": lambda: nn.Sequential(
        nn.Unflatten(1, (3, 2)), nn.LocalResponseNorm(2), nn.Flatten()
    ),
    "weight_norm": lambda: nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)),
    "spectral_norm_eval": lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(6, 4)).eval(),
}.items():
    add(
        _name,
        lambda m=_module: nn.Sequential(nn.Tanh(), m(), nn.Sigmoid()),
        "norm",
        width=6,
        fresh=True,
    )
add(
    "layer_norm_mlp",
    lambda: nn.Sequential(
        nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 4)
    ),
    "norm",
    width=6,
    fresh=True,
)


bare(
    "instance_norm_of_rows",
    lambda: nn.Sequential(nn.Linear(2, 4), nn.InstanceNorm1d(4), nn.Tanh()),
    "norm",
    "two_dim_only",
    fresh=True,
)

# ------------------------------------------------------------------------------ attention
add("multihead_attention", parts.SelfAttention, "attention", width=8, fresh=True)
add("scaled_dot_product_attention", parts.attend, "attention", width=8)
add("causal_attention", lambda z: parts.attend(z, is_causal=True), "attention", width=8)
add("attention_math_backend", parts.attend_with_math, "attention", width=8)
add("attention_by_hand", parts.attend_by_hand, "attention", width=8)
add("transformer_encoder", lambda: parts.Encoder(False), "attention", width=8, fresh=True)
add(
    "transformer_encoder_norm_first",
    lambda: parts.Encoder(True).eval(),
    "attention",
    width=8,
    fresh=True,
)

# ----------------------------------------------------------------------------- convolution
for _name, _module in {
    "conv1d": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 3, 3, padding=1), nn.Tanh()
    ),
    "conv1d_circular": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 3, 3, padding=1, padding_mode="circular"), nn.Tanh()
    ),
    "conv2d": lambda: nn.Sequential(nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 3, 2), nn.Tanh()),
    "conv_transpose1d": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.ConvTranspose1d(2, 2, 3, stride=2), nn.Tanh()
    ),
    "grouped_conv1d": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 4, 2, groups=2), nn.Softplus()
    ),
    "avg_pool": lambda: nn.Sequential(nn.Unflatten(1, (2, 4)), nn.Tanh(), nn.AvgPool1d(2)),
    "adaptive_avg_pool": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.Tanh(), nn.AdaptiveAvgPool1d(3)
    ),
    "max_pool": lambda: nn.Sequential(nn.Unflatten(1, (2, 4)), nn.Tanh(), nn.MaxPool1d(2)),
    "max_pool2d": lambda: nn.Sequential(nn.Unflatten(1, (2, 2, 2)), nn.Tanh(), nn.MaxPool2d(2)),
    "lp_pool": lambda: nn.Sequential(nn.Unflatten(1, (2, 4)), nn.Softplus(), nn.LPPool1d(3, 2)),
    "upsample_linear": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.Tanh(), nn.Upsample(scale_factor=2, mode="linear")
    ),
    "upsample_bicubic": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 2, 2)), nn.Tanh(), nn.Upsample(scale_factor=2, mode="bicubic")
    ),
    "reflection_pad": lambda: nn.Sequential(
        nn.Unflatten(1, (2, 4)), nn.Tanh(), nn.ReflectionPad1d(2)
    ),
    "unfold": lambda: nn.Sequential(nn.Unflatten(1, (2, 2, 2)), nn.Tanh(), nn.Unfold(2, padding=1)),
    "pixel_shuffle": lambda: nn.Sequential(
        nn.Unflatten(1, (8, 1, 1)), nn.Tanh(), nn.PixelShuffle(2)
    ),
}.items():
    _tags = ("convolution", "piecewise") if "max" in _name else ("convolution",)
    add(_name, _module, *_tags, width=8, fresh=True)
add("grid_sample", parts.sample_grid, "convolution", "piecewise")


# ------------------------------------------------------------------------------- recurrent
for _name, _kind in {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}.items():
    add(_name, lambda k=_kind: parts.Recurrent(k), "recurrent", width=6, fresh=True)
for _name, _kind in {
    "rnn_cell": nn.RNNCell,
    "gru_cell": nn.GRUCell,
    "lstm_cell": nn.LSTMCell,
}.items():
    add(_name, lambda k=_kind: parts.Cell(k), "recurrent", width=6, fresh=True)

# --------------------------------------------------------------------------- linear algebra
L = torch.linalg
for _name, _op in {
    "det": lambda z: L.det(parts.square(z))[:, None],
    "slogdet": lambda z: L.slogdet(parts.square(z))[1][:, None],
    "logdet": lambda z: torch.logdet(parts.positive_definite(z))[:, None],
    "inv": lambda z: L.inv(parts.square(z)),
    "inv_ex": lambda z: L.inv_ex(parts.square(z))[0],
    "pinv": lambda z: L.pinv(parts.square(z)),
    "pinv_rectangular": lambda z: L.pinv(z.reshape(-1, 1, 4) + 2),
    "solve": lambda z: L.solve(parts.square(z), z[:, :2]),
    "solve_constant_matrix": lambda z: L.solve(
        torch.eye(2, dtype=z.dtype) * 2 + 0.3, z[:, :2, None].sin()
    ),
    "cholesky": lambda z: L.cholesky(parts.positive_definite(z)),
    "cholesky_inverse": lambda z: torch.cholesky_inverse(L.cholesky(parts.positive_definite(z))),
    "cholesky_solve": lambda z: torch.cholesky_solve(
        z[:, :2, None], L.cholesky(parts.positive_definite(z))
    ),
    "qr_r": lambda z: L.qr(parts.square(z)).R,
    "qr_q": lambda z: L.qr(parts.square(z)).Q,
    "eigvalsh": lambda z: L.eigvalsh(parts.positive_definite(z)),
    "eigh_projector": lambda z: (lambda v: v[..., :1] @ v[..., :1].mT)(
        L.eigh(parts.positive_definite(z))[1]
    ),
    "eigvals": lambda z: L.eigvals(parts.positive_definite(z)).real.sort(-1).values,
    "svdvals": lambda z: L.svdvals(parts.square(z)),
    "svd_projector": lambda z: (lambda u: u[..., :1] @ u[..., :1].mT)(L.svd(parts.square(z))[0]),
    "matrix_exp": lambda z: torch.matrix_exp(0.3 * z.reshape(-1, 2, 2)),
    "matrix_power": lambda z: L.matrix_power(parts.square(z), 3),
    "matrix_power_negative": lambda z: L.matrix_power(parts.square(z), -2),
    "lstsq": lambda z: L.lstsq(parts.square(z), z[:, :2, None]).solution,
    "lu": lambda z: torch.cat(L.lu(parts.square(z))[1:], -1),
    "lu_factor": lambda z: L.lu_factor(parts.square(z))[0],
    "lu_solve": lambda z: L.lu_solve(*L.lu_factor(parts.square(z)), z[:, :2, None]),
    "solve_triangular": lambda z: L.solve_triangular(
        parts.square(z).tril(), z[:, :2, None], upper=False
    ),
    "matrix_norm_fro": lambda z: L.matrix_norm(parts.square(z))[:, None],
    "matrix_norm_nuc": lambda z: L.matrix_norm(parts.square(z), "nuc")[:, None],
    "matrix_norm_2": lambda z: L.matrix_norm(parts.square(z), 2)[:, None],
    "cond": lambda z: L.cond(parts.square(z))[:, None],
    "householder": lambda z: L.householder_product(z.reshape(-1, 2, 2).tril(-1), z[:, :2]),
    "schur_complement": lambda z: z[:, :1] - z[:, 1:2] * L.solve(parts.square(z), z[:, 2:])[:, :1],
    "cross": lambda z: L.cross(z[:, :3], z[:, 1:].sin()),
    "matrix_products": lambda z: parts.square(z) @ parts.square(z).mT @ parts.square(z.sin()),
    "trace": lambda z: parts.square(z).diagonal(dim1=-2, dim2=-1).sum(-1, keepdim=True) ** 2,
    "vander": lambda z: L.vander(z, N=4),
    "baddbmm": lambda z: torch.baddbmm(parts.square(z), parts.square(z.sin()), parts.square(z)),
    "bmm": lambda z: torch.bmm(parts.square(z), parts.square(z.cos())),
    "einsum": lambda z: torch.einsum("ni,nj,nk->nijk", z[:, :2], z[:, 2:], z[:, 1:3]),
    "outer_product": lambda z: z[:, :, None] * z.sin()[:, None, :],
}.items():
    add(_name, _op, "linalg")
add("det_3x3", lambda z: L.det(parts.square(z, 3))[:, None], "linalg", width=9)
add("solve_3x3", lambda z: L.solve(parts.square(z, 3), z[:, :3]), "linalg", width=9)
add("bilinear", parts.BilinearPair, "linalg", fresh=True)

# ------------------------------------------------------------------------ indexing, shaping
for _name, _op in {
    "gather": lambda z: z.sin().gather(1, torch.tensor([[3, 0, 0]]).expand(z.shape[0], 3)),
    "scatter": lambda z: torch.zeros_like(z).scatter(
        1, torch.tensor([[2, 1]]).expand(z.shape[0], 2), z[:, :2] ** 2
    ),
    "scatter_add": lambda z: z.scatter_add(
        1, torch.tensor([[2, 1, 2]]).expand(z.shape[0], 3), z[:, :3] ** 2
    ),
    "scatter_reduce_prod": lambda z: (z**2 + 1).scatter_reduce(
        1, torch.tensor([[2, 1, 2]]).expand(z.shape[0], 3), z[:, :3], "prod"
    ),
    "index_select": lambda z: z.exp().index_select(1, torch.tensor([2, 2, 0])),
    "index_add": lambda z: z.index_add(1, torch.tensor([0, 0]), z[:, 2:] ** 2),
    "index_copy": lambda z: z.index_copy(1, torch.tensor([1, 0]), z[:, 2:] ** 2),
    "index_fill": lambda z: z.index_fill(1, torch.tensor([1]), 0.5) ** 2,
    "index_put": lambda z: (z**2).index_put((torch.arange(z.shape[0]),), z.sin(), accumulate=True),
    "take_along_dim": lambda z: torch.take_along_dim(z**2, z.argsort(-1), -1) * z,
    "advanced_indexing": lambda z: (z**2)[:, [3, 1, 1]],
    "roll": lambda z: z * z.roll(1, -1),
    "flip": lambda z: z * z.flip(-1),
    "masked_fill": lambda z: (z**2).masked_fill(torch.tensor([True, False, False, True]), 0.2),
    "cat": lambda z: torch.cat([z[:, :2] * z[:, 2:], z.sin()], -1),
    "stack": lambda z: torch.stack([z * z.flip(-1), z.exp()], 1),
    "chunk": lambda z: (lambda a, b: a * b.exp())(*z.chunk(2, -1)),
    "unbind": lambda z: (lambda a, b, c, d: torch.stack([a * b, c * d, a * d * d], -1))(
        *z.unbind(-1)
    ),
    "tril": lambda z: z.reshape(-1, 2, 2) @ z.reshape(-1, 2, 2).tril(),
    "diag_embed": lambda z: torch.diag_embed(z[:, :2]) @ z[:, 2:, None],
    "expand": lambda z: z[:, :1].expand(-1, 4) * z,
    "repeat_interleave": lambda z: z.repeat_interleave(2, -1) ** 2,
    "permute": lambda z: z.reshape(-1, 2, 2).permute(0, 2, 1) @ z.reshape(-1, 2, 2),
    "unfold_view": lambda z: z.unfold(1, 2, 1) ** 2,
    "transpose_and_reshape": lambda z: z.T.reshape(4, -1).T ** 2,
    "movedim": lambda z: z.reshape(-1, 2, 2).movedim(1, 2) * z.reshape(-1, 2, 2),
    "pad": lambda z: F.pad(z**2, (1, 2), value=0.4),
    "all_differences": lambda z: (z[:, None, :2] - z[:, 2:, None]) ** 3,
    "bucketize": lambda z: (
        torch.bucketize(z.detach(), torch.tensor([-0.3, 0.2])).to(z.dtype) * z**2
    ),
}.items():
    _piecewise = ("piecewise",) if _name in ("bucketize", "take_along_dim") else ()
    add(_name, _op, "indexing", *_piecewise)
add("embedding", parts.CellEmbedding, "indexing", "piecewise", fresh=True)


# -------------------------------------------------------------------------------- in place
for _name, _step in {
    "tanh_": lambda w: w.tanh_(),
    "sin_": lambda w: w.sin_(),
    "exp_": lambda w: w.exp_(),
    "sigmoid_": lambda w: w.sigmoid_(),
    "mul_": lambda w: w.mul_(w.detach() * 0 + 0.5),
    "mul_by_itself_": lambda w: w.mul_(w),
    "add_": lambda w: w.add_(w.cos()),
    "pow_": lambda w: w.pow_(3),
    "addcmul_": lambda w: w.addcmul_(w.cos(), w.sin(), value=0.5),
    "silu_inplace": lambda w: F.silu(w, inplace=True),
    "tanh_on_a_view": lambda w: w[:, 1:3].tanh_(),
    "sin_on_reshaped_view": lambda w: w.view(-1, 2, 2)[:, 0].sin_(),
}.items():
    add(f"inplace_{_name}", parts.in_place(_step), "inplace")
add(
    "inplace_relu",
    parts.in_place(lambda w: F.relu(w, inplace=True).pow_(3)),
    "inplace",
    "piecewise",
)
add("inplace_clamp", parts.in_place(lambda w: w.clamp_(-0.5, 0.6).pow_(2)), "inplace", "piecewise")
add("inplace_column_assignment", parts.assign_column, "inplace")
add("inplace_copy_into_empty", parts.assign_into_empty, "inplace")
bare("inplace_on_the_input", parts.change_the_input, "inplace", "changes_input")

# ------------------------------------------------------------------------ custom functions
for _name, _function in {
    "function_with_setup_context": custom.CubeWithSetup,
    "function_with_custom_jvp": custom.CubeWithJvp,
    "function_old_style": custom.CubeOldStyle,
    "function_once_differentiable": custom.CubeOnceDifferentiable,
}.items():
    add(_name, _function.apply, "custom_function")
add(
    "function_detached_backward",
    custom.CubeDetachedBackward.apply,
    "custom_function",
    "wrong_formula",
)
add("function_numpy_backward", custom.CubeNumpyBackward.apply, "custom_function", "wrong_formula")
add("function_wrong_backward", custom.CubeWrongBackward.apply, "custom_function", "wrong_formula")
add(
    "function_straight_through",
    custom.StraightThroughRound.apply,
    "custom_function",
    "stop_gradient",
)
add("custom_operator", custom.cube_operator, "custom_function")
add(
    "custom_operator_without_autograd",
    custom.cube_operator_without_autograd,
    "custom_function",
    "wrong_formula",
)

# ------------------------------------------------------------------- complex and Fourier
for _name, _op in {
    "rfft_abs": lambda z: torch.fft.rfft(z).abs(),
    "fft_real_imag": lambda z: torch.view_as_real(torch.fft.fft(z**2)),
    "fft_filter": lambda z: torch.fft.irfft(torch.fft.rfft(z**2) * (1 + 0.5j), n=4),
    "complex_product": lambda z: torch.view_as_real(torch.complex(z[:, :2], z[:, 2:]) ** 2),
    "complex_exp": lambda z: torch.exp(torch.complex(z[:, :2], z[:, 2:])).real,
    "polar": lambda z: torch.view_as_real(torch.polar(z[:, :2] ** 2 + 1, z[:, 2:])),
    "angle": lambda z: torch.complex(z[:, :2] + 3, z[:, 2:]).angle(),
    "spectrum_of_symmetric": lambda z: torch.fft.rfft(z * z.flip(-1), norm="ortho").abs() ** 2,
}.items():
    add(_name, _op, "complex")


# ----------------------------------------------------------------------- how f is written
add("checkpoint", lambda: parts.Checkpointed(False), "written", fresh=True)
add("checkpoint_reentrant", lambda: parts.Checkpointed(True), "written", fresh=True)
add("no_grad_inside", parts.without_gradient, "written", "stop_gradient")
add("detach_inside", lambda z: z.detach() * z**2, "written", "stop_gradient")
add("numpy_inside", parts.through_numpy, "written", "wrong_formula")
add("float32_inside", parts.through_float32, "written", "loses_precision")
add("branch_on_a_value", parts.branch_on_a_value, "written")
add("sparse_matrix", parts.sparse_product, "written", "two_dim_only")
add("vmap_inside", lambda z: torch.func.vmap(lambda row: row.sin() * row.prod())(z), "written")
bare("own_gradient", parts.own_gradient, "written", "two_dim_only")
bare("own_autograd_gradient", parts.own_autograd_gradient, "written")
bare("loop_over_rows", parts.loop_over_rows, "written", "two_dim_only")
bare("linear", lambda x: x @ torch.tensor([[1.0], [-2.0]], dtype=x.dtype), "written")
bare("constant", lambda x: torch.ones_like(x), "written")
bare("polynomial", lambda x: x[..., :1] ** 4 * x[..., 1:] ** 2 - x[..., :1] * x[..., 1:], "written")
bare("one_input", lambda x: torch.cat([x.sin(), x.exp(), x**3, x.tanh()], -1), "written", D=1)
bare("six_inputs", lambda x: torch.sin(x.cumsum(-1)).prod(-1, keepdim=True), "written", D=6)

# ------------------------------------------------------------------------ whole networks
for _name, _build in {
    "mlp_tanh": lambda: nn.Sequential(
        nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)
    ),
    "mlp_gelu_four_layers": lambda: nn.Sequential(
        *(m for _ in range(3) for m in (nn.Linear(3, 3), nn.GELU())), nn.Linear(3, 1)
    ),
}.items():
    bare(_name, _build, "network", D=3, fresh=True)
add("residual_block", parts.Residual, "network", fresh=True)
add("fourier_features", parts.FourierFeatures, "network", fresh=True)
add("hyper_network", parts.HyperNetwork, "network", fresh=True)

# ------------------------------------------------------------------------- special points
ZERO = ((0.0, 0.0), (0.3, 0.0), (0.0, -0.4), (0.3, 0.3))
for _name, _op in {
    "sinc_at_zero": torch.sinc,
    "cumprod_with_zero_factor": lambda x: (x + 0.5 * x.flip(-1) ** 2).cumprod(-1),
    "cumprod_of_three_with_zero": lambda x: torch.cat([x, x.sum(-1, keepdim=True) + 1], -1).cumprod(
        -1
    ),
    "prod_with_zero_factor": lambda x: torch.cat([x, x + 1], -1).prod(-1, keepdim=True),
    "square_root_of_square_plus": lambda x: (1 + x**2).sqrt(),
    "xlogy_at_zero": lambda x: torch.xlogy(x**2, 2 + x),
    "integer_power_at_zero": lambda x: x**2 + x**3,
    "power_0_at_zero": lambda x: x**0 + x**1,
    "tensor_exponent_at_zero": lambda x: x ** torch.tensor([2.0, 3.0], dtype=x.dtype),
    "softmax_of_equal": lambda x: (x - x.flip(-1)).softmax(-1),
    "logsumexp_of_equal": lambda x: x.logsumexp(-1, keepdim=True),
    "variance_of_equal": lambda x: x.var(-1, keepdim=True),
    "det_singular": lambda x: L.det(
        torch.stack([x, 2 * x + x.flip(-1) ** 2], -2) + 0 * x[..., None]
    )[..., None],
    "hypot_on_axis": lambda x: torch.hypot(x[..., :1], x[..., 1:] + 1),
    "atan2_on_axis": lambda x: torch.atan2(x[..., :1], x[..., 1:] + 1),
    "squared_norm_at_zero": lambda x: x.norm(dim=-1, keepdim=True) ** 2,
    "squared_modulus_at_zero": lambda x: torch.view_as_complex(x).abs()[..., None] ** 2,
    "norm_4_at_zero": lambda x: x.norm(4, -1, keepdim=True) ** 4,
    "cubed_norm_at_zero": lambda x: (x**2).sum(-1, keepdim=True) ** 1.5,
    "where_guarding_zero": lambda x: torch.where(x.abs() < 1e-9, 1 - x**2 / 6, x.sin() / x),
    "safe_where_guarding_zero": lambda x: (
        lambda near, safe: torch.where(near, 1 - x**2 / 6, safe.sin() / safe)
    )(x.abs() < 1e-3, torch.where(x.abs() < 1e-3, torch.ones_like(x), x)),
    "maximum_at_tie": lambda x: torch.maximum(x[..., :1] ** 3, x[..., 1:] ** 3),
    "relu_cubed_at_zero": lambda x: F.relu(x) ** 3,
    "abs_cubed_at_zero": lambda x: x.abs() ** 3,
    "x_abs_x_at_zero": lambda x: x * x.abs(),
    "softsign_at_zero": F.softsign,
    "i1_at_zero": torch.special.i1,
    "i1e_at_zero": torch.special.i1e,
    "entr_at_one": lambda x: torch.special.entr(x**2 + 1),
    "erf_at_zero": torch.erf,
    "logaddexp_of_equal": lambda x: torch.logaddexp(x, x.flip(-1)),
    "acos_shifted": lambda x: torch.acos(0.5 + 0.3 * x),
    "tanhshrink_at_zero": F.tanhshrink,
    "celu_at_zero": lambda x: F.celu(x) ** 2,
    "elu_at_zero": lambda x: F.elu(x) ** 3,
    "silu_at_zero": F.silu,
    "logsigmoid_at_zero": F.logsigmoid,
    "eigvalsh_of_repeated": lambda x: L.eigvalsh(
        torch.diag_embed(x) + 2 * torch.eye(2, dtype=x.dtype)
    ).sum(-1, keepdim=True),
    "svdvals_of_diagonal": lambda x: L.svdvals(torch.diag_embed(x + 2)).sum(-1, keepdim=True),
    "matrix_exp_of_zero": lambda x: torch.matrix_exp(x[..., None] * x[..., None, :]).flatten(1),
    "layer_norm_of_equal": lambda x: F.layer_norm(torch.cat([x, 2 * x.flip(-1)], -1), (4,)),
    "normalize_at_zero": lambda x: F.normalize(x + 1, dim=-1),
    "clamp_at_its_edge": lambda x: x.clamp(0.0, 0.3) ** 3,
}.items():
    bare(_name, _op, "special_point", points=ZERO)

# ---------------------------------------------------------------------------- mixing rows
for _name, _module in {
    "batch_norm_train": lambda: nn.Sequential(
        nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)
    ),
    "batch_norm_without_statistics": lambda: nn.Sequential(
        nn.Linear(2, 4), nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)
    ).eval(),
    "lstm_over_the_batch": lambda: parts.FirstOf(nn.LSTM(2, 3)),
    "attention_over_the_batch": lambda: parts.AttendOverBatch(),
    "conv1d_over_the_batch": lambda: parts.ConvolveOverBatch(),
}.items():
    bare(_name, _module, "mixes_rows", "two_dim_only", fresh=True)
for _name, _op in {
    "softmax_over_the_batch": lambda x: x.softmax(0),
    "centred_over_the_batch": lambda x: (x - x.mean(0)) ** 3,
    "scaled_by_batch_norm": lambda x: x.sin() / x.norm(),
    "scaled_by_batch_maximum": lambda x: x.sin() / (2 + x.abs().max()),
    "minus_first_row": lambda x: (x - x[:1]) ** 2,
    "cumsum_over_the_batch": lambda x: x.sin().cumsum(0),
    "rolled_over_the_batch": lambda x: x * x.roll(1, 0),
    "flipped_over_the_batch": lambda x: x * x.flip(0).sin(),
    "sorted_over_the_batch": lambda x: x.sort(0).values ** 2,
    "gram_matrix": lambda x: (x @ x.mT) @ x,
    "mean_added_faintly": lambda x: x.sin() + 1e-3 * (x**2).mean(),
    "standardised": lambda x: (x - x.mean(0)) / x.std(0),
    "pairwise_kernel": lambda x: torch.exp(-((x[:, None] - x[None]) ** 2)).sum(1),
    "batch_size_dependent_and_coupled": lambda x: x * x.sum() / x.shape[0],
}.items():
    bare(_name, _op, "mixes_rows", "two_dim_only")

# ------------------------------------------------------------------------- not a function
bare(
    "dropout_train",
    lambda: nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 1)),
    "random",
    fresh=True,
)
bare("noise_inside", lambda x: x.sin() + torch.randn_like(x) * x**2, "random")


NAMES = [case.name for case in CASES]
if len(set(NAMES)) != len(NAMES):
    raise ValueError("two cases share a name")
