"""What every net's spec has in common. Each family adds its paper's table in a `spec.py` of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from backbones.errors import BackbonesError, require_known
from backbones.summary import Side


@dataclass(frozen=True)
class Bounds:
    """What a number may be.

    Attributes:
        least: At least this.
        below: Less than this.
    """

    least: float
    below: float = math.inf


# What a field's number may be. Without a word, a whole number starts at 1 and any other is free.
BOUNDS = {int: Bounds(1), float: Bounds(-math.inf)}
ZeroOrMore = Annotated[int, Bounds(0)]
NotNegative = Annotated[float, Bounds(0)]
Share = Annotated[float, Bounds(0, 1)]
Seed = Annotated[int, Bounds(0, 2**32)]  # what the generators of both frameworks take


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a net is built from. `create_model` leaves it on the model as `model.config`.

    Attributes:
        name: A name from `list_models()`.
        input_size: Side of the square input in pixels.
        num_classes: Logits per image.
        in_channels: Channels of the input.
        published_parameters: The count of trainable parameters that the paper, or the literature, gives for
            this form, where there is one; the spec says which.
    """

    name: str
    input_size: int = 224
    num_classes: int = 1000
    in_channels: int = 3
    published_parameters: int | None = None


AnySpec = TypeVar("AnySpec", bound=Spec)


def changed(spec: AnySpec, changes: Mapping[str, Any]) -> AnySpec:
    """The spec with some fields changed; None leaves a field as it is.

    Raises:
        BackbonesError: If there is no such field, or a value does not fit its type.
    """
    types = get_type_hints(type(spec), include_extras=True)
    # What a net is cannot be changed; what it is made of can.
    known = [field for field in types if field not in ("name", "published_parameters")]
    for field in changes:
        require_known(f"option of {spec.name}", field, known)
    new = {f: fitting(f, value, types[f]) for f, value in changes.items() if value is not None}
    return replace(spec, **new)


def fitting(name: str, value: Any, wanted: Any) -> Any:
    """The value as a field of type `wanted` holds it: a list becomes a tuple, NumPy's numbers become Python's.

    Raises:
        BackbonesError: If it does not fit; the message calls it `name`.
    """
    if wanted == Side:
        wanted = tuple[int, int] if isinstance(value, tuple | list) else int
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is tuple:
        return _fitting_tuple(name, value, *arguments)
    if origin is Annotated:
        return _fitting_number(name, value, *arguments)
    if wanted in BOUNDS:
        return _fitting_number(name, value, wanted, BOUNDS[wanted])
    if origin is Literal:
        require_known(name, value, arguments)
    elif not isinstance(value, wanted):
        right = "True or False" if wanted is bool else f"a {wanted.__name__}"
        raise BackbonesError(f"{name} must be {right}, not {value!r}")
    return _fitting_fields(name, value) if is_dataclass(value) else value


def _fitting_tuple(name: str, value: Any, *types: Any) -> tuple[Any, ...]:
    length = None if types[-1] is Ellipsis else len(types)
    if not isinstance(value, tuple | list) or length not in (None, len(value)):
        raise BackbonesError(f"{name} must be a tuple{f' of {length}' if length else ''}, not {value!r}")
    return tuple(fitting(f"{name}[{i}]", item, types[0]) for i, item in enumerate(value))


def _fitting_fields(name: str, value: Any) -> Any:
    types = get_type_hints(type(value), include_extras=True)
    parts = {
        f.name: fitting(f"{name}.{f.name}", getattr(value, f.name), types[f.name]) for f in fields(value)
    }
    return replace(value, **parts)


def _fitting_number(name: str, value: Any, kind: type, bounds: Bounds) -> Any:
    sort = Integral if kind is int else Real
    fits = isinstance(value, sort) and not isinstance(value, bool)
    if not fits or not bounds.least <= value < bounds.below or value == -math.inf:
        right = "a whole number" if kind is int else "a finite number"
        right += f" of at least {bounds.least}" if bounds.least > -math.inf else ""
        right += f" and below {bounds.below}" if bounds.below < math.inf else ""
        raise BackbonesError(f"{name} must be {right}, not {value!r}")
    return kind(value)


def stages(blocks: tuple[int, ...], channels: tuple[int, ...]) -> list[tuple[int, int]]:
    """How many blocks each stage has, and how many maps.

    Raises:
        BackbonesError: If there is no stage, or not one number of each kind for all.
    """
    if not blocks or len(blocks) != len(channels):
        raise BackbonesError(
            f"blocks and channels must have one number each per stage, not {blocks} and {channels}"
        )
    return list(zip(blocks, channels, strict=True))
