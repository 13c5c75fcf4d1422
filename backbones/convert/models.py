"""What a model is: of which framework, of which net, in which precision."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from typing import Any

from backbones.building import build
from backbones.errors import BackbonesError, shown
from backbones.spec import Spec

# What nets are compared in. Weights in half precision become float32, which holds them exactly.
PRECISIONS = ("float32", "float64")
HALF = ("float16", "bfloat16")


def framework_of(model: Any) -> str:
    """`"torch"` or `"tensorflow"`, without importing either.

    Raises:
        BackbonesError: If the object is a model of neither.

    Examples:
        >>> from backbones import create_model
        >>> framework_of(create_model("lenet5", "tensorflow"))
        'tensorflow'
    """
    torch, keras = sys.modules.get("torch"), sys.modules.get("keras")
    if torch and isinstance(model, torch.nn.Module):
        return "torch"
    if keras and isinstance(model, keras.Model):
        return "tensorflow"
    raise BackbonesError(f"expected a torch.nn.Module or a keras.Model, not {type(model).__name__}")


@contextlib.contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """A PyTorch model in evaluation mode; afterwards each of its modules is in its own again, frozen ones too."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def config_of(model: Any) -> Spec:
    """What `create_model` built this model from.

    Raises:
        BackbonesError: If it was built otherwise, or is no model.

    Examples:
        >>> from backbones import create_model
        >>> config_of(create_model("lenet5", "torch", num_classes=26)).num_classes
        26
    """
    framework_of(model)
    config = getattr(model, "config", None)
    if not isinstance(config, Spec):
        raise BackbonesError(
            "this model was not built by backbones.create_model, so it is not known which net it is; between "
            "models of your own, backbones.convert.copy_weights(source, target) carries weights"
        )
    return config


def require_own_layers(model: Any) -> None:
    """Refuse a net of ours with a layer that is not the one its config builds: changed, or put in another's place.

    Layers are told apart by how PyTorch prints them, stride and padding included, but for what only training goes
    by. Keras fixes the layers of a net when it is built.

    Raises:
        BackbonesError: With the layer's name and what it is in either.
    """
    config = config_of(model)
    if framework_of(model) == "tensorflow":
        return
    import torch

    with torch.device("meta"):  # the layers alone, without their weights
        built = build(config, "torch", seed=0)
    found, wanted = (
        {name: _printed(layer) for name, layer in net.named_modules() if name} for net in (model, built)
    )
    for name in {**wanted, **found}:
        here, there = found.get(name, "nothing"), wanted.get(name, "nothing")
        if here != there:
            raise BackbonesError(
                f"{shown(name)} is {here} here, but {there} in {config.name} as create_model builds it from "
                "model.config, which may give other logits; backbones.convert.state(model) has the weights alone"
            )


def _printed(layer: Any) -> str:
    """A layer as PyTorch prints it; of a block of layers its kind, since they have names of their own."""
    if next(layer.children(), None) is not None:
        return type(layer).__name__
    return re.sub(r"(, )?\b(p|momentum|inplace)=[^,)]*", "", repr(layer))


def precision_of(model: Any) -> str | None:
    """What a model's weights are: `"float32"` or `"float64"`. None if it has none.

    Raises:
        BackbonesError: If they are of another type, or of several.
    """
    values = model.state_dict().values() if framework_of(model) == "torch" else model.weights
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
