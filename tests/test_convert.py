"""Weights across the frameworks: unchanged, complete, and the nets then compute and learn the same."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from nets import (
    MODELS,
    both,
    every_model,
    images_for,
    keras_float64,
    keras_loss,
    light,
    make_pair,
    small,
    stir,
    thin,
    to_torch,
    torch_loss,
    without_dropout,
)
from torch import nn

import backbones
from backbones import convert
from backbones.registry import changes_of
from backbones.training import Recipe
from backbones.training.tensorflow import AdamW
from backbones.training.torch import make_optimizer as torch_optimizer

# The 1998 net's classes are the bitmaps of ten digits.
OTHERS = {name: {} if name == "lenet5_1998" else {"num_classes": 7, "in_channels": 2} for name in MODELS}


@every_model
def test_round_trips_are_bit_for_bit(name, rng):
    """From Keras to PyTorch to Keras to PyTorch: there and back from either side. With other classes and channels."""
    options = {**thin(name), **OTHERS[name]}
    start = backbones.create_model(name, framework="tensorflow", seed=3, **options)
    stir(start, rng)
    there = convert.to_torch(start)
    back = convert.to_tensorflow(there)
    again = convert.to_torch(back)
    first, *others = map(convert.state, (start, there, back, again))
    assert len({value.tobytes() for value in first.values()}) > len(first) / 2  # no weight for another
    for other in others:
        assert set(first) == set(other)
        assert all(value.tobytes() == other[key].tobytes() for key, value in first.items())
    assert list(first) == list(others[1])
    assert list(others[0]) == list(others[2])
    ledger = backbones.summary(name, **options)
    in_ledger = sum(layer.parameters + layer.fixed + layer.statistics for layer in ledger.layers)
    assert sum(value.size for value in first.values()) == in_ledger


@pytest.mark.parametrize("name", ["lenet5", "vgg_mini"])
@both
def test_a_partner_has_the_same_precision(name, framework, rng):
    left, right = make_pair(name, "float64")
    start = left if framework == "torch" else right
    expected = convert.state(start)
    there = convert.to_tensorflow(start) if framework == "torch" else convert.to_torch(start)
    assert keras.config.floatx() == keras.config.dtype_policy().name == "float32"
    between = convert.state(there)
    assert all(value.tobytes() == between[key].tobytes() for key, value in expected.items())
    pair = (start, there) if framework == "torch" else (there, start)
    assert convert.compare(*pair, images_for(left, 1, rng, "float64")).largest < 1e-12
    with pytest.raises(backbones.BackbonesError, match="the model's weights are bfloat16; nets are"):
        convert.to_tensorflow(left.bfloat16())


def all_layers(name, options):
    """Rows of the ledger that both frameworks run in evaluation and keep in the same order."""
    rows = backbones.summary(name, **options).layers
    return [row.name for row in rows if row.type not in ("Flatten", "Add") and not row.auxiliary]


def all_features_are_the_same(left, right, images, tolerance):
    layers = all_layers(left.config.name, changes_of(left.config))
    comparison = convert.compare(left, right, images, layers)
    assert [row.layer for row in comparison.rows] == [*layers, "logits"]
    assert comparison.rows[-1].size > 0
    assert comparison.largest <= tolerance, str(comparison)


@every_model
def test_same_weights_same_features_and_logits(name, rng):
    """At full size in float32; in float64, of smaller images, before the training step below."""
    left, right = make_pair(name, **light(name))
    images = images_for(left, 1, rng)
    all_features_are_the_same(left, right, images, 1e-5)
    by_default = [row.layer for row in convert.compare(left, right, images).rows]
    assert by_default == [*(feature.layer for feature in backbones.summary(name).features), "logits"]


def one_step(left, right, images, labels, optimizers):
    """The same training step in both frameworks, in training mode."""
    for_torch, for_keras = optimizers
    torch_gradients(left, images, labels)
    for_torch.step()
    for_keras.apply(keras_gradients(right, images, labels), right.trainable_weights)


def torch_gradients(model, images, labels):
    """Left in its parameters."""
    model.zero_grad()
    torch_loss(model, model.train()(to_torch(images)), torch.tensor(labels)).backward()


def keras_gradients(model, images, labels):
    with tf.GradientTape() as tape:
        loss = keras_loss(model, model(images, training=True), labels)
    return tape.gradient(loss, model.trainable_weights)


def largest_relative_difference(ours, theirs):
    return max(np.abs(ours[k] - theirs[k]).max() / max(np.abs(ours[k]).max(), 1e-12) for k in ours)


def biased(model, before, after, count):
    """PyTorch's running variances as Keras would have them: it divides by n where PyTorch divides by n - 1."""
    ledger = backbones.summary(model.config.name, **changes_of(model.config))
    after = dict(after)
    for key in [key for key in after if key.endswith("running_var")]:
        _, height, width = ledger[key.removesuffix(".running_var")].output.shape
        n = count * height * width
        kept = 0.9 * before[key]
        after[key] = kept + (after[key] - kept) * (n - 1) / n
    return after


