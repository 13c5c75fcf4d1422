"""Every registered model, in both frameworks, against its ledger, its paper and itself."""

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import FRAMEWORKS, MODELS, images_for, make_pair
from scipy.stats import ks_2samp
from torch.utils.flop_counter import FlopCounterMode

import backbones
from backbones import convert
from backbones.registry import find_spec

every_model = pytest.mark.parametrize("name", MODELS)
both = pytest.mark.parametrize("framework", FRAMEWORKS)

# (model, layer): why PyTorch's own counter of operations cannot be compared there.
NOT_COUNTED_BY_TORCH = {
    ("lenet5_1998", "s2"): "an elementwise product, which the counter leaves out",
    ("lenet5_1998", "s4"): "an elementwise product, which the counter leaves out",
    ("lenet5_1998", "output"): "differences and squares, which the counter leaves out",
    ("lenet5_1998", "c3"): "the counter sees the full kernel, zeros for the unconnected pairs included",
}


@every_model
def test_torch_model_matches_ledger(name, rng):
    ledger = backbones.summary(name)
    model = backbones.create_model(name, framework="torch", seed=0)
    outputs = convert.activations(model, images_for(model, 2, rng))
    assert [layer.name for layer in ledger.layers] == [key for key in outputs if key != "logits"]
    for layer in ledger.layers:
        module = model.get_submodule(layer.name)
        assert sum(p.numel() for p in module.parameters()) == layer.parameters, layer.name
        assert sum(b.numel() for b in module.buffers()) == layer.fixed, layer.name
        assert outputs[layer.name][0].size == layer.output.size, layer.name
        if outputs[layer.name].ndim == 4:
            assert outputs[layer.name].shape[1:] == layer.output.shape, layer.name


@every_model
def test_keras_model_matches_ledger(name):
    ledger = backbones.summary(name)
    model = backbones.create_model(name, framework="tensorflow", seed=0)
    assert [layer.name for layer in model.layers[1:]] == [layer.name for layer in ledger.layers]
    for layer in ledger.layers:
        built = model.get_layer(layer.name)
        count = sum(np.prod(w.shape) for w in built.trainable_weights)
        assert count == layer.parameters, layer.name
        assert sum(np.prod(w.shape) for w in built.non_trainable_weights) == layer.fixed, layer.name
        shape = built.output.shape[1:]
        assert np.prod(shape) == layer.output.size, layer.name
        if len(shape) == 3:
            assert (shape[2], *shape[:2]) == layer.output.shape, layer.name


@every_model
def test_parameters_are_the_published_ones(name):
    _, spec = find_spec(name)
    assert backbones.summary(name).parameters == spec.published_parameters


def test_lenet5_1998_has_the_papers_parameters_layer_by_layer():
    published = {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}  # Section II.B
    ledger = backbones.summary("lenet5_1998")
    assert {layer.name: layer.parameters for layer in ledger.layers if layer.parameters} == published
    assert sum(published.values()) == 60_000


@every_model
def test_multiply_adds_match_torchs_own_count(name, rng):
    model = backbones.create_model(name, framework="torch", seed=0).eval()
    images = torch.tensor(images_for(model, 1, rng)).permute(0, 3, 1, 2)
    with FlopCounterMode(display=False) as counter:
        model(images)
    counts = counter.get_flop_counts()
    for layer in backbones.summary(name).layers:
        if (name, layer.name) not in NOT_COUNTED_BY_TORCH:
            counted = sum(counts.get(f"{type(model).__name__}.{layer.name}", {}).values()) / 2
            assert counted == layer.multiply_adds, layer.name


@every_model
def test_receptive_fields_are_what_gradients_reach(name):
    """Far from the border, exactly the pixels of the receptive field have a gradient."""
    model = backbones.create_model(name, framework="torch", seed=0).double()
    if hasattr(model, "relu1"):  # a maximum passes one gradient only, ReLU sometimes none: let all pass
        for child, module in list(model.named_children()):
            if isinstance(module, torch.nn.MaxPool2d):
                setattr(model, child, torch.nn.AvgPool2d(module.kernel_size, module.stride))
            elif isinstance(module, torch.nn.ReLU):
                setattr(model, child, torch.nn.Identity())
    for layer in backbones.summary(name).layers:
        if layer.type == "Flatten":
            break
        images = torch.randn(1, 1, 96, 96, dtype=torch.float64, requires_grad=True)
        kept = {}
        hook = model.get_submodule(layer.name).register_forward_hook(lambda m, i, o: kept.update(out=o))  # noqa: B023
        model.forward_features(images)
        hook.remove()
        middle = kept["out"].shape[-1] // 2
        kept["out"][0, :, middle, middle].sum().backward()
        rows = torch.nonzero(images.grad[0, 0].abs().sum(1))
        assert int(rows.max() - rows.min()) + 1 == layer.output.receptive_field, layer.name


