"""Weights on disk: each net's own files, and what is refused."""

import os

import keras
import numpy as np
import pytest
import torch
from nets import blank, both, every_model, stir
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

import backbones
from backbones import convert


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with NumPy 2.4
@every_model
def test_weights_survive_every_kind_of_file(name, both_models, tmp_path, rng):
    """Our own, read by the other framework and back; each framework's; a plain one, which names no net."""
    in_torch, in_keras = both_models
    stir(in_torch, rng)
    expected = convert.state(in_torch)

    def read(model, file, load=backbones.load_weights):
        blank(model)
        load(model, tmp_path / "new" / file)
        assert all(value.tobytes() == expected[key].tobytes() for key, value in convert.state(model).items())

    ours = tmp_path / "new" / "ours.safetensors"
    backbones.save_weights(in_torch, ours)
    assert list(ours.parent.iterdir()) == [ours]
    torch.save(in_torch.state_dict(), ours.with_name("torchs.pth"))
    save_file(in_torch.state_dict(), ours.with_name("plain.safetensors"))
    read(in_keras, ours.name)
    read(in_keras, "plain.safetensors")
    in_keras.save_weights(ours.with_name("kerass.weights.h5"))
    backbones.save_weights(in_keras, ours.with_name("from_keras.safetensors"))
    read(in_keras, "kerass.weights.h5", keras.Model.load_weights)
    for file in ("torchs.pth", "plain.safetensors", "from_keras.safetensors"):
        read(in_torch, file)
    read(in_torch, "torchs.pth", lambda net, path: net.load_state_dict(torch.load(path, weights_only=True)))


@both
def test_bad_files_are_refused_and_change_nothing(framework, tmp_path):
    model = backbones.create_model("lenet5", framework=framework, seed=0)
    before = convert.state(model)
    good = tmp_path / "good.safetensors"
    backbones.save_weights(model, good)
    for file, other in {
        "other": backbones.create_model("lenet5_1998", seed=0),
        "three": backbones.create_model("lenet5", num_classes=3, seed=0),
        "wide": backbones.create_model("lenet5", channels=(8, 16), seed=0),
    }.items():
        backbones.save_weights(other, tmp_path / f"{file}.safetensors")
    (tmp_path / "cut.safetensors").write_bytes(good.read_bytes()[:1000])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    torch.save(backbones.create_model("lenet5", num_classes=3).state_dict(), tmp_path / "three.pth")
    torch.save({"epoch": 3, "model": {}}, tmp_path / "nested.pth")
    torch.save(torch.zeros(1), tmp_path / "tensor.pth")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "code.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "three.pth").read_bytes()[:1000])
    (tmp_path / "folder").mkdir()
    own = backbones.create_model("lenet5", seed=1).state_dict()
    for kind, value in {
        "sparse": torch.ones(6, 1, 5, 5).to_sparse(),
        "meta": torch.ones(6, 1, 5, 5, device="meta"),
        "whole": torch.ones(6, 1, 5, 5, dtype=torch.int32),
        "complex": torch.ones(6, 1, 5, 5, dtype=torch.complex64),
    }.items():
        torch.save({**own, "conv1.weight": value}, tmp_path / f"{kind}.pth")
    torch.save(dict(enumerate(own.values())), tmp_path / "numbered.pth")
    save_file({key: value.bfloat16() for key, value in own.items()}, tmp_path / "half.safetensors")
    for kind, text in {"words": "lenet5", "list": "[]", "nameless": '{"num_classes": 10}'}.items():
        save_arrays(before, tmp_path / f"{kind}.safetensors", {"backbones": text})
    for file, said in {
        "": "is a folder; expected a file of save_weights, or a state_dict",
        "folder": "folder is a folder; expected a file of save_weights",
        "long" * 75: "cannot read .* File name too long",
        "good.safetensors/below": "cannot read .* Not a directory",
        "sparse.pth": "sparse.pth holds no state_dict: 'conv1.weight' is no plain tensor .* Sparse",
        "meta.pth": "meta.pth holds no state_dict: 'conv1.weight' is no plain tensor .* meta",
        "whole.pth": "whole.pth does not fit lenet5: 'conv1.weight' holds int32, the model wants float32",
        "complex.pth": "'conv1.weight' holds complex64, the model wants float32",
        "numbered.pth": "names such as 'fc.weight', not by 0",
        "half.safetensors": "half.safetensors holds 'conv1.bias' in BF16, not in F64 or F32 or F16",
        "words.safetensors": "does not say what its net is as save_weights does, but 'lenet5'",
        "list.safetensors": r"does not say what its net is as save_weights does, but '\[\]'",
        "nameless.safetensors": "does not say what its net is as save_weights does",
        "none.safetensors": "no weights file at .* expected a file of save_weights, or a state_dict",
        "other.safetensors": "holds weights of lenet5_1998 with 10 classes",
        "three.safetensors": "holds weights of lenet5 with 3 classes",
        "wide.safetensors": r"channels=\[8, 16\], but the model is lenet5 with 10 classes",
        "cut.safetensors": "is not a readable safetensors file",
        "empty.safetensors": "is not a readable safetensors file",
        "three.pth": r"'fc3.weight' has shape \(3, 84\), the model wants \(10, 84\)",
        "nested.pth": "holds no state_dict .*, but a dict of 'epoch', 'model'",
        "tensor.pth": "holds no state_dict .*, but a Tensor",
        "code.pth": "cannot be read|is not a PyTorch checkpoint that can be read without running code",
        "cut.pth": "is not a PyTorch checkpoint",
    }.items():
        with pytest.raises(backbones.BackbonesError, match=said) as error:
            backbones.load_weights(model, tmp_path / file)
        assert "\n" not in str(error.value)
    for path in ("", None, before):
        with pytest.raises(backbones.BackbonesError, match="expected the path of a file of save_weights"):
            backbones.load_weights(model, path)
    with pytest.raises(backbones.BackbonesError, match="cannot write"):
        backbones.save_weights(model, good / "below" / "a-file.safetensors")
    for path in (5, None, ""):
        with pytest.raises(backbones.BackbonesError, match=f"the path of a file to write, not {path!r}$"):
            backbones.save_weights(model, path)
    for path in (tmp_path / "folder", "."):
        with pytest.raises(backbones.BackbonesError, match=r"cannot write .* [Ii]s a directory"):
            backbones.save_weights(model, path)
    assert all(np.array_equal(value, before[key]) for key, value in convert.state(model).items())


