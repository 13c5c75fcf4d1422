"""Every registered model, in both frameworks, against its ledger, its paper and itself."""

import importlib
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from conftest import (
    FRAMEWORKS,
    MODELS,
    images_for,
    keras_loss,
    make_pair,
    stir,
    thin,
    to_torch,
    torch_loss,
    without_dropout,
)
from scipy.stats import ks_2samp
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import backbones
from backbones import convert
from backbones.convert.entries import NOT_CARRIED
from backbones.diagram import diagram
from backbones.inception.auxiliary import WithAuxiliary
from backbones.registry import find_spec, resolve
from benchmarks import inference

every_model = pytest.mark.parametrize("name", MODELS)
both = pytest.mark.parametrize("framework", FRAMEWORKS)

# (model, layer): why PyTorch's own counter of operations cannot be compared there.
NOT_COUNTED_BY_TORCH = {
    ("lenet5_1998", "s2"): "an elementwise product, which the counter leaves out",
    ("lenet5_1998", "s4"): "an elementwise product, which the counter leaves out",
    ("lenet5_1998", "output"): "differences and squares, which the counter leaves out",
    ("lenet5_1998", "c3"): "the counter sees the full kernel, zeros for the unconnected pairs included",
}

# Multiply-adds in thousand millions, as published, and how far our rules of counting may lead from there.
PUBLISHED_MULTIPLY_ADDS = {
    "alexnet": (0.72, 0.01),  # Howard et al. 2017, arXiv:1704.04861, Table 9 rounds to 0.72
    "vgg16": (15.5, 0.05),  # as is usually given; Howard et al. 2017, Table 8, has 15.3
    "vgg19": (19.6, 0.05),  # He et al. 2015, Section 3.3
    "googlenet": (
        1.5,
        0.11,
    ),  # Szegedy et al. 2014, Section 3: a budget of 1.5; the layers of Table 1 give 1.58
    # torchvision's documentation rounds to 5.71; Szegedy et al. 2015 have 5 (abstract) and 4.8 (Table 3).
    "inception_v3": (5.71, 0.005),
    "resnet18": (1.8, 0.02),  # He et al. 2015, Table 1
    "resnet34": (3.6, 0.07),  # the same
    "resnet50": (3.8, 0.3),  # the same, with the stride in the 1 x 1; in the 3 x 3 it is 4.1
    "resnet101": (7.6, 0.25),  # the same
    "resnet152": (11.3, 0.25),  # the same
}


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


@every_model
def test_torch_model_matches_ledger(name):
    ledger = backbones.summary(name)
    model = on_meta(name)
    given = shapes_given(model, find_spec(name)[1])
    leaves = {key for key, module in model.named_modules() if key and not any(module.children())}
    # A sum has no module in PyTorch; a concatenation is what its block gives.
    rows = [layer for layer in ledger.layers if layer.type != "Add"]
    assert {layer.name for layer in rows if layer.type != "Concat"} == leaves
    assert [layer.name for layer in rows] == [key for key in given if key in {layer.name for layer in rows}]
    for layer in rows:
        module = model.get_submodule(layer.name)
        if layer.type != "Concat":
            fixed = [b for key, b in module.named_buffers() if key != NOT_CARRIED]
            assert sum(p.numel() for p in module.parameters()) == layer.parameters, layer.name
            assert sum(b.numel() for b in fixed) == layer.fixed + layer.statistics, layer.name
        assert given[layer.name][1:].numel() == layer.output.size, layer.name
        if len(given[layer.name]) == 4:
            assert given[layer.name][1:] == layer.output.shape, layer.name


@every_model
def test_keras_model_matches_ledger(name):
    ledger = backbones.summary(name)
    model = backbones.create_model(name, framework="tensorflow", seed=0)
    # Strided windows that PyTorch pads by itself have a layer for that in Keras.
    built = {layer.name: layer for layer in model.layers[1:] if not layer.name.endswith(".pad")}
    assert set(built) == {layer.name for layer in ledger.layers}
    for layer in ledger.layers:
        trained, other = built[layer.name].trainable_weights, built[layer.name].non_trainable_weights
        assert sum(np.prod(w.shape) for w in trained) == layer.parameters, layer.name
        assert sum(np.prod(w.shape) for w in other) == layer.fixed + layer.statistics, layer.name
        shape = built[layer.name].output.shape[1:]
        assert np.prod(shape) == layer.output.size, layer.name
        if len(shape) == 3:
            assert (shape[2], *shape[:2]) == layer.output.shape, layer.name


