"""Weights across the frameworks: unchanged, complete, and the nets then compute and learn the same."""

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from conftest import (
    FRAMEWORKS,
    MODELS,
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
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from torch import nn

import backbones
from backbones import convert
from backbones.registry import changes_of
from backbones.training import Recipe
from backbones.training.tensorflow import make_optimizer as keras_optimizer
from backbones.training.torch import make_optimizer as torch_optimizer

every_model = pytest.mark.parametrize("name", MODELS)
both = pytest.mark.parametrize("framework", FRAMEWORKS)


@every_model
@both
def test_round_trip_is_bit_for_bit(name, framework, rng):
    start = backbones.create_model(name, framework=framework, seed=3, **thin(name))
    stir(start, rng)
    there = convert.to_tensorflow(start) if framework == "torch" else convert.to_torch(start)
    back = convert.to_torch(there) if framework == "torch" else convert.to_tensorflow(there)
    before, between, after = convert.state(start), convert.state(there), convert.state(back)
    assert list(before) == list(after)
    assert set(before) == set(between)
    assert len({value.tobytes() for value in before.values()}) > len(before) / 2  # no weight for another
    for key in before:
        assert before[key].tobytes() == between[key].tobytes() == after[key].tobytes(), key


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


@every_model
@pytest.mark.parametrize(
    ("dtype", "tolerance", "size"),
    [("float32", 1e-5, light), ("float64", 1e-12, small)],
    ids=["float32-full size", "float64-small images"],
)
def test_same_weights_same_features_and_logits(name, dtype, tolerance, size, rng):
    left, right = make_pair(name, dtype, **size(name))
    layers = all_layers(name, size(name))
    comparison = convert.compare(left, right, images_for(left, 1, rng, dtype), layers)
    assert [row.layer for row in comparison.rows] == [*layers, "logits"]
    assert comparison.rows[-1].size > 0
    assert comparison.largest <= tolerance, str(comparison)


@every_model
def test_named_features_are_compared_by_default(name, rng):
    left, right = make_pair(name, **thin(name))
    features = backbones.summary(name).features
    rows = convert.compare(left, right, images_for(left, 1, rng)).rows
    assert [row.layer for row in rows] == [*(feature.layer for feature in features), "logits"]


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


def one_step(left, right, images, labels, optimizers):
    """The same training step in both frameworks, in training mode."""
    for_torch, for_keras = optimizers
    for_torch.zero_grad()
    torch_loss(left, left.train()(to_torch(images)), torch.tensor(labels)).backward()
    for_torch.step()
    with tf.GradientTape() as tape:
        loss = keras_loss(right, right(images, training=True), labels)
    for_keras.apply(tape.gradient(loss, right.trainable_weights), right.trainable_weights)


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
    left, right = without_dropout(*make_pair(name, dtype, **size(name)))
    images, labels = images_for(left, 2, rng, dtype), rng.integers(0, 10, 2)
    before = convert.state(left)
    torch_loss(left, left.train()(to_torch(images)), torch.tensor(labels)).backward()
    rate = step_of_a_hundredth(left)
    convert.load_state(left, before)  # the statistics have moved
    with keras_float64() if dtype == "float64" else contextlib.nullcontext():
        optimizers = torch.optim.SGD(left.parameters(), lr=rate), keras.optimizers.SGD(rate)
        one_step(left, right, images, labels, optimizers)
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
        optimizers = torch_optimizer(left, recipe), keras_optimizer(recipe, np.full(3, recipe.learning_rate))
        for _ in range(3):
            one_step(left, right, images, labels, optimizers)
    assert largest_relative_difference(convert.state(left), convert.state(right)) <= 1e-9


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


class Subclassed(keras.Model):
    """Where what comes before `fc` cannot be seen from outside."""

    def __init__(self):
        super().__init__()
        self.conv, self.flatten, self.fc = (
            layers.Conv2D(3, 3, name="conv"), layers.Flatten(), layers.Dense(2, name="fc"),
        )  # fmt: skip

    def call(self, x):
        return self.fc(self.flatten(self.conv(x)))


class Composite(layers.Layer):
    """A layer with layers of its own."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(2)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


class Scale(layers.Layer):
    """A layer of one's own that names its weight as PyTorch does."""

    def build(self, shape):
        self.weight = self.add_weight((shape[-1],), name="weight")

    def call(self, x):
        return self.weight * x


class OwnWeight(keras.Model):
    """With a weight that is of no layer."""

    def __init__(self):
        super().__init__()
        self.conv, self.scale = layers.Conv2D(3, 3, name="conv"), self.add_weight((1,), name="scale")

    def call(self, x):
        return self.scale * self.conv(x)


def called(model):
    model(np.zeros((1, 6, 5, 2), np.float32))
    return model


def of_layers(*steps):
    """A functional model of layers behind each other, for images of 6 x 5 with 2 channels."""
    x = start = keras.Input((6, 5, 2))
    for step in steps:
        x = step(x)
    return keras.Model(start, x)


def dense():
    return layers.Dense(2, name="fc")


def with_branches():
    start = keras.Input((6, 5, 2))
    both_ways = [layers.Flatten()(x) for x in (start, -start)]
    return keras.Model(start, dense()(layers.Concatenate(name="cat")(both_ways)))


def shared():
    """A dense layer that looks at 6 x 5 x 2 flattened, and at 3 x 5 x 4."""
    start, fc = keras.Input((6, 5, 2)), dense()
    folded = layers.Conv2D(4, (2, 1), (2, 1), name="conv")(start)
    return keras.Model(start, layers.Add()([fc(layers.Flatten()(start)), fc(layers.Flatten()(folded))]))


KIND, ORDER = "layout in PyTorch is not known; known are Conv2D", "an order that is not known"
NOT_CARRIED_OVER = {
    "a nested model": (lambda: of_layers(keras.Sequential([layers.Conv2D(2, 3)], name="inner")),
                       r"'inner' \(Sequential\) has .*" + KIND),
    "a nested functional model": (lambda: of_layers(of_layers(layers.Conv2D(2, 3))), r"\(Functional\) has .*" + KIND),
    "a nested model of own layers": (lambda: of_layers(keras.Sequential([Scale()])), r"\(Sequential\) has .*" + KIND),
    "transposed": (lambda: of_layers(layers.Conv2DTranspose(3, 3, name="up")), r"'up' \(Conv2DTranspose\) .*" + KIND),
    "depthwise": (lambda: of_layers(layers.DepthwiseConv2D(3, name="deep")), r"'deep' \(DepthwiseConv2D\) .*" + KIND),
    "separable": (lambda: of_layers(layers.SeparableConv2D(3, 3, name="sep")), r"'sep' \(SeparableConv2D\) .*" + KIND),
    "another norm": (lambda: of_layers(layers.LayerNormalization(name="ln")), r"'ln' \(LayerNormalization\) .*" + KIND),
    "a layer of layers": (lambda: of_layers(Composite(name="block")), r"'block' \(Composite\) .*" + KIND),
    "a reshape": (lambda: of_layers(layers.Reshape((60,), name="flat"), dense()), r"'flat' \(Reshape\) .*" + ORDER),
    "a function": (lambda: of_layers(lambda x: keras.ops.reshape(x, (-1, 60)), dense()), r"\(Reshape\) .*" + ORDER),
    "a flatten within": (lambda: of_layers(keras.Sequential([layers.Flatten()], name="inner"), dense()),
                         r"'inner' \(Sequential\) .*" + ORDER),
    "channels first": (lambda: of_layers(layers.Flatten("channels_first", name="flat"), dense()), "'flat' .*" + ORDER),
    "a map of features": (lambda: of_layers(layers.Flatten(), layers.Reshape((3, 5, 4), name="map"), Scale()),
                          r"'map' \(Reshape\) .*" + ORDER),
    "turned axes": (lambda: of_layers(layers.Permute((3, 1, 2), name="turn"), layers.Flatten(), dense()),
                    r"'turn' \(Permute\) .*" + ORDER),
    "axes turned by a function": (lambda: of_layers(lambda x: keras.ops.transpose(x, (0, 3, 1, 2)), dense()),
                                  r"\(Transpose\) .*" + ORDER),
    "maps with channels first": (lambda: of_layers(layers.Conv2D(3, 1, data_format="channels_first", name="conv")),
                                 r"'conv' \(Conv2D\) .*" + ORDER),
    "features in two orders": (shared, r"'fc' \(Dense\) takes features in several orders"),
    "branches": (with_branches, r"'cat' \(Concatenate\) .*" + ORDER),
    "a norm of a flattened map": (lambda: of_layers(layers.Flatten(), layers.BatchNormalization(name="bn"), dense()),
                                  r"'bn' \(BatchNormalization\) follows a Flatten"),
    "a class": (lambda: called(Subclassed()), r"'fc' \(Dense\): only in a functional"),
    "a weight of no layer": (lambda: called(OwnWeight()), "the weight 'scale' belongs to no layer"),
    "not built": (lambda: keras.Sequential([layers.Dense(2)], name="net"), "'net' has no weights yet"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "said"), NOT_CARRIED_OVER.values(), ids=NOT_CARRIED_OVER)
def test_keras_models_whose_layout_is_not_known_are_refused(make, said):
    """As a source and as a target: in a wrong order the weights would still fit."""
    model = make()
    before = [np.asarray(variable) for variable in model.weights]
    for call in (
        lambda: convert.state(model),
        lambda: convert.load_state(model, {"fc.weight": np.zeros((2, 60), np.float32)}),
        lambda: convert.copy_weights(model, nn.Linear(60, 2)),
        lambda: convert.copy_weights(nn.Linear(60, 2), model),
    ):
        with pytest.raises(backbones.BackbonesError, match=said):
            call()
    assert all(np.array_equal(old, new) for old, new in zip(before, model.weights, strict=True))


def test_layers_of_ones_own_hold_weights_as_pytorch_does():
    model = of_layers(Scale(name="scale"), layers.GlobalAveragePooling2D())
    convert.load_state(model, {"scale.weight": np.float32([3, 4])})
    assert np.array_equal(convert.state(model)["scale.weight"], [3, 4])
    with pytest.raises(backbones.BackbonesError, match=r"'scale' \(Scale\) follows a Flatten"):
        convert.state(of_layers(layers.Flatten(), Scale(name="scale")))


@pytest.mark.parametrize(
    "steps",
    [
        lambda: [layers.GlobalAveragePooling2D()],
        lambda: [layers.GlobalMaxPooling2D(keepdims=True), layers.Reshape((2,))],
        lambda: [layers.GlobalAveragePooling2D(keepdims=True), layers.Flatten(), layers.BatchNormalization()],
        lambda: [layers.Permute((2, 1, 3)), layers.GlobalAveragePooling2D(), layers.Dropout(0.5)],
    ],
)
def test_channels_alone_have_one_order(steps):
    """Where a map was brought down to one pixel, features are channels, however they got their shape."""
    model = of_layers(*steps(), dense())
    assert np.array_equal(convert.state(model)["fc.weight"], np.asarray(model.get_layer("fc").kernel).T)


def test_a_row_of_pixels_becomes_a_grey_image_in_one_order():
    grey = keras.Sequential([keras.Input((30,)), layers.Reshape((6, 5, 1)), layers.Conv2D(2, 3, name="conv")])
    assert convert.state(grey)["conv.weight"].shape == (2, 1, 3, 3)


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


@pytest.mark.parametrize(
    "make",
    [Subclassed, lambda: called(Subclassed()), lambda: keras.Sequential([layers.Conv2D(2, 3)])],
    ids=["a class", "a class that was called", "not built"],
)
def test_keras_models_that_do_not_say_what_their_layers_give_are_refused(make):
    with pytest.raises(
        backbones.BackbonesError, match="only in a functional model, or a Sequential one that is"
    ):
        convert.activations(make(), np.zeros((1, 6, 5, 2), np.float32))


class Recurrent(nn.Module):
    """Whose first layer gives a tuple, as the net itself does if it is told to."""

    def __init__(self, whole=False):
        super().__init__()
        self.lstm, self.fc, self.whole = nn.LSTM(10, 3, batch_first=True), nn.Linear(3, 2), whole

    def forward(self, x):
        x, last = self.lstm(x.permute(0, 2, 3, 1).flatten(2))
        return (self.fc(x), last) if self.whole else self.fc(x)


def test_a_layer_that_gives_several_tensors_is_left_out(rng):
    images = rng.standard_normal((1, 6, 5, 2)).astype(np.float32)
    lstm = layers.LSTM(3, return_sequences=True, return_state=True, name="lstm")
    in_keras = of_layers(layers.Reshape((6, 10), name="flat"), lstm, lambda given: dense()(given[0]))
    assert list(convert.activations(in_keras, images)) == ["flat", "fc", "logits"]
    assert list(convert.activations(Recurrent(), images)) == ["fc", "logits"]
    with pytest.raises(backbones.BackbonesError, match="a model that gives a tensor, not a tuple"):
        convert.activations(Recurrent(whole=True), images)


def test_a_sequential_model_that_was_built_by_a_call_shows_its_layers():
    model = keras.Sequential([layers.Conv2D(2, 3, name="conv")])
    assert list(convert.activations(called(model), np.zeros((1, 6, 5, 2), np.float32))) == ["conv", "logits"]


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


def test_flatten_is_known_by_its_kind(rng):
    """Whatever it is called: its features are in another order in Keras, by design."""
    left = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 4))
    start = keras.Input((6, 5, 2))
    steps = [
        layers.Conv2D(3, 3, name="0"),
        layers.ReLU(name="1"),
        layers.Flatten(name="2"),
        layers.Dense(4, name="3"),
    ]
    right = keras.Sequential([start, *steps])
    convert.copy_weights(left, right)
    found = convert.compare(left, right, rng.standard_normal((2, 6, 5, 2)).astype(np.float32))
    assert [row.layer for row in found.rows] == ["0", "1", "3", "logits"]
    assert found.largest < 1e-5


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
