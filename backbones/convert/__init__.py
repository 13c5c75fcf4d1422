"""Weights across frameworks and from other libraries, and the proof that the nets then compute the same."""

from backbones.convert.comparison import Comparison, Difference, activations, compare
from backbones.convert.models import config_of, framework_of
from backbones.convert.partners import copy_weights, to_tensorflow, to_torch
from backbones.convert.pretrained import from_keras_applications, from_torchvision, torchvision_state
from backbones.convert.state import State, load_state, state

__all__ = [
    "Comparison",
    "Difference",
    "State",
    "activations",
    "compare",
    "config_of",
    "copy_weights",
    "framework_of",
    "from_keras_applications",
    "from_torchvision",
    "load_state",
    "state",
    "to_tensorflow",
    "to_torch",
    "torchvision_state",
]
