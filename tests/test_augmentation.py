"""Augmentation: images are moved, flipped, cropped and erased as asked, and no further."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones.data import Augmentation, augment, warp
from backbones.errors import BackbonesError


def between(images, share, axis):
    """Each pixel moved towards the next one along an axis by a share of the way; black follows the last."""
    following = np.roll(images, -1, axis)
    following[(slice(None),) * axis + (-1,)] = 0
    return (1 - share) * images + share * following


maps = {
    "nothing": ([[1, 0, 0], [0, 1, 0]], lambda x: x),
    "one row up": ([[1, 0, 1], [0, 1, 0]], lambda x: np.pad(x[:, 1:], ((0, 0), (0, 1), (0, 0), (0, 0)))),
    "one column right": (
        [[1, 0, 0], [0, 1, -1]],
        lambda x: np.pad(x[:, :, :-1], ((0, 0), (0, 0), (1, 0), (0, 0))),
    ),
    "a quarter turn": ([[0, 1, 0], [-1, 0, 0]], lambda x: np.rot90(x, 1, axes=(1, 2))),
    "a quarter of a row up": ([[1, 0, 0.25], [0, 1, 0]], lambda x: between(x, 0.25, axis=1)),
    "three quarters of a column left": ([[1, 0, 0], [0, 1, 0.75]], lambda x: between(x, 0.75, axis=2)),
    "far away": ([[1, 0, 99], [0, 1, 0]], np.zeros_like),
}


@pytest.mark.parametrize("name", maps)
@settings(max_examples=20, deadline=None)
@given(side=st.integers(2, 9), channels=st.integers(1, 3), seed=st.integers(0, 99))
def test_known_maps(name, side, channels, seed):
    images = np.random.default_rng(seed).integers(0, 256, (3, side, side, channels), dtype=np.uint8)
    matrix, expected = maps[name]
    moved = warp(images, np.tile(np.array(matrix, np.float32), (3, 1, 1)))
    assert np.array_equal(moved, expected(images))


@pytest.mark.parametrize("images", [np.zeros((2, 28, 28), np.uint8), np.zeros((2, 28, 28, 1)), [[1], [1, 2]]])
def test_what_is_no_batch_of_images_is_not_augmented(images, rng):
    with pytest.raises(BackbonesError, match=r"images must be N x H x W x C of uint8, .*not"):
        augment(images, Augmentation(flip=True), rng)


def test_augmentation_stays_within_its_limits(rng):
    images = rng.integers(0, 256, (64, 9, 9, 1), dtype=np.uint8)
    assert np.array_equal(augment(images, Augmentation(), rng), images)
    flipped = augment(images, Augmentation(flip=True), rng)
    same = (flipped == images).all((1, 2, 3))
    assert 0.2 < same.mean() < 0.8
    assert np.array_equal(flipped[~same], images[~same][:, :, ::-1])
    turned = augment(np.repeat(images, 3, axis=3), Augmentation(rotate=9), rng)
    assert turned.flags.c_contiguous  # N x H x W x C in memory, too, as PyTorch's loop says
    dot = np.zeros((500, 21, 21, 1), np.uint8)
    dot[:, 10, 10] = 255
    rows, columns = (
        (augment(dot, Augmentation(rotate=20, shift=3, scale=0.2), rng)[..., 0] > 0).any(axis)
        for axis in (2, 1)
    )
    for line in (rows, columns):
        reached = np.flatnonzero(line.any(0))
        assert 5 <= reached.min() <= 7
        assert 13 <= reached.max() <= 15


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rotate": -1}, "rotate must be a finite number of at least 0, not -1"),
        ({"shift": float("inf")}, "shift must be a finite number of at least 0, not inf"),
        ({"scale": 1}, "scale must be a finite number of at least 0 and below 1, not 1"),
        ({"flip": 1}, "flip must be True or False, not 1"),
        ({"crop": 1.5}, "crop must be a whole number of at least 0, not 1.5"),
        ({"crop": -1}, "crop must be a whole number of at least 0, not -1"),
    ],
)
def test_a_wrong_augmentation_is_refused(wrong, said):
    with pytest.raises(BackbonesError, match=said):
        Augmentation(**wrong)


def test_crops_are_whole_moves_in_all_directions(rng):
    images = rng.integers(1, 256, (300, 5, 6, 2), dtype=np.uint8)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)))
    cropped = augment(images, Augmentation(crop=2), rng)
    seen = set()
    for image, wide in zip(cropped, padded, strict=True):
        places = [(r, c) for r in range(5) for c in range(5) if (image == wide[r : r + 5, c : c + 6]).all()]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) == 25


def test_erasing_fills_one_rectangle_of_some_images(rng):
    images = np.zeros((2000, 20, 30, 1), np.uint8)
    changed = augment(images, Augmentation(erase=0.5), rng)[..., 0] > 0
    assert 0.45 < changed.any((1, 2)).mean() < 0.55
    shares = changed[changed.any((1, 2))].mean((1, 2))
    assert 0.08 < shares.mean() < 0.12
    for image in changed[changed.any((1, 2))]:
        assert image[np.ix_(image.any(1), image.any(0))].mean() > 0.8  # noise is 0 at times, little of it
    assert changed.any(0).mean() > 0.9  # in all places; corners are rare
