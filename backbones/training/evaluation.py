"""How good a model is, worked out in NumPy from its logits, so that both frameworks are measured alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backbones.convert.models import evaluating, framework_of
from backbones.data import Dataset, Split, batches
from backbones.errors import require_known
from backbones.training.fitting import input_padding

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH_SIZE = 500


@dataclass(frozen=True)
class Evaluation:
    """A model's answers on one split.

    Attributes:
        logits: N x classes.
        labels: N, the right answers.

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

    Raises:
        BackbonesError: If the split is unknown or the model does not fit the data set.

    >>> from backbones import create_model, data
    >>> model = create_model("lenet5", "torch", weights="mnist")
    >>> evaluate(model, data.load("mnist").part(train=1, validation=100)).accuracy > 0.95
    True
    """
    require_known("split", split, ("train", "validation", "test"))
    part: Split = getattr(dataset, split)
    padding = input_padding(model, dataset)
    stream = batches(
        part, batch_size=BATCH_SIZE, seed=0, epoch=0, mean=dataset.mean, std=dataset.std, padding=padding,
        shuffle=False,
    )  # fmt: skip
    predict = _torch_logits if framework_of(model) == "torch" else _keras_logits
    return Evaluation(np.concatenate(list(predict(model, stream))), part.labels)


def _torch_logits(model: Any, stream: Any) -> Iterator[NDArray[np.float32]]:
    import torch

    with evaluating(model), torch.inference_mode():
        for images, _ in stream:
            yield model(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()


def _keras_logits(model: Any, stream: Any) -> Iterator[NDArray[np.float32]]:
    for images, _ in stream:
        yield model.predict_on_batch(images)
