"""Models in use: the features they give, Keras files read elsewhere, and the benchmark of their speed."""

import itertools
import json
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from nets import every_model, images_for, is_torch, on_meta, stir, thin, to_torch

import backbones
from backbones.registry import find_spec
from benchmarks import inference


@every_model
def test_head_after_features_is_the_whole(name, rng):
    model = backbones.create_model(name, framework="torch", seed=0, **thin(name)).eval()
    x = to_torch(images_for(model, 2, rng))
    assert torch.equal(model.forward_head(model.forward_features(x)), model(x))


def test_named_features_are_what_the_ledger_says(model, rng):
    images, name = images_for(model, 1, rng), model.config.name
    features = backbones.summary(name, **thin(name)).features
    if is_torch(model):
        model.eval()
    given = backbones.feature_extractor(model)(to_torch(images) if is_torch(model) else images)
    assert list(given) == [feature.name for feature in features]
    for feature in features:
        channels, height, width = feature.map.shape
        expected = (1, channels, height, width) if is_torch(model) else (1, height, width, channels)
        assert tuple(given[feature.name].shape) == expected, feature.name
    with pytest.raises(backbones.BackbonesError, match="unknown feature of"):
        backbones.feature_extractor(model, ["nothing"])


def test_images_of_other_channels_are_refused_with_both_shapes(model, rng):
    """PyTorch's own error names no layer: ours does. Keras names the net or the layer."""
    images, name, channels = images_for(model, 2, rng), model.config.name, model.config.in_channels
    side, layer = model.config.input_size, backbones.summary(name).layers[0].name
    said = (
        f"of layer '({name}|{layer})' .* {channels}\\W.*{re.escape(f'(2, {side}, {side}, {2 * channels})')}"
    )
    if is_torch(model):
        said = f"layer '{layer}' takes N x {channels} x H x W, not 2 x {2 * channels} x {side} x {side}"
    with pytest.raises(ValueError, match=said):
        model(to_torch(np.tile(images, 2)) if is_torch(model) else np.tile(images, 2))


def test_a_dense_layer_names_itself_where_the_images_have_another_size():
    with pytest.raises(backbones.BackbonesError, match="layer 'fc1' takes N x 400, not 1 x 2704"):
        backbones.create_model("lenet5", seed=0)(torch.zeros(1, 1, 60, 60))


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
