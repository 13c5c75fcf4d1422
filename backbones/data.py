"""Real data sets as NumPy arrays, and the batches that both frameworks train on.

Images are N x H x W x C, uint8, as they are on disk. One batch order and one augmentation, both in NumPy and
fixed by a seed and the epoch's number, serve both frameworks: they can be given the very same batches.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from backbones.download import SOURCES, fetch
from backbones.errors import BackbonesError

CLASSES = {
    "mnist": tuple("0123456789"),
    "fashion-mnist": (
        "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
    ),
}  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True)
class Split:
    """Images with their labels.

    Attributes:
        images: N x H x W x C, uint8.
        labels: N, int64, from 0.

    Raises:
        BackbonesError: If the arrays are of another shape or type, or do not belong together.

    >>> Split(np.zeros((3, 28, 28, 1), np.uint8), np.arange(3)).images.shape
    (3, 28, 28, 1)
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim != 4 or images.dtype != np.uint8:
            raise BackbonesError(
                f"images must be N x H x W x C of uint8, not {images.shape} of {images.dtype}"
            )
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
            raise BackbonesError(f"labels must be N whole numbers, not {labels.shape} of {labels.dtype}")
        if len(images) != len(labels):
            raise BackbonesError(f"there must be one label per image, not {len(labels)} for {len(images)}")

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """A data set. The last of its training images are the validation split.

    Attributes:
        name: A name from `list_datasets()`.
        train_images: N x H x W x C, uint8, the validation images included.
        train_labels: N, int64.
        test_images: N x H x W x C, uint8.
        test_labels: N, int64.
        classes: The names of the classes, in the order of the labels.
        mean: Of all training pixels, scaled to 0..1.
        std: Their standard deviation.
        validation_size: How many training images are for validation.

    Raises:
        BackbonesError: If arrays do not fit together or a label names no class.

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
    std: float
    validation_size: int = 5000

    def __post_init__(self) -> None:
        for labels in (self.train_labels, self.test_labels):
            if labels.size and not 0 <= labels.min() <= labels.max() < len(self.classes):
                raise BackbonesError(
                    f"labels of {self.name} must be 0 to {len(self.classes) - 1}, "
                    f"not {labels.min()} to {labels.max()}"
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
            BackbonesError: If there are not so many.
        """
        for split, wanted in (("train", train), ("validation", validation)):
            if not 1 <= wanted <= len(getattr(self, split)):
                raise BackbonesError(
                    f"{self.name} has {len(getattr(self, split))} {split} images, of which {wanted} cannot be taken"
                )
        pairs = ((self.train, train), (self.validation, validation))
        images = np.concatenate([split.images[:count] for split, count in pairs])
        labels = np.concatenate([split.labels[:count] for split, count in pairs])
        return replace(self, train_images=images, train_labels=labels, validation_size=validation)


def list_datasets() -> list[str]:
    """Names that `load` knows.

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
        BackbonesError: If there is no such data set, or no source has it; the message then says what each
            source answered and where to put the files by hand.

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


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be changed at random. Zero changes nothing.

    Attributes:
        rotate: Largest turn either way, in degrees.
        shift: Largest move along each axis, in pixels.
        scale: Largest growth or shrinkage, as a fraction of the size.
        flip: Whether every other image is mirrored left to right.
        crop: Largest move along each axis, in whole pixels: it looks nothing up between pixels, and so blurs nothing.

    >>> Augmentation(shift=1.0, flip=True).flip
    True
    """

    rotate: float = 0.0
    shift: float = 0.0
    scale: float = 0.0
    flip: bool = False
    crop: int = 0


