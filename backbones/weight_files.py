"""Files that hold weights, ours and others': reading them without running code from them.

A safetensors file holds arrays and text, no code; of PyTorch's files, no code is run.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from backbones import convert
from backbones.building import require_framework
from backbones.convert.entries import NOT_CARRIED
from backbones.convert.state import as_state
from backbones.errors import BackbonesError, shown
from backbones.files import as_path

# What the files of others may be, as messages say it.
KINDS = "a file of save_weights, or a state_dict in a safetensors file or written by torch.save"

# Of the types of values that safetensors knows, those that NumPy knows, too, and that are weights.
READABLE = ("F64", "F32", "F16")


def read(path: str | Path) -> tuple[dict[str, str], convert.State]:
    """A weight file's metadata and arrays, of whichever kind it is.

    Raises:
        BackbonesError: If the file is missing, cannot be read, or holds no weights.
    """
    start = _first_bytes(path)
    # PyTorch writes zip archives, and wrote bare pickles before. The length with which a safetensors file begins may
    # look like either, but JSON follows it.
    if start[8:] != b"{" and (start[:2] == b"PK" or start[:1] == b"\x80"):
        return {}, _read_torch(path)
    weights = {}
    try:
        with safe_open(path, framework="np") as file:
            for key in file.keys():  # noqa: SIM118 (not a dict)
                if key.endswith(NOT_CARRIED):
                    continue
                if (dtype := file.get_slice(key).get_dtype()) not in READABLE:
                    raise BackbonesError(
                        f"{path} holds {shown(key)} in {dtype}, not in {' or '.join(READABLE)}"
                    )
                weights[key] = file.get_tensor(key)
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, TypeError) as error:
        raise BackbonesError(
            f"{path} is not a readable safetensors file: {error}; expected {KINDS}"
        ) from error
    return metadata, weights


def _first_bytes(path: str | Path) -> bytes:
    file_path = as_path(path, KINDS)
    try:
        with file_path.open("rb") as file:
            return file.read(9)
    except FileNotFoundError as error:
        raise BackbonesError(f"no weights file at {path}; expected {KINDS}") from error
    except IsADirectoryError as error:
        raise BackbonesError(f"{path} is a folder; expected {KINDS}") from error
    except (OSError, ValueError) as error:  # no permission, or a path that none can have
        reason = error.strerror if isinstance(error, OSError) else error
        raise BackbonesError(f"cannot read {shown(str(path))}: {reason}") from error


def _read_torch(path: str | Path) -> convert.State:
    """A PyTorch checkpoint's arrays, without running code from it."""
    require_framework("torch")
    import torch

    try:
        with warnings.catch_warnings():
            # PyTorch's are on old forms of files, which are read all the same.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken file makes the reader stumble over
        raise BackbonesError(
            f"{path} is not a PyTorch checkpoint that can be read without running code from it "
            f"({type(error).__name__}); expected {KINDS}"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise BackbonesError(
            f"{path} holds no state_dict (names and tensors), but a {_content(content)}; expected {KINDS}"
        )
    try:
        return as_state(content)
    except BackbonesError as error:
        raise BackbonesError(f"{path} holds no state_dict: {error}") from error


def _content(content: Any) -> str:
    if isinstance(content, dict):
        return f"dict of {', '.join(map(shown, list(content)[:3]))}"
    return type(content).__name__
