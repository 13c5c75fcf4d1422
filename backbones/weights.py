"""Weights on disk: one safetensors file that both frameworks read. It holds arrays and text, no code."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from backbones import convert
from backbones.errors import BackbonesError


def save_weights(model: Any, path: str | Path) -> None:
    """Write a model's weights, in PyTorch's names and layout, with what the model was built from.

    The file appears whole or not at all.

    Args:
        model: A model that `create_model` built, in either framework.
        path: The file, by custom `*.safetensors`. Its folder is made if missing.

    Raises:
        BackbonesError: If the file cannot be written.
    """
    path = Path(path)
    metadata = {"backbones": json.dumps(asdict(convert.config_of(model)))}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            part = Path(folder) / path.name
            save_file(convert.state(model), part, metadata)
            part.replace(path)
    except OSError as error:
        raise BackbonesError(f"cannot write {path}: {error.strerror or error}") from error


def load_weights(model: Any, path: str | Path) -> None:
    """Read weights that `save_weights` wrote, by either framework, into a model of either.

    Args:
        model: Changed in place, or left as it was if anything does not fit.
        path: The file.

    Raises:
        BackbonesError: If the file is missing, is no safetensors file, or is of another net.
    """
    path = Path(path)
    if not path.is_file():
        raise BackbonesError(f"no weights file at {path}")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise BackbonesError(f"{path} is not a readable safetensors file: {error}") from error
    wanted, found = asdict(convert.config_of(model)), json.loads(metadata.get("backbones", "{}"))
    if found != wanted:
        raise BackbonesError(f"{path} holds weights of {_said(found)}, but the model is {_said(wanted)}")
    convert.load_state(model, weights)


def _said(config: dict[str, Any]) -> str:
    if not config:
        return "an unnamed net"
    return "{name} with {num_classes} classes and {in_channels} input channels".format(**config)
