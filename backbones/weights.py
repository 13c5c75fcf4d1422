"""Weights on disk: one safetensors file that both frameworks read, and the files of others.

A safetensors file holds arrays and text, no code; of other files, no code is run.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from backbones import convert
from backbones.errors import BackbonesError
from backbones.files import write_whole
from backbones.registry import changes_of, require_framework
from backbones.spec import Spec

SHIPPED = Path(__file__).parent / "pretrained"


def save_weights(model: Any, path: str | Path) -> None:
    """Write a model's weights, in PyTorch's names and layout, with what the model was built from.

    The file appears whole or not at all.

    Args:
        model: A model that `create_model` built, in either framework.
        path: The file, by custom `*.safetensors`. Its folder is made if missing.

    Raises:
        BackbonesError: If the file cannot be written.

    >>> import tempfile
    >>> from backbones import create_model
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_weights(create_model("lenet5", "tensorflow", seed=0), f"{folder}/lenet5.safetensors")
    ...     model = create_model("lenet5", "torch", weights=f"{folder}/lenet5.safetensors")
    >>> model.fc3
    Linear(in_features=84, out_features=10, bias=True)
    """
    spec = convert.config_of(model)
    metadata = {"backbones": json.dumps(_identity(spec)), "input_size": str(spec.input_size)}
    weights = convert.state(model)
    write_whole(path, lambda part: save_file(weights, part, metadata))


def shipped(name: str, dataset: str) -> Path:
    """The file with the weights of a net trained here, which come with the package.

    Args:
        name: A name from `list_models()`.
        dataset: What it was trained on: a name from `backbones.data.list_datasets()`.

    Raises:
        BackbonesError: If there are none; the message says which there are.

    >>> shipped("lenet5", "mnist").name
    'lenet5-mnist.safetensors'
    """
    path = SHIPPED / f"{name}-{dataset}.safetensors"
    if not path.exists():
        known = ", ".join(sorted(path.stem for path in SHIPPED.glob("*.safetensors")))
        raise BackbonesError(
            f"no weights of {name} trained on {dataset} come with this package; there are: {known}"
        )
    return path


def options_of(path: str | Path) -> dict[str, int]:
    """What `create_model` must be told to build the net of a file that `save_weights` wrote.

    Raises:
        BackbonesError: If the file is missing or cannot be read.

    >>> options_of(shipped("resnet20", "fashion-mnist"))
    {...}
    """
    metadata, _ = _read(Path(path))
    identity = json.loads(metadata["backbones"])
    return {
        "num_classes": identity["num_classes"],
        "in_channels": identity["in_channels"],
        "input_size": int(metadata["input_size"]),
    }


def load_weights(model: Any, path: str | Path) -> None:
    """Read weights from a file into a model of either framework.

    No code from the file runs, whichever kind it is.

    Args:
        model: Changed in place, or left as it was if anything does not fit.
        path: A safetensors file that `save_weights` wrote, or weights of torchvision for the same net: a
            checkpoint (`.pth`, for which PyTorch must be installed) or a safetensors file.

    Raises:
        BackbonesError: If the file is missing, cannot be read, or is of another net.

    >>> from backbones import create_model
    >>> model = create_model("lenet5", "torch")
    >>> load_weights(model, shipped("lenet5", "mnist"))
    """
    path = Path(path)
    metadata, weights = _read(path)
    if found := json.loads(metadata.get("backbones", "{}")):
        wanted = _identity(model.config)
        if found != wanted:
            raise BackbonesError(f"{path} holds weights of {_said(found)}, but the model is {_said(wanted)}")
    else:
        weights = convert.torchvision_state(model, weights)
    try:
        convert.load_state(model, weights)
    except BackbonesError as error:
        raise BackbonesError(f"{path} does not fit {convert.config_of(model).name}: {error}") from error


def _identity(spec: Spec) -> dict[str, Any]:
    """What a net's weights depend on, as plain values. The size of the images shows in their shapes, if at all."""
    identity = {"name": spec.name, "num_classes": spec.num_classes, "in_channels": spec.in_channels}
    changes = {field: value for field, value in changes_of(spec).items() if field != "input_size"}
    return json.loads(json.dumps(identity | changes, default=asdict))


def _said(identity: dict[str, Any]) -> str:
    known = "{name} with {num_classes} classes and {in_channels} input channels".format(**identity)
    changes = [f"{k}={v}" for k, v in identity.items() if k not in ("name", "num_classes", "in_channels")]
    return ", ".join([known, *changes])


def _read(path: Path) -> tuple[dict[str, str], convert.State]:
    """A file's metadata and arrays."""
    if not path.is_file():
        raise BackbonesError(f"no weights file at {path}")
    with path.open("rb") as file:
        start = file.read(2)
    # PyTorch writes zip archives, and wrote bare pickles before.
    if start == b"PK" or start[:1] == b"\x80":
        return {}, _read_torch(path)
    try:
        with safe_open(path, framework="np") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, TypeError) as error:
        raise BackbonesError(f"{path} is not a readable safetensors file: {error}") from error
    return metadata, {
        key: value.astype(np.float32) if value.dtype == np.float16 else value
        for key, value in weights.items()
    }


def _read_torch(path: Path) -> convert.State:
    """A PyTorch checkpoint's arrays, without running code from it."""
    require_framework("torch")
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a broken file makes the reader stumble over
        raise BackbonesError(
            f"{path} is not a PyTorch checkpoint that can be read without running code from it "
            f"({type(error).__name__}); a state_dict saved by torch.save is"
        ) from error
    if not isinstance(content, dict) or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise BackbonesError(f"{path} holds no state_dict (names and tensors), but a {_content(content)}")
    return {key: value.float().numpy() for key, value in content.items()}


def _content(content: Any) -> str:
    if isinstance(content, dict):
        return f"dict of {', '.join(map(str, list(content)[:3]))}"
    return type(content).__name__
