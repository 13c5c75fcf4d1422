"""What the fields of a dataclass may hold, by the types that they are declared with."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from backbones.errors import BackbonesError, require_known, shown
from backbones.summary import Side


@dataclass(frozen=True)
class Bounds:
    """What a number may be; never infinite, and never NaN, which compares with nothing.

    Attributes:
        least: At least this.
        above: More than this.
        most: At most this.
        below: Less than this.
    """

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    def hold(self, value: float) -> bool:
        """Whether a number lies within them."""
        return self.least <= value <= self.most and self.above < value < self.below

    def __str__(self) -> str:
        words = {"of at least": self.least, "above": self.above, "at most": self.most, "below": self.below}
        return " and ".join(f"{word} {bound}" for word, bound in words.items() if math.isfinite(bound))


SAID: dict[type, str] = {bool: "True or False", str: "a string"}

# Of any whole number: no count here comes near it, bytes of memory included; of numbers far beyond it the frameworks
# make errors of their own.
LARGEST = 10**12

# Without a word, a whole number starts at 1 and any other is free.
BOUNDS = {int: Bounds(least=1), float: Bounds()}
ZeroOrMore = Annotated[int, Bounds(least=0)]
NotNegative = Annotated[float, Bounds(least=0)]
Positive = Annotated[float, Bounds(above=0)]
Share = Annotated[float, Bounds(least=0, below=1)]
Accuracy = Annotated[float, Bounds(least=0, most=1)]
Seed = Annotated[int, Bounds(least=0, below=2**32)]  # what the generators of both frameworks take


def check_fields(thing: Any) -> None:
    """Hold every field of a frozen dataclass to its type, when it is made.

    Raises:
        BackbonesError: If one does not fit.
    """
    for name, value in _fitting_fields("", thing).items():
        object.__setattr__(thing, name, value)


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
    elif not isinstance(value, kind := origin or wanted):
        article = "an" if kind.__name__[0] in "AEIOU" else "a"
        right = SAID.get(kind, f"{article} {kind.__name__}")
        raise BackbonesError(f"{name} must be {right}, not {shown(value)}")
    return replace(value, **_fitting_fields(f"{name}.", value)) if is_dataclass(type(value)) else value


def _fitting_tuple(name: str, value: Any, *types: Any) -> tuple[Any, ...]:
    length = None if types[-1] is Ellipsis else len(types)
    if not isinstance(value, tuple | list) or length not in (None, len(value)):
        raise BackbonesError(f"{name} must be a tuple{f' of {length}' if length else ''}, not {shown(value)}")
    return tuple(fitting(f"{name}[{i}]", item, types[0]) for i, item in enumerate(value))


def _fitting_fields(prefix: str, thing: Any) -> dict[str, Any]:
    types = get_type_hints(type(thing), include_extras=True)
    return {f.name: fitting(prefix + f.name, getattr(thing, f.name), types[f.name]) for f in fields(thing)}


def _fitting_number(name: str, value: Any, kind: type, bounds: Bounds) -> Any:
    of_kind = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if not of_kind or not bounds.hold(value):
        right = f"a {'whole' if kind is int else 'finite'} number {bounds}".rstrip()
        raise BackbonesError(f"{name} must be {right}, not {shown(value)}")
    if kind is int and value > LARGEST:
        raise BackbonesError(f"{name} must be a whole number of at most {LARGEST:,}, not {shown(value)}")
    return kind(value)
