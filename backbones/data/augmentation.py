"""Small random changes that make new training images of old ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from backbones.checks import NotNegative, Share, ZeroOrMore, check_fields
from backbones.data.datasets import as_images


@dataclass(frozen=True)
class Augmentation:
    """How far a training image may be changed at random. Zero changes nothing.

    Attributes:
        rotate: Largest turn either way, in degrees.
        shift: Largest move along each axis, in pixels.
        scale: Largest growth or shrinkage, as a fraction of the size.
        flip: Whether every other image is mirrored left to right.
        crop: Largest move along each axis, in whole pixels: it looks nothing up between pixels, and so blurs nothing.
        erase: Chance that a rectangle of an image, of a tenth of its area on average, is filled with noise (Zhong et
            al. 2017, arXiv:1708.04896, Section 4), so that no single part of it decides.

    Raises:
        BackbonesError: If a number is out of its range, or not of its type.

    Examples:
        >>> Augmentation(shift=1.0, flip=True).flip
        True
    """

    rotate: NotNegative = 0.0
    shift: NotNegative = 0.0
    scale: Share = 0.0
    flip: bool = False
    crop: ZeroOrMore = 0
    erase: Share = 0.0

    def __post_init__(self) -> None:
        check_fields(self)


def augment(
    images: NDArray[np.uint8], augmentation: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change each image a little, at random: mirror it, turn, scale and move it, and erase a part.

    Args:
        images: N x H x W x C, uint8, of at least one pixel and channel.
        augmentation: The largest changes.
        rng: Decides.

    Returns:
        N x H x W x C, float32, in the units of the input. Outside of an image there is black.

    Raises:
        BackbonesError: If the images are of another shape or type.

    Examples:
        >>> images = np.full((2, 28, 28, 1), 255, np.uint8)
        >>> changed = augment(images, Augmentation(rotate=10, shift=2), np.random.default_rng(0))
        >>> changed.shape, changed.dtype
        ((2, 28, 28, 1), dtype('float32'))
    """
    images = as_images(images)
    if augmentation.flip:
        mirrored = rng.random(len(images)) < 0.5
        images = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    if augmentation.rotate or augmentation.shift or augmentation.scale:
        pixels = warp(images, _random_maps(len(images), augmentation, rng))
    else:
        pixels = images.astype(np.float32)
    if augmentation.crop:
        pixels = _crop(pixels, augmentation.crop, rng)
    if augmentation.erase:
        _erase(pixels, augmentation.erase, rng)
    return np.ascontiguousarray(pixels)  # one order in memory, whatever was done


def _crop(pixels: NDArray[np.float32], most: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Cut an image of the old size out of one with a black border of `most` pixels, each at a place of its own."""
    count, height, width, _ = pixels.shape
    border = (most, most)
    canvas = np.pad(pixels, ((0, 0), border, border, (0, 0)))
    rows, columns = rng.integers(0, 2 * most + 1, (2, count))
    # All places at once: count x rows x columns x channels x height x width, as a view.
    windows = np.lib.stride_tricks.sliding_window_view(canvas, (height, width), axis=(1, 2))
    return np.moveaxis(windows[np.arange(count), rows, columns], 1, -1)


# Zhong et al. 2017, Section 5.1, has areas of 0.02 to 0.4 of an image of 32 x 32 and aspect ratios of 0.3 to 1 / 0.3.
# Smaller ones here, for runs of tens of epochs, not three hundred.
ERASED_AREA, ERASED_ASPECT = (0.02, 0.2), 1 / 0.3


def _erase(pixels: NDArray[np.float32], chance: float, rng: np.random.Generator) -> None:
    """Fill a rectangle with noise in as many images as the chance says, in place."""
    count, height, width, channels = pixels.shape
    chosen = np.less(rng.random(count), chance)
    area = rng.uniform(*ERASED_AREA, count) * height * width
    aspect = np.exp(rng.uniform(-1, 1, count) * np.log(ERASED_ASPECT))
    rows = _spans(np.minimum(np.sqrt(area * aspect), height), height, rng)
    columns = _spans(np.minimum(np.sqrt(area / aspect), width), width, rng)
    where = chosen[:, None, None] & rows[:, :, None] & columns[:, None, :]
    pixels[where] = rng.uniform(0, 255, (int(where.sum()), channels))


def _spans(lengths: NDArray[np.float64], size: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """N x size: which pixels of a line lie in a span of each length, at a place that chance decides."""
    starts = rng.random(len(lengths)) * (size - lengths)
    places = np.arange(size)
    return (places >= starts[:, None]) & (places < (starts + lengths)[:, None])


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

    Examples:
        >>> row = np.array([10, 20, 30], np.uint8).reshape(1, 1, 3, 1)
        >>> one_to_the_right = np.array([[[1, 0, 0], [0, 1, 1]]], np.float32)
        >>> warp(row, one_to_the_right).ravel().tolist()
        [20.0, 30.0, 0.0]
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
