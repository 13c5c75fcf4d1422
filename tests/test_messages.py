"""Messages of errors: one short line each, and it names what was given."""

import numpy as np
import pytest
import torch

import backbones
from backbones import convert

NO_MODEL = "expected a torch.nn.Module or a keras.Model, not"


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda net: convert.from_torchvision("resnet18", 5), "expected weights as a dict of .*, not int"),
        (lambda net: convert.from_torchvision("resnet18", {1: 2.0}), "names such as 'fc.weight', not by 1"),
        (lambda net: convert.from_keras_applications("vgg16", None), f"{NO_MODEL} NoneType"),
        (lambda net: convert.from_keras_applications("vgg16", net), "keras.Model of .*, not a LeNet5 of PyTorch"),
        (lambda net: convert.load_state(net, "w.pth"), "expected weights as a dict of .*, not str"),
        (lambda net: convert.load_state({}, {}), f"{NO_MODEL} dict"),
        (lambda net: backbones.load_weights(5, "w.pth"), f"{NO_MODEL} int"),
        (lambda net: backbones.load_weights(torch.nn.ReLU(), "w.pth"), "not built by backbones.create_model"),
    ],
)  # fmt: skip
def test_what_is_no_model_or_no_weights_is_named(call, said):
    net = backbones.create_model("lenet5")
    with pytest.raises(backbones.BackbonesError, match=said):
        call(net)


class TwoLines:
    def __repr__(self):
        return "one\ntwo"


LONG = {
    "array": np.zeros((50, 50)),
    "text": "a line\n" * 1000,
    "list": ["a" * 1000] * 9,
    "object": TwoLines(),
}


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
@pytest.mark.parametrize(
    "call",
    [
        lambda v: backbones.create_model(v),
        lambda v: backbones.create_model("lenet5", v),
        lambda v: backbones.create_model("lenet5", num_classes=v),
        lambda v: backbones.create_model("resnet20", shortcut=v),
        lambda v: backbones.create_model("lenet5", weights=v),
        lambda v: backbones.save_weights(backbones.create_model("lenet5"), [v]),
        lambda v: backbones.feature_extractor(backbones.create_model("lenet5"), [v]),
        lambda v: convert.load_state(backbones.create_model("lenet5"), {str(v): np.zeros(1)}),
        lambda v: convert.from_torchvision(v, {}),
    ],
)
def test_a_message_is_one_short_line(call, value):
    with pytest.raises(backbones.BackbonesError) as error:
        call(value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 700


def test_a_path_of_several_lines_gives_a_message_of_one(tmp_path):
    with pytest.raises(backbones.BackbonesError, match=r"no weights file at .*two lines.pth") as error:
        backbones.create_model("lenet5", weights=tmp_path / "two\nlines.pth")
    assert "\n" not in str(error.value)
