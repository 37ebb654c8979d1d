"""The network of a run: one dataclass for each kind."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class MLPConfig:
    """Multilayer perceptron."""

    _target_: str = "pinnderiv.networks.MLP"
    width: int = 32
    depth: int = 3
    activation: str = "tanh"
    initialisation: str = "xavier"


@dataclass
class ModifiedMLPConfig(MLPConfig):
    """Modified MLP of Wang, Teng and Perdikaris."""

    _target_: str = "pinnderiv.networks.ModifiedMLP"


@dataclass
class FourierConfig(MLPConfig):
    """MLP behind random Fourier features; ``sigma`` is one number a scale."""

    _target_: str = "pinnderiv.networks.FourierFeatureMLP"
    features: int = 64
    sigma: list[float] = field(default_factory=lambda: [1.0])


@dataclass
class SirenConfig:
    """Network of sines."""

    _target_: str = "pinnderiv.networks.Siren"
    width: int = 32
    depth: int = 3
    omega_0: float = 3.0


@dataclass
class RandomFeaturesConfig:
    """One wide layer of sines with random frequencies; ``orders`` null: all coordinates."""

    _target_: str = "pinnderiv.networks.RandomFeatureNetwork"
    width: int = 600
    scale: float = 4.0
    orders: list[int] | None = None


NETWORKS: dict[str, type] = {
    "schema/network/mlp": MLPConfig,
    "schema/network/modified_mlp": ModifiedMLPConfig,
    "schema/network/fourier": FourierConfig,
    "schema/network/siren": SirenConfig,
    "schema/network/random_features": RandomFeaturesConfig,
}
