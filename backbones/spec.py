"""What every net's spec has in common. Each family adds its paper's table in a `spec.py` of its own."""

from __future__ import annotations

from dataclasses import dataclass


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
