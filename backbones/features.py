"""A model's named intermediate features: what other nets are built on top of a backbone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from backbones.convert.checks import check_images, check_names
from backbones.convert.models import config_of, framework_of
from backbones.registry import summarize_spec
from backbones.summary import Feature


def feature_extractor(model: Any, names: Iterable[str] | None = None) -> Callable[[Any], dict[str, Any]]:
    """What gives a model's named features for images. Gradients flow through it.

    `backbones.summary(name).features` lists the names with channels, size, stride and receptive field; they are
    the same in both frameworks.

    Args:
        model: A model that `create_model` built, in either framework.
        names: The features wanted; all if None.

    Returns:
        A function of images, N x C x H x W for PyTorch, N x H x W x C for Keras (where it is a `keras.Model`),
        to a dict of name -> map in the same layout. It takes images of the size and channels that the model was
        built for, in the precision of its weights.

    Raises:
        BackbonesError: If the model was built otherwise or has no such feature; of the function, if the model
            cannot take the images.

    Examples:
        >>> import backbones, torch
        >>> extract = feature_extractor(backbones.create_model("lenet5"), ["stage2"])
        >>> extract(torch.zeros(1, 1, 28, 28))["stage2"].shape
        torch.Size([1, 16, 5, 5])
    """
    spec = config_of(model)
    known = {feature.name: feature for feature in summarize_spec(spec).features}
    wanted = check_names(f"feature of {spec.name}", known if names is None else names, known)
    chosen = [known[name] for name in wanted]
    if framework_of(model) == "torch":
        return _torch_extractor(model, chosen)
    return _keras_extractor(model, chosen)


def _torch_extractor(model: Any, features: list[Feature]) -> Callable[[Any], dict[str, Any]]:
    import torch

    def extract(images: Any) -> dict[str, Any]:
        check_images(model, images, torch.Tensor, channels_first=True)
        found: dict[str, Any] = {}

        def keep(name: str) -> Callable:
            return lambda module, inputs, output: found.__setitem__(name, output)

        hooks = [model.get_submodule(f.layer).register_forward_hook(keep(f.name)) for f in features]
        try:
            model.forward_features(images)
        finally:
            for hook in hooks:
                hook.remove()
        return found

    return extract


def _keras_extractor(model: Any, features: list[Feature]) -> Callable[[Any], dict[str, Any]]:
    import keras
    import numpy as np
    import tensorflow as tf

    class Extractor(keras.Model):
        def __call__(self, images: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
            check_images(model, images, np.ndarray, tf.Tensor, keras.KerasTensor)
            return super().__call__(images, *args, **kwargs)

    return Extractor(model.input, {f.name: model.get_layer(f.layer).output for f in features})
