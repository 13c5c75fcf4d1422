"""What the fields of a dataclass must hold, with one form of message for all of them."""

from __future__ import annotations

from collections.abc import Callable
from reprlib import repr as shortened
from typing import Any, get_origin, get_type_hints

import numpy as np

from backbones.errors import BackbonesError

SAID = {int: "a whole number", float: "a number", bool: "True or False"}


def require_types(thing: object) -> None:
    """Raise a `BackbonesError` if a field is not of the type that it is declared with.

    NumPy's numbers become Python's, which JSON takes. An int will do for a float, but a bool for neither.
    """
    for name, declared in get_type_hints(type(thing)).items():
        kind, value = get_origin(declared) or declared, getattr(thing, name)
        if isinstance(value, np.generic):
            value = value.item()
            object.__setattr__(thing, name, value)
        fits = isinstance(value, (int, float) if kind is float else kind)
        if not fits or (isinstance(value, bool) and kind is not bool):
            right = SAID.get(kind, f"of type {kind.__name__}")
            raise BackbonesError(f"{name} must be {right}, not {shortened(value)}")


def require(thing: object, names: tuple[str, ...], fits: Callable[[Any], bool], what: str) -> None:
    """Raise a `BackbonesError` if one of these fields does not fit; its message says what would."""
    for name in names:
        value = getattr(thing, name)
        if not fits(value):
            raise BackbonesError(f"{name} must be {what}, not {value!r}")
