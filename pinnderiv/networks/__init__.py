"""Networks that map coordinates to unknowns, (*batch, D) -> (*batch, M)."""

from pinnderiv.networks.activations import ACTIVATIONS
from pinnderiv.networks.constraint import HardConstraint
from pinnderiv.networks.distance_constraint import BlendedLift, DistanceConstraint
from pinnderiv.networks.features import FourierFeatureMLP, FourierFeatures
from pinnderiv.networks.initialisations import INITIALISATIONS
from pinnderiv.networks.lift import TransfiniteLift
from pinnderiv.networks.mlp import MLP
from pinnderiv.networks.modified_mlp import ModifiedMLP
from pinnderiv.networks.output_constraints import OutputConstraints
from pinnderiv.networks.periodic import PeriodicEmbedding
from pinnderiv.networks.pirate_net import PirateNet
from pinnderiv.networks.random_features import RandomFeatureNetwork
from pinnderiv.networks.scaling import Normalise, Scaled
from pinnderiv.networks.siren import Siren
from pinnderiv.networks.trial_solution import TrialSolution

__all__ = [
    "ACTIVATIONS",
    "INITIALISATIONS",
    "MLP",
    "BlendedLift",
    "DistanceConstraint",
    "FourierFeatureMLP",
    "FourierFeatures",
    "HardConstraint",
    "ModifiedMLP",
    "Normalise",
    "OutputConstraints",
    "PeriodicEmbedding",
    "PirateNet",
    "RandomFeatureNetwork",
    "Scaled",
    "Siren",
    "TransfiniteLift",
    "TrialSolution",
]