@pytest.mark.parametrize("name", [n for n in MODELS if find_spec(n)[1].published_parameters])
def test_parameters_are_the_published_ones(name):
    assert backbones.summary(name).parameters == find_spec(name)[1].published_parameters


def test_googlenets_heads_have_the_published_parameters():
    ledger = backbones.summary("googlenet")
    assert ledger.parameters + ledger.auxiliary_parameters == 13_378_280


def test_small_resnets_have_the_papers_parameters():
    """In millions, He et al. 2015, Table 6."""
    for name, published in {"resnet32": 0.46, "resnet44": 0.66, "resnet56": 0.85, "resnet110": 1.7}.items():
        digits = len(str(published)) - 2
        assert round(backbones.summary(name).parameters / 1e6, digits) == published, name


@pytest.mark.parametrize("name", PUBLISHED_MULTIPLY_ADDS)
def test_multiply_adds_are_the_published_ones(name):
    published, tolerance = PUBLISHED_MULTIPLY_ADDS[name]
    assert abs(backbones.summary(name).multiply_adds / 1e9 - published) <= tolerance


def test_resnet50_of_the_paper_has_the_papers_multiply_adds():
    assert round(backbones.summary("resnet50", stride_in_1x1=True).multiply_adds / 1e9, 1) == 3.9
    assert round(backbones.summary("resnet50").multiply_adds / 1e9, 1) == 4.1


def test_lenet5_1998_has_the_papers_parameters_layer_by_layer():
    published = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}  # Section II.B
    ledger = backbones.summary("lenet5_1998")
    assert {layer.name: layer.parameters for layer in ledger.layers if layer.parameters} == published
    assert sum(published.values()) == 60_000


@every_model
def test_multiply_adds_match_torchs_own_count(name):
    spec = find_spec(name)[1]
    model = on_meta(name).eval()
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(1, spec.in_channels, spec.input_size, spec.input_size, device="meta"))
    counts = counter.get_flop_counts()
    for layer in backbones.summary(name).layers:
        if layer.type == "Concat" or layer.auxiliary:  # a block's sum, or not run in evaluation
            continue
        if (name, layer.name) not in NOT_COUNTED_BY_TORCH:
            counted = sum(counts.get(f"{type(model).__name__}.{layer.name}", {}).values()) / 2
            assert counted == layer.multiply_adds, layer.name


def all_pass(model):
    """A maximum passes one gradient only, ReLU sometimes none: let all pass, and nothing reach across maps."""
    for module in list(model.modules()):
        for key, child in module.named_children():
            if isinstance(child, nn.MaxPool2d):
                window = child.kernel_size, child.stride, child.padding, child.ceil_mode
                setattr(module, key, nn.AvgPool2d(*window))
            elif isinstance(child, nn.ReLU | nn.LocalResponseNorm):
                setattr(module, key, nn.Identity())
    return model.eval()


