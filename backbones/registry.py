"""Which models there are, and what each is made of."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

from backbones.alexnet import spec as alexnet
from backbones.errors import BackbonesError, require_known
from backbones.inception import spec as inception
from backbones.ledger import TooSmallError, summarize
from backbones.lenet import spec as lenet
from backbones.resnet import spec as resnet
from backbones.spec import Spec, changed
from backbones.summary import FeatureMap, Summary
from backbones.vgg import spec as vgg

# A family is a folder: its spec module holds VARIANTS (public name -> spec) and `describe`.
FAMILIES: dict[str, ModuleType] = {
    "lenet": lenet,
    "alexnet": alexnet,
    "vgg": vgg,
    "inception": inception,
    "resnet": resnet,
}


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
