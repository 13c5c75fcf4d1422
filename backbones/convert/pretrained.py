"""Weights of torchvision and of keras.applications, in our nets.

Both libraries name and build some layers otherwise. What can be said with a name is renamed; what they compute
otherwise is a field of our spec (where a bottleneck strides, how a mean counts padding); the rest is moved into
the weights, exactly: a bias before BatchNorm is taken off the running mean, another epsilon off the variance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.building import build
from backbones.convert.models import config_of, framework_of
from backbones.convert.state import State, as_state, load_state, outline
from backbones.errors import BackbonesError, require_known, shown
from backbones.registry import find_spec, resolve, summarize_spec
from backbones.spec import Spec

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
VGGS = ("vgg11", "vgg13", "vgg16", "vgg19")

# Which of our nets are torchvision's, weight for weight. Its googlenet is another net than the paper's.
TORCHVISION = ("alexnet_owt", *VGGS, *(f"{name}_bn" for name in VGGS), "inception_v3", *RESNETS)

# Our name -> what our net must be told to be that of keras.applications.
KERAS_APPLICATIONS: dict[str, dict[str, Any]] = {
    "vgg16": {},
    "vgg19": {},
    "resnet50": {"stride_in_1x1": True},
    "resnet101": {"stride_in_1x1": True},
    "resnet152": {"stride_in_1x1": True},
    "inception_v3": {"pool_counts_padding": False, "auxiliary": False},
}


def from_torchvision(name: str, state_dict: Mapping[str, Any], **options: Any) -> Any:
    """Our PyTorch model with the weights of torchvision's model.

    Args:
        name: Ours: `"alexnet_owt"` (torchvision calls it `alexnet`), `"vgg11"` to `"vgg19_bn"`, `"resnet18"` to
            `"resnet152"`, `"inception_v3"`.
        state_dict: Of torchvision's model: names -> tensors or arrays.
        options: Fields of the net's spec, where the weights are of a changed net: `num_classes=10`.

    Returns:
        A `torch.nn.Module` that takes N x C x H x W and gives logits, N x num_classes.

    Raises:
        BackbonesError: If torchvision has no such net, an option is unknown, or a weight is missing, left over or
            of another shape; the message names the first.

    Examples:
        >>> from backbones import create_model
        >>> theirs = create_model("resnet18", "torch").state_dict()  # under the same names as torchvision's
        >>> from_torchvision("resnet18", theirs).config.name
        'resnet18'
    """
    require_known("torchvision model", name, TORCHVISION)
    weights = as_state(state_dict)
    if name == "inception_v3" and not any(key.lower().startswith("auxlogits") for key in weights):
        options = {"auxiliary": False, **options}
    model = build(resolve(name, **options), "torch")
    load_state(model, torchvision_state(model, weights))
    return model


def torchvision_state(model: Any, state_dict: Mapping[str, Any]) -> State:
    """A `state_dict` of torchvision under our names. One that is under our names already stays as it is.

    Args:
        model: Ours, of either framework, whose names are meant.
        state_dict: Names -> tensors or arrays.

    Returns:
        Our name -> array, in PyTorch's layout. Whether each fits the model, `load_state` says.

    Raises:
        BackbonesError: If it is none, or its names are neither torchvision's for such a net nor ours.

    Examples:
        >>> from backbones import create_model
        >>> theirs = {"features.0.weight": np.zeros((64, 3, 3, 3)), "features.3.weight": np.zeros((128, 64, 3, 3))}
        >>> list(torchvision_state(create_model("vgg11", "torch", hidden=(8, 8)), theirs))
        ['conv1_1.weight', 'conv2_1.weight']
    """
    config, weights = config_of(model), as_state(state_dict)
    family, _ = find_spec(config.name)
    if family in ("alexnet", "vgg") and not any(key in weights for key in outline(model)):
        names = _by_number(config, weights)
        return {f"{names[_layer(key)]}.{_weight(key)}": value for key, value in weights.items()}
    if family == "inception":  # ours are in small letters throughout
        return {key.lower(): value for key, value in weights.items()}
    return weights


def _by_number(spec: Spec, weights: State) -> dict[str, str]:
    """Torchvision's `features.N` and `classifier.N` -> our name: both have the same layers in the same order."""
    theirs = list(dict.fromkeys(map(_layer, weights)))
    ours = [layer.name for layer in summarize_spec(spec).layers if layer.parameters]
    if strange := [key for key in weights if not re.fullmatch(r"(features|classifier)\.\d+", _layer(key))]:
        raise BackbonesError(
            f"{spec.name} has no partner for {shown(strange[0])} of shape {weights[strange[0]].shape}: its layers are "
            f"{ours[0]} to {ours[-1]}, in torchvision features.N and classifier.N; are the weights of another net?"
        )
    theirs.sort(key=_position)
    # What a longer net has too many keeps its name: `load_state` says what does not fit.
    return dict(zip(theirs, [*ours, *theirs[len(ours) :]], strict=False))


def _position(layer: str) -> tuple[bool, int]:
    part, _, number = layer.partition(".")
    return part == "classifier", int(number)


def _layer(key: str) -> str:
    return key.rpartition(".")[0]


def _weight(key: str) -> str:
    return key.rpartition(".")[2]


