"""What a training run went through, epoch by epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from backbones.checks import NotNegative, check_fields

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Epoch:
    """One pass over the training images.

    Attributes:
        epoch: Its number, from 1.
        learning_rate: The rate of its last step.
        train_loss: Mean loss of its steps in nats, on augmented images, while the weights changed: the cross-entropy,
            with the recipe's label smoothing, and with auxiliary heads where the net has them.
        train_accuracy: Share of right answers, likewise.
        validation_loss: Mean cross-entropy in nats on the validation images, after it.
        validation_accuracy: Share of right answers, likewise.
        seconds: How long its training steps took.

    Raises:
        BackbonesError: If a value is not of its type, or the seconds are below 0.

    Examples:
        >>> Epoch(1, 0.1, 2.0, 0.3, 1.5, 0.5, 12.0).validation_accuracy
        0.5
    """

    epoch: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: NotNegative

    def __post_init__(self) -> None:
        check_fields(self)

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch:3}  train loss {self.train_loss:.4f} accuracy {self.train_accuracy:.2%}  "
            f"validation loss {self.validation_loss:.4f} accuracy {self.validation_accuracy:.2%}  "
            f"{self.seconds:.1f} s"
        )


@dataclass
class History:
    """The epochs of one run, in order.

    Attributes:
        epochs: Those that are done, the first first.

    Examples:
        >>> History([Epoch(1, 0.1, 2.0, 0.3, 1.5, 0.5, 12.0), Epoch(2, 0.0, 1.0, 0.6, 1.2, 0.6, 11.0)]).seconds
        23.0
    """

    epochs: list[Epoch] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long all training steps took."""
        return sum(epoch.seconds for epoch in self.epochs)

    def to_json(self) -> list[dict[str, Any]]:
        """The epochs as plain values."""
        return [asdict(epoch) for epoch in self.epochs]

    @classmethod
    def from_json(cls, epochs: list[dict[str, Any]]) -> History:
        """The way back from `to_json`."""
        return cls([Epoch(**epoch) for epoch in epochs])

    def plot(self) -> Figure:
        """Loss and accuracy over the epochs, on training and validation images."""
        from backbones import figures

        return figures.curves({"this run": [self]})
