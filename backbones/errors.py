"""The one error that this package raises for bad input."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BackbonesError(ValueError):
    """Something a caller can put right. Its message is one line: what was wrong, and what would be right.

    >>> import backbones
    >>> backbones.summary("lenet6")
    Traceback (most recent call last):
    ...
    backbones.errors.BackbonesError: unknown model 'lenet6'; did you mean 'lenet5'? known: ...
    """


def require_known(kind: str, given: object, known: Iterable[str]) -> None:
    """Raise a `BackbonesError`, with the nearest name that is known, if a name is not."""
    names = list(known)
    if given not in names:
        raise BackbonesError(unknown(kind, given, names))


def unknown(kind: str, given: object, known: Iterable[str]) -> str:
    """The message for a name that is not known, with the nearest one that is."""
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(str(given).lower(), names, n=1, cutoff=0.5)
    hint = f"did you mean {names[near[0]]!r}? " if near else ""
    return f"unknown {kind} {given!r}; {hint}known: {', '.join(names.values())}"
