"""Comparisons of two nets, layer by layer: what they show, and the images they take."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from keras import layers
from nets import both, images_for, make_pair, thin
from torch import nn

import backbones
from backbones import convert


def test_a_comparison_names_the_features(rng):
    left, right = make_pair("lenet5")
    comparison = convert.compare(left, right, images_for(left, 1, rng), ["conv1", "pool1", "logits"])
    assert [(row.layer, row.feature) for row in comparison.rows] == [
        ("conv1", ""), ("pool1", "stage1"), ("logits", ""),
    ]  # fmt: skip
    assert "stage1" in str(comparison)
    for wrong, said in {
        "conv1": "expected a list of names, such as .'conv1'., not 'conv1'",
        ("conv1", "conv3"): "unknown layer of both models 'conv3'; did you mean",
    }.items():
        with pytest.raises(backbones.BackbonesError, match=said):
            convert.compare(left, right, images_for(left, 1, rng), wrong)


@pytest.mark.parametrize("where", ["conv1.bias", "fc3.bias"], ids=["first layer", "last layer"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("sides", [("left",), ("right",), ("left", "right")], ids=["torch", "keras", "both"])
def test_what_is_not_a_number_never_passes(where, value, sides, rng):
    """Wherever it is and whatever comes after it."""
    left, right = make_pair("lenet5", "float64")
    broken = convert.state(left)
    broken[where] = np.full_like(broken[where], value)
    for side in sides:
        convert.load_state({"left": left, "right": right}[side], broken)
    comparison = convert.compare(left, right, images_for(left, 1, rng, "float64"), ["conv1", "pool1", "fc3"])
    assert not comparison.largest <= 1e300


IMAGES = np.zeros((2, 28, 28, 1), np.float32)
NOT_IMAGES = {
    "a list": IMAGES.tolist(),
    "nothing": None,
    "no image": IMAGES[:0],
    "one image": IMAGES[0],
    "no channel axis": IMAGES[..., 0],
    "other layout": IMAGES.transpose(0, 3, 1, 2),
    "other size": np.zeros((2, 32, 32, 1), np.float32),
    "other channels": np.zeros((2, 28, 28, 3), np.float32),
    "pixels": IMAGES.astype(np.uint8),
    "float64": IMAGES.astype(np.float64),
}


@both
@pytest.mark.parametrize("wrong", NOT_IMAGES.values(), ids=NOT_IMAGES)
def test_images_are_held_against_what_the_model_takes(framework, wrong):
    """The same in both frameworks; a feature extractor takes its framework's own layout."""
    model = backbones.create_model("lenet5", framework, seed=0)
    partner = backbones.create_model("lenet5", "tensorflow" if framework == "torch" else "torch")
    pair = (model, partner) if framework == "torch" else (partner, model)
    extract = backbones.feature_extractor(model)
    native = wrong
    if framework == "torch" and isinstance(wrong, np.ndarray):
        native = torch.tensor(wrong)
        native = native.permute(0, 3, 1, 2) if wrong.ndim == 4 else native
    takes = "N x (28 x 28 x 1|1 x 28 x 28) .N at least 1. in float32, not "
    for call in (
        lambda: convert.activations(model, wrong),
        lambda: convert.compare(*pair, wrong),
        lambda: extract(native),
    ):
        with pytest.raises(backbones.BackbonesError, match=takes) as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "frameworks", [("tensorflow", "torch"), ("torch", "torch"), ("tensorflow", "tensorflow")]
)
def test_the_model_of_pytorch_comes_first(frameworks):
    models = [backbones.create_model("lenet5", framework) for framework in frameworks]
    with pytest.raises(backbones.BackbonesError, match=f"not of {' and of '.join(frameworks)}"):
        convert.compare(*models, np.zeros((1, 28, 28, 1), np.float32))


def test_nets_of_the_readers_own_say_what_they_can():
    """A net in PyTorch takes any size; one in Keras knows its own; one without weights has no precision."""
    left = nn.Sequential(nn.Conv2d(1, 1, 3))
    assert convert.activations(left, np.zeros((1, 9, 5, 1), np.float32))["logits"].shape == (1, 1, 7, 3)
    assert convert.activations(left.double(), np.zeros((1, 9, 5, 1)))["logits"].dtype == np.float64
    bare = nn.Sequential(nn.ReLU())
    assert convert.activations(bare, np.zeros((1, 9, 5, 1)))["logits"].shape == (1, 1, 9, 5)
    start = keras.Input((None, 5, 1))
    right = keras.Model(start, layers.Conv2D(1, 3)(start))
    assert convert.activations(right, np.zeros((1, 9, 5, 1), np.float32))["logits"].shape == (1, 1, 7, 3)
    for model, said in ((left, "N x H x W x C .* in float64"), (right, "N x H x 5 x 1 .* in float32")):
        with pytest.raises(backbones.BackbonesError, match=said):
            convert.activations(model, np.zeros((1, 9, 4), np.float32))


@both
@pytest.mark.parametrize("names", ["stage1", [], 5, np.array("stage1")])
def test_a_list_of_features_is_a_list(framework, names):
    model = backbones.create_model("lenet5", framework, seed=0)
    with pytest.raises(backbones.BackbonesError, match=r"a list of names, such as \['stage1'\], not"):
        backbones.feature_extractor(model, names)


def test_looking_at_a_net_leaves_each_layer_in_its_mode(rng):
    """A layer that was frozen stays so, whatever the rest of the net is in."""
    model = backbones.create_model("resnet20", seed=0, **thin("resnet20"))
    model.train()
    model.bn1.eval()
    convert.activations(model, images_for(model, 1, rng))
    assert model.training
    assert model.layer1.training
    assert not model.bn1.training


def test_of_a_layer_that_is_called_twice_both_show_the_first_call(rng):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x):
            return self.conv(self.conv(x))

    left, conv, start = Twice(), layers.Conv2D(2, 3, padding="same", name="conv"), keras.Input((6, 5, 2))
    right = keras.Model(start, conv(conv(start)))
    convert.copy_weights(left, right)
    found = convert.compare(left, right, rng.standard_normal((2, 6, 5, 2)).astype(np.float32))
    assert [row.layer for row in found.rows] == ["conv", "logits"]
    assert found.largest < 1e-5


@both
def test_a_tensor_of_the_other_framework_is_named_with_its_package(framework):
    extract = backbones.feature_extractor(backbones.create_model("lenet5", framework))
    other = torch.zeros(1, 28, 28, 1) if framework == "tensorflow" else tf.zeros((1, 1, 28, 28))
    with pytest.raises(backbones.BackbonesError, match=r"not (torch\.Tensor|tensorflow\.EagerTensor)$"):
        extract(other)
