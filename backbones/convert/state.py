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

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.errors import BackbonesError
from backbones.registry import build, require_framework
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

# What nets are compared in. Weights in half precision become float32, which holds them exactly.
PRECISIONS = ("float32", "float64")
HALF = ("float16", "bfloat16")


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
        BackbonesError: If it was built otherwise, or is no model.
    """
    framework_of(model)
    config = getattr(model, "config", None)
    if not isinstance(config, Spec):
        raise BackbonesError(
            "this model was not built by backbones.create_model, so it is not known which net it is; between "
            "models of your own, backbones.convert.copy_weights(source, target) carries weights"
        )
    return config


def precision_of(model: Any) -> str | None:
    """What a model's weights are: `"float32"` or `"float64"`. None if it has none.

    Raises:
        BackbonesError: If they are of another type, or of several.
    """
    in_torch = framework_of(model) == "torch"
    values = [value for _, value in _torch_entries(model)] if in_torch else model.weights
    found = sorted({name for name in map(dtype_name, values) if "float" in name})
    if len(found) > 1 or not set(found) <= set(PRECISIONS):
        raise BackbonesError(
            f"the model's weights are {' and '.join(found)}; nets are carried over, run and compared in "
            f"{' or '.join(PRECISIONS)}, all of one kind"
        )
    return found[0] if found else None


def dtype_name(values: Any) -> str:
    """The type of a tensor's or an array's values, in the words that all frameworks share."""
    return getattr(values.dtype, "name", str(values.dtype)).removeprefix("torch.")


def to_tensorflow(model: Any) -> Any:
    """The Keras model with the weights of a PyTorch model that `create_model` built, in the same precision.

    Raises:
        BackbonesError: If the model was built otherwise, its weights are neither float32 nor float64, or one
            does not fit.

    >>> from backbones import create_model
    >>> to_tensorflow(create_model("lenet5", "torch", seed=0)).name
    'lenet5'
    """
    return _partner(model, "tensorflow")


def to_torch(model: Any) -> Any:
    """The PyTorch model with the weights of a Keras model that `create_model` built, in the same precision.

    Raises:
        BackbonesError: If the model was built otherwise, its weights are neither float32 nor float64, or one
            does not fit.

    >>> from backbones import create_model
    >>> to_torch(create_model("lenet5", "tensorflow", seed=0)).fc3
    Linear(in_features=84, out_features=10, bias=True)
    """
    return _partner(model, "torch")


def _partner(model: Any, framework: str) -> Any:
    spec, precision = config_of(model), precision_of(model)
    if framework == "torch":
        partner = build(spec, framework)
        partner = partner.double() if precision == "float64" else partner.float()
    else:
        require_framework(framework)
        with _keras_building_in(precision):
            partner = build(spec, framework)
    copy_weights(model, partner)
    return partner


@contextlib.contextmanager
def _keras_building_in(precision: str | None) -> Iterator[None]:
    """Keras fixes a model's precision when it is built, by a setting for all models."""
    import keras

    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(precision)
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def copy_weights(source: Any, target: Any) -> None:
    """Copy all weights from one model to another, of the same or the other framework.

    Args:
        source: A `torch.nn.Module` or a `keras.Model`.
        target: One with the same layer names. Changed in place; it keeps its own precision.

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

    Weights in half precision come as float32, which holds them exactly.

    >>> from backbones import create_model
    >>> state(create_model("lenet5", "tensorflow", seed=0))["conv2.weight"].shape
    (16, 6, 5, 5)
    """
    if framework_of(model) == "torch":
        return {key: _array(key, value).copy() for key, value in _torch_entries(model)}
    return {
        entry.key: np.ascontiguousarray(entry.to_torch(_array(entry.key, entry.variable)))
        for entry in _keras_entries(model)
    }


def outline(model: Any) -> State:
    """The names, shapes and types of what `state` gives, as zeros that take no memory, whatever their shape."""
    if framework_of(model) == "torch":
        return {
            key: np.broadcast_to(_array(key, value.new_zeros(())), tuple(value.shape))
            for key, value in _torch_entries(model)
        }
    return {
        entry.key: entry.to_torch(
            np.broadcast_to(_array(entry.key, np.zeros((), entry.variable.dtype)), entry.variable.shape)
        )
        for entry in _keras_entries(model)
    }


