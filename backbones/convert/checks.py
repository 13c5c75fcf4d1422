"""What a function is given, held against what it takes, before a framework stumbles over it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from backbones.convert.models import PRECISIONS, dtype_name, precision_of
from backbones.errors import BackbonesError, require_known, shown
from backbones.spec import Spec


def check_images(model: Any, images: Any, *kinds: type[Any], channels_first: bool = False) -> None:
    """Raise a `BackbonesError` if a model cannot take images, saying which it takes.

    It takes the same in both frameworks: at least one image, of the size and channels that it was built for, in
    the precision of its weights. Of a model of the reader's own, what it says of itself is checked.

    Args:
        model: Of either framework.
        images: What was given.
        kinds: The types of array or tensor that will do.
        channels_first: Whether the images are N x C x H x W, not N x H x W x C.
    """
    height, width, channels = _takes(model)
    sides = (channels, height, width) if channels_first else (height, width, channels)
    precision = precision_of(model)
    precisions = (precision,) if precision else PRECISIONS
    if not isinstance(images, kinds):
        given = _said(type(images))
    elif not _fits(images.shape, sides) or dtype_name(images) not in precisions:
        given = f"{tuple(images.shape)} in {dtype_name(images)}"
    else:
        return
    axes = zip((None, *sides), "NCHW" if channels_first else "NHWC", strict=True)
    raise BackbonesError(
        f"expected images as {' or '.join(map(_said, kinds))} of {' x '.join(str(n or axis) for n, axis in axes)} "
        f"(N at least 1) in {' or '.join(precisions)}, not {given}"
    )


def _said(kind: type[Any]) -> str:
    """A type with the package that it is of, unless it is Python's own."""
    package = kind.__module__.partition(".")[0]
    return kind.__name__ if package == "builtins" else f"{package}.{kind.__name__}"


def _takes(model: Any) -> tuple[int | None, ...]:
    """Height, width and channels of a model's images; None where it does not say."""
    config = getattr(model, "config", None)
    if isinstance(config, Spec):
        return config.input_size, config.input_size, config.in_channels
    shape = getattr(model, "input_shape", None)  # a keras.Model has one
    return shape[1:] if isinstance(shape, tuple) and len(shape) == 4 else (None, None, None)


def _fits(shape: Sequence[int | None], sides: tuple[int | None, ...]) -> bool:
    """Whether a batch has these sides. Its number of images is None in a Keras model that does not run yet."""
    return (
        len(shape) == 4
        and shape[0] != 0
        and all(side in (None, given) for side, given in zip(sides, shape[1:], strict=True))
    )


def check_names(kind: str, names: Any, known: Iterable[str]) -> list[str]:
    """The names as a list, if there are any and all of them are known.

    Raises:
        BackbonesError: If not. A string is no list: it would be one of letters.
    """
    known = list(known)
    try:
        wanted = [] if isinstance(names, str) else list(names)
    except TypeError:  # nothing that has items
        wanted = []
    if not wanted:
        raise BackbonesError(f"expected a list of names, such as [{known[0]!r}], not {shown(names)}")
    for name in wanted:
        require_known(kind, name, known)
    return wanted
