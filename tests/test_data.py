"""Data sets that are right or refused, and batches that are the same for everybody."""

import dataclasses
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import data
from backbones.data import Split, batches, prefetch
from backbones.errors import BackbonesError


def test_the_real_mnist():
    mnist = data.load("mnist")
    assert mnist.train_images.shape == (60_000, 28, 28, 1)
    assert mnist.test_images.shape == (10_000, 28, 28, 1)
    assert mnist.train_images.dtype == np.uint8
    assert (len(mnist.train), len(mnist.validation), len(mnist.test)) == (55_000, 5_000, 10_000)
    assert np.isclose(mnist.mean, (mnist.train_images / 255).mean())
    assert np.isclose(mnist.std, (mnist.train_images / 255).std())
    assert np.array_equal(mnist.train.images, mnist.train_images[:55_000])
    assert np.array_equal(mnist.validation.images, mnist.train_images[55_000:])
    part = mnist.part(train=300, validation=20)
    assert (len(part.train), len(part.validation), len(part.test)) == (300, 20, 10_000)
    assert np.array_equal(part.train.images, mnist.train.images[:300])
    assert np.array_equal(part.validation.labels, mnist.validation.labels[:20])
    with pytest.raises(BackbonesError, match="has 5000 validation images, of which 5001 cannot be taken"):
        mnist.part(train=300, validation=5001)
    assert np.bincount(mnist.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_a_plain_import_brings_data_and_training_and_nothing_heavy():
    code = """
import sys, backbones
backbones.data.load, backbones.training.fit
print([name for name in ("torch", "tensorflow", "keras", "matplotlib") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr


def test_unknown_name():
    with pytest.raises(
        BackbonesError, match="unknown data set 'fashion_mnist'; did you mean 'fashion-mnist'"
    ):
        data.load("fashion_mnist")


@pytest.mark.parametrize(
    ("images", "labels", "said"),
    [
        (np.zeros((2, 1, 4, 4), np.float32), np.zeros(2, int), "images must be N x H x W x C of uint8"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, int), r"not \(2, 4, 4\) of uint8"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, int), "one label per image, not 3 for 2"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2), "labels must be N whole numbers"),
        (np.zeros((2, 4, 4, 1), np.uint8), [0.0, 1.0], "labels must be N whole numbers"),
        ([[0, 1]], [0], "images must be N x H x W x C of uint8"),
        ([[[0, 1], [2]]], [0], r"images must be N x H x W x C of uint8, .* not \[\[\[0, 1\], \[2\]\]\]"),
        (np.zeros((2, 0, 4, 1), np.uint8), [0, 1], r"H, W and C at least 1, not \(2, 0, 4, 1\)"),
        (np.zeros((2, 4, 4, 0), np.uint8), [0, 1], r"H, W and C at least 1, not \(2, 4, 4, 0\)"),
        (
            np.zeros((2, 4, 4, 1), np.uint8),
            [[0], [0, 1]],
            r"labels must be N whole numbers, not \[\[0\], \[0, 1\]\]",
        ),
    ],
)
def test_wrong_arrays_are_refused(images, labels, said):
    with pytest.raises(BackbonesError, match=said):
        Split(images, labels)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"train_labels": np.arange(800) % 11}, "labels of tiny must be 0 to 9, not 0 to 10"),
        ({"test_labels": np.arange(200) % 9 - 1}, "labels of tiny must be 0 to 9, not -1 to 7"),
        ({"test_labels": np.arange(199) % 10}, "one label per image, not 199 for 200"),
        (
            {"test_images": np.zeros((200, 28, 28, 3), np.uint8)},
            r"test .* must be \(28, 28, 1\).* not \(28, 28, 3\)",
        ),
        (
            {"test_images": np.zeros((0, 28, 28, 1), np.uint8), "test_labels": np.arange(0)},
            "tiny has no test images",
        ),
        ({"validation_size": 0}, "validation_size must be a whole number of at least 1, not 0"),
        ({"validation_size": True}, "validation_size must be a whole number of at least 1, not True"),
        ({"validation_size": 1.5}, "validation_size must be a whole number of at least 1, not 1.5"),
        ({"validation_size": 800}, "validation_size of tiny must be below the 800 training images, not 800"),
        ({"std": 0.0}, "std must be a finite number above 0, not 0.0"),
        ({"std": float("nan")}, "std must be a finite number above 0, not nan"),
        ({"std": "a"}, "std must be a finite number above 0, not 'a'"),
        ({"mean": float("inf")}, "mean must be a finite number, not inf"),
        ({"mean": None}, "mean must be a finite number, not None"),
        ({"mean": "0.5"}, "mean must be a finite number, not '0.5'"),
        ({"classes": 10}, "classes must be a tuple, not 10"),
        ({"classes": "0123456789"}, "classes must be a tuple, not '0123456789'"),
        ({"classes": range(10)}, r"classes must be a tuple, not range\(0, 10\)"),
        ({"classes": list(range(10))}, r"classes\[0\] must be a string, not 0"),
        ({"name": 5}, "name must be a string, not 5"),
    ],
)
def test_a_wrong_data_set_is_refused(wrong, said, tiny):
    with pytest.raises(BackbonesError, match=said):
        dataclasses.replace(tiny, **wrong)


@pytest.mark.parametrize("wrong", ["5", 5.0, 0, True])
def test_a_part_is_of_whole_numbers(wrong, tiny):
    for split in ("train", "validation"):
        said = f"{split} must be a whole number of at least 1, not {wrong!r}"
        with pytest.raises(BackbonesError, match=said):
            tiny.part(**{"train": 1, "validation": 1, split: wrong})


@pytest.mark.parametrize("kind", [list, np.int32, np.uint8])
def test_labels_of_any_kind_become_int64(kind, tiny):
    labels = tiny.train_labels.tolist() if kind is list else tiny.train_labels.astype(kind)
    given = dataclasses.replace(tiny, train_labels=labels)
    for found in (given.train_labels, given.train.labels, given.validation.labels):
        assert found.dtype == np.int64
    assert np.array_equal(given.train_labels, tiny.train_labels)


def numbered(count):
    """Images that hold their own number, so that they can be told apart."""
    images = np.zeros((count, 2, 2, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(count)
    return Split(images, np.arange(count))


plain = {"mean": 0.0, "std": 1 / 255}


@settings(deadline=None)
@given(count=st.integers(8, 200), size=st.integers(1, 8), seed=st.integers(0, 9), epoch=st.integers(0, 3))
def test_order_is_a_permutation_fixed_by_seed_and_epoch(count, size, seed, epoch):
    def order(**how):
        run = list(batches(numbered(count), batch_size=size, **plain, **how))
        for images, labels in run:
            assert np.array_equal(images[:, 0, 0, 0].astype(int), labels)  # labels travel with their images
        return [label for _, labels in run for label in labels]

    shuffled = order(seed=seed, epoch=epoch)
    assert len(shuffled) == len(set(shuffled)) == count // size * size
    assert shuffled == order(seed=seed, epoch=epoch)
    assert order(seed=seed, epoch=epoch, shuffle=False) == list(range(count))
    if count > 30:
        assert shuffled != order(seed=seed, epoch=epoch + 1)
        assert shuffled != order(seed=seed + 1, epoch=epoch)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": 1.5}, "batch_size must be a whole number of at least 1, not 1.5"),
        ({"seed": -1}, "seed must be a whole number of at least 0 and below 4294967296, not -1"),
        ({"epoch": -1}, "epoch must be a whole number of at least 0, not -1"),
        ({"mean": float("inf")}, "mean must be a finite number, not inf"),
        ({"std": 0}, "std must be a finite number above 0, not 0"),
        ({"std": float("nan")}, "std must be a finite number above 0, not nan"),
        ({"padding": -1}, "padding must be a whole number of at least 0, not -1"),
    ],
)
def test_wrong_numbers_make_no_batch(wrong, said):
    with pytest.raises(BackbonesError, match=said):
        next(batches(numbered(8), **{"batch_size": 4, "seed": 0, "epoch": 0, **plain, **wrong}))


def test_pixels_are_padded_then_normalised():
    split = Split(np.full((1, 2, 2, 1), 255, np.uint8), np.zeros(1, int))
    ((images, _),) = batches(split, batch_size=1, seed=0, epoch=0, mean=0.25, std=0.5, padding=1)
    assert images.dtype == np.float32
    assert images.shape == (1, 4, 4, 1)
    assert np.allclose(images[0, 1:3, 1:3], 1.5)
    assert np.allclose(images[0, 0], -0.5)


def test_prefetch_keeps_order_hands_on_errors_and_leaves_no_thread():
    before = threading.active_count()
    assert list(prefetch(iter(range(50)))) == list(range(50))

    def broken():
        yield 1
        raise BackbonesError("no more")

    stream = prefetch(broken())
    assert next(stream) == 1
    with pytest.raises(BackbonesError, match="no more"):
        next(stream)
    endless = prefetch(iter(int, 1))
    next(endless)
    endless.close()
    assert threading.active_count() == before
