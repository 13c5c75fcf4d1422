"""How a model is built, in the framework that is asked for."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from backbones.checks import Seed, fitting
from backbones.errors import BackbonesError, require_known
from backbones.registry import find_spec, resolve, summarize_spec
from backbones.spec import Spec
from backbones.summary import Summary

if TYPE_CHECKING:
    from torch import nn

# Framework -> the packages its half of this project imports.
FRAMEWORKS = {"torch": ("torch",), "tensorflow": ("tensorflow", "keras")}


@overload
def create_model(
    name: str, framework: Literal["torch"] = "torch", *, num_classes: int | None = None,
    in_channels: int | None = None, input_size: int | None = None, seed: int | None = None,
    weights: str | Path | None = None, **changes: Any,
) -> nn.Module: ...  # fmt: skip
@overload
def create_model(
    name: str, framework: str, *, num_classes: int | None = None, in_channels: int | None = None,
    input_size: int | None = None, seed: int | None = None, weights: str | Path | None = None, **changes: Any,
) -> Any: ...  # fmt: skip
def create_model(
    name: str,
    framework: str = "torch",
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | None = None,
    seed: int | None = None,
    weights: str | Path | None = None,
    **changes: Any,
) -> Any:
    """Build a model, freshly initialised or with weights from a file.

    Both frameworks draw the same distributions, but from their own generators: the same seed gives the same
    weights in one framework, not across them. `backbones.convert` carries weights across.

    Args:
        name: A name from `list_models()`.
        framework: `"torch"` or `"tensorflow"`.
        num_classes: Logits per image; the paper's number if None.
        in_channels: Channels of the input; the paper's number if None.
        input_size: Side of the square input in pixels; the paper's number if None.
        seed: Fixes the initial weights, without touching the framework's global generator: a whole number from 0
            to below 2 ** 32. None draws anew.
        weights: A file that `load_weights` reads, or the name of a data set: `"mnist"`, `"fashion-mnist"`. Then
            the net gets the weights that were trained on it here, and what is None above fits that data set.
        changes: Other fields of the net's spec, each documented there.

    Returns:
        A `torch.nn.Module` that takes N x C x H x W, or a `keras.Model` that takes N x H x W x C. Both give
        logits, N x num_classes, and carry their spec as `config`.

    Raises:
        BackbonesError: If the model, the framework, an option or the data set is unknown, the framework is not
            installed, a value does not fit the net, this machine's memory does not hold it, or the file does not fit.

    Examples:
        >>> create_model("lenet5", framework="torch", seed=0).conv1
        Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    """
    from backbones.weights import is_dataset, load_weights, options_of, shipped  # which need this module

    asked: dict[str, Any] = {"num_classes": num_classes, "in_channels": in_channels, "input_size": input_size}
    if is_dataset(weights):
        weights = shipped(name, weights)
        asked = options_of(weights) | {key: value for key, value in asked.items() if value is not None}
    spec = resolve(name, **asked, **changes)
    model = build(spec, framework, seed)
    if weights is not None:
        load_weights(model, weights)
    return model


def build(spec: Spec, framework: str, seed: int | None = None) -> Any:
    """Build the model that a spec describes. For `model.config` of another model; else see `create_model`."""
    require_framework(framework)
    seed = None if seed is None else fitting("seed", seed, Seed)
    ledger = summarize_spec(spec)  # says which layer it is that does not fit
    _require_memory(ledger)
    family, _ = find_spec(spec.name)
    module = importlib.import_module(f"backbones.{family}.{framework}")
    if framework == "torch":
        import torch

        from backbones.torch_parts import refuse_what_does_not_fit

        with torch.random.fork_rng(enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            model = module.build(spec)
        refuse_what_does_not_fit(model)
    else:
        import keras

        _require_keras_as_needed()
        model = module.build(spec, keras.random.SeedGenerator(seed))
    model.config = spec
    return model


def _require_keras_as_needed() -> None:
    """Refuse what `~/.keras/keras.json` may ask for, and Keras then fails at, or computes with another framework."""
    import keras

    for setting, is_set, needed in (
        ("backend", keras.config.backend(), "tensorflow"),
        ("image_data_format", keras.config.image_data_format(), "channels_last"),
    ):
        if is_set != needed:
            raise BackbonesError(
                f"Keras has {setting} {is_set!r}; set it to {needed!r} (in ~/.keras/keras.json)"
            )


def _require_memory(ledger: Summary) -> None:
    """Refuse a net that cannot be held: the frameworks do so in words of their own, or are ended by the system."""
    weights = sum(layer.parameters + layer.fixed + layer.statistics for layer in ledger.layers)
    needed, there = 4 * (weights + ledger.input.size) / 1e9, _memory() / 1e9
    if needed > there:
        raise BackbonesError(
            f"{ledger.model} needs {needed:,.1f} GB for its weights and one image in float32; "
            f"this machine has {there:,.1f} GB of memory"
        )


def _memory() -> float:
    """This machine's, in bytes; infinite where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # AttributeError: Windows
        return math.inf


def require_framework(framework: str) -> None:
    """Raise a `BackbonesError` if a framework is unknown or, saying what to install, if its packages are missing."""
    require_known("framework", framework, FRAMEWORKS)
    missing = [package for package in FRAMEWORKS[framework] if importlib.util.find_spec(package) is None]
    if missing:
        raise BackbonesError(
            f"framework {framework!r} needs the package {missing[0]!r}, which is not installed; "
            f'install it with: pip install "backbones[{framework}]"'
        )
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if framework == "tensorflow" and backend != "tensorflow":  # to import Keras may fail then
        raise BackbonesError(f"framework 'tensorflow' cannot run with KERAS_BACKEND={backend}; unset it")
