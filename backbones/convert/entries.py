"""A model's weights one by one, under PyTorch's names, with the ways between the two layouts.

The transposes are here and nowhere else:

- a convolution's kernel is out x in x k x k in PyTorch, k x k x in x out in Keras;
- a dense kernel is out x in in PyTorch, in x out in Keras; after a Flatten its inputs are also in
  another order, since PyTorch flattens C x H x W and Keras H x W x C;
- everything else keeps its shape, and BatchNorm's weights keep their meaning under other names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

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
    """All weights of a Keras model."""
    for layer in model.layers:
        for variable in layer.weights:
            key = f"{layer.name}.{TORCH_NAMES.get(variable.name, variable.name)}"
            yield Entry(key, variable, *_layouts(layer, variable))


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