def replaced(layer, by):
    model = backbones.create_model("lenet5", seed=0)
    setattr(model, layer, by)
    return model


def beheaded():
    """A Keras model that says that it is a net of ours, with another head."""
    whole = backbones.create_model("lenet5", "tensorflow", seed=0)
    model = keras.Model(whole.input, keras.layers.Dense(7, name="fc3")(whole.get_layer("fc3").input))
    model.config = whole.config
    return model


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: replaced("fc3", torch.nn.Linear(84, 7)),
            "'fc3' holds 595 weights, but 850 in .*num_classes=7$",
        ),
        (beheaded, "'fc3' holds 595 weights, but 850 in lenet5 with 10 classes.*num_classes=7$"),
        (
            lambda: replaced("conv1", torch.nn.Conv2d(3, 6, 5)),
            "'conv1' holds 456 .* 156 in .* options of create_model",
        ),
        (
            lambda: replaced("conv2", torch.nn.Conv2d(6, 16, (1, 25))),
            r"'conv2' is Conv2d\(.*\(1, 25\).* here, but Conv2d\(.*\(5, 5\).* in lenet5 as create",
        ),
        (
            lambda: replaced("conv2", torch.nn.Conv2d(6, 16, 5, padding=2, padding_mode="reflect")),
            r"'conv2' is Conv2d\(.*reflect.* here, but Conv2d",
        ),
        (
            lambda: replaced("pool2", torch.nn.MaxPool2d(2, 1)),
            "'pool2' is MaxPool2d.*stride=1.* here, but Max",
        ),
        (
            lambda: replaced("fc3", torch.nn.Identity()),
            "'fc3' holds 0 weights, but 850 in .* options of create_model",
        ),
        (
            lambda: replaced("more", torch.nn.Linear(1, 1)),
            "'more' holds 2 weights, but 0 in .* options of create",
        ),
        (
            lambda: replaced("relu1", torch.nn.GELU()),
            r"'relu1' is GELU\(.*\) here, but ReLU\(\) in lenet5 as create",
        ),
        (
            lambda: replaced("pool2", None),
            r"'pool2' is nothing here, but MaxPool2d\(.*\) in lenet5 as create",
        ),
        (
            lambda: replaced("more", torch.nn.Dropout()),
            r"'more' is Dropout\(\) here, but nothing in lenet5 as create",
        ),
    ],
)
def test_what_no_net_could_load_or_would_be_another_is_not_saved(make, said, tmp_path):
    with pytest.raises(backbones.BackbonesError, match=said):
        backbones.save_weights(make(), tmp_path / "new" / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_net_with_another_layer_than_its_spec_says_has_no_partner():
    """It would have the spec's, and give other logits."""
    for layer, by in (("relu1", torch.nn.GELU()), ("conv1", torch.nn.Conv2d(1, 6, 5, stride=2, padding=2))):
        with pytest.raises(
            backbones.BackbonesError, match=f"'{layer}' is .* here, but .* in lenet5 as create_model"
        ):
            convert.to_tensorflow(replaced(layer, by))


def test_what_only_training_goes_by_keeps_no_net_from_its_file(tmp_path):
    model = backbones.create_model("vgg_mini", seed=0)
    model.drop6.p, model.bn1_1.momentum, model.relu1_1.inplace = 0.2, 0.01, not model.relu1_1.inplace
    backbones.save_weights(model, tmp_path / "w.safetensors")
    convert.to_tensorflow(model)


def test_a_path_with_a_null_character_is_refused():
    with pytest.raises(
        backbones.BackbonesError, match=r"expected the path of a file to write, not 'a\\x00b'"
    ):
        backbones.save_weights(backbones.create_model("lenet5"), "a\0b")


def test_files_may_be_read_by_whom_the_umask_lets(tmp_path):
    before = os.umask(0o027)
    try:
        backbones.save_weights(backbones.create_model("lenet5"), tmp_path / "w.safetensors")
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("length", [0x1080, 0x4B50], ids=["a pickle", "a zip archive"])
def test_a_safetensors_file_that_begins_as_pytorchs_does_is_none(length, tmp_path, monkeypatch):
    """It begins with the length of its header, in bytes that may be those of a pickle or of a zip archive."""
    path, model = tmp_path / "w.safetensors", backbones.create_model("lenet5", seed=0)
    save_arrays(convert.state(model), path, metadata={"padding": ""})
    missing = length - int.from_bytes(path.read_bytes()[:8], "little")
    save_arrays(convert.state(model), path, metadata={"padding": "a" * missing})
    assert path.read_bytes()[:2] in (b"\x80\x10", b"PK")
    monkeypatch.setattr(backbones.weight_files, "_read_torch", None)
    backbones.create_model("lenet5", weights=path)


def test_named_parameters_and_half_precision_are_weights(tmp_path):
    """What PyTorch's own tools hand over: weights that want gradients, and shorter numbers, which fit exactly."""
    model = backbones.create_model("lenet5", seed=0).bfloat16()
    expected = convert.state(model)
    torch.save(dict(model.named_parameters()), tmp_path / "w.pth")
    loaded = [
        backbones.create_model("lenet5", weights=tmp_path / "w.pth"),
        backbones.create_model("lenet5"),
        backbones.create_model("lenet5", "tensorflow"),
    ]
    for other in loaded[1:]:
        convert.load_state(other, dict(model.named_parameters()))
    for given in map(convert.state, loaded):
        assert all(np.array_equal(value, given[key]) for key, value in expected.items())


def test_a_checkpoint_of_another_protocol_is_read_without_a_word(tmp_path, recwarn):
    """PyTorch warns of what it reads all the same. Here that would be an error, and the file none to be read."""
    model = backbones.create_model("lenet5", seed=0)
    torch.save(model.state_dict(), tmp_path / "w.pth", pickle_protocol=3)
    with pytest.warns(UserWarning, match="pickle protocol 3"):
        torch.load(tmp_path / "w.pth", weights_only=True)
    recwarn.clear()
    loaded = backbones.create_model("lenet5", weights=tmp_path / "w.pth")
    assert torch.equal(loaded.fc3.weight, model.fc3.weight)
    assert not recwarn
