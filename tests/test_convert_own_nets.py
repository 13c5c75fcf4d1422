"""Weights of nets that were not built here: what crosses over, and what is refused."""

import keras
import numpy as np
import pytest
from keras import layers
from torch import nn

import backbones
from backbones import convert


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


def test_flatten_is_known_by_its_kind(rng):
    """Whatever it is called: its features are in another order in Keras, by design, and so are those behind it."""
    left = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Tanh(), nn.Dropout(), nn.Linear(36, 4)
    )
    start = keras.Input((6, 5, 2))
    steps = [
        layers.Conv2D(3, 3, name="0"),
        layers.ReLU(name="1"),
        layers.Flatten(name="2"),
        layers.Activation("tanh", name="3"),
        layers.Dropout(0.5, name="4"),
        layers.Dense(4, name="5"),
    ]
    right = keras.Sequential([start, *steps])
    convert.copy_weights(left, right)
    found = convert.compare(left, right, rng.standard_normal((2, 6, 5, 2)).astype(np.float32))
    assert [row.layer for row in found.rows] == ["0", "1", "5", "logits"]
    assert found.largest < 1e-5