def augment(
    images: NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change each image a little, at random: mirror it, turn, scale and move it.

    Args:
        images: N x H x W x C.
        augmentation: The largest changes.
        rng: Decides.

    Returns:
        N x H x W x C, float32, in the units of the input. Outside of an image there is black.
    """
    if augmentation.flip:
        mirrored = rng.random(len(images)) < 0.5
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    if augmentation.rotate or augmentation.shift or augmentation.scale:
        pixels = warp(images, _random_maps(len(images), augmentation, rng))
    else:
        pixels = images.astype(np.float32)
    return _crop(pixels, augmentation.crop, rng) if augmentation.crop else pixels


def _crop(pixels: NDArray[np.float32], most: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Cut an image of the old size out of one with a black border of `most` pixels, each at a place of its own."""
    count, height, width, _ = pixels.shape
    border = (most, most)
    canvas = np.pad(pixels, ((0, 0), border, border, (0, 0)))
    rows, columns = rng.integers(0, 2 * most + 1, (2, count))
    # All places at once: count x rows x columns x height x width x channels, as a view.
    windows = np.lib.stride_tricks.sliding_window_view(canvas, (height, width), axis=(1, 2))
    return np.moveaxis(windows[np.arange(count), rows, columns], 1, -1)


def _random_maps(count: int, augmentation: Augmentation, rng: np.random.Generator) -> NDArray[np.float32]:
    """N x 2 x 3: where in the input, as (row, column) from the centre, each output pixel is looked up."""
    angle = np.deg2rad(rng.uniform(-augmentation.rotate, augmentation.rotate, count))
    size = 1 + rng.uniform(-augmentation.scale, augmentation.scale, count)
    maps = np.empty((count, 2, 3), np.float32)
    maps[:, 0, 0] = maps[:, 1, 1] = np.cos(angle) / size
    maps[:, 0, 1], maps[:, 1, 0] = np.sin(angle) / size, -np.sin(angle) / size
    maps[:, :, 2] = rng.uniform(-augmentation.shift, augmentation.shift, (count, 2))
    return maps


def warp(images: NDArray[np.uint8], maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Look every output pixel up in its image by an affine map, mixing the four nearest values.

    Args:
        images: N x H x W x C.
        maps: N x 2 x 3: (row, column) of the lookup = map x (row, column, 1), both counted from the centre.

    Returns:
        N x H x W x C, float32. Outside of an image there is black.
    """
    count, height, width, channels = images.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    middle = np.array([(height - 1) / 2, (width - 1) / 2], np.float32)
    grid = np.stack(
        [rows.ravel() - middle[0], columns.ravel() - middle[1], np.ones(height * width, np.float32)]
    )
    # One black pixel before and two behind, so that each lookup and its neighbours lie inside. One plane per
    # channel: plain arrays of numbers are looked up several times faster than arrays of pixels.
    canvas = np.zeros((count, channels, height + 3, width + 3), np.float32)
    canvas[:, :, 1:-2, 1:-2] = np.moveaxis(images, -1, 1)
    where = maps @ grid + (middle + 1)[:, None]  # N x 2 x pixels, in the canvas
    np.clip(where, 0, np.array([[height + 1], [width + 1]], np.float32), out=where)
    corner = where.astype(np.int32)
    down, right = np.moveaxis(where - corner.astype(np.float32), 1, 0)[:, :, None]  # each N x 1 x pixels
    line, plane = width + 3, (height + 3) * (width + 3)
    first = np.arange(count * channels, dtype=np.int32).reshape(count, channels, 1) * plane
    index = first + (corner[:, 0] * line + corner[:, 1])[:, None]  # N x C x pixels

    near, next_, below, last = (canvas.reshape(-1).take(index + o) for o in (0, 1, line, line + 1))
    top, bottom = near + right * (next_ - near), below + right * (last - below)
    mixed = top + down * (bottom - top)
    return np.moveaxis(mixed.reshape(count, channels, height, width), 1, -1)


def batches(
    split: Split,
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    mean: float,
    std: float,
    augmentation: Augmentation | None = None,
    padding: int = 0,
    shuffle: bool = True,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Go through a split once, in batches ready for a net.

    Order and augmentation are a pure function of seed and epoch, whatever ran before.

    Args:
        split: Images with labels.
        batch_size: Images per batch.
        seed: Decides order and augmentation, together with the epoch.
        epoch: Its number, from 0.
        mean: Subtracted from pixels scaled to 0..1.
        std: What the rest is divided by.
        augmentation: The largest random changes, if any.
        padding: Black pixels to add on each side, before normalising.
        shuffle: For training: a new order each epoch, and full batches alone. Otherwise the split's own order,
            and all images.

    Yields:
        Images, N x H x W x C, float32, normalised; and labels, N, int64.

    Raises:
        BackbonesError: If batch_size is not positive.

    >>> split = Split(np.zeros((10, 28, 28, 1), np.uint8), np.arange(10))
    >>> stream = batches(split, batch_size=4, seed=0, epoch=0, mean=0.0, std=1.0, shuffle=False)
    >>> for _, labels in stream:
    ...     print(*labels)
    0 1 2 3
    4 5 6 7
    8 9
    """
    if batch_size < 1:
        raise BackbonesError(f"batch_size must be at least 1, not {batch_size}")
    rng = np.random.default_rng([seed, epoch])
    count = len(split)
    order = rng.permutation(count) if shuffle else np.arange(count)
    for start in range(0, count - batch_size + 1 if shuffle else count, batch_size):
        chosen = order[start : start + batch_size]
        images = split.images[chosen]
        pixels = augment(images, augmentation, rng) if augmentation else images.astype(np.float32)
        if padding:
            sides = (padding, padding)
            pixels = np.pad(pixels, ((0, 0), sides, sides, (0, 0)))
        yield (pixels - np.float32(255 * mean)) / np.float32(255 * std), split.labels[chosen]


def prefetch(items: Iterable[T], depth: int = 4) -> Iterator[T]:
    """Run an iterator in a thread of its own, a few items ahead, so that one core prepares while others learn.

    Args:
        items: What to run ahead.
        depth: How many items may wait.

    Yields:
        The same items in the same order. What `items` raises is raised here.

    >>> list(prefetch(range(3)))
    [0, 1, 2]
    """
    waiting: queue.Queue[_Parcel[T]] = queue.Queue(depth)
    stop = threading.Event()

    def put(parcel: _Parcel[T]) -> None:
        while not stop.is_set():
            try:
                return waiting.put(parcel, timeout=0.1)
            except queue.Full:
                continue  # look whether to stop, then wait on

    def run() -> None:
        try:
            for item in items:
                put(_Parcel([item]))
                if stop.is_set():
                    return
            put(_Parcel([]))
        except BaseException as error:  # handed on to whoever waits
            put(_Parcel([], error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (parcel := waiting.get()).content:
            yield parcel.content[0]
        if parcel.error is not None:
            raise parcel.error
    finally:
        stop.set()
        thread.join()


@dataclass(frozen=True)
class _Parcel(Generic[T]):
    """What the thread hands over: one item, or none at the end, with the error that ended it, if one did."""

    content: list[T]
    error: BaseException | None = None
