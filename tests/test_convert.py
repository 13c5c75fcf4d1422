"""Weights across the frameworks: unchanged, complete, and the nets then compute and learn the same."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
import torch.nn.functional as F
from conftest import FRAMEWORKS, MODELS, images_for, keras_float64, make_pair
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from torch import nn

import backbones
from backbones import convert
from backbones.training import Recipe
from backbones.training.tensorflow import make_optimizer as keras_optimizer
from backbones.training.torch import make_optimizer as torch_optimizer

every_model = pytest.mark.parametrize("name", MODELS)
both = pytest.mark.parametrize("framework", FRAMEWORKS)


@every_model
@both
def test_round_trip_is_bit_for_bit(name, framework):
    start = backbones.create_model(name, framework=framework, seed=3)
    there = convert.to_tensorflow(start) if framework == "torch" else convert.to_torch(start)
    back = convert.to_torch(there) if framework == "torch" else convert.to_tensorflow(there)
    before, between, after = convert.state(start), convert.state(there), convert.state(back)
    assert list(before) == list(after)
    assert set(before) == set(between)
    for key in before:
        assert before[key].tobytes() == between[key].tobytes() == after[key].tobytes(), key


@every_model
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
def test_same_weights_same_features_and_logits(name, dtype, tolerance, rng):
    left, right = make_pair(name, dtype)
    comparison = convert.compare(left, right, images_for(left, 4, rng, dtype))
    assert {row.layer for row in comparison.rows} >= {layer.name for layer in right.layers if layer.weights}
    assert comparison.rows[-1].layer == "logits"
    assert comparison.largest <= tolerance, str(comparison)


def one_step(left, right, images, labels, optimizers):
    """The same training step in both frameworks, in training mode."""
    for_torch, for_keras = optimizers
    left.train()
    for_torch.zero_grad()
    F.cross_entropy(left(torch.tensor(images).permute(0, 3, 1, 2)), torch.tensor(labels)).backward()
    for_torch.step()
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            keras.losses.sparse_categorical_crossentropy(
                labels, right(images, training=True), from_logits=True
            )
        )
    for_keras.apply(tape.gradient(loss, right.trainable_weights), right.trainable_weights)


def largest_relative_difference(left, right):
    ours, theirs = convert.state(left), convert.state(right)
    return max(np.abs(ours[k] - theirs[k]).max() / max(np.abs(ours[k]).max(), 1e-12) for k in ours)


@every_model
@pytest.mark.parametrize(
    ("dtype", "tolerance", "count", "steps"),
    [
        # Few images and one step: with many, some ReLU's input lies within rounding of zero, and opens in one
        # framework and not in the other.
        ("float32", 1e-5, 2, 1),
        ("float64", 1e-9, 8, 2),  # the second step uses the momentum of the first
    ],
)
def test_same_training_step(name, dtype, tolerance, count, steps, rng):
    left, right = make_pair(name, dtype)
    images, labels = images_for(left, count, rng, dtype), rng.integers(0, 10, count)
    start = convert.state(left)
    with keras_float64() if dtype == "float64" else contextlib.nullcontext():
        # Rates that are whole in binary: Keras keeps its own in float32.
        for_keras = keras.optimizers.SGD(0.0625, momentum=0.875)
        for_torch = torch.optim.SGD(left.parameters(), lr=0.0625, momentum=0.875)
        for _ in range(steps):
            one_step(left, right, images, labels, (for_torch, for_keras))
    after = convert.state(left)
    assert all(not np.array_equal(start[key], after[key]) for key, p in left.named_parameters())
    assert largest_relative_difference(left, right) <= tolerance


def test_same_adamw_step(rng):
    """The recipe's own optimizers, with numbers that are whole in binary and an epsilon that plays no part."""
    left, right = make_pair("lenet5", "float64")
    images, labels = images_for(left, 64, rng, "float64"), rng.integers(0, 10, 64)
    recipe = Recipe(learning_rate=2**-8, weight_decay=0.125, beta1=0.875, beta2=1 - 2**-10, epsilon=2**-60)
    with keras_float64():
        optimizers = torch_optimizer(left, recipe), keras_optimizer(recipe, np.full(3, recipe.learning_rate))
        for _ in range(3):
            one_step(left, right, images, labels, optimizers)
    assert largest_relative_difference(left, right) <= 1e-9


sides = st.integers(6, 12)


@settings(max_examples=25, deadline=None)
@given(height=sides, width=sides, inputs=st.integers(1, 3), maps=st.integers(1, 5), kernel=st.integers(1, 4),
       units=st.integers(1, 6), seed=st.integers(0, 99))  # fmt: skip