def step_of_a_hundredth(model):
    """The rate at which no weight changes by more than a hundredth of its layer's largest.

    Deep nets with freshly drawn weights differ a thousandfold in their gradients. The rate is whole in binary, since
    Keras keeps its own in float32.
    """
    ratios = [float(p.detach().abs().max() / p.grad.abs().max()) for p in model.parameters()]
    return 2.0 ** np.floor(np.log2(0.01 * min(ratios)))


# Where float32's rounding grows from layer to layer until it opens a ReLU in one framework and not in the other. In
# float64 these nets agree as all others do.
ROUGH_IN_FLOAT32 = {"plain56": 1e-2, "resnet152": 1e-3, "inception_v3": 1e-3}


@every_model
@pytest.mark.parametrize(
    ("dtype", "tolerance", "size"),
    [("float32", 1e-4, thin), ("float64", 1e-9, small)],
    ids=["float32-thin", "float64-small images"],
)
def test_same_training_step(name, dtype, tolerance, size, rng):
    """Auxiliary heads on, dropout off, BatchNorm with the batch's own statistics."""
    left, right = make_pair(name, dtype, **size(name))
    images, labels = images_for(left, 2, rng, dtype), rng.integers(0, 10, 2)
    if dtype == "float64":
        all_features_are_the_same(left, right, images, 1e-12)
    before = convert.state(left)
    with without_dropout(left, right), keras_float64() if dtype == "float64" else contextlib.nullcontext():
        torch_gradients(left, images, labels)
        rate = step_of_a_hundredth(left)
        torch.optim.SGD(left.parameters(), lr=rate).step()
        keras.optimizers.SGD(rate).apply(keras_gradients(right, images, labels), right.trainable_weights)
    after = convert.state(left)
    if dtype == "float64":  # in float32 the smallest changes vanish in the rounding
        still = {key for key in before if np.array_equal(before[key], after[key])}
        # The 1998 net's fixed pictures, and biases that BatchNorm takes off again: VGG keeps them.
        assert all(key == "output.weight" or key.replace("conv", "bn") in before for key in still)
    else:
        tolerance = ROUGH_IN_FLOAT32.get(name, tolerance)
    assert largest_relative_difference(biased(left, before, after, 2), convert.state(right)) <= tolerance


def test_momentum_is_the_same(rng):
    """Two more steps, the second of which uses the momentum of the first."""
    left, right = make_pair("lenet5", "float64")
    images, labels = images_for(left, 8, rng, "float64"), rng.integers(0, 10, 8)
    with keras_float64():
        for_torch = torch.optim.SGD(left.parameters(), lr=0.0625, momentum=0.875)
        optimizers = for_torch, keras.optimizers.SGD(0.0625, momentum=0.875)
        for _ in range(2):
            one_step(left, right, images, labels, optimizers)
    assert largest_relative_difference(convert.state(left), convert.state(right)) <= 1e-9


def test_same_adamw_step(rng):
    """The recipe's own optimizers, with numbers that are whole in binary and an epsilon that plays no part."""
    left, right = make_pair("lenet5", "float64")
    images, labels = images_for(left, 64, rng, "float64"), rng.integers(0, 10, 64)
    recipe = Recipe(learning_rate=2**-8, weight_decay=0.125, beta1=0.875, beta2=1 - 2**-10, epsilon=2**-60)
    with keras_float64():
        optimizers = torch_optimizer(left, recipe), AdamW(recipe, np.full(3, recipe.learning_rate))
        for _ in range(3):
            one_step(left, right, images, labels, optimizers)
    assert largest_relative_difference(convert.state(left), convert.state(right)) <= 1e-9


def test_adamw_rounds_alike(rng):
    """Thirty steps in float32 from the same gradients: most weights are equal, and the others to a bit or two."""
    left = nn.Linear(100, 100, bias=False)
    right = keras.Variable(left.weight.detach().numpy())
    recipe = Recipe()
    rates = recipe.learning_rates(10)[:30]
    for_torch, for_keras = torch_optimizer(left, recipe), AdamW(recipe, rates)
    for rate in rates:
        gradient = rng.standard_normal((100, 100)).astype(np.float32)
        left.weight.grad, for_torch.param_groups[0]["lr"] = torch.tensor(gradient), float(rate)
        for_torch.step()
        for_keras.apply([gradient], [right])
    apart = np.abs(left.weight.detach().numpy() - right.numpy())
    assert np.count_nonzero(apart) < 0.5 * apart.size
    assert apart.max() < 1e-7


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


@both
def test_values_too_large_for_the_models_precision_are_refused(framework):
    model = backbones.create_model("lenet5", framework, seed=0)
    before = convert.state(model)
    wide = {key: value.astype(np.float64) for key, value in before.items()}
    huge = wide | {"fc2.bias": np.full(84, 1e300)}
    with pytest.raises(backbones.BackbonesError, match=r"'fc2.bias' holds 1e\+300, too large for .* float32"):
        convert.load_state(model, huge)
    assert all(np.array_equal(value, before[key]) for key, value in convert.state(model).items())
    convert.load_state(model, wide | {"fc2.bias": np.full(84, np.inf)})  # as given
    assert np.isinf(convert.state(model)["fc2.bias"]).all()
