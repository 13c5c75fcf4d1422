"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from backbones.errors import BackbonesError, shown


def as_path(path: Any, of: str) -> Path:
    """The path of a file, from what a caller gave for it.

    Args:
        path: A string that is not empty and without a null character, or a `pathlib.Path`.
        of: What the file should be, for the message.

    Raises:
        BackbonesError: If it is something else.
    """
    name = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(name, str) or not name or "\0" in name:
        raise BackbonesError(f"expected the path of {of}, not {shown(path)}")
    return Path(name)


def require_writable(folder: str | Path) -> None:
    """Find out before an hour of work whether a folder can be written into, or made; nothing is left there.

    Raises:
        BackbonesError: If it cannot.
    """
    try:
        # A link that leads nowhere is there, too.
        there = next(p for p in (Path(folder), *Path(folder).absolute().parents) if os.path.lexists(p))
        with tempfile.TemporaryDirectory(dir=there, prefix="."):
            pass
    except OSError as error:
        raise BackbonesError(f"cannot write into the folder {folder}: {error.strerror}") from error


def write_whole(path: str | Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file beside `path`, then put it in place; what was there stays until then.

    Args:
        path: The file. Its folder is made if missing.
        write: Is given the path to write to.

    Raises:
        BackbonesError: If it is no path, or cannot be written, for want of room or of permission.
    """
    path = as_path(path, "a file to write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            part = Path(folder) / path.name
            part.touch()
            mode = part.stat().st_mode
            write(part)
            part.chmod(mode)  # safetensors lets nobody else read, whatever the umask
            part.replace(path)
    except (OSError, SafetensorError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        if isinstance(error, FileExistsError):
            reason = f"{error.filename} is no folder"
        raise BackbonesError(f"cannot write {path}: {reason or error}") from error
