"""What every net's spec has in common. Each family adds its paper's table in a `spec.py` of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar, get_type_hints

from backbones.checks import fitting
from backbones.errors import BackbonesError, require_known


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

    Examples:
        >>> from backbones import create_model
        >>> config = create_model("lenet5", "torch", num_classes=26).config
        >>> isinstance(config, Spec), config.input_size, config.num_classes
        (True, 28, 26)
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
