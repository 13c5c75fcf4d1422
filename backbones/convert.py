"""Weights from PyTorch to Keras and back, and the proof that nothing was lost on the way.

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
from tabulate import tabulate

from backbones.errors import BackbonesError
from backbones.registry import ModelConfig, create_model

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


def config_of(model: Any) -> ModelConfig:
    """What `create_model` built this model from.

    Raises:
        BackbonesError: If it was built otherwise.
    """
    config = getattr(model, "config", None)
    if not isinstance(config, ModelConfig):
        raise BackbonesError(
            "this model was not built by backbones.create_model, so its partner is not known; "
            "build both yourself and use backbones.convert.copy_weights(source, target)"
        )
    return config


def to_tensorflow(model: Any) -> Any:
    """The Keras model with the weights of a PyTorch model that `create_model` built.

    Raises:
        BackbonesError: If the model was built otherwise, or a weight does not fit.
    """
    return _partner(model, "tensorflow")


def to_torch(model: Any) -> Any:
    """The PyTorch model with the weights of a Keras model that `create_model` built.

    Raises:
        BackbonesError: If the model was built otherwise, or a weight does not fit.
    """
    return _partner(model, "torch")


def _partner(model: Any, framework: str) -> Any:
    config = config_of(model)
    partner = create_model(
        config.name, framework, num_classes=config.num_classes, in_channels=config.in_channels, seed=0
    )
    copy_weights(model, partner)
    return partner


def copy_weights(source: Any, target: Any) -> None:
    """Copy all weights from one model to another, of the same or the other framework.

    Args:
        source: A `torch.nn.Module` or a `keras.Model`.
        target: One with the same layer names. Changed in place.

    Raises:
        BackbonesError: If a weight of either has no partner or another shape; `target` is then unchanged.
    """
    load_state(target, state(source))


def state(model: Any) -> State:
    """A model's weights as NumPy arrays (copies), under PyTorch's names and in PyTorch's layout."""
    if framework_of(model) == "torch":
        return {key: value.detach().cpu().numpy().copy() for key, value in _torch_entries(model)}
    return {
        entry.key: np.ascontiguousarray(entry.to_torch(np.asarray(entry.variable)))
        for entry in _keras_entries(model)
    }


def load_state(model: Any, weights: State) -> None:
    """Put weights from `state` into a model.

    Args:
        model: Changed in place.
        weights: Under PyTorch's names and in PyTorch's layout.

    Raises:
        BackbonesError: If one is missing, left over or of another shape; the model is then unchanged.
    """
    wanted = {key: value.shape for key, value in state(model).items()}
    _check(wanted, weights)
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
        if layer.weights or isinstance(layer, keras.layers.InputLayer):
            return None


def activations(model: Any, images: NDArray[Any]) -> State:
    """What every layer that both frameworks share gives for these images, and the logits.

    Args:
        model: A `torch.nn.Module` or a `keras.Model`; run in evaluation mode.
        images: N x H x W x C, normalised.

    Returns:
        Layer name -> N x C x H x W or N x features, in the order of the forward pass.
    """
    if framework_of(model) == "torch":
        return _torch_activations(model, images)
    return _keras_activations(model, images)


def _torch_activations(model: Any, images: NDArray[Any]) -> State:
    import torch

    outputs: State = {}

    def keep(name):
        return lambda module, inputs, output: outputs.__setitem__(name, output.numpy().copy())

    leaves = [(name, m) for name, m in model.named_modules() if not any(m.children())]
    hooks = [module.register_forward_hook(keep(name)) for name, module in leaves]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            # A copy, and then a view: N x C x H x W in the memory order of N x H x W x C.
            logits = model(torch.tensor(images).permute(0, 3, 1, 2))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return {**outputs, "logits": logits.numpy()}


def _keras_activations(model: Any, images: NDArray[Any]) -> State:
    import keras

    shown = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    outputs = keras.Model(model.input, [*(layer.output for layer in shown), model.output])(
        images, training=False
    )
    names = [*(layer.name for layer in shown), "logits"]
    return {name: _channels_first(np.asarray(out)) for name, out in zip(names, outputs, strict=True)}


def _channels_first(x: NDArray[Any]) -> NDArray[Any]:
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 else x


@dataclass(frozen=True)
class Difference:
    """How far two layers' outputs are apart.

    Attributes:
        layer: Name in both frameworks.
        shape: N x C x H x W, or N x features.
        size: The largest absolute value.
        largest: The largest absolute difference.
    """

    layer: str
    shape: tuple[int, ...]
    size: float
    largest: float

    @property
    def relative(self) -> float:
        """The largest difference over the largest value."""
        return self.largest / self.size if self.size else self.largest


@dataclass(frozen=True)
class Comparison:
    """The differences of all layers, in order, the logits last. Printed, it is a table."""

    rows: tuple[Difference, ...]

    @property
    def largest(self) -> float:
        """The largest relative difference of any layer."""
        return max(row.relative for row in self.rows)

    def to_markdown(self) -> str:
        """The comparison as a Markdown table."""
        return self._table("pipe")

    def __str__(self) -> str:
        return self._table("simple")

    def _table(self, style: str) -> str:
        rows = [
            [r.layer, "x".join(map(str, r.shape)), f"{r.size:.4g}", f"{r.largest:.1e}", f"{r.relative:.1e}"]
            for r in self.rows
        ]
        headers = ["layer", "shape", "largest value", "largest difference", "relative"]
        align = ("left", "right", "right", "right", "right")
        return tabulate(rows, headers, tablefmt=style, colalign=align, disable_numparse=True)


def compare(torch_model: Any, keras_model: Any, images: NDArray[Any]) -> Comparison:
    """Run both models on the same images and compare what their layers give, one by one.

    `Flatten` layers are left out: the two frameworks flatten in another order, by design.

    Args:
        torch_model: A `torch.nn.Module`.
        keras_model: A `keras.Model` with the same layer names.
        images: N x H x W x C, normalised.

    Raises:
        BackbonesError: If the models share no layer or a shared layer's shapes differ.
    """
    left, right = activations(torch_model, images), activations(keras_model, images)
    names = [name for name in left if name in right and "flatten" not in name]
    if names == ["logits"]:
        raise BackbonesError("the two models have no layer name in common")
    return Comparison(tuple(_difference(name, left[name], right[name]) for name in names))


def _difference(name: str, left: NDArray[Any], right: NDArray[Any]) -> Difference:
    if left.shape != right.shape:
        raise BackbonesError(f"{name!r} gives {left.shape} in PyTorch and {right.shape} in Keras")
    return Difference(name, left.shape, float(np.abs(left).max()), float(np.abs(left - right).max()))
