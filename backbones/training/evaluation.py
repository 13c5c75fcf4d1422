"""How good a model is, worked out in NumPy from its logits, so that both frameworks are measured alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from backbones.convert.models import evaluating, framework_of
from backbones.data import Dataset, Split, batches
from backbones.errors import BackbonesError, require_known
from backbones.training.fitting import input_padding, require_dataset

# Measured: 500 images at once take PyTorch up to two thirds longer; 100 are a tenth faster for two nets in Keras alone.
BATCH_SIZE = 200


@dataclass(frozen=True)
class Evaluation:
    """A model's answers on one split.

    Attributes:
        logits: N x classes.
        labels: N, the right answers.

    Examples:
        >>> found = Evaluation(np.array([[2.0, 1.0], [0.0, 3.0]], np.float32), np.array([0, 0]))
        >>> found.accuracy, found.confusion().tolist()
        (0.5, [[1, 1], [0, 0]])
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The class of the largest logit, N."""
        return self.logits.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0..1."""
        return float((self.predictions == self.labels).mean())

    @property
    def losses(self) -> NDArray[np.float64]:
        """Each image's cross-entropy in nats, N."""
        shifted = self.logits.astype(np.float64) - self.logits.max(axis=1, keepdims=True)
        right = np.take_along_axis(shifted, self.labels[:, None], axis=1)[:, 0]
        return np.log(np.exp(shifted).sum(axis=1)) - right

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats."""
        return float(self.losses.mean())

    def confusion(self) -> NDArray[np.int64]:
        """Classes x classes: how often the row's class was called the column's."""
        classes = self.logits.shape[1]
        pairs = self.labels * classes + self.predictions
        return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def evaluate(
    model: Any, dataset: Dataset, split: Literal["train", "validation", "test"] = "validation"
) -> Evaluation:
    """Run a model of either framework over one split, in evaluation mode.

    Args:
        model: A `torch.nn.Module` or a `keras.Model`.
        dataset: From `backbones.data.load`.
        split: `"train"`, `"validation"` or `"test"`. Read the test split once, at the end.

    Returns:
        The logits, N x classes, and the labels, N, of all images of the split, in its order.

    Raises:
        BackbonesError: If the split is unknown, or the model does not fit the data set or gives no logits.

    Examples:
        >>> from backbones import create_model, data
        >>> model = create_model("lenet5", "torch", weights="mnist")
        >>> evaluate(model, data.load("mnist").part(train=1, validation=100)).accuracy > 0.95
        True
    """
    require_known("split", split, ("train", "validation", "test"))
    require_dataset(dataset)
    part: Split = getattr(dataset, split)
    padding = input_padding(model, dataset)
    stream = batches(
        part, batch_size=BATCH_SIZE, seed=0, epoch=0, mean=dataset.mean, std=dataset.std, padding=padding,
        shuffle=False,
    )  # fmt: skip
    torch = framework_of(model) == "torch"
    run = partial(_run_torch, model) if torch else partial(_run_keras, model.predict_on_batch)
    logits = [_logits(run(images), dataset, len(images)) for images, _ in stream]
    return Evaluation(np.concatenate(logits, dtype=np.float32), part.labels)


def require_logits(model: Any, dataset: Dataset, images: NDArray[np.float32]) -> None:
    """Find out before an hour of work whether a model gives logits for a data set, from a batch of its images.

    A Keras model that was not built yet is then.

    Raises:
        BackbonesError: If it does not.
    """
    torch = framework_of(model) == "torch"
    run = partial(_run_torch, model) if torch else partial(_run_keras, partial(model, training=False))
    _logits(run(images), dataset, len(images))


def _run_torch(model: Any, images: NDArray[np.float32]) -> Any:
    import torch

    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    x = x.to(next(model.parameters(), x).dtype)  # Keras does so by itself
    with evaluating(model), torch.inference_mode(), _taking(x):
        outputs = model(x)
    return outputs.float().numpy() if isinstance(outputs, torch.Tensor) else outputs


def _run_keras(run: Callable[[Any], Any], images: NDArray[np.float32]) -> Any:
    with _taking(images):
        return run(images)


@contextmanager
def _taking(images: Any) -> Iterator[None]:
    """Whatever a model's layers raise becomes one line that says what the model was given."""
    try:
        yield
    except Exception as error:
        given = " x ".join(map(str, ("N", *images.shape[1:])))
        raise BackbonesError(f"the model cannot take {given}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The line of a framework's message that says what is wrong: Keras puts it below the layer's name, in bold."""
    lines = re.sub(r"\x1b\[[0-9]*m", "", str(error)).splitlines()
    told = (line for line in lines if line and not line.startswith("Exception encountered"))
    return next(told, type(error).__name__)


def _logits(outputs: Any, dataset: Dataset, images: int) -> Any:
    """What a model gave for so many images, if that is one logit or more per class for each."""
    classes, shape = len(dataset.classes), getattr(outputs, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != images or shape[1] < classes:
        found = f"a {type(outputs).__name__}" if shape is None else " x ".join(map(str, shape))
        raise BackbonesError(
            f"the model must give logits, {images} x {classes} for {images} images and the classes of "
            f"{dataset.name}, not {found}"
        )
    return outputs