@every_model
def test_receptive_fields_are_what_gradients_reach(name):
    """Far from the border, exactly the pixels of the receptive field have a gradient."""
    model = all_pass(backbones.create_model(name, framework="torch", seed=0, **thin(name)).double())
    ledger = backbones.summary(name)
    checked = {
        layer.output.receptive_field: layer for layer in reversed(ledger.layers) if not layer.auxiliary
    }
    for field, layer in checked.items():
        if layer.output.height == 1 or field > 60 or layer.type in ("Add", "Linear"):
            continue
        side = (field // 32 + 4) * 32
        images = torch.randn(1, model.config.in_channels, side, side, dtype=torch.float64, requires_grad=True)
        kept = {}

        def stop(module, inputs, output, kept=kept):
            kept["out"] = output
            raise StopIteration

        hook = model.get_submodule(layer.name).register_forward_hook(stop)
        with pytest.raises(StopIteration):
            model.forward_features(images)
        hook.remove()
        middle = kept["out"].shape[-1] // 2
        kept["out"][0, :, middle, middle].sum().backward()
        rows = torch.nonzero(images.grad[0].abs().sum((0, 1)))
        assert int(rows.max() - rows.min()) + 1 == field, layer.name


@every_model
def test_seeds_fix_weights_that_both_frameworks_draw_alike(name):
    """An init that never ran leaves a framework's own default, and that has another width or shape."""
    before = torch.random.get_rng_state()
    draws = {}
    for framework in FRAMEWORKS:
        first, again, other = (
            convert.state(backbones.create_model(name, framework=framework, seed=seed, **thin(name)))
            for seed in (1, 1, 2)
        )
        assert all(np.array_equal(first[key], again[key]) for key in first)
        assert any(not np.array_equal(first[key], other[key]) for key in first)
        draws[framework] = {key: np.concatenate([first[key], other[key]]).ravel() for key in first}
    assert torch.equal(before, torch.random.get_rng_state())
    for key, left in draws["torch"].items():
        right = draws["tensorflow"][key]
        if left.std() == 0 or (name, key) == ("lenet5_1998", "output.weight"):
            assert np.array_equal(left, right), key  # constants, or fixed pictures
        else:
            assert ks_2samp(left, right).pvalue > 1e-5, key


HE_NORMAL = [name for name in MODELS if name not in ("lenet5_1998", "alexnet", "alexnet_owt")]


@pytest.mark.parametrize("name", HE_NORMAL)
@both
def test_weights_start_he_normal(name, framework):
    """He et al. 2015, Eq. 10: variance 2 / fan-in."""
    weights = convert.state(backbones.create_model(name, framework=framework, seed=0, **thin(name)))
    drawn = [w * np.sqrt(np.prod(w.shape[1:]) / 2) for k, w in weights.items() if w.ndim > 1]
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


@every_model
def test_every_parameter_gets_a_gradient(name, rng):
    left, right = without_dropout(*make_pair(name, **thin(name)))
    images, labels = images_for(left, 8, rng), np.arange(8) % 10
    torch_loss(left, left.train()(to_torch(images)), torch.tensor(labels)).backward()
    for key, parameter in left.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key
    with tf.GradientTape() as tape:
        loss = keras_loss(right, right(images, training=True), labels)
    for weight, gradient in zip(
        right.trainable_weights, tape.gradient(loss, right.trainable_weights), strict=True
    ):
        assert gradient is not None, weight.path
        assert float(tf.reduce_sum(tf.abs(gradient))) > 0, weight.path


@every_model
@both
def test_training_mode_is_training_mode(name, framework, rng):
    """In training, statistics move and dropout drops; in evaluation nothing changes and nothing is random."""
    model = backbones.create_model(name, framework=framework, seed=0, **thin(name))
    images = images_for(model, 4, rng)

    def run(training):
        if framework == "torch":
            return logits_of(model.train(training)(to_torch(images))).detach().numpy()
        return np.asarray(logits_of(model(images, training=training)))

    layers = {layer.type for layer in backbones.summary(name).layers}
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


def torch_steps(model, images, labels, rate):
    """Train on one batch; give the predictions of each step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    x, y = to_torch(images), torch.tensor(labels)
    while True:
        optimizer.zero_grad()
        outputs = model.train()(x)
        torch_loss(model, outputs, y).backward()
        optimizer.step()
        yield logits_of(outputs).argmax(1).numpy()


def keras_steps(model, images, labels, rate):
    """The same in Keras; without a graph, which would take deep nets longer to trace than to learn."""
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(model.trainable_weights)
    while True:
        with tf.GradientTape() as tape:
            outputs = model(images, training=True)
            loss = keras_loss(model, outputs, labels)
        optimizer.apply(tape.gradient(loss, model.trainable_weights), model.trainable_weights)
        yield tf.argmax(logits_of(outputs), 1).numpy()


# Three diverge at the others' rate; the last would take more than a hundred steps at it.
RATES = {"alexnet": 1e-3, "alexnet_owt": 1e-3, "googlenet": 1e-3, "plain56": 1e-2}


@every_model
@both
def test_a_tiny_batch_can_be_learned_by_heart(name, framework, rng):
    left, right = without_dropout(*make_pair(name, **thin(name)))
    images, labels = images_for(left, 8, rng), np.arange(8)
    rate = RATES.get(name, 3e-3)
    steps = torch_steps if framework == "torch" else keras_steps
    model = left if framework == "torch" else right
    guesses = itertools.islice(steps(model, images, labels, rate), 300)
    assert any(np.array_equal(guess, labels) for guess in guesses)


@every_model
def test_head_after_features_is_the_whole(name, rng):
    model = backbones.create_model(name, framework="torch", seed=0, **thin(name)).eval()
    x = to_torch(images_for(model, 2, rng))
    assert torch.equal(model.forward_head(model.forward_features(x)), model(x))


@every_model
@both
def test_named_features_are_what_the_ledger_says(name, framework, rng):
    model = backbones.create_model(name, framework=framework, seed=0, **thin(name))
    images = images_for(model, 1, rng)
    features = backbones.summary(name, **thin(name)).features
    if framework == "torch":
        model.eval()
    given = backbones.feature_extractor(model)(to_torch(images) if framework == "torch" else images)
    assert list(given) == [feature.name for feature in features]
    for feature in features:
        channels, height, width = feature.map.shape
        expected = (1, channels, height, width) if framework == "torch" else (1, height, width, channels)
        assert tuple(given[feature.name].shape) == expected, feature.name
    with pytest.raises(backbones.BackbonesError, match="unknown feature of"):
        backbones.feature_extractor(model, ["nothing"])


@every_model
def test_a_features_stride_is_the_distance_of_its_values(name):
    """So that 256 more rows of input, a multiple of every stride, give 256 / stride more rows of the map."""
    spec, model, heights = find_spec(name)[1], on_meta(name).eval(), {}
    for key, module in model.named_modules():
        hook = lambda m, i, out, key=key: heights.setdefault(key, []).append(out.shape[2])  # noqa: E731
        module.register_forward_hook(hook)
    for side in (spec.input_size, spec.input_size + 256):
        model.forward_features(torch.empty(1, spec.in_channels, side, side, device="meta"))
    for feature in backbones.summary(name).features:
        before, after = heights[feature.layer]
        assert after - before == 256 / feature.map.stride, feature.name


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_features_leave_the_auxiliary_heads_out(name):
    """In training, too, where only the whole net runs them."""
    spec, model, ran = find_spec(name)[1], on_meta(name).train(), []
    for key, module in model.named_children():
        if key.startswith("aux"):
            module.register_forward_hook(lambda m, i, out, key=key: ran.append(key))
    images = torch.empty(2, spec.in_channels, spec.input_size, spec.input_size, device="meta")
    model.forward_features(images)
    assert not ran
    outputs = model(images)
    assert len(ran) == len(outputs) - 1 > 0


# What a process does that has only the files: the net, the images and, in the end, the logits.
LOAD = """
import importlib, sys
import keras, numpy as np
for family, name in (given.split(":") for given in sys.argv[1:]):
    importlib.import_module(f"backbones.{family}.tensorflow")
    model = keras.models.load_model(f"{name}.keras")
    np.save(f"{name}.npy", model(np.load(f"{name}_images.npy")))
    assert getattr(model, "auxiliary_weight", 0.1) == 0.1  # as it was given to the one net that has heads
"""


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in `save`
def test_keras_files_are_read_elsewhere(tmp_path, rng):
    """One net for each class of our own."""
    one_head = {"blocks": thin("googlenet")["blocks"][:3], "auxiliary_weight": 0.1}
    options = {"lenet5_1998": {}, "alexnet": {}, "googlenet": one_head, "resnet20": {"blocks": (1, 1, 1)}}
    logits = {}
    for name, changes in options.items():
        model = backbones.create_model(name, "tensorflow", seed=0, **{**thin(name), **changes})
        stir(model, rng)
        model.save(tmp_path / f"{name}.keras")
        images = images_for(model, 2, rng)
        np.save(tmp_path / f"{name}_images.npy", images)
        logits[name] = np.asarray(model(images))
    nets = [f"{find_spec(name)[0]}:{name}" for name in options]
    subprocess.run([sys.executable, "-c", LOAD, *nets], cwd=tmp_path, check=True)
    for name, expected in logits.items():
        atol = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), expected, rtol=0, atol=atol)


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


def test_the_inference_benchmark_records_what_it_measured(monkeypatch, tmp_path):
    """Two images in half a second against two in a quarter: the ratio is of speeds, ours to theirs."""
    times = itertools.chain([0.5, 0.25], itertools.repeat(0.001))
    monkeypatch.setattr(inference, "seconds", lambda run, repeats: next(times))
    monkeypatch.setattr(inference, "RESULT", tmp_path / "inference.json")
    monkeypatch.setattr(inference, "MODELS", ("resnet20",))
    monkeypatch.setattr(inference, "available", lambda framework, name: framework == "tensorflow")
    monkeypatch.setattr(
        inference, "build", lambda framework, whose, name: backbones.create_model(name, framework)
    )
    monkeypatch.setattr(inference, "compare_building", lambda framework, name: {"net": name})
    inference.main(turns=1, batches=[2])
    record = json.loads(inference.RESULT.read_text())
    case = {"framework": "tensorflow", "net": "resnet20", "batch": 2}
    assert record["images_per_second"] == [{**case, "ours": 4, "theirs": 8, "ratio": 0.5}]
    assert record["building"] == [{"net": "resnet20"}]
    assert record["slowest_summary"]["seconds"] == 0.001
    assert {"cpu", "versions", "turns"} < set(record)


ALEXNET_MINI, GOOGLENET_MINI, INCEPTION_V3 = (
    find_spec(name)[1] for name in ("alexnet_mini", "googlenet_mini", "inception_v3")
)


def with_first(convs, **changes):
    """The convolutions, the first of them changed."""
    return (replace(convs[0], **changes), *convs[1:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "lenet"}, "did you mean 'lenet5'?"),
        ({"name": "LENET5"}, "did you mean 'lenet5'?"),
        ({"name": "resnet51"}, "did you mean 'resnet5"),
        ({"name": ["lenet5"]}, "unknown model ['lenet5']"),
        ({"name": "lenet5", "framework": "pytorch"}, "did you mean 'torch'?"),
        ({"name": "lenet5", "framework": ["torch"]}, "unknown framework ['torch']"),
        *[
            (
                {"name": "lenet5", "seed": seed},
                "seed must be a whole number of at least 0 and below 4294967296",
            )
            for seed in ("a", 1.5, True, -1, 2**70)
        ],
        ({"name": "lenet5", "num_classes": 0}, "num_classes must be a whole number of at least 1, not 0"),
        *[
            (
                {"name": "lenet5", field: 10**15},
                f"{field} must be a whole number of at most 1,000,000,000,000",
            )
            for field in ("num_classes", "input_size", "padding")
        ],
        (
            {"name": "lenet5", "num_classes": 10**12},
            "lenet5 needs 340,000.0 GB for its weights and one image",
        ),
        (
            {"name": "resnet20", "input_size": 10**12},
            "GB for its weights and one image in float32; this machine",
        ),
        ({"name": "lenet5", "in_channels": 1.5}, "in_channels must be a whole number of at least 1, not 1.5"),
        ({"name": "lenet5", "channels": (6,)}, "channels must be a tuple of 2, not (6,)"),
        ({"name": "lenet5", "channels": (0, 16)}, "channels[0] must be a whole number of at least 1, not 0"),
        ({"name": "lenet5", "units": 120}, "units must be a tuple of 2, not 120"),
        ({"name": "lenet5", "padding": -1}, "padding must be a whole number of at least 0, not -1"),
        ({"name": "lenet5_1998", "num_classes": 3}, "num_classes must be 10, not 3; lenet5 takes any"),
        ({"name": "lenet5_1998", "input_size": 36}, "input_size must be 32, not 36"),
        ({"name": "lenet5_1998", "channels": (6, 20)}, "channels must be (6, 16), not (6, 20)"),
        ({"name": "lenet5_1998", "padding": 2}, "padding must be 0, not 2"),
        ({"name": "alexnet_mini", "hidden": (16, 16, 16)}, "hidden must be a tuple of 2, not (16, 16, 16)"),
        ({"name": "alexnet_mini", "hidden_bias": np.nan}, "hidden_bias must be a finite number, not nan"),
        ({"name": "alexnet_mini", "convs": ()}, "features: there is no layer whose map it could be"),
        ({"name": "alexnet_mini", "convs": (3,)}, "convs[0] must be a Conv, not 3"),
        (
            {"name": "alexnet_mini", "convs": with_first(ALEXNET_MINI.convs, kernel=2.5)},
            "convs[0].kernel must be a whole number of at least 1, not 2.5",
        ),
        (
            {"name": "alexnet_mini", "convs": with_first(ALEXNET_MINI.convs, groups=2)},
            "conv1: 1 input and 32 output maps must be multiples of 2 groups",
        ),
        *[
            (
                {"name": "vgg_mini", "dropout": share},
                f"dropout must be a finite number of at least 0 and below 1, {no}",
            )
            for share, no in ((1.0, "not 1.0"), ("a", "not 'a'"), (True, "not True"))
        ],
        *[
            (
                {"name": name, "blocks": blocks},
                "blocks and channels must have one number each per stage, not (",
            )
            for name, blocks in itertools.product(("vgg_mini", "resnet20"), ((), (3, 3)))
        ],
        ({"name": "resnet20", "blocks": (), "channels": ()}, "one number each per stage, not () and ()"),
        ({"name": "resnet20", "blocks": (0, 0, 0)}, "blocks[0] must be a whole number of at least 1, not 0"),
        ({"name": "resnet20", "shortcut": "paddng"}, "unknown shortcut 'paddng'; did you mean 'padding'?"),
        (
            {"name": "resnet20", "channels": (32, 16, 8)},
            "layer2.0.downsample: adding zeros to 32 maps cannot",
        ),
        ({"name": "resnet50", "strides_in_1x1": True}, "did you mean 'stride_in_1x1'?"),
        ({"name": "resnet50", "stride_in_1x1": 1}, "stride_in_1x1 must be True or False, not 1"),
        ({"name": "googlenet_mini", "small_images": False}, "stem must be a tuple of 3"),
        (
            {"name": "googlenet_mini", "auxiliary_weight": "a"},
            "auxiliary_weight must be a finite number of at",
        ),
        (
            {"name": "googlenet_mini", "blocks": GOOGLENET_MINI.blocks[:1] * 2},
            "inception3a.conv1.conv: two layers have this name",
        ),
        ({"name": "inception_v3", "pooled": ("a", "b")}, "unknown convolution in pooled 'a'"),
        (
            {"name": "inception_v3", "stem": with_first(INCEPTION_V3.stem, kernel=(1, 2, 3))},
            "stem[0].kernel must be a tuple of 2, not (1, 2, 3)",
        ),
        (
            {"name": "inception_v3", "stem": with_first(INCEPTION_V3.stem, same=True)},
            "conv2d_1a_3x3: to keep the map's size, a window must be odd and its stride 1",
        ),
        (
            {"name": "vgg16", "input_size": 31},
            "pool5: its 2 x 2 window does not fit into a map of 1 x 1; input_size must be at least 32",
        ),
        ({"name": "alexnet", "input_size": 30}, "pool2: its 3 x 3 window does not fit into a map of 2 x 2"),
    ],
)
@both
def test_bad_input_is_one_clear_line(arguments, said, framework):
    with pytest.raises(backbones.BackbonesError) as error:
        backbones.create_model(**{"framework": framework, **arguments})
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("family", ["lenets", ["lenet"]])
def test_unknown_family_is_named(family):
    with pytest.raises(backbones.BackbonesError, match=r"unknown family .*lenet.*; did you mean 'lenet'"):
        backbones.list_models(family)


def test_numpys_numbers_and_lists_become_pythons():
    """So that a spec is the same, and can be written to a file, however its numbers came about."""
    given = {"num_classes": np.int64(7), "channels": [np.int32(4), 8]}
    spec = resolve("lenet5", **given)
    assert spec == resolve("lenet5", num_classes=7, channels=(4, 8))
    assert {type(number) for number in (spec.num_classes, *spec.channels)} == {int}
    assert type(resolve("vgg_mini", dropout=np.float32(0.5)).dropout) is float


# The smallest input of each net whose windows are not all padded, and of those with a head also without it.
SMALLEST = {
    "lenet5": (12,), "alexnet": (67,), "alexnet_owt": (63,), "alexnet_mini": (15,), "vgg16": (32,), "vgg_mini": (8,),
    "googlenet": (79, 31), "googlenet_mini": (4,), "inception_v3": (299, 75),
}  # fmt: skip


@pytest.mark.parametrize("name", SMALLEST)
def test_the_smallest_input_is_named_and_fits(name):
    """In PyTorch, too, in training, where the heads run; there, too, one pixel less does not."""
    for least, options in zip(SMALLEST[name], ({}, {"auxiliary": False}), strict=False):
        with pytest.raises(backbones.BackbonesError, match="window does not fit") as error:
            backbones.summary(name, input_size=least - 1, **options)
        said = [int(side) for side in re.findall(r"(?:at least|or) (\d+)", str(error.value))]
        assert said == list(SMALLEST[name] if not options else (least,))
        spec = resolve(name, input_size=least, **options)
        model = on_meta(name, input_size=least, **options)
        given = shapes_given(model, spec)
        for layer in backbones.summary(name, input_size=least, **options).layers:
            assert given[layer.name][1:].numel() == layer.output.size, layer.name
    with pytest.raises(RuntimeError):
        model.eval().forward_features(torch.empty(1, spec.in_channels, least - 1, least - 1, device="meta"))


def test_where_no_input_is_large_enough_none_is_named():
    with pytest.raises(backbones.BackbonesError, match=r"does not fit into a map of 1000000 x 1000000$"):
        backbones.summary("lenet5", pool=2 * 10**6, input_size=10**6)


def test_a_diagram_says_both_sides_of_a_window():
    assert ">Conv 1 x 7</text>" in diagram(backbones.summary("inception_v3"))


CHANGED = [
    ("lenet5", {"padding": 0, "channels": [4, 8], "units": (30, 20)}),
    ("lenet5", {"padding": 1, "kernel": 4, "pool": 3}),
    ("lenet5", {"kernel": 3}),
    ("alexnet_mini", {"convs": with_first(ALEXNET_MINI.convs, padding=0)}),
    (
        "alexnet_mini",
        {"convs": (*ALEXNET_MINI.convs[:-1], replace(ALEXNET_MINI.convs[-1], kernel=4, pool=False))},
    ),
    ("vgg_mini", {"hidden": (), "input_size": 8}),
    ("googlenet_mini", {"input_size": 4}),
    ("resnet20", {"channels": (32, 16, 8), "blocks": (1, 1, 1), "shortcut": "projection"}),
    ("resnet18", {"channels": (8, 8, 8, 8), "blocks": (1, 1, 1, 1), "input_size": 16}),
]


@pytest.mark.parametrize(("name", "options"), CHANGED)
def test_a_changed_net_is_changed_alike_in_both(name, options, rng):
    left, right = make_pair(name, "float64", **options)
    ledger = backbones.summary(name, **options)
    for model in (left, right):
        sizes = [value.size for value in convert.state(model).values()]
        assert sum(sizes) == sum(x.parameters + x.fixed + x.statistics for x in ledger.layers)
    images = images_for(left, 2, rng, "float64")
    ours, theirs = left.eval()(to_torch(images)).detach().numpy(), np.asarray(right(images, training=False))
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12 * np.abs(ours).max())
    features = backbones.feature_extractor(left)(to_torch(images))
    assert [tuple(value.shape[1:]) for value in features.values()] == [f.map.shape for f in ledger.features]


# Nets whose number of classes or channels is not free: the digits' bitmaps.
FIXED = {"lenet5_1998"}


@pytest.mark.parametrize("name", [name for name in MODELS if name not in FIXED])
@both
def test_other_classes_and_channels(name, framework):
    options = {**thin(name), "num_classes": 7, "in_channels": 2}
    model = backbones.create_model(name, framework=framework, seed=0, **options)
    ledger = backbones.summary(name, **options)
    assert sum(value.size for value in convert.state(model).values()) == sum(
        layer.parameters + layer.fixed + layer.statistics for layer in ledger.layers
    )
