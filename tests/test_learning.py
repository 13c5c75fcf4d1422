"""How every registered model starts and learns, in both frameworks: weights, gradients, a batch, auxiliary heads."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from nets import (
    MODELS,
    both,
    images_for,
    is_torch,
    keras_loss,
    thin,
    to_torch,
    torch_loss,
    without_dropout,
)
from scipy.stats import ks_2samp

import backbones
from backbones import convert
from backbones.convert.models import framework_of
from backbones.inception.auxiliary import WithAuxiliary

# The others start as their papers say: see below.
HE_NORMAL = [name for name in MODELS if name not in ("lenet5_1998", "alexnet", "alexnet_owt")]


def test_seeds_fix_weights_that_both_frameworks_draw_alike(model):
    """An init that never ran leaves a framework's own default, and that has another width or shape."""
    name, framework, before = model.config.name, framework_of(model), torch.random.get_rng_state()

    def drawn(framework, seed):
        return convert.state(backbones.create_model(name, framework, seed=seed, **thin(name)))

    first, again, other = convert.state(model), drawn(framework, 0), drawn(framework, 1)
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert any(not np.array_equal(first[key], other[key]) for key in first)
    if name in HE_NORMAL:
        starts_he_normal(first)
    in_torch = drawn("torch", 2), drawn("torch", 3)
    assert torch.equal(before, torch.random.get_rng_state())
    for key in first if framework == "tensorflow" else ():  # PyTorch's would be held against themselves
        left, right = (np.concatenate([a[key], b[key]]).ravel() for a, b in ((first, other), in_torch))
        if left.std() == 0 or (name, key) == ("lenet5_1998", "output.weight"):
            assert np.array_equal(left, right), key  # constants, or fixed pictures
        else:
            assert ks_2samp(left, right).pvalue > 1e-5, key


def starts_he_normal(weights):
    """He et al. 2015, Eq. 10: variance 2 / fan-in."""
    drawn = [w * np.sqrt(np.prod(w.shape[1:]) / 2) for w in weights.values() if w.ndim > 1]
    normal = np.concatenate([w.ravel() for w in drawn])
    assert abs(normal.std() - 1) < 0.02
    assert np.abs(normal).max() > 3  # with its tails
    for key, value in weights.items():
        if value.ndim == 1:
            start = 1 if key.endswith(("running_var", "weight")) else 0
            assert (value == start).all(), key


@pytest.mark.parametrize("name", ["alexnet", "alexnet_owt"])
@both
def test_alexnet_starts_as_the_paper_says(name, framework):
    """Section 5: normal weights of standard deviation 0.01, and which biases start at 1."""
    weights = convert.state(backbones.create_model(name, framework=framework, seed=0, **small_hidden))
    for layer in ("conv2", "conv3", "fc6", "fc8"):
        assert np.isclose(weights[f"{layer}.weight"].std(), 0.01, rtol=0.05), layer
    ones = {key for key, value in weights.items() if value.ndim == 1 and (value == 1).all()}
    assert ones == {f"{layer}.bias" for layer in ("conv2", "conv4", "conv5", "fc6", "fc7")}
    assert not weights["conv1.bias"].any()


small_hidden = {"hidden": (64, 64)}


@both
def test_lenet5_1998_starts_as_the_paper_says(framework):
    """Appendix A: uniform within 2.4 / fan-in, where C3's fan-in follows from Table I."""
    weights = convert.state(backbones.create_model("lenet5_1998", framework=framework, seed=0))
    fan_ins = {"c1": 25, "s2": 4, "s4": 4, "c5": 400, "f6": 120}
    for layer, fan_in in fan_ins.items():
        largest = np.abs(weights[f"{layer}.weight"]).max()
        assert 0.5 * 2.4 / fan_in < largest <= 2.4 / fan_in, layer
    first_map, last_map = weights["c3.weight"][:3], weights["c3.weight"][-6:]
    assert 0.9 * 2.4 / 75 < np.abs(first_map).max() <= 2.4 / 75
    assert 0.9 * 2.4 / 150 < np.abs(last_map).max() <= 2.4 / 150


