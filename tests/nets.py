"""Nets for the tests: small ones and pairs with the same weights, their images and losses; and every model's name."""

import contextlib
import importlib
import itertools
from dataclasses import replace
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
import torch.nn.functional as F

import backbones
from backbones import convert
from backbones.registry import find_spec, resolve
from backbones.training import Recipe

MODELS = backbones.list_models()
FRAMEWORKS = ["torch", "tensorflow"]
SHORT = Recipe(epochs=3, batch_size=32, learning_rate=3e-3)  # enough for `tiny`, below

every_model = pytest.mark.parametrize("name", MODELS)
both = pytest.mark.parametrize("framework", FRAMEWORKS)


@contextlib.contextmanager
def keras_float64():
    """Keras models built in here compute in float64."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


# Smaller images than the paper's, where a test runs a net and its size does not matter. Inception v3 keeps its own:
# its auxiliary head needs the 17 x 17 map.
SIDES = {"alexnet": 67, "alexnet_owt": 64, "googlenet": 96, "vgg": 32, "resnet": 64, "small": 16}

# Fewer maps and units, where a test trains a net and its width does not matter.
WIDTHS = {
    "vgg": {"channels": (8, 8, 16, 16, 16), "hidden": (32, 32)},
    "resnet": {"channels": (8, 8, 16, 16)},
    "small": {"channels": (4, 8, 16)},
}


def _kind(name):
    family, spec = find_spec(name)
    return "small" if getattr(spec, "small_images", False) else family


def small(name):
    """What makes a net's images small."""
    side = None if name.endswith("_mini") else SIDES.get(name, SIDES.get(_kind(name)))
    return {} if side is None else {"input_size": side, **light(name)}


def light(name):
    """What makes a net's dense layers small: at full size they are most of its weights, and all alike."""
    plain = name.endswith("_mini") or _kind(name) not in ("alexnet", "vgg")
    return {} if plain else {"hidden": (256, 256)}


def _thin_conv(conv):
    return replace(conv, channels=conv.channels // 8)


def _thin_alexnet(spec):
    convs = tuple(replace(conv, channels=conv.channels // 4) for conv in spec.convs)
    # Fewer inputs: the same signal wants larger weights.
    return {"convs": convs, "hidden": (32, 32), "init_std": 0.1}


def _thin_googlenet(spec):
    maps = ("conv1", "reduce3", "conv3", "reduce5", "conv5", "project")
    blocks = (replace(b, **{field: getattr(b, field) // 4 for field in maps}) for b in spec.blocks)
    return {"blocks": tuple(blocks), "stem": (16, 16, 48)}


def _thin_inception_v3(spec):
    def thinner(branch):
        return replace(
            branch, convs=tuple(map(_thin_conv, branch.convs)), fork=tuple(map(_thin_conv, branch.fork))
        )

    blocks = (
        replace(b, branches=tuple(map(thinner, b.branches)), project=b.project // 8) for b in spec.blocks
    )
    return {"blocks": tuple(blocks), "stem": tuple(map(_thin_conv, spec.stem))}


def thin(name):
    """What makes a net's images and its layers small."""
    special = {
        "alexnet": _thin_alexnet,
        "alexnet_owt": _thin_alexnet,
        "googlenet": _thin_googlenet,
        "inception_v3": _thin_inception_v3,
    }
    if name in special:
        return {**small(name), **special[name](find_spec(name)[1]), "num_classes": 10}
    width = {} if name.endswith("_mini") else WIDTHS.get(_kind(name), {})
    return {**small(name), **width, **({} if name == "lenet5_1998" else {"num_classes": 10})}


def on_meta(name, **options):
    """A PyTorch model at full size whose weights take no memory."""
    family, _ = find_spec(name)
    with torch.device("meta"):
        return importlib.import_module(f"backbones.{family}.torch").build(resolve(name, **options))


def shapes_given(model, spec):
    """Module name -> shape it gives for one image, in the order of the calls; heads that only train included."""
    given = {}
    for name, module in model.named_modules():
        module.register_forward_hook(
            lambda m, i, out, name=name: given.update({name: out.shape} if torch.is_tensor(out) else {})
        )
    model.train()(torch.empty(2, spec.in_channels, spec.input_size, spec.input_size, device="meta"))
    return given


def stir(model, rng):
    """Give what starts at 0 or 1 other values, so that none can be left out unseen."""
    if is_torch(model):
        with torch.no_grad():
            for value in model.state_dict().values():
                if value.ndim == 1:
                    value += torch.tensor(0.1 * np.abs(rng.standard_normal(value.shape)), dtype=value.dtype)
    else:
        for weight in model.weights:
            if len(weight.shape) == 1:
                weight.assign_add(0.1 * np.abs(rng.standard_normal(weight.shape)))


def blank(model):
    """Set every weight to 0, by the framework's own means."""
    for weight in model.state_dict().values() if is_torch(model) else model.weights:
        weight.zero_() if is_torch(model) else weight.assign(np.zeros(weight.shape))


@contextlib.contextmanager
def nothing_drawn():
    """Nets built in here draw no weights: to draw millions of numbers, only to replace them, takes long.

    Keras's start at 0, PyTorch's at whatever was in memory.
    """

    def zeros(self, shape, dtype=None):
        return keras.ops.zeros(shape, dtype)

    def as_it_is(tensor, *args, **options):
        return tensor

    draws = dict.fromkeys(("uniform_", "normal_", "kaiming_uniform_", "kaiming_normal_"), as_it_is)
    with (
        mock.patch.object(keras.initializers.VarianceScaling, "__call__", zeros),
        mock.patch.multiple(torch.nn.init, **draws),
    ):
        yield


def make_pair(name, dtype="float32", **options):
    """The same net with the same weights in both frameworks."""
    left = backbones.create_model(name, framework="torch", seed=0, **options)
    stir(left, np.random.default_rng(0))
    with nothing_drawn():
        return left, convert.to_tensorflow(left.double() if dtype == "float64" else left)


def images_for(model, count, rng, dtype="float32"):
    """Random images, N x H x W x C, of the size the model takes."""
    size, channels = model.config.input_size, model.config.in_channels
    return rng.standard_normal((count, size, size, channels)).astype(dtype)


def to_torch(images):
    """N x H x W x C as PyTorch takes it."""
    return torch.tensor(images).permute(0, 3, 1, 2)


@contextlib.contextmanager
def without_dropout(*models):
    """With dropout off, in training mode, too: the frameworks draw other numbers."""
    off = contextlib.ExitStack()
    for layer in itertools.chain.from_iterable(
        model.modules() if is_torch(model) else model.layers for model in models
    ):
        if isinstance(layer, torch.nn.Dropout | keras.layers.Dropout):
            off.enter_context(mock.patch.object(layer, "p" if is_torch(layer) else "rate", 0.0))
    with off:
        yield


def is_torch(model):
    return isinstance(model, torch.nn.Module)


def torch_loss(model, outputs, labels):
    """Cross-entropy, with that of auxiliary heads where the net has them."""
    logits, *heads = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = F.cross_entropy(logits, labels)
    return loss + sum(model.config.auxiliary_weight * F.cross_entropy(head, labels) for head in heads)


def keras_loss(model, outputs, labels):
    """The same in Keras."""

    def cross_entropy(logits):
        losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return tf.reduce_mean(losses)

    logits, *heads = outputs if isinstance(outputs, list | tuple) else (outputs,)
    return cross_entropy(logits) + sum(model.config.auxiliary_weight * cross_entropy(h) for h in heads)
