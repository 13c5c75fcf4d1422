"""The one error that this package raises for bad input."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable

LONGEST = 160  # characters of a value in a message

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = LONGEST // 2  # of one item, where a value has several


class BackbonesError(ValueError):
    """Something a caller can put right. Its message is one line: what was wrong, and what would be right.

    Examples:
        >>> import backbones
        >>> backbones.summary("lenet6")
        Traceback (most recent call last):
        ...
        backbones.errors.BackbonesError: unknown model 'lenet6'; did you mean 'lenet5'? known: ...
    """

    def __init__(self, message: object) -> None:
        # A path in it, or the words of another library, may have several lines.
        super().__init__(_one_line(message))


def shown(value: object) -> str:
    """A value as a message shows it: its `repr`, on one line and short.

    Examples:
        >>> shown("lenet6"), shown("a" * 1000)
        ("'lenet6'", "'aaa...aaa'")
    """
    text = _one_line(_REPR.repr(value))
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}...{text[-half:]}"


def _one_line(text: object) -> str:
    return " ".join(line.strip() for line in str(text).splitlines())


def require_known(kind: str, given: object, known: Iterable[str]) -> None:
    """Raise a `BackbonesError`, with the nearest name that is known, if a name is not."""
    names = list(known)
    if not isinstance(given, str) or given not in names:  # an array compares with each name, item by item
        raise BackbonesError(unknown(kind, given, names))


def unknown(kind: str, given: object, known: Iterable[str]) -> str:
    """The message for a name that is not known, with the nearest one that is."""
    return f"unknown {kind} {shown(given)}; {choice(given, known)}"


def choice(given: object, known: Iterable[str]) -> str:
    """What there is instead of a name that is not known, the nearest first."""
    names = {name.lower(): name for name in known}
    asked = given if isinstance(given, str) else shown(given)
    near = difflib.get_close_matches(asked.lower(), names, n=1)
    hint = f"did you mean {names[near[0]]!r}? " if near else ""
    return f"{hint}known: {', '.join(names.values())}"
