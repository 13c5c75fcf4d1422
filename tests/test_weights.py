"""Weights on disk, and those of other libraries."""

import json
import os
import re
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from conftest import FRAMEWORKS, MODELS, images_for, light, stir, thin, to_torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

import backbones
from backbones import convert, data
from backbones.convert.pretrained import KERAS_APPLICATIONS, TORCHVISION
from backbones.training import evaluate, recipe_for
from backbones.training.record import Record
from backbones.training.report import RECORDS
from backbones.weights import SHIPPED

both = pytest.mark.parametrize("framework", FRAMEWORKS)
REFERENCE = Path(__file__).parent / "reference"


@pytest.mark.parametrize("name", MODELS)
def test_files_are_read_by_the_other_framework(name, tmp_path, rng):
    """From PyTorch to Keras to PyTorch."""
    model = backbones.create_model(name, seed=0, **thin(name))
    stir(model, rng)
    expected = convert.state(model)
    for step, framework in enumerate(("tensorflow", "torch")):
        path = tmp_path / str(step) / "w.safetensors"
        backbones.save_weights(model, path)
        assert list(path.parent.iterdir()) == [path]
        model = backbones.create_model(name, framework=framework, seed=1, weights=path, **thin(name))
        loaded = convert.state(model)
        assert all(value.tobytes() == loaded[key].tobytes() for key, value in expected.items())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras with NumPy 2.4
