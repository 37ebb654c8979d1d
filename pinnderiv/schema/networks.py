"""The network of a run: one dataclass for each kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from pinnderiv.schema.missing import MISSING


@dataclass
class NetworkConfig:
    """What all networks can be told.

    ``periodic_axes`` lists columns along which the solution is periodic over the box, beside
    those that the problem's own conditions make periodic; ``harmonics`` is how many waves the
    network is given along each.
    """

    _target_: str = MISSING
    periodic_axes: list[int] = field(default_factory=list)
    harmonics: int = 1


@dataclass
class MLPConfig(NetworkConfig):
    """Multilayer perceptron; ``adaptive`` is none, layer or neuron."""

    _target_: str = "pinnderiv.networks.MLP"
    width: int = 32
    depth: int = 3
    activation: str = "tanh"
    initialisation: str = "xavier"
    adaptive: str = "none"
    adaptive_scale: float = 10.0
    factorised: bool = False


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
class PirateNetConfig(MLPConfig):
    """Gated residual blocks behind random Fourier features; ``depth`` counts blocks."""

    _target_: str = "pinnderiv.networks.PirateNet"
    sigma: list[float] = field(default_factory=lambda: [1.0])


@dataclass
class SirenConfig(NetworkConfig):
    """Network of sines."""

    _target_: str = "pinnderiv.networks.Siren"
    width: int = 32
    depth: int = 3
    omega_0: float = 3.0


@dataclass
class RandomFeaturesConfig(NetworkConfig):
    """One wide layer of sines with random frequencies; ``orders`` null: all coordinates."""

    _target_: str = "pinnderiv.networks.RandomFeatureNetwork"
    width: int = 600
    scale: float = 4.0
    orders: list[int] | None = None


NETWORKS: dict[str, type] = {
    "schema/network/mlp": MLPConfig,
    "schema/network/modified_mlp": ModifiedMLPConfig,
    "schema/network/fourier": FourierConfig,
    "schema/network/piratenet": PirateNetConfig,
    "schema/network/siren": SirenConfig,
    "schema/network/random_features": RandomFeaturesConfig,
}
