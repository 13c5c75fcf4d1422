"""Models built with other options: wrong ones are refused in one clear line, right ones work alike in both."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from nets import both, images_for, make_pair, on_meta, shapes_given, to_torch

import backbones
from backbones import convert
from backbones.inception.blocks_v3 import Branch, Conv
from backbones.registry import find_spec, resolve

ALEXNET_MINI, GOOGLENET_MINI, INCEPTION_V3 = (
    find_spec(name)[1] for name in ("alexnet_mini", "googlenet_mini", "inception_v3")
)


STRIDED = Branch(convs=(Conv(name="strided", channels=4, kernel=3, stride=2, same=False),))
UNEVEN = (STRIDED, *INCEPTION_V3.blocks[0].branches)


def with_first(parts, **changes):
    """Convolutions or blocks, the first of them changed."""
    return (replace(parts[0], **changes), *parts[1:])


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
            {"name": "inception_v3", "blocks": with_first(INCEPTION_V3.blocks, branches=UNEVEN)},
            "mixed_5b: its branches give maps of 17 x 17 and 35 x 35",
        ),
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
