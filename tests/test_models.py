"""What every registered model is made of, in both frameworks, against its ledger and its paper."""

import keras
import numpy as np
import pytest
import torch
from nets import MODELS, every_model, on_meta, shapes_given, thin
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import backbones
from backbones.convert.entries import NOT_CARRIED
from backbones.diagram import diagram
from backbones.registry import find_spec

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
def test_keras_model_matches_ledger(name, monkeypatch):
    for kind in (
        keras.initializers.VarianceScaling,
        keras.initializers.RandomNormal,
    ):  # to draw takes the longest
        monkeypatch.setattr(kind, "__call__", lambda self, shape, dtype=None: keras.ops.zeros(shape, dtype))
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


def test_a_diagram_says_both_sides_of_a_window():
    assert ">Conv 1 x 7</text>" in diagram(backbones.summary("inception_v3"))
