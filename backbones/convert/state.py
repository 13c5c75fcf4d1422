"""Weights from PyTorch to Keras and back.

A model's layers have the same names in both frameworks, so one walk serves every net. PyTorch's names and
layout are the common form: `state(model)` gives any model's weights as NumPy arrays under PyTorch's names,
`load_state(model, state)` puts them in, strictly. The transposes are here and nowhere else:

- a convolution's kernel is out x in x k x k in PyTorch, k x k x in x out in Keras;
- a dense kernel is out x in in PyTorch, in x out in Keras; after a Flatten its inputs are also in
  another order, since PyTorch flattens C x H x W and Keras H x W x C;
- everything else keeps its shape, and BatchNorm's weights keep their meaning under other names.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.errors import BackbonesError
from backbones.registry import build
from backbones.spec import Spec

State = dict[str, NDArray[Any]]

# Keras's name of a weight -> PyTorch's, where they differ.
TORCH_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

# PyTorch's counter of BatchNorm steps has no partner in Keras and no influence on what a model computes.
NOT_CARRIED = "num_batches_tracked"


def framework_of(model: Any) -> str:
    """`"torch"` or `"tensorflow"`, without importing either.

    Raises:
        BackbonesError: If the object is a model of neither.
    """
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if torch and isinstance(model, torch.nn.Module):
        return "torch"
    if keras and isinstance(model, keras.Model):
        return "tensorflow"
    raise BackbonesError(f"expected a torch.nn.Module or a keras.Model, not {type(model).__name__}")


def config_of(model: Any) -> Spec:
    """What `create_model` built this model from.

    Raises:
        BackbonesError: If it was built otherwise.
    """
    config = getattr(model, "config", None)
    if not isinstance(config, Spec):
        raise BackbonesError(
            "this model was not built by backbones.create_model, so its partner is not known; "
            "build both yourself and use backbones.convert.copy_weights(source, target)"
        )
    return config


def to_tensorflow(model: Any) -> Any:
    """The Keras model with the weights of a PyTorch model that `create_model` built.

    Raises:
        BackbonesError: If the model was built otherwise, or a weight does not fit.

    >>> from backbones import create_model
    >>> to_tensorflow(create_model("lenet5", "torch", seed=0)).name
    'lenet5'
    """
    return _partner(model, "tensorflow")


def to_torch(model: Any) -> Any:
    """The PyTorch model with the weights of a Keras model that `create_model` built.

    Raises:
        BackbonesError: If the model was built otherwise, or a weight does not fit.

    >>> from backbones import create_model
    >>> to_torch(create_model("lenet5", "tensorflow", seed=0)).fc3
    Linear(in_features=84, out_features=10, bias=True)
    """
    return _partner(model, "torch")


def _partner(model: Any, framework: str) -> Any:
    partner = build(config_of(model), framework)
    copy_weights(model, partner)
    return partner


def copy_weights(source: Any, target: Any) -> None:
    """Copy all weights from one model to another, of the same or the other framework.

    Args:
        source: A `torch.nn.Module` or a `keras.Model`.
        target: One with the same layer names. Changed in place.

    Raises:
        BackbonesError: If a weight of either has no partner or another shape; `target` is then unchanged.

    >>> from backbones import create_model
    >>> left, right = (create_model("lenet5", framework, seed=0) for framework in ("torch", "tensorflow"))
    >>> copy_weights(left, right)
    >>> all((state(left)[key] == state(right)[key]).all() for key in state(left))
    True
    """
    load_state(target, state(source))


def state(model: Any) -> State:
    """A model's weights as NumPy arrays (copies), under PyTorch's names and in PyTorch's layout.

    >>> from backbones import create_model
    >>> state(create_model("lenet5", "tensorflow", seed=0))["conv2.weight"].shape
    (16, 6, 5, 5)
    """
    if framework_of(model) == "torch":
        return {key: value.detach().cpu().numpy().copy() for key, value in _torch_entries(model)}
    return {
        entry.key: np.ascontiguousarray(entry.to_torch(np.asarray(entry.variable)))
        for entry in _keras_entries(model)
    }


def shapes(model: Any) -> dict[str, tuple[int, ...]]:
    """The shapes of what `state` gives, without a copy of the weights."""
    if framework_of(model) == "torch":
        return {key: tuple(value.shape) for key, value in _torch_entries(model)}
    # Zeros that take no memory, whatever their shape.
    return {
        entry.key: entry.to_torch(np.broadcast_to(np.float32(0), entry.variable.shape)).shape
        for entry in _keras_entries(model)
    }


def load_state(model: Any, weights: State) -> None:
    """Put weights from `state` into a model.

    Args:
        model: Changed in place.
        weights: Under PyTorch's names and in PyTorch's layout.

    Raises:
        BackbonesError: If one is missing, left over or of another shape; the model is then unchanged.

    >>> from backbones import create_model
    >>> model, other = (create_model("lenet5", "torch", seed=seed) for seed in (0, 1))
    >>> load_state(model, state(other))
    >>> bool((model.fc1.weight == other.fc1.weight).all())
    True
    """
    _check(shapes(model), weights)
    if framework_of(model) == "torch":
        import torch

        with torch.no_grad():
            for key, value in _torch_entries(model):
                value.copy_(torch.from_numpy(np.array(weights[key])))
    else:
        for entry in _keras_entries(model):
            entry.variable.assign(entry.from_torch(weights[entry.key]))


def _check(wanted: dict[str, tuple[int, ...]], given: State) -> None:
    if missing := [key for key in wanted if key not in given]:
        raise BackbonesError(f"the weights lack {missing[0]!r}, which the model has ({len(missing)} lacking)")
    if extra := [key for key in given if key not in wanted]:
        raise BackbonesError(f"the model has no {extra[0]!r}, which the weights hold ({len(extra)} too many)")
    for key, shape in wanted.items():
        if given[key].shape != shape:
            raise BackbonesError(f"{key!r} has shape {given[key].shape}, the model wants {shape}")


def _torch_entries(model: Any) -> Iterator[tuple[str, Any]]:
    return ((k, v) for k, v in model.state_dict().items() if not k.endswith(NOT_CARRIED))


@dataclass(frozen=True)
class _Entry:
    """One Keras weight, its PyTorch name, and the two ways between the layouts."""

    key: str
    variable: Any
    to_torch: Callable[[NDArray[Any]], NDArray[Any]]
    from_torch: Callable[[NDArray[Any]], NDArray[Any]]


def _keras_entries(model: Any) -> Iterator[_Entry]:
    for layer in model.layers:
        for variable in layer.weights:
            key = f"{layer.name}.{TORCH_NAMES.get(variable.name, variable.name)}"
            yield _Entry(key, variable, *_layouts(layer, variable))


def _layouts(layer: Any, variable: Any) -> tuple[Callable, Callable]:
    import keras

    if variable.name == "kernel" and isinstance(layer, keras.layers.Conv2D):
        return lambda w: w.transpose(3, 2, 0, 1), lambda w: w.transpose(2, 3, 1, 0)
    if variable.name == "kernel" and isinstance(layer, keras.layers.Dense):
        height, width, channels = _flattened(layer) or (1, 1, variable.shape[0])
        units = variable.shape[1]
        return (
            lambda w: w.reshape(height, width, channels, units).transpose(3, 2, 0, 1).reshape(units, -1),
            lambda w: w.reshape(units, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, units),
        )
    return lambda w: w, lambda w: w


def _flattened(layer: Any) -> tuple[int, int, int] | None:
    """The H x W x C that a Flatten made this layer's input from, if one did."""
    import keras

    while True:
        layer = layer.input._keras_history.operation
        if isinstance(layer, keras.layers.Flatten):
            shape = layer.input.shape[1:]
            return shape if len(shape) == 3 else None
        if layer.weights or isinstance(layer, keras.layers.InputLayer) or len(layer.output.shape) != 2:
            return None
