"""A model's weights one by one, under PyTorch's names, with the ways between the two layouts.

The transposes are here and nowhere else:

- a convolution's kernel is out x in x k x k in PyTorch, k x k x in x out in Keras;
- a dense kernel is out x in in PyTorch, in x out in Keras; after a Flatten its inputs are also in
  another order, since PyTorch flattens C x H x W and Keras H x W x C;
- everything else keeps its shape, and BatchNorm's weights keep their meaning under other names.

Of a Keras model, what has another kind of layer or flattens maps in another way is refused: in a wrong order
its weights would still fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from backbones.errors import BackbonesError, shown

# Keras's name of a weight -> PyTorch's, where they differ.
TORCH_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}

# The kinds of Keras layers that have a partner in PyTorch, and what their weights are called.
KINDS = {
    "Conv2D": ("kernel", "bias"),
    "Dense": ("kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),
}

# A layer of another class may hold weights as its partner does: under PyTorch's names, in PyTorch's layout. No layer of
# Keras's own calls a weight so.
OWN = ("weight", "bias")

# What gives the values of a map another order, or its axes another meaning.
REORDERING = ("Moveaxis", "Permute", "Reshape", "Swapaxes", "Transpose")

# PyTorch's counter of BatchNorm steps has no partner in Keras and no influence on what a model computes.
NOT_CARRIED = "num_batches_tracked"


def torch_entries(model: Any) -> Iterator[tuple[str, Any]]:
    """The names and tensors of all that a PyTorch model carries over."""
    return ((k, v) for k, v in model.state_dict().items() if not k.endswith(NOT_CARRIED))


@dataclass(frozen=True)
class Entry:
    """One Keras weight, its PyTorch name, and the two ways between the layouts."""

    key: str
    variable: Any
    to_torch: Callable[[NDArray[Any]], NDArray[Any]]
    from_torch: Callable[[NDArray[Any]], NDArray[Any]]


def keras_entries(model: Any) -> Iterator[Entry]:
    """All weights of a Keras model.

    Raises:
        BackbonesError: If there are none yet, or the layout of one in PyTorch is not known.
    """
    if not model.built:
        raise BackbonesError(f"{shown(model.name)} has no weights yet: give it a keras.Input or call it once")
    for layer in model.layers:
        _check_layer(layer)
    for step in getattr(model, "operations", model.layers):
        _check_order(step)
    within = {id(variable) for layer in model.layers for variable in layer.weights}
    if outside := [variable.name for variable in model.weights if id(variable) not in within]:
        raise BackbonesError(f"the weight {shown(outside[0])} belongs to no layer, and so has no partner")
    for layer in model.layers:
        for variable in layer.weights:
            key = f"{layer.name}.{TORCH_NAMES.get(variable.name, variable.name)}"
            yield Entry(key, variable, *_layouts(layer, variable))


def _check_layer(layer: Any) -> None:
    """Refuse weights whose layout in PyTorch is not known, or whose order is another there."""
    import keras

    names = [variable.name for variable in layer.weights]
    if not set(names) <= set(_known(layer)) or len(set(names)) < len(names):
        raise BackbonesError(
            f"{_said(layer)} has weights whose layout in PyTorch is not known; known are {', '.join(KINDS)}, as "
            f"layers of the model itself, and layers of your own with PyTorch's {' and '.join(OWN)}"
        )
    if not names or isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
        return
    if any(flattened(tensor) for tensor in keras.tree.flatten(getattr(layer, "input", []))):
        raise BackbonesError(f"{_said(layer)} follows a Flatten; of layers with weights, only Dense may")


def _check_order(step: Any) -> None:
    """Refuse maps that are not N x H x W x C, and those whose values come in an order that PyTorch would not give them.

    Of one channel there is one order in both, and a Permute may turn an image.
    """
    import keras

    made = keras.tree.flatten(getattr(step, "output", []))
    maps = [x for x in made if len(x.shape) == 4 and x.shape[3] != 1 and not _is_vector(x)]
    moved = type(step).__name__ in REORDERING and getattr(step, "dims", ())[-1:] != (3,)
    if maps and (moved or getattr(step, "data_format", None) == "channels_first"):
        raise BackbonesError(
            f"{_said(step)} makes maps in an order that is not known in PyTorch; known are N x H x W x C"
        )


def _known(layer: Any) -> tuple[str, ...]:
    """What the weights of such a layer may be called."""
    import keras

    if isinstance(layer, keras.Model):
        return ()
    return next(
        (names for kind, names in KINDS.items() if isinstance(layer, getattr(keras.layers, kind))), OWN
    )


def _said(layer: Any) -> str:
    return f"{shown(layer.name)} ({type(layer).__name__})"


def _layouts(layer: Any, variable: Any) -> tuple[Callable, Callable]:
    import keras

    if variable.name != "kernel":
        return lambda w: w, lambda w: w
    if isinstance(layer, keras.layers.Conv2D):
        return lambda w: w.transpose(3, 2, 0, 1), lambda w: w.transpose(2, 3, 1, 0)
    if getattr(layer, "input", None) is None:  # in a class of its own, any code may come between two layers
        raise BackbonesError(f"{_said(layer)}: only in a functional or Sequential model is its input known")
    inputs, units = variable.shape
    calls = [node.arguments.keras_tensors[0] for node in layer._inbound_nodes]
    shapes = [flattened(tensor) or (1, 1, inputs) for tensor in calls]
    if len({(height * width, channels) for height, width, channels in shapes}) > 1:
        raise BackbonesError(f"{_said(layer)} takes features in several orders, of which PyTorch knows none")
    height, width, channels = shapes[0]
    return (
        lambda w: w.reshape(height, width, channels, units).transpose(3, 2, 0, 1).reshape(units, -1),
        lambda w: w.reshape(units, channels, height, width).transpose(2, 3, 1, 0).reshape(-1, units),
    )


def flattened(tensor: Any) -> tuple[int, int, int] | None:
    """The H x W x C that a Flatten made a tensor N x features from, if one did.

    Raises:
        BackbonesError: If its features come from a map in another way, whose order in PyTorch is not known.
    """
    import keras
    from keras import layers

    step = tensor._keras_history.operation
    if len(tensor.shape) != 2 or getattr(step, "weights", None):
        return None
    if isinstance(step, layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D):
        return None
    inputs = keras.tree.flatten(step.input)
    if all(_is_vector(x) or (len(x.shape) == 2 and not flattened(x)) for x in inputs):
        return None
    if len(inputs) == 1 and inputs[0].shape == tensor.shape:  # an activation, Dropout
        return flattened(inputs[0])
    if isinstance(step, layers.Flatten) and len(inputs[0].shape) == 4 and step.data_format == "channels_last":
        return inputs[0].shape[1:]
    raise BackbonesError(
        f"{_said(step)} leaves features in an order that is not known in PyTorch; known are one Flatten of "
        f"N x H x W x C, global pooling, and layers that keep the shape"
    )


def _is_vector(tensor: Any) -> bool:
    """Whether a map has one axis alone that is longer than 1, and so one order in both frameworks."""
    return len(tensor.shape) > 2 and sum(side != 1 for side in tensor.shape[1:]) <= 1
