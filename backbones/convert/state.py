"""Weights from PyTorch to Keras and back.

A model's layers have the same names in both frameworks, so one walk serves every net. PyTorch's names and
layout are the common form: `state(model)` gives any model's weights as NumPy arrays under PyTorch's names,
`load_state(model, state)` puts them in, strictly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.convert.entries import NOT_CARRIED, keras_entries, torch_entries
from backbones.convert.models import HALF, dtype_name, framework_of
from backbones.errors import BackbonesError, shown

State = dict[str, NDArray[Any]]
"""A model's weights: NumPy arrays under PyTorch's names, in PyTorch's layout."""


def state(model: Any) -> State:
    """A model's weights as NumPy arrays (copies), under PyTorch's names and in PyTorch's layout.

    Weights in half precision come as float32, which holds them exactly.

    Args:
        model: A `torch.nn.Module` or a `keras.Model`. A Keras model of your own may have weights in Conv2D, Dense and
            BatchNormalization, and in layers of your own that hold `weight` and `bias` as PyTorch does; a Dense
            layer may follow one Flatten of a map.

    Returns:
        Name -> array of the shape that the weight has in PyTorch: out x in x k x k of a convolution.

    Raises:
        BackbonesError: If it is no model, or one whose weights have no known layout in PyTorch; the message names
            the layer.

    Examples:
        >>> from backbones import create_model
        >>> state(create_model("lenet5", "tensorflow", seed=0))["conv2.weight"].shape
        (16, 6, 5, 5)
    """
    if framework_of(model) == "torch":
        return {key: _array(key, value).copy() for key, value in torch_entries(model)}
    return {
        entry.key: np.ascontiguousarray(entry.to_torch(_array(entry.key, entry.variable)))
        for entry in keras_entries(model)
    }


def outline(model: Any) -> State:
    """The names, shapes and types of what `state` gives, as zeros that take no memory, whatever their shape."""
    if framework_of(model) == "torch":
        return {
            key: np.broadcast_to(_array(key, value.new_zeros(())), tuple(value.shape))
            for key, value in torch_entries(model)
        }
    return {
        entry.key: entry.to_torch(
            np.broadcast_to(_array(entry.key, np.zeros((), entry.variable.dtype)), entry.variable.shape)
        )
        for entry in keras_entries(model)
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
        raise BackbonesError(f"weights go by names such as 'fc.weight', not by {shown(strange[0])}")
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
        raise BackbonesError(f"{shown(key)} is no plain tensor or array of numbers: {reason}") from error
    # Bytes in this machine's order, in which PyTorch wants them.
    dtype = np.dtype(np.float32) if array.dtype.name in HALF else array.dtype.newbyteorder("=")
    return array.astype(dtype, copy=False)


def load_state(model: Any, weights: Mapping[str, Any]) -> None:
    """Put weights from `state` into a model.

    Args:
        model: Changed in place; it keeps its own precision.
        weights: Under PyTorch's names and in PyTorch's layout: arrays, or tensors of PyTorch.

    Raises:
        BackbonesError: If one is of another shape or another kind of number, too large for the model's precision,
            missing or left over, or the model is one that `state` refuses; it is then unchanged.

    Examples:
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
            for key, value in torch_entries(model):
                value.copy_(torch.from_numpy(np.array(weights[key])))
    else:
        for entry in keras_entries(model):
            entry.variable.assign(entry.from_torch(weights[entry.key]))


def _check(model: Any, given: State) -> None:
    """Say what does not fit. Shapes come first: they tell more about a net's variant than what it lacks."""
    wanted = outline(model)
    for key in (key for key in wanted if key in given):
        if given[key].shape != wanted[key].shape:
            raise BackbonesError(
                f"{shown(key)} has shape {given[key].shape}, the model wants {wanted[key].shape}"
            )
        if given[key].dtype.kind != wanted[key].dtype.kind:
            raise BackbonesError(
                f"{shown(key)} holds {given[key].dtype}, the model wants {wanted[key].dtype}"
            )
        if not (held := _held(given[key], wanted[key].dtype)).all():
            raise BackbonesError(
                f"{shown(key)} holds {given[key][~held][0]}, too large for the model's {wanted[key].dtype}"
            )
    if missing := [key for key in wanted if key not in given]:
        raise BackbonesError(
            f"the weights lack {shown(missing[0])} of shape {wanted[missing[0]].shape}, which the model has "
            f"({len(missing)} lacking){_hint(model, missing)}"
        )
    if extra := [key for key in given if key not in wanted]:
        raise BackbonesError(
            f"the model has no {shown(extra[0])} of shape {given[extra[0]].shape}, which the weights hold "
            f"({len(extra)} too many)"
        )


def _held(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[np.bool_]:
    """Which values do not become infinite in a type."""
    if dtype.itemsize >= values.dtype.itemsize:
        return np.ones((), bool)
    with np.errstate(over="ignore"):
        return np.isfinite(values.astype(dtype)) | ~np.isfinite(values)


def _hint(model: Any, missing: list[str]) -> str:
    """Auxiliary heads exist for training alone, so weights often come without them."""
    heads = getattr(getattr(model, "config", None), "auxiliary", False)
    if heads and all(key.startswith("aux") for key in missing):
        return "; all of them are of auxiliary heads, without which auxiliary=False builds the net"
    return ""
