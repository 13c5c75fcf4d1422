"""The same net in the other framework."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from backbones.building import build, require_framework
from backbones.convert.models import config_of, precision_of, require_own_layers
from backbones.convert.state import load_state, state


def to_tensorflow(model: Any) -> Any:
    """The Keras model with the weights of a PyTorch model that `create_model` built, in the same precision.

    Args:
        model: It takes N x C x H x W, and stays as it is.

    Returns:
        A new `keras.Model` that takes N x H x W x C. Both give logits, N x num_classes.

    Raises:
        BackbonesError: If the model was built otherwise or a layer of it was replaced by another, its weights are
            neither float32 nor float64, one does not fit, or TensorFlow is not installed.

    Examples:
        >>> from backbones import create_model
        >>> to_tensorflow(create_model("lenet5", "torch", seed=0)).name
        'lenet5'
    """
    return _partner(model, "tensorflow")


def to_torch(model: Any) -> Any:
    """The PyTorch model with the weights of a Keras model that `create_model` built, in the same precision.

    Args:
        model: It takes N x H x W x C, and stays as it is.

    Returns:
        A new `torch.nn.Module` that takes N x C x H x W. Both give logits, N x num_classes.

    Raises:
        BackbonesError: If the model was built otherwise, its weights are neither float32 nor float64, one does not
            fit, or PyTorch is not installed.

    Examples:
        >>> from backbones import create_model
        >>> to_torch(create_model("lenet5", "tensorflow", seed=0)).fc3
        Linear(in_features=84, out_features=10, bias=True)
    """
    return _partner(model, "torch")


def _partner(model: Any, framework: str) -> Any:
    spec, precision = config_of(model), precision_of(model)
    require_own_layers(model)
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
        BackbonesError: If a weight of either has no partner or another shape, or one of them is a model that
            `state` refuses; `target` is then unchanged.

    Examples:
        >>> from backbones import create_model
        >>> left, right = (create_model("lenet5", framework, seed=0) for framework in ("torch", "tensorflow"))
        >>> copy_weights(left, right)
        >>> all((state(left)[key] == state(right)[key]).all() for key in state(left))
        True
    """
    load_state(target, state(source))