@every_model
@both
def test_seed_fixes_the_weights_and_nothing_else(name, framework):
    before = torch.random.get_rng_state()
    first, again, other = (
        convert.state(backbones.create_model(name, framework=framework, seed=seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert any(not np.array_equal(first[key], other[key]) for key in first)


@every_model
def test_both_frameworks_draw_from_the_same_distribution(name):
    """An init that never ran leaves a framework's own default, and that has another width or shape."""
    draws = {
        framework: [
            convert.state(backbones.create_model(name, framework=framework, seed=s)) for s in range(12)
        ]
        for framework in FRAMEWORKS
    }
    for key, first in draws["torch"][0].items():
        left, right = (np.concatenate([d[key].ravel() for d in draws[framework]]) for framework in FRAMEWORKS)
        if first.std() == 0 or (name, key) == ("lenet5_1998", "output.weight"):
            assert np.array_equal(left, right), key  # zeros, or fixed pictures
        else:
            assert ks_2samp(left, right).pvalue > 1e-3, key


@both
def test_lenet5_starts_he_normal(framework):
    """He et al. 2015, Eq. 10: variance 2 / fan-in."""
    weights = convert.state(backbones.create_model("lenet5", framework=framework, seed=0))
    for layer, fan_in in {"conv2": 150, "fc1": 400, "fc2": 120}.items():
        assert np.isclose(weights[f"{layer}.weight"].std(), np.sqrt(2 / fan_in), rtol=0.06), layer
        assert not weights[f"{layer}.bias"].any()


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
    left, right = make_pair(name)
    images, labels = images_for(left, 16, rng), np.arange(16) % 10
    F.cross_entropy(left(torch.tensor(images).permute(0, 3, 1, 2)), torch.tensor(labels)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in left.parameters())
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(
            labels, right(images, training=True), from_logits=True
        )
    gradients = tape.gradient(loss, right.trainable_weights)
    assert all(g is not None and float(tf.reduce_sum(tf.abs(g))) > 0 for g in gradients)


@every_model
@both
def test_a_tiny_batch_can_be_learned_by_heart(name, framework, rng):
    left, right = make_pair(name)
    images, labels = images_for(left, 32, rng), rng.integers(0, 10, 32)
    if framework == "torch":
        optimizer = torch.optim.Adam(left.parameters(), lr=3e-3)
        x, y = torch.tensor(images).permute(0, 3, 1, 2), torch.tensor(labels)
        for _ in range(300):
            optimizer.zero_grad()
            F.cross_entropy(left(x), y).backward()
            optimizer.step()
        logits = left(x).detach().numpy()
    else:
        right.compile(
            keras.optimizers.Adam(3e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        right.fit(images, labels, batch_size=32, epochs=300, verbose=0)
        logits = right(images).numpy()
    assert (logits.argmax(1) == labels).mean() == 1


@every_model
@both
def test_head_after_features_is_the_whole(name, framework, rng):
    left, right = make_pair(name)
    images = images_for(left, 2, rng)
    if framework == "torch":
        x = torch.tensor(images).permute(0, 3, 1, 2)
        assert torch.equal(left.forward_head(left.forward_features(x)), left(x))
    else:
        assert np.array_equal(right(images, training=False), right(images, training=False))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "lenet"}, "did you mean 'lenet5'?"),
        ({"name": "lenet5", "framework": "pytorch"}, "did you mean 'torch'?"),
        ({"name": "lenet5", "num_classes": 0}, "num_classes must be a whole number of at least 1, not 0"),
        ({"name": "lenet5", "in_channels": 1.5}, "in_channels must be a whole number of at least 1, not 1.5"),
        ({"name": "lenet5_1998", "num_classes": 3}, "num_classes must be 10, not 3; lenet5 takes any"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, said):
    with pytest.raises(backbones.BackbonesError) as error:
        backbones.create_model(**arguments)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_family_is_named():
    with pytest.raises(backbones.BackbonesError, match="unknown family 'lenets'; did you mean 'lenet'"):
        backbones.list_models("lenets")


@both
def test_other_classes_and_channels(framework):
    model = backbones.create_model("lenet5", framework=framework, num_classes=7, in_channels=3, seed=0)
    expected = backbones.summary("lenet5", num_classes=7, in_channels=3).parameters
    assert sum(value.size for value in convert.state(model).values()) == expected