def test_any_small_net_crosses_over(height, width, inputs, maps, kernel, units, seed):
    """Odd shapes, more channels than one, height unlike width: where a wrong flatten order cannot hide."""
    torch.manual_seed(seed)
    left = nn.Sequential()
    left.add_module("conv", nn.Conv2d(inputs, maps, kernel))
    left.add_module("pool", nn.MaxPool2d(2))
    left.add_module("flatten", nn.Flatten())
    left.add_module("fc", nn.Linear(maps * ((height - kernel + 1) // 2) * ((width - kernel + 1) // 2), units))
    images = start = keras.Input((height, width, inputs))
    images = layers.MaxPooling2D(2, name="pool")(layers.Conv2D(maps, kernel, name="conv")(images))
    images = layers.Dropout(0.5, name="drop")(layers.Flatten(name="flatten")(images))
    images = layers.Dense(units, name="fc")(images)
    right = keras.Model(start, images)
    convert.copy_weights(left, right)
    x = np.random.default_rng(seed).standard_normal((2, height, width, inputs)).astype(np.float32)
    assert convert.compare(left, right, x).largest < 1e-5
    back = convert.state(right)
    assert all(np.array_equal(value, back[key]) for key, value in convert.state(left).items())


@both
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("conv2.bias"), "the weights lack 'conv2.bias'"),
        (lambda s: s.update({"conv9.bias": s["fc1.bias"]}), "the model has no 'conv9.bias'"),
        (lambda s: s.update({"fc1.weight": s["fc1.weight"][:, :9]}), r"'fc1.weight' has shape \(120, 9\)"),
    ],
)
def test_what_does_not_fit_is_named_and_changes_nothing(framework, change, said):
    model = backbones.create_model("lenet5", framework=framework, seed=0)
    before, wrong = convert.state(model), convert.state(backbones.create_model("lenet5", seed=1))
    change(wrong)
    with pytest.raises(backbones.BackbonesError, match=said):
        convert.load_state(model, wrong)
    assert all(np.array_equal(value, before[key]) for key, value in convert.state(model).items())


def test_what_is_no_model_is_refused():
    with pytest.raises(backbones.BackbonesError, match="not dict"):
        convert.state({})
    with pytest.raises(backbones.BackbonesError, match="copy_weights"):
        convert.to_tensorflow(nn.Linear(2, 2))
    with pytest.raises(backbones.BackbonesError, match="no layer name in common"):
        convert.compare(
            nn.Conv2d(1, 1, 1), backbones.create_model("lenet5", "tensorflow"), np.zeros((1, 28, 28, 1), "f4")
        )


@every_model
@both
def test_files_are_read_by_the_other_framework(name, framework, tmp_path):
    other = "tensorflow" if framework == "torch" else "torch"
    model = backbones.create_model(name, framework=framework, seed=0)
    backbones.save_weights(model, tmp_path / "new" / "w.safetensors")
    partner = backbones.create_model(name, framework=other, seed=1)
    backbones.load_weights(partner, tmp_path / "new" / "w.safetensors")
    ours, theirs = convert.state(model), convert.state(partner)
    assert all(ours[key].tobytes() == theirs[key].tobytes() for key in ours)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["w.safetensors"]


@both
def test_bad_files_are_refused_and_change_nothing(framework, tmp_path):
    model = backbones.create_model("lenet5", framework=framework, seed=0)
    before = convert.state(model)
    good = tmp_path / "good.safetensors"
    backbones.save_weights(model, good)
    backbones.save_weights(backbones.create_model("lenet5_1998", seed=0), tmp_path / "other.safetensors")
    backbones.save_weights(
        backbones.create_model("lenet5", num_classes=3, seed=0), tmp_path / "three.safetensors"
    )
    (tmp_path / "cut.safetensors").write_bytes(good.read_bytes()[:1000])
    torch.save({"a": torch.zeros(1)}, tmp_path / "pickle.safetensors")
    for file, said in {
        "none.safetensors": "no weights file at",
        "other.safetensors": "holds weights of lenet5_1998 with 10 classes",
        "three.safetensors": "holds weights of lenet5 with 3 classes",
        "cut.safetensors": "is not a readable safetensors file",
        "pickle.safetensors": "is not a readable safetensors file",
    }.items():
        with pytest.raises(backbones.BackbonesError, match=said):
            backbones.load_weights(model, tmp_path / file)
    with pytest.raises(backbones.BackbonesError, match="cannot write"):
        backbones.save_weights(model, good / "below" / "a-file.safetensors")
    assert all(np.array_equal(value, before[key]) for key, value in convert.state(model).items())