def as_state(weights: Any) -> State:
    """Weights as others hand them over, a `state_dict` or `dict(model.named_parameters())`, as NumPy arrays.

    Raises:
        BackbonesError: If it is something else, or holds what NumPy cannot.
    """
    if not isinstance(weights, Mapping):
        raise BackbonesError(
            f"expected weights as a dict of names and tensors or arrays, such as a state_dict, "
            f"not {type(weights).__name__}"
        )
    if strange := [key for key in weights if not isinstance(key, str)]:
        raise BackbonesError(f"weights go by names such as 'fc.weight', not by {strange[0]!r}")
    return {key: _array(key, value) for key, value in weights.items() if not key.endswith(NOT_CARRIED)}


def _array(key: str, value: Any) -> NDArray[Any]:
    """A tensor's or an array's values: a view where they are in main memory, in a type of NumPy's own."""
    try:
        if hasattr(value, "detach"):  # a tensor of PyTorch
            value = value.detach().cpu()
            value = (value.float() if dtype_name(value) in HALF else value).numpy()
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # sparse, quantized, without values, ragged
        reason = str(error).partition("\n")[0]
        raise BackbonesError(f"{key!r} is no plain tensor or array of numbers: {reason}") from error
    # Bytes in this machine's order, in which PyTorch wants them.
    dtype = np.dtype(np.float32) if array.dtype.name in HALF else array.dtype.newbyteorder("=")
    return array.astype(dtype, copy=False)


def load_state(model: Any, weights: Mapping[str, Any]) -> None:
    """Put weights from `state` into a model.

    Args:
        model: Changed in place; it keeps its own precision.
        weights: Under PyTorch's names and in PyTorch's layout: arrays, or tensors of PyTorch.

    Raises:
        BackbonesError: If one is of another shape or another kind of number, missing or left over; the model is
            then unchanged.

    >>> from backbones import create_model
    >>> model, other = (create_model("lenet5", "torch", seed=seed) for seed in (0, 1))
    >>> load_state(model, state(other))
    >>> bool((model.fc1.weight == other.fc1.weight).all())
    True
    """
    weights = as_state(weights)
    _check(model, weights)
    if framework_of(model) == "torch":
        import torch

        with torch.no_grad():
            for key, value in _torch_entries(model):
                value.copy_(torch.from_numpy(np.array(weights[key])))
    else:
        for entry in _keras_entries(model):
            entry.variable.assign(entry.from_torch(weights[entry.key]))


def _check(model: Any, given: State) -> None:
    """Say what does not fit. Shapes come first: they tell more about a net's variant than what it lacks."""
    wanted = outline(model)
    for key in (key for key in wanted if key in given):
        if given[key].shape != wanted[key].shape:
            raise BackbonesError(f"{key!r} has shape {given[key].shape}, the model wants {wanted[key].shape}")
        if given[key].dtype.kind != wanted[key].dtype.kind:
            raise BackbonesError(f"{key!r} holds {given[key].dtype}, the model wants {wanted[key].dtype}")
    if missing := [key for key in wanted if key not in given]:
        raise BackbonesError(
            f"the weights lack {missing[0]!r} of shape {wanted[missing[0]].shape}, which the model has "
            f"({len(missing)} lacking){_hint(model, missing)}"
        )
    if extra := [key for key in given if key not in wanted]:
        raise BackbonesError(
            f"the model has no {extra[0]!r} of shape {given[extra[0]].shape}, which the weights hold "
            f"({len(extra)} too many)"
        )


def _hint(model: Any, missing: list[str]) -> str:
    """Auxiliary heads exist for training alone, so weights often come without them."""
    heads = getattr(getattr(model, "config", None), "auxiliary", False)
    if heads and all(key.startswith("aux") for key in missing):
        return "; all of them are of auxiliary heads, without which auxiliary=False builds the net"
    return ""


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
