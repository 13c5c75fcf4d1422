"""Batches, the same for both frameworks, and a thread that makes them ahead of time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from backbones.checks import Positive, Seed, ZeroOrMore, fitting
from backbones.data.augmentation import Augmentation, augment
from backbones.data.datasets import Split

T = TypeVar("T")


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
        BackbonesError: When the first batch is asked for, if a number is out of its range, or not of its type.

    Examples:
        >>> split = Split(np.zeros((10, 28, 28, 1), np.uint8), np.arange(10))
        >>> stream = batches(split, batch_size=4, seed=0, epoch=0, mean=0.0, std=1.0, shuffle=False)
        >>> for _, labels in stream:
        ...     print(*labels)
        0 1 2 3
        4 5 6 7
        8 9
    """
    for name, value, wanted in (
        ("batch_size", batch_size, int), ("seed", seed, Seed), ("epoch", epoch, ZeroOrMore),
        ("mean", mean, float), ("std", std, Positive), ("padding", padding, ZeroOrMore),
    ):  # fmt: skip
        fitting(name, value, wanted)
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

    Examples:
        >>> list(prefetch(range(3)))
        [0, 1, 2]
    """
    waiting: queue.Queue[_Parcel[T]] = queue.Queue(fitting("depth", depth, int))
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