def from_keras_applications(name: str, keras_model: Any, **options: Any) -> Any:
    """Our Keras model with the weights of a model of keras.applications.

    Args:
        name: `"vgg16"`, `"vgg19"`, `"resnet50"`, `"resnet101"`, `"resnet152"` or `"inception_v3"`.
        keras_model: Of keras.applications, with its top.
        options: Fields of the net's spec, where the model was changed: `num_classes=10`.

    Returns:
        A `keras.Model` that gives logits, without the softmax at the other model's end, and takes what the other
        model's `preprocess_input` gives.

    Raises:
        BackbonesError: If keras.applications has no such net, an option is unknown, or a layer is missing, left
            over, of another kind or shape, or without a weight; the message names the first.

    Examples:
        >>> import keras
        >>> theirs = keras.applications.ResNet50(weights=None, classes=10)
        >>> from_keras_applications("resnet50", theirs, num_classes=10).config.stride_in_1x1
        True
    """
    require_known("keras.applications model", name, KERAS_APPLICATIONS)
    if framework_of(keras_model) != "tensorflow":
        raise BackbonesError(
            f"expected a keras.Model of keras.applications, not a {type(keras_model).__name__} of PyTorch"
        )
    model = build(resolve(name, **{**KERAS_APPLICATIONS[name], **options}), "tensorflow")
    ours = [model.get_layer(row.name) for row in summarize_spec(model.config).layers if row.parameters]
    theirs = [layer for layer in keras_model.layers if layer.weights]
    named = _named(name, ours, theirs)
    partners = [named.get(layer.name) for layer in ours]
    values = {layer.name: _values(layer, other) for layer, other in zip(ours, partners, strict=True)}
    if extra := [layer for layer in theirs if layer not in partners]:
        raise BackbonesError(f"{name} has no partner for {_said(extra[0])} of keras.applications")
    _move_conv_biases(ours, values)
    for layer in ours:
        for variable in layer.weights:
            variable.assign(values[layer.name][variable.name])
    return model


def _named(name: str, ours: list[Any], theirs: list[Any]) -> dict[str, Any]:
    """Their layers with weights under our names."""
    if name.startswith("resnet"):
        return {_resnet_name(layer.name): layer for layer in theirs}
    # Names say little here, but all layers of one kind are numbered in the order of the forward pass.
    named: dict[str, Any] = {}
    for kind in sorted({_kind(layer) for layer in theirs}):
        mine = [layer.name for layer in ours if _kind(layer) == kind]
        rest = sorted((layer for layer in theirs if _kind(layer) == kind), key=_number)
        named.update(zip(mine, rest, strict=False))
    return named


def _said(layer: Any) -> str:
    shapes = ", ".join(f"{variable.name} {tuple(variable.shape)}" for variable in layer.weights)
    return f"{shown(layer.name)} ({_kind(layer)}: {shapes})"


def _kind(layer: Any) -> str:
    return type(layer).__name__


def _number(layer: Any) -> tuple[bool, list[int]]:
    """`block1_conv2` comes before `block2_conv1`, `conv2d_9` before `conv2d_10`, `predictions` last."""
    numbers = re.findall(r"\d+", layer.name.removeprefix("conv2d"))
    return layer.name == "predictions", [int(number) for number in numbers]


def _resnet_name(name: str) -> str:
    """`conv3_block2_1_conv` -> `layer2.1.conv1`; number 0 is the shortcut."""
    if name in ("conv1_conv", "conv1_bn"):
        return name.replace("conv1_", "") + "1"
    if not (match := re.fullmatch(r"conv(\d)_block(\d+)_(\d)_(conv|bn)", name)):
        return "fc"
    stage, block, position, kind = int(match[1]) - 1, int(match[2]) - 1, int(match[3]), match[4]
    layer = f"{kind}{position}" if position else f"downsample.{['conv', 'bn'].index(kind)}"
    return f"layer{stage}.{block}.{layer}"


def _values(layer: Any, other: Any) -> dict[str, NDArray[Any]]:
    """The other layer's weights for ours: a scale that it lacks is 1, another epsilon goes into the variance.

    Raises:
        BackbonesError: If there is no other layer, or one of its weights is missing or of another shape.
    """
    if other is None or _kind(other) != _kind(layer):
        found = f", but {_said(other)}" if other else ""
        raise BackbonesError(f"the model of keras.applications has no partner for our {_said(layer)}{found}")
    values = {variable.name: np.asarray(variable) for variable in other.weights}
    if _kind(layer) == "BatchNormalization" and not other.scale:
        values["gamma"] = np.ones_like(values["moving_mean"])
    for variable in layer.weights:
        wanted = tuple(variable.shape)
        if variable.name not in values:
            raise BackbonesError(
                f"{_said(other)} lacks the {variable.name} of our {layer.name}, of shape {wanted}"
            )
        if (shape := values[variable.name].shape) != wanted:
            raise BackbonesError(
                f"{layer.name}.{variable.name} has shape {shape} in {shown(other.name)}, the model wants {wanted}"
            )
    if _kind(layer) == "BatchNormalization":
        values["moving_variance"] = values["moving_variance"] + (other.epsilon - layer.epsilon)
    return values


def _move_conv_biases(layers: list[Any], values: dict[str, dict[str, NDArray[Any]]]) -> None:
    """BatchNorm takes the mean off again that a bias before it adds: take the bias off the running mean."""
    for layer, norm in pairwise(layers):
        if _kind(norm) == "BatchNormalization" and "bias" in values[layer.name]:
            bias = values[layer.name].pop("bias")
            values[norm.name]["moving_mean"] = values[norm.name]["moving_mean"] - bias
