"""Which models there are, and how one is built."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, overload

from backbones.errors import BackbonesError
from backbones.lenet import spec as lenet
from backbones.summary import FeatureMap, Summary, summarize

if TYPE_CHECKING:
    from torch import nn

# A family is a folder: its spec module holds VARIANTS (public name -> spec) and `describe`.
FAMILIES: dict[str, ModuleType] = {"lenet": lenet}

# Framework -> the packages its half of this project imports.
FRAMEWORKS = {"torch": ("torch",), "tensorflow": ("tensorflow", "keras")}


@dataclass(frozen=True)
class ModelConfig:
    """What a model was built from. `create_model` leaves it on the model as `model.config`.

    Attributes:
        name: A name from `list_models()`.
        num_classes: Logits per image.
        in_channels: Channels of the input.
        input_size: Side of the square input in pixels.
    """

    name: str
    num_classes: int
    in_channels: int
    input_size: int


def list_models(family: str | None = None) -> list[str]:
    """Names of all models, or of one family's.

    Args:
        family: `"lenet"`, or None for all.

    Raises:
        BackbonesError: If there is no such family.

    >>> list_models()
    ['lenet5', 'lenet5_1998']
    """
    if family is not None and family not in FAMILIES:
        raise BackbonesError(unknown("family", family, FAMILIES))
    families = FAMILIES.values() if family is None else [FAMILIES[family]]
    return [name for spec in families for name in spec.VARIANTS]


def find_spec(name: str) -> tuple[str, Any]:
    """The family and the spec of a model's name.

    Raises:
        BackbonesError: If there is no such model; the message names the nearest.
    """
    for family, module in FAMILIES.items():
        if name in module.VARIANTS:
            return family, module.VARIANTS[name]
    raise BackbonesError(unknown("model", name, list_models()))


def resolve(name: str, num_classes: int | None = None, in_channels: int | None = None) -> ModelConfig:
    """Fill in the spec's own defaults and check the numbers."""
    _, spec = find_spec(name)
    config = ModelConfig(
        name,
        spec.num_classes if num_classes is None else num_classes,
        spec.in_channels if in_channels is None else in_channels,
        spec.input_size,
    )
    for field in ("num_classes", "in_channels"):
        value = getattr(config, field)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BackbonesError(f"{field} must be a whole number of at least 1, not {value!r}")
    return config


@overload
def create_model(
    name: str, framework: Literal["torch"] = "torch", *, num_classes: int | None = None,
    in_channels: int | None = None, seed: int | None = None,
) -> nn.Module: ...  # fmt: skip
@overload
def create_model(
    name: str, framework: str, *, num_classes: int | None = None,
    in_channels: int | None = None, seed: int | None = None,
) -> Any: ...  # fmt: skip
def create_model(
    name: str,
    framework: str = "torch",
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    seed: int | None = None,
) -> Any:
    """Build a freshly initialised model.

    Both frameworks draw the same distributions, but from their own generators: the same seed gives the same
    weights in one framework, not across them. `backbones.convert` carries weights across.

    Args:
        name: A name from `list_models()`.
        framework: `"torch"` or `"tensorflow"`.
        num_classes: Logits per image; the paper's number if None.
        in_channels: Channels of the input; the paper's number if None.
        seed: Fixes the initial weights, without touching the framework's global generator. None draws anew.

    Returns:
        A `torch.nn.Module` that takes N x C x H x W, or a `keras.Model` that takes N x H x W x C. Both give
        logits, N x num_classes, and carry their `ModelConfig` as `config`.

    Raises:
        BackbonesError: If the model or the framework is unknown, the framework is not installed, or a number
            does not fit the net.

    >>> create_model("lenet5", framework="torch", seed=0).conv1
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    """
    if framework not in FRAMEWORKS:
        raise BackbonesError(unknown("framework", framework, FRAMEWORKS))
    family, spec = find_spec(name)
    config = resolve(name, num_classes, in_channels)
    require_framework(framework)
    module = importlib.import_module(f"backbones.{family}.{framework}")
    build = partial(module.build, spec, config.num_classes, config.in_channels)
    model = _build_torch(build, seed) if framework == "torch" else _build_tensorflow(build, seed)
    model.config = config
    return model


def _build_torch(build: Any, seed: int | None) -> Any:
    import torch

    if seed is None:
        return build()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


def _build_tensorflow(build: Any, seed: int | None) -> Any:
    import keras

    return build(keras.random.SeedGenerator(seed))


def summary(name: str, *, num_classes: int | None = None, in_channels: int | None = None) -> Summary:
    """The layer ledger of a model: shapes, parameters, multiply-adds, receptive fields, with the arithmetic.

    Needs neither framework and holds no weights.

    Args:
        name: A name from `list_models()`.
        num_classes: As for `create_model`.
        in_channels: As for `create_model`.

    Raises:
        BackbonesError: As for `create_model`.

    >>> ledger = summary("lenet5")
    >>> ledger["conv1"].output.shape
    (6, 28, 28)
    >>> ledger["conv1"].arithmetic
    '6 x 1 x 5 x 5 + 6 = 156; 6 x 1 x 5 x 5 x 28 x 28 = 117,600'
    """
    family, spec = find_spec(name)
    config = resolve(name, num_classes, in_channels)
    start = FeatureMap(config.in_channels, config.input_size, config.input_size)

    def describe(ledger, x):
        return FAMILIES[family].describe(spec, ledger, x, config.num_classes)

    return summarize(name, describe, start)


def require_framework(framework: str) -> None:
    """Raise a `BackbonesError` that says what to install if a framework's packages are missing."""
    missing = [package for package in FRAMEWORKS[framework] if importlib.util.find_spec(package) is None]
    if missing:
        raise BackbonesError(
            f"framework {framework!r} needs the package {missing[0]!r}, which is not installed; "
            f'install it with: pip install "backbones[{framework}]"'
        )


def unknown(kind: str, given: object, known: Iterable[str]) -> str:
    """The message for a name that is not known, with the nearest one that is."""
    names = list(known)
    near = difflib.get_close_matches(str(given), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {given!r}; {hint}known: {', '.join(names)}"