@pytest.mark.parametrize("name", MODELS)
def test_each_framework_saves_and_loads_its_own_way(name, tmp_path, rng):
    options = thin(name)
    left = backbones.create_model(name, seed=0, **options)
    stir(left, rng)
    torch.save(left.state_dict(), tmp_path / "w.pth")
    again = backbones.create_model(name, seed=1, **options)
    again.load_state_dict(torch.load(tmp_path / "w.pth", weights_only=True))
    save_file(left.state_dict(), tmp_path / "w.safetensors")  # plain: it does not say of which net it is
    read = [
        backbones.create_model(name, seed=1, weights=tmp_path / "w.pth", **options),
        backbones.create_model(name, "tensorflow", weights=tmp_path / "w.safetensors", **options),
    ]
    right = convert.to_tensorflow(left)
    right.save_weights(tmp_path / "w.weights.h5")
    other = backbones.create_model(name, framework="tensorflow", seed=1, **options)
    other.load_weights(tmp_path / "w.weights.h5")
    expected = convert.state(left)
    for loaded in map(convert.state, (again, other, *read)):
        assert all(np.array_equal(value, loaded[key]) for key, value in expected.items())


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
            lambda: replaced("fc3", torch.nn.Identity()),
            "'fc3' holds 0 weights, but 850 in .* options of create_model",
        ),
        (
            lambda: replaced("more", torch.nn.Linear(1, 1)),
            "'more' holds 2 weights, but 0 in .* options of create",
        ),
    ],
)
def test_what_no_net_could_load_is_not_saved(make, said, tmp_path):
    with pytest.raises(backbones.BackbonesError, match=said):
        backbones.save_weights(make(), tmp_path / "new" / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


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


def filled(shapes):
    """Weights that follow from their names and shapes alone, as `reference/README.md` says."""
    state = {}
    for key, shape in shapes:
        rng = np.random.default_rng(zlib.crc32(key.encode()))
        if key.endswith("num_batches_tracked"):
            state[key] = np.zeros(shape, np.int64)
        elif key.endswith("running_var"):
            state[key] = 1 + 0.1 * np.abs(rng.standard_normal(shape))
        elif key.endswith(("running_mean", "bias")):
            state[key] = 0.1 * rng.standard_normal(shape)
        elif len(shape) == 1:
            state[key] = 1 + 0.1 * rng.standard_normal(shape)
        else:
            state[key] = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return state


@pytest.mark.parametrize("theirs", ["alexnet", "vgg16", "resnet18", "inception_v3"])
def test_torchvisions_weights_give_torchvisions_logits(theirs):
    reference = json.loads((REFERENCE / f"torchvision_{theirs}.json").read_text())
    state = filled(reference["state_dict"])
    model = convert.from_torchvision({"alexnet": "alexnet_owt"}.get(theirs, theirs), state)
    assert sum(p.numel() for p in model.parameters()) == reference["parameters"]
    model = model.double().eval()
    convert.load_state(model, convert.torchvision_state(model, state))  # once more, in float64
    size = reference["input_size"]
    images = torch.tensor(np.random.default_rng(0).standard_normal((1, 3, size, size)))
    with torch.no_grad():
        logits = model(images).numpy()[0]
    expected = np.array(reference["logits_first_10"])
    assert np.abs(logits[:10] - expected).max() <= 1e-9 * np.abs(expected).max()
    assert np.isclose(np.linalg.norm(logits), reference["logits_l2"], rtol=1e-9)
    assert logits.argmax() == reference["argmax"]


def torchvision_names(name):
    """torchvision's names of the layers with weights, in order, written down from its own tables."""
    if name.startswith("resnet"):
        return None  # ours
    if name == "alexnet_owt":
        return [f"features.{i}" for i in (0, 3, 6, 8, 10)] + [f"classifier.{i}" for i in (1, 4, 6)]
    blocks = {"11": (1, 1, 2, 2, 2), "13": (2,) * 5, "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}[name[3:5]]
    names, index = [], 0
    for count in blocks:
        for _ in range(count):
            names += [f"features.{index}", f"features.{index + 1}"] if "bn" in name else [f"features.{index}"]
            index += 3 if "bn" in name else 2
        index += 1
    return names + [f"classifier.{i}" for i in (0, 3, 6)]


def under_names(state, names):
    """Weights with other names of layers, in the same order."""
    layers = list(dict.fromkeys(key.rpartition(".")[0] for key in state))
    rename = dict(zip(layers, names or layers, strict=True))
    parts = {key: key.rpartition(".") for key in state}
    return {f"{rename[layer]}.{weight}": state[key] for key, (layer, _, weight) in parts.items()}


@pytest.mark.parametrize("name", [name for name in TORCHVISION if name != "inception_v3"])
def test_torchvisions_names_are_understood_in_every_size(name):
    """Each of their weights, told by its number, arrives where the same layer is, whatever order it came in."""
    ours = convert.state(backbones.create_model(name, **light(name)))
    numbers = {key: number for number, key in enumerate(ours)}
    theirs = {key: np.full(value.shape, numbers[key], np.float32) for key, value in ours.items()}
    theirs = dict(sorted(under_names(theirs, torchvision_names(name)).items()))
    del ours
    loaded = convert.state(convert.from_torchvision(name, theirs, **light(name)))
    assert all((value == numbers[key]).all() for key, value in loaded.items())


def test_a_torchvision_checkpoint_loads_in_both_frameworks(tmp_path):
    shapes = json.loads((REFERENCE / "torchvision_resnet18.json").read_text())["state_dict"]
    state = {key: torch.tensor(value) for key, value in filled(shapes).items()}
    torch.save(state, tmp_path / "resnet18.pth")
    save_file(state, tmp_path / "resnet18.safetensors")
    for path in (tmp_path / "resnet18.pth", tmp_path / "resnet18.safetensors"):
        for framework in FRAMEWORKS:
            model = backbones.create_model("resnet18", framework=framework, weights=path)
            assert np.allclose(convert.state(model)["fc.bias"], state["fc.bias"]), path
    with pytest.raises(backbones.BackbonesError, match=r"resnet34: the weights lack 'layer1.2.conv1.weight'"):
        backbones.create_model("resnet34", weights=tmp_path / "resnet18.pth")
    said = r"resnet18.pth does not fit vgg11: vgg11 has no partner for 'conv1.weight' of shape \(64, 3, 7"
    with pytest.raises(backbones.BackbonesError, match=said):
        backbones.create_model("vgg11", weights=tmp_path / "resnet18.pth")


@pytest.mark.parametrize(
    ("of", "into", "names", "said"),
    [
        ("resnet18", "resnet50", None, ["'layer1.0.conv1.weight'", "(64, 64, 3, 3)", "wants (64, 64, 1, 1)"]),
        ("resnet18", "resnet34", None, ["lack 'layer1.2.conv1.weight' of shape (64, 64, 3, 3)", "80 lacking"]),
        ("resnet34", "resnet18", None, ["has no 'layer1.2.bn1.bias' of shape (64,)", "80 too many"]),
        ("vgg11", "vgg16", None, ["lack 'conv1_2.weight' of shape (64, 64, 3, 3)", "10 lacking"]),
        ("vgg11", "vgg16", torchvision_names, ["'conv1_2.weight'", "(128, 64, 3, 3)", "wants (64, 64, 3, 3)"]),
        ("vgg19", "vgg16", torchvision_names, ["'conv4_1.weight'", "(256, 256, 3, 3)", "wants (512, 256, 3, 3)"]),
        ("vgg11_bn", "vgg11", torchvision_names, ["'conv2_1.weight'", "(64,)", "wants (128, 64, 3, 3)"]),
    ],
)  # fmt: skip
def test_a_file_of_another_net_is_refused_with_layer_and_shapes(of, into, names, said, tmp_path):
    state = convert.state(backbones.create_model(of, seed=0, **light(of)))
    save_arrays(under_names(state, names and names(of)), tmp_path / "w.safetensors")
    with pytest.raises(backbones.BackbonesError, match=f"w.safetensors does not fit {into}: ") as error:
        backbones.create_model(into, weights=tmp_path / "w.safetensors", **light(into))
    assert all(part in str(error.value) for part in said)


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


@both
def test_weights_without_their_auxiliary_heads_say_how_the_net_is_built(framework, tmp_path):
    path, options = tmp_path / "w.safetensors", thin("inception_v3")
    without = backbones.create_model("inception_v3", auxiliary=False, **options)
    save_file(without.state_dict(), path)
    with pytest.raises(backbones.BackbonesError, match=r"w.safetensors .* lack 'auxlogits.* auxiliary=False"):
        backbones.create_model("inception_v3", framework, weights=path, **options)
    backbones.create_model("inception_v3", framework, weights=path, auxiliary=False, **options)
    convert.from_torchvision("inception_v3", without.state_dict(), **options)


CLASSES = {
    "vgg16": keras.applications.VGG16,
    "vgg19": keras.applications.VGG19,
    "resnet50": keras.applications.ResNet50,
    "resnet101": keras.applications.ResNet101,
    "resnet152": keras.applications.ResNet152,
    "inception_v3": keras.applications.InceptionV3,
}


@pytest.mark.parametrize("name", KERAS_APPLICATIONS)
def test_keras_applications_weights_give_its_logits(name, rng):
    theirs = CLASSES[name](weights=None, classifier_activation=None)
    for layer in theirs.layers:
        for variable in layer.weights:
            if len(variable.shape) == 1:
                start = 1.0 if variable.name in ("gamma", "moving_variance") else 0.0
                variable.assign(start + 0.1 * np.abs(rng.standard_normal(variable.shape)))
    ours = convert.from_keras_applications(name, theirs)
    images = images_for(ours, 1, rng)
    expected, logits = np.asarray(theirs(images, training=False)), np.asarray(ours(images, training=False))
    assert np.abs(expected - logits).max() <= 1e-4 * np.abs(expected).max()
    in_torch = convert.to_torch(ours).eval()
    with torch.no_grad():
        assert np.abs(expected - in_torch(to_torch(images)).numpy()).max() <= 1e-4 * np.abs(expected).max()


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


@pytest.mark.parametrize("option", ["framework", "weights", "seed", "num_clases"])
@pytest.mark.parametrize("convert_from", [convert.from_torchvision, convert.from_keras_applications])
def test_options_are_fields_of_the_net(convert_from, option):
    theirs = {} if convert_from is convert.from_torchvision else keras.Sequential([keras.Input((1,))])
    with pytest.raises(backbones.BackbonesError, match=f"unknown option of vgg16 '{option}'; ") as error:
        convert_from("vgg16", theirs, **{option: 10})
    assert ("did you mean 'num_classes'?" in str(error.value)) == (option == "num_clases")


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


def copy_of(theirs, changes=None, **common):
    """A model of keras.applications with some layers built otherwise, and all but the last where it can be."""

    def again(layer):
        config = layer.get_config()
        shared = {key: common[key] for key in common if key in config and layer.name != "predictions"}
        return type(layer).from_config(config | shared | (changes or {}).get(layer.name, {}))

    return keras.models.clone_model(theirs, clone_function=again)


@pytest.mark.parametrize(
    ("of", "into", "changes", "said"),
    [
        ("vgg16", "vgg16", {"block3_conv2": {"use_bias": False}},
         "'block3_conv2' (Conv2D: kernel (3, 3, 4, 4)) lacks the bias of our conv3_2, of shape (4,)"),
        ("vgg16", "vgg16", {"predictions": {"use_bias": False}}, "lacks the bias of our fc8, of shape (10,)"),
        ("vgg16", "vgg16", {"block2_conv1": {"filters": 5}},
         "conv2_1.kernel has shape (3, 3, 4, 5) in 'block2_conv1', the model wants (3, 3, 4, 4)"),
        ("vgg19", "vgg16", {}, "vgg16 has no partner for 'block5_conv2' (Conv2D: kernel (3, 3, 4, 4), bias (4,))"),
        ("vgg16", "vgg19", {}, "no partner for our 'conv5_2' (Conv2D: kernel (3, 3, 4, 4), bias (4,))"),
    ],
    ids=["no bias", "no last bias", "another width", "a deeper net", "a shallower net"],
)  # fmt: skip
def test_another_variant_of_keras_applications_is_told_by_its_first_layer(of, into, changes, said):
    theirs = CLASSES[of](weights=None, input_shape=(32, 32, 3), classes=10)
    thin = {"filters": 4, "units": 4}
    options = {"input_size": 32, "num_classes": 10, "channels": (4,) * 5, "hidden": (4, 4)}
    convert.from_keras_applications(of, copy_of(theirs, **thin), **options)
    with pytest.raises(backbones.BackbonesError, match=re.escape(said)):
        convert.from_keras_applications(into, copy_of(theirs, changes, **thin), **options)


def test_other_libraries_other_nets_are_refused():
    with pytest.raises(backbones.BackbonesError, match="unknown torchvision model 'googlenet'"):
        convert.from_torchvision("googlenet", {})
    with pytest.raises(backbones.BackbonesError, match=r"unknown keras.applications model 'resnet18'"):
        convert.from_keras_applications("resnet18", None)
    wrong = keras.applications.ResNet50(weights=None, classes=7)
    with pytest.raises(backbones.BackbonesError, match=r"fc.kernel has shape \(2048, 7\)"):
        convert.from_keras_applications("resnet50", wrong)
    for blocks, said in {
        (3, 4, 7, 3): "no partner for our 'layer3.6.conv1' .Conv2D: kernel .1, 1, 1024, 256",
        (3, 4, 5, 3): "resnet50 has no partner for 'conv4_block6_1_conv'",
    }.items():
        with pytest.raises(backbones.BackbonesError, match=said):
            convert.from_keras_applications("resnet50", wrong, num_classes=7, blocks=blocks)
    bare = copy_of(wrong, {"conv1_bn": {"center": False}})
    with pytest.raises(backbones.BackbonesError, match=r"'conv1_bn' .* lacks the beta of our bn1, of shape"):
        convert.from_keras_applications("resnet50", bare, num_classes=7)


SHIPPED_NETS = [path.stem.split("-", 1) for path in sorted(SHIPPED.glob("*.safetensors"))]


@pytest.mark.parametrize(("name", "dataset"), SHIPPED_NETS)
@both
def test_shipped_weights_reach_their_recorded_accuracy(name, dataset, framework):
    """The weights are those of the PyTorch run with seed 0; whole test set, both frameworks, within 0.02 points."""
    epochs = recipe_for(name, dataset).epochs
    record = Record.load(RECORDS / f"{name}-{dataset}-torch-{epochs}-epochs-seed-0.json")
    model = backbones.create_model(name, framework, weights=dataset)
    result = evaluate(model, data.load(dataset), "test")
    assert result.accuracy == pytest.approx(record.test_accuracy, abs=2e-4)


def test_shipped_weights_are_few_and_named(tmp_path):
    assert SHIPPED_NETS
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 12e6
    with pytest.raises(backbones.BackbonesError, match="did you mean 'lenet5'"):
        backbones.create_model("lenet", weights="mnist")


@both
@pytest.mark.parametrize(
    ("name", "dataset", "there"),
    [
        ("lenet5", "fashion_mnist", "did you mean 'fashion-mnist'? known: fashion-mnist, mnist"),
        ("lenet5", "imagenet", "known: fashion-mnist, mnist"),
        ("vgg_mini", "mnist", "did you mean 'fashion-mnist'? known: fashion-mnist"),
        ("vgg16", "IMAGENET1K_V1", "there are none of this net, but alexnet_mini-fashion-mnist, "),
    ],
)
def test_a_data_set_without_weights_is_answered_with_those_that_have_some(framework, name, dataset, there):
    with pytest.raises(backbones.BackbonesError) as error:
        backbones.create_model(name, framework, weights=dataset)
    said = f"no weights of {name} trained on {dataset} come with this package; {there}"
    assert str(error.value).startswith(said)
    assert str(error.value).endswith("the path of a file will do, too")


def test_a_word_that_is_a_files_is_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backbones.save_weights(backbones.create_model("lenet5", seed=1), "imagenet")
    assert np.array_equal(
        convert.state(backbones.create_model("lenet5", weights="imagenet"))["fc3.weight"],
        convert.state(backbones.create_model("lenet5", seed=1))["fc3.weight"],
    )


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
