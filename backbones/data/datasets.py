"""MNIST and Fashion-MNIST, each in three splits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backbones.checks import Positive, check_fields, fitting
from backbones.download import SOURCES, fetch
from backbones.errors import BackbonesError, shown

CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes:
        images: N x H x W x C, uint8, of at least one pixel and channel.
        labels: N, int64, from 0. Whole numbers of another type, and lists of them, become that.

    Raises:
        BackbonesError: If the arrays are of another shape or type, or do not belong together.

    Examples:
        >>> Split(np.zeros((3, 28, 28, 1), np.uint8), np.arange(3)).images.shape
        (3, 28, 28, 1)
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        for_labels = "labels must be N whole numbers"
        images, labels = as_images(self.images), _as_array(self.labels, for_labels)
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise BackbonesError(f"{for_labels}, not {labels.shape} of {labels.dtype}")
        if len(images) != len(labels):
            raise BackbonesError(f"there must be one label per image, not {len(labels)} for {len(images)}")
        object.__setattr__(self, "images", images)
        object.__setattr__(self, "labels", labels.astype(np.int64, copy=False))  # as PyTorch wants them

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A data set. The last of its training images are the validation split.

    Attributes:
        name: A name from `list_datasets()`.
        train_images: N x H x W x C, uint8, the validation images included.
        train_labels: N, int64, as in a `Split`.
        test_images: N x H x W x C, uint8, of the same size.
        test_labels: N, int64, as in a `Split`.
        classes: The names of the classes, in the order of the labels.
        mean: Of all training pixels, scaled to 0..1.
        std: Their standard deviation, above 0.
        validation_size: How many training images are for validation.

    Raises:
        BackbonesError: If a field is not of its type or out of its range, arrays do not fit together, a split is
            empty, or a label names no class.

    Examples:
        >>> images, labels = np.zeros((10, 28, 28, 1), np.uint8), np.arange(10)
        >>> tiny = Dataset("tiny", images, labels, images, labels, tuple("0123456789"), 0.5, 0.3, validation_size=4)
        >>> len(tiny.train), len(tiny.validation), len(tiny.test)
        (6, 4, 10)
    """

    name: str
    train_images: NDArray[np.uint8]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.int64]
    classes: tuple[str, ...]
    mean: float
    std: Positive
    validation_size: int = 5000

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            whole = Split(getattr(self, f"{part}_images"), getattr(self, f"{part}_labels"))
            object.__setattr__(self, f"{part}_images", whole.images)
            object.__setattr__(self, f"{part}_labels", whole.labels)
        check_fields(self)
        self._check("train", self.train_images, self.train_labels)
        self._check("test", self.test_images, self.test_labels)
        count, size = len(self.train_images), self.validation_size
        if size >= count:
            raise BackbonesError(
                f"validation_size of {self.name} must be below the {count} training images, not {size}"
            )

    def _check(self, part: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Say what is wrong with the training or the test images, if anything."""
        if not len(images):
            raise BackbonesError(f"{self.name} has no {part} images")
        wanted, found = self.train_images.shape[1:], images.shape[1:]
        if found != wanted:
            raise BackbonesError(
                f"{part} images of {self.name} must be {wanted}, as its train images are, not {found}"
            )
        least, most = labels.min(), labels.max()
        if not 0 <= least <= most < len(self.classes):
            raise BackbonesError(
                f"labels of {self.name} must be 0 to {len(self.classes) - 1}, not {least} to {most}"
            )

    @property
    def train(self) -> Split:
        """What a model learns from."""
        end = len(self.train_images) - self.validation_size
        return Split(self.train_images[:end], self.train_labels[:end])

    @property
    def validation(self) -> Split:
        """What choices are made on."""
        start = len(self.train_images) - self.validation_size
        return Split(self.train_images[start:], self.train_labels[start:])

    @property
    def test(self) -> Split:
        """What is read once, at the end."""
        return Split(self.test_images, self.test_labels)

    def part(self, train: int, validation: int) -> Dataset:
        """The first images of the training and of the validation split, for quick experiments. The test split is whole.

        Args:
            train: How many training images.
            validation: How many validation images.

        Raises:
            BackbonesError: If a count is no whole number of at least 1, or there are not so many.
        """
        for split, wanted in (("train", train), ("validation", validation)):
            if fitting(split, wanted, int) > len(getattr(self, split)):
                raise BackbonesError(
                    f"{self.name} has {len(getattr(self, split))} {split} images, of which {wanted} cannot be taken"
                )
        pairs = ((self.train, train), (self.validation, validation))
        images = np.concatenate([split.images[:count] for split, count in pairs])
        labels = np.concatenate([split.labels[:count] for split, count in pairs])
        return replace(self, train_images=images, train_labels=labels, validation_size=validation)


def list_datasets() -> list[str]:
    """Names that `load` knows.

    Examples:
        >>> list_datasets()
        ['mnist', 'fashion-mnist']
    """
    return list(SOURCES)


def load(name: str) -> Dataset:
    """Load a data set, fetching it first if need be; every file is verified.

    MNIST: LeCun, Bottou, Bengio and Haffner 1998, Section III.A. Fashion-MNIST: Xiao, Rasul and Vollgraf
    2017, arXiv:1708.07747. Both hold 60,000 training and 10,000 test images of 28 x 28 grey values.

    Args:
        name: `"mnist"` or `"fashion-mnist"`.

    Raises:
        BackbonesError: If there is no such data set, the folder it is kept in cannot be read or written, or no
            source has it; the message then says what each source answered and where to put the files by hand.

    Examples:
        >>> len(load("mnist").train), len(load("mnist").validation)
        (55000, 5000)
    """
    arrays = {part: _read_idx(content) for part, content in fetch(name).items()}
    train_images = arrays["train-images"][..., None]
    mean, std = _mean_and_std(train_images)
    return Dataset(
        name,
        train_images,
        arrays["train-labels"].astype(np.int64),
        arrays["t10k-images"][..., None],
        arrays["t10k-labels"].astype(np.int64),
        CLASSES[name],
        mean,
        std,
    )


def as_images(values: Any) -> NDArray[np.uint8]:
    """The values as an array of images, N x H x W x C.

    Raises:
        BackbonesError: If they are of another shape or type, or have no pixel or channel.
    """
    wanted = "images must be N x H x W x C of uint8, H, W and C at least 1"
    images = _as_array(values, wanted)
    if images.ndim != 4 or images.dtype != np.uint8 or 0 in images.shape[1:]:
        raise BackbonesError(f"{wanted}, not {images.shape} of {images.dtype}")
    return images


def _as_array(values: Any, wanted: str) -> NDArray[Any]:
    """The values as an array; `wanted` says what they must be, if they are none, such as rows of unlike lengths."""
    try:
        return np.asarray(values)
    except ValueError as error:
        raise BackbonesError(f"{wanted}, not {shown(values)}") from error


def _read_idx(content: bytes) -> NDArray[np.uint8]:
    """The IDX format: two zeros, the type (8: uint8), the number of axes, their lengths, the values."""
    axes = content[3]
    shape = np.frombuffer(content, ">u4", count=axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _mean_and_std(images: NDArray[np.uint8]) -> tuple[float, float]:
    """Of pixels scaled to 0..1, from the counts of the 256 grey values: exact, and no large float array."""
    counts, values = np.bincount(images.reshape(-1), minlength=256), np.arange(256) / 255
    mean = np.average(values, weights=counts)
    return float(mean), float(np.sqrt(np.average((values - mean) ** 2, weights=counts)))