def test_training_mode_is_training_mode(model, rng):
    """In training, statistics move and dropout drops; in evaluation nothing changes and nothing is random."""
    images = images_for(model, 4, rng)

    def run(training):
        if is_torch(model):
            return logits_of(model.train(training)(to_torch(images))).detach().numpy()
        return np.asarray(logits_of(model(images, training=training)))

    layers = {layer.type for layer in backbones.summary(model.config.name).layers}
    before = convert.state(model)
    assert np.array_equal(run(False), run(False))
    assert all(np.array_equal(value, before[key]) for key, value in convert.state(model).items())
    first, second = run(True), run(True)
    assert np.array_equal(first, second) == ("Dropout" not in layers)
    moved = {key for key, value in convert.state(model).items() if not np.array_equal(value, before[key])}
    assert moved == {key for key in before if "running_" in key}
    assert bool(moved) == ("BatchNorm" in layers)


def logits_of(outputs):
    """The main head's, whatever a net gives in training."""
    return outputs[0] if isinstance(outputs, list | tuple) else outputs


# What takes many steps, or slow ones, before Keras compiles them; to compile takes as long as ten steps or so.
COMPILED = ("alexnet", "googlenet", "plain56")


def steps_against_the_gradients_sign(model, images, labels):
    """Move all weights by one length, on one batch; give the gradients by name and the guesses of each step.

    The first step is long and the later ones are ever shorter, so that every net gets there in few of them.
    """
    lengths = (2e-2 / number for number in itertools.count(1))
    return (torch_steps if is_torch(model) else keras_steps)(model, images, labels, lengths)


def torch_steps(model, images, labels, lengths):
    names, weights = zip(*model.named_parameters(), strict=True)
    x, y = to_torch(images), torch.tensor(labels)
    for length in lengths:
        outputs = model.train()(x)
        gradients = torch.autograd.grad(torch_loss(model, outputs, y), weights, allow_unused=True)
        yield dict(zip(names, gradients, strict=True)), logits_of(outputs).argmax(1).numpy()
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                weight -= length * gradient.sign()


def keras_steps(model, images, labels, lengths):
    names, weights = zip(*((w.path, w.value) for w in model.trainable_weights), strict=True)

    def forward_and_back():
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = keras_loss(model, outputs, labels)
        return tape.gradient(loss, weights), tf.argmax(logits_of(outputs), 1)

    compiled = model.config.name in COMPILED
    step = tf.function(forward_and_back, autograph=False) if compiled else forward_and_back
    for length in lengths:
        gradients, guesses = step()
        yield dict(zip(names, gradients, strict=True)), guesses.numpy()
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.assign_sub(length * tf.sign(gradient))


def test_every_parameter_gets_a_gradient_and_a_tiny_batch_is_learned_by_heart(model, rng):
    images, labels = images_for(model, 4, rng), np.arange(4)
    steps = steps_against_the_gradients_sign(model, images, labels)
    with without_dropout(model):
        gradients, _ = next(steps)
        for key, gradient in gradients.items():
            assert gradient is not None, key
            assert np.asarray(gradient).any(), key
        assert any(np.array_equal(guesses, labels) for _, guesses in itertools.islice(steps, 300))


def two_heads(kind, **options):
    """A Keras model of two outputs and a penalty on its weights; from run to run the same."""
    images = keras.Input((4,))
    outputs = [
        keras.layers.Dense(3, "softmax", kernel_initializer=keras.initializers.HeNormal(seed),
                           kernel_regularizer="l2")(images)
        for seed in (0, 1)
    ]  # fmt: skip
    return kind(images, outputs, **options)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "loss",
    ["sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy(), lambda y, p: p[:, 0]],
)
def test_heads_losses_are_those_of_a_keras_net_with_two_outputs(loss, weighted, rng):
    ours, theirs = two_heads(WithAuxiliary, auxiliary_weight=0.3), two_heads(keras.Model)
    ours.compile(loss=loss, run_eagerly=True)
    theirs.compile(loss=[loss, loss], loss_weights=[1, 0.3], run_eagerly=True)
    images, labels = rng.standard_normal((5, 4)), np.arange(5) % 3
    weights = rng.uniform(size=5) if weighted else None
    for _ in range(2):  # the second time after one step
        given = ours.train_on_batch(images, labels, sample_weight=weights)
        expected = theirs.train_on_batch(images, [labels] * 2, sample_weight=[weights] * 2)[0]
        assert np.isclose(given, expected, rtol=1e-6)


def test_a_net_with_heads_can_be_cloned():
    clone = keras.models.clone_model(two_heads(WithAuxiliary))
    assert len(clone(np.zeros((1, 4)), training=True)) == 2
    assert clone.auxiliary_weight == 0.3
