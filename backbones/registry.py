"""Which models there are, and how one is built."""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
from bisect import bisect_left
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, overload

from backbones.alexnet import spec as alexnet
from backbones.checks import Seed, fitting
from backbones.errors import BackbonesError, require_known
from backbones.inception import spec as inception
from backbones.ledger import TooSmallError, summarize
from backbones.lenet import spec as lenet
from backbones.resnet import spec as resnet
from backbones.spec import Spec, changed
from backbones.summary import FeatureMap, Summary
from backbones.vgg import spec as vgg

if TYPE_CHECKING:
    from torch import nn

# A family is a folder: its spec module holds VARIANTS (public name -> spec) and `describe`.
FAMILIES: dict[str, ModuleType] = {
    "lenet": lenet,
    "alexnet": alexnet,
    "vgg": vgg,
    "inception": inception,
    "resnet": resnet,
}

# Framework -> the packages its half of this project imports.
FRAMEWORKS = {"torch": ("torch",), "tensorflow": ("tensorflow", "keras")}


def list_models(family: str | None = None) -> list[str]:
    """Names of all models, or of one family's.

    Args:
        family: `"lenet"`, `"alexnet"`, `"vgg"`, `"inception"`, `"resnet"`, or None for all.

    Raises:
        BackbonesError: If there is no such family.

    Examples:
        >>> list_models("alexnet")
        ['alexnet', 'alexnet_owt', 'alexnet_mini']
    """
    if family is not None:
        require_known("family", family, FAMILIES)
    families = FAMILIES.values() if family is None else [FAMILIES[family]]
    return [name for spec in families for name in spec.VARIANTS]


def find_spec(name: str) -> tuple[str, Any]:
    """The family and the spec of a model's name.

    Raises:
        BackbonesError: If there is no such model; the message names the nearest.
    """
    require_known("model", name, list_models())
    family = next(family for family, module in FAMILIES.items() if name in module.VARIANTS)
    return family, FAMILIES[family].VARIANTS[name]


def resolve(name: str, **changes: Any) -> Spec:
    """A model's spec with some fields changed; None leaves a field as it is.

    Raises:
        BackbonesError: If there is no such model or field, or a value does not fit.
    """
    _, spec = find_spec(name)
    return changed(spec, changes)


def changes_of(spec: Spec) -> dict[str, Any]:
    """The fields in which a spec is not the one that its name stands for."""
    _, original = find_spec(spec.name)
    pairs = {f.name: (getattr(spec, f.name), getattr(original, f.name)) for f in fields(spec)}
    return {field: now for field, (now, before) in pairs.items() if now != before}


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

        with torch.random.fork_rng(enabled=seed is not None):
            if seed is not None:
                torch.manual_seed(seed)
            model = module.build(spec)
    else:
        import keras

        model = module.build(spec, keras.random.SeedGenerator(seed))
    model.config = spec
    return model


def summary(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    input_size: int | None = None,
    **changes: Any,
) -> Summary:
    """The layer ledger of a model: shapes, parameters, multiply-adds, receptive fields, with the arithmetic.

    Needs neither framework and holds no weights.

    Args:
        name: A name from `list_models()`.
        num_classes: As for `create_model`.
        in_channels: As for `create_model`.
        input_size: As for `create_model`.
        changes: As for `create_model`.

    Raises:
        BackbonesError: As for `create_model`.

    Examples:
        >>> ledger = summary("lenet5")
        >>> ledger["conv1"].output.shape
        (6, 28, 28)
        >>> ledger["conv1"].arithmetic
        '6 x 1 x 5 x 5 + 6 = 156; 6 x 1 x 5 x 5 x 28 x 28 = 117,600'
    """
    return summarize_spec(
        resolve(name, num_classes=num_classes, in_channels=in_channels, input_size=input_size, **changes)
    )


def summarize_spec(spec: Spec) -> Summary:
    """The layer ledger of the model that a spec describes.

    Raises:
        BackbonesError: If a layer does not fit. Where a larger input mends it, the message says which.
    """
    try:
        return _summarize(spec)
    except TooSmallError as error:
        sides = {_smallest_input(spec): ""}
        if hasattr(spec, "auxiliary"):
            sides.setdefault(_smallest_input(changed(spec, {"auxiliary": False})), " with auxiliary=False")
        mends = ", or ".join(f"{side}{how}" for side, how in sides.items() if side is not None)
        hint = f"; input_size must be at least {mends}" if mends else ""
        raise BackbonesError(f"{error}{hint}") from None


def _summarize(spec: Spec) -> Summary:
    family, _ = find_spec(spec.name)
    start = FeatureMap(spec.in_channels, spec.input_size, spec.input_size)
    return summarize(spec.name, lambda net, x: FAMILIES[family].describe(spec, net, x), start)


def _smallest_input(spec: Spec) -> int | None:
    """The first side for which all windows fit: a larger input makes no map smaller. None below a million."""

    def fits(side: int) -> bool:
        try:
            _summarize(replace(spec, input_size=side))
        except TooSmallError:
            return False
        return True

    sides = range(10**6)
    least = bisect_left(sides, True, lo=1, key=fits)
    return least if least < len(sides) else None


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
