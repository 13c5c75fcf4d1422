"""Weights on disk: one safetensors file that both frameworks read, and the files of others."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeGuard

from safetensors.numpy import save_file

from backbones import convert
from backbones.convert.models import require_own_layers
from backbones.download import SOURCES
from backbones.errors import BackbonesError, choice, shown
from backbones.files import write_whole
from backbones.registry import changes_of, find_spec, summarize_spec
from backbones.spec import Spec
from backbones.weight_files import KINDS, read

SHIPPED = Path(__file__).parent / "pretrained"


def save_weights(model: Any, path: str | Path) -> None:
    """Write a model's weights, in PyTorch's names and layout, with what the model was built from.

    The file appears whole or not at all.

    Args:
        model: A model that `create_model` built, in either framework.
        path: The file, by custom `*.safetensors`. Its folder is made if missing.

    Raises:
        BackbonesError: If the model was built otherwise or a layer of it was replaced by another, or the file is no
            path or cannot be written.

    Examples:
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
    _require_as_built(spec, weights)
    require_own_layers(model)
    write_whole(path, lambda part: save_file(weights, part, metadata))


def _require_as_built(spec: Spec, weights: convert.State) -> None:
    """Refuse what no net that is built from this spec takes back: a layer was put in another's place."""
    layers = {layer.name: layer for layer in summarize_spec(spec).layers}
    built = {name: x.parameters + x.fixed + x.statistics for name, x in layers.items()}
    found: Counter[str] = Counter()
    for key, values in weights.items():
        found[key.rpartition(".")[0]] += values.size
    said = f"in {_said(_identity(spec))}, so that no net could load them; build the net with"
    other_layers = "options of create_model that change its layers"
    for name in {**built, **found}:
        if found[name] != built.get(name, 0):
            units = getattr(weights.get(f"{name}.bias"), "size", None)
            head = name in layers and layers[name].output.shape == (spec.num_classes, 1, 1)
            other = head and units not in (None, spec.num_classes)
            change = f"num_classes={units}" if other else other_layers
            raise BackbonesError(
                f"{shown(name)} holds {found[name]:,} weights, but {built.get(name, 0):,} {said} {change}"
            )


def shipped(name: str, dataset: str) -> Path:
    """The file with the weights of a net trained here, which come with the package.

    Args:
        name: A name from `list_models()`.
        dataset: What it was trained on: a name from `backbones.data.list_datasets()`.

    Raises:
        BackbonesError: If there are none; the message says which there are, of this net or else of all.

    Examples:
        >>> shipped("lenet5", "mnist").name
        'lenet5-mnist.safetensors'
    """
    find_spec(name)
    files = {path.stem: path for path in sorted(SHIPPED.glob("*.safetensors"))}
    if path := files.get(f"{name}-{dataset}"):
        return path
    of_net = [stem.removeprefix(f"{name}-") for stem in files if stem.startswith(f"{name}-")]
    there = choice(dataset, of_net) if of_net else f"there are none of this net, but {', '.join(files)}"
    raise BackbonesError(
        f"no weights of {name} trained on {dataset} come with this package; {there}; the path of a file will do, too"
    )


def is_dataset(weights: Any) -> TypeGuard[str]:
    """Whether weights are asked for by the name of a data set: one that is known, or a short word that is no file's.

    Args:
        weights: What `create_model` was given: a name, a path or None.

    Examples:
        >>> is_dataset("mnist"), is_dataset("minst"), is_dataset("lenet5.safetensors")
        (True, True, False)
    """
    if not isinstance(weights, str):
        return False
    return weights in SOURCES or (bool(re.fullmatch(r"[\w-]{1,40}", weights)) and not Path(weights).exists())


def options_of(path: str | Path) -> dict[str, int]:
    """What `create_model` must be told to build the net of a file that `save_weights` wrote.

    Raises:
        BackbonesError: If the file is missing or cannot be read.

    Examples:
        >>> options_of(shipped("resnet20", "fashion-mnist"))
        {...}
    """
    metadata, _ = read(path)
    identity = _identity_in(path, metadata)
    try:
        return {
            "num_classes": identity["num_classes"],
            "in_channels": identity["in_channels"],
            "input_size": int(metadata["input_size"]),
        }
    except (KeyError, ValueError) as error:
        raise BackbonesError(f"{path} does not say what its net is; a file of save_weights does") from error


def load_weights(model: Any, path: str | Path) -> None:
    """Read weights from a file into a model of either framework.

    No code from the file runs, whichever kind it is.

    Args:
        model: Changed in place, or left as it was if anything does not fit. It keeps its own precision.
        path: A safetensors file that `save_weights` wrote, or the `state_dict` of a PyTorch model of the same
            net, ours or torchvision's: a safetensors file, or one that `torch.save` wrote (`.pth`, for which
            PyTorch must be installed).

    Raises:
        BackbonesError: If the file is missing, cannot be read, or is of another net.

    Examples:
        >>> from backbones import create_model
        >>> model = create_model("lenet5", "torch")
        >>> load_weights(model, shipped("lenet5", "mnist"))
    """
    wanted = _identity(convert.config_of(model))
    metadata, weights = read(path)
    found = _identity_in(path, metadata)
    if found and found != wanted:
        raise BackbonesError(f"{path} holds weights of {_said(found)}, but the model is {_said(wanted)}")
    try:
        convert.load_state(model, weights if found else convert.torchvision_state(model, weights))
    except BackbonesError as error:
        raise BackbonesError(f"{path} does not fit {wanted['name']}: {error}") from error


def _identity(spec: Spec) -> dict[str, Any]:
    """What a net's weights depend on, as plain values. The size of the images shows in their shapes, if at all."""
    identity = {"name": spec.name, "num_classes": spec.num_classes, "in_channels": spec.in_channels}
    changes = {field: value for field, value in changes_of(spec).items() if field != "input_size"}
    return json.loads(json.dumps(identity | changes, default=asdict))


def _identity_in(path: str | Path, metadata: dict[str, str]) -> dict[str, Any]:
    """What a file says that its net was built from; empty if it is not one of ours."""
    if (text := metadata.get("backbones")) is None:
        return {}
    try:
        identity = json.loads(text)
        _said(identity)  # needs all that `_identity` always gives
    except (ValueError, KeyError, TypeError) as error:
        raise BackbonesError(
            f"{path} does not say what its net is as save_weights does, but {shown(text)}; expected {KINDS}"
        ) from error
    return identity


def _said(identity: dict[str, Any]) -> str:
    known = "{name} with {num_classes} classes and {in_channels} input channels".format(**identity)
    changes = [f"{k}={v}" for k, v in identity.items() if k not in ("name", "num_classes", "in_channels")]
    return ", ".join([known, *changes])
