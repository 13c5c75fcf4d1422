"""Weights of torchvision and keras.applications, and the logits they give there."""

import json
import re
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from nets import FRAMEWORKS, both, images_for, light, nothing_drawn, thin, to_torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import save_file

import backbones
from backbones import convert
from backbones.convert.pretrained import KERAS_APPLICATIONS, TORCHVISION

REFERENCE = Path(__file__).parent / "reference"


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
    with nothing_drawn():
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
    with nothing_drawn():
        ours = convert.state(backbones.create_model(name, **light(name)))
    numbers = {key: number for number, key in enumerate(ours)}
    theirs = {key: np.full(value.shape, numbers[key], np.float32) for key, value in ours.items()}
    theirs = dict(sorted(under_names(theirs, torchvision_names(name)).items()))
    del ours
    with nothing_drawn():
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
    with nothing_drawn():
        ours = convert.from_keras_applications(name, theirs)
        in_torch = convert.to_torch(ours).eval()
    images = images_for(ours, 1, rng)
    expected, logits = np.asarray(theirs(images, training=False)), np.asarray(ours(images, training=False))
    assert np.abs(expected - logits).max() <= 1e-4 * np.abs(expected).max()
    with torch.no_grad():
        assert np.abs(expected - in_torch(to_torch(images)).numpy()).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("option", ["framework", "weights", "seed", "num_clases"])
@pytest.mark.parametrize("convert_from", [convert.from_torchvision, convert.from_keras_applications])
def test_options_are_fields_of_the_net(convert_from, option):
    theirs = {} if convert_from is convert.from_torchvision else keras.Sequential([keras.Input((1,))])
    with pytest.raises(backbones.BackbonesError, match=f"unknown option of vgg16 '{option}'; ") as error:
        convert_from("vgg16", theirs, **{option: 10})
    assert ("did you mean 'num_classes'?" in str(error.value)) == (option == "num_clases")


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
