"""What makes a net and a data set fit each other."""

from __future__ import annotations

from typing import Any

from backbones.building import create_model
from backbones.convert.models import framework_of
from backbones.data import Dataset
from backbones.errors import BackbonesError, shown
from backbones.registry import find_spec
from backbones.spec import Spec


def model_for(dataset: Dataset, name: str, framework: str = "torch", **options: Any) -> Any:
    """A model with as many channels and classes as a data set has.

    Nets that are made for small images of any size get the size of these. Others keep their own, and
    `input_padding` says how wide a black border the images need.

    Args:
        dataset: From `backbones.data.load`.
        name: A name from `backbones.list_models()`.
        framework: `"torch"` or `"tensorflow"`.
        options: As for `backbones.create_model`; what is given here counts, not what the data set has.

    Returns:
        As `backbones.create_model`: a `torch.nn.Module` that takes N x C x H x W, or a `keras.Model` that takes
        N x H x W x C. Both give logits, N x classes.

    Raises:
        BackbonesError: As `backbones.create_model`.

    Examples:
        >>> from backbones import data
        >>> model_for(data.load("mnist"), "resnet20", seed=0).config.input_size
        28
    """
    require_dataset(dataset)
    _, side, _, channels = dataset.train_images.shape
    _, spec = find_spec(name)
    own = {"in_channels": channels, "num_classes": len(dataset.classes)}
    if getattr(spec, "small_images", False):
        own["input_size"] = side
    return create_model(name, framework, **own | options)


def require_dataset(dataset: Any) -> None:
    """Refuse the name of a data set, which other functions take, and whatever else is none."""
    if not isinstance(dataset, Dataset):
        raise BackbonesError(
            f"expected a data set, such as backbones.data.load('mnist') gives, not {shown(dataset)}"
        )


def spec_of(model: Any) -> Any:
    """What a net of ours was built from, as `model.config`. None for a net of the reader's own, whatever its config."""
    config = getattr(model, "config", None)
    return config if isinstance(config, Spec) else None


def input_padding(model: Any, dataset: Dataset) -> int:
    """Pixels to add on each side of a data set's images so that they fit the model: 2 from 28 to 32.

    Raises:
        BackbonesError: If the images are too large, far too small or not square, or the model has another number of
            channels or too few classes.
    """
    config = spec_of(model)
    if config is None:  # a net of the reader's own, which must fit as it is
        return 0
    height, width, channels = dataset.train_images.shape[1:]
    if config.in_channels != channels:
        raise BackbonesError(
            f"{config.name} was built for {config.in_channels} input channels, {dataset.name} has {channels}"
        )
    if config.num_classes < len(dataset.classes):
        raise BackbonesError(
            f"{config.name} was built for {config.num_classes} classes, "
            f"{dataset.name} has {len(dataset.classes)}"
        )
    side, missing = config.input_size, config.input_size - height
    wide = missing // 2 > height  # a border wider than the images: most of the work would be for nothing
    if height != width or missing < 0 or missing % 2 or wide:
        raise BackbonesError(
            f"{config.name} takes images of {side} x {side} pixels, {dataset.name} has {height} x {width}"
        )
    return missing // 2


def require_trainable(model: Any) -> None:
    """Find out before an hour of work whether training can change a model.

    Raises:
        BackbonesError: If it has no weights, or all of them are frozen.
    """
    if framework_of(model) == "torch":
        found, switch = any(weight.requires_grad for weight in model.parameters()), "requires_grad"
    else:
        found, switch = bool(model.trainable_variables), "trainable"
    if not found:
        raise BackbonesError(
            f"the model has nothing to train: it needs weights, and {switch} must be True for one at least"
        )
