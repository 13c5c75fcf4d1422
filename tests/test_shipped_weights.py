"""The weights that come with the package: as accurate as recorded, and found by name."""

from dataclasses import replace

import numpy as np
import pytest
from nets import FRAMEWORKS, both

import backbones
from backbones import convert, data
from backbones.training import evaluate, recipe_for
from backbones.training.record import Record
from backbones.training.report import RECORDS
from backbones.weights import SHIPPED

SHIPPED_NETS = [path.stem.split("-", 1) for path in sorted(SHIPPED.glob("*.safetensors"))]


@pytest.mark.parametrize(("name", "dataset"), SHIPPED_NETS)
def test_shipped_weights_reach_their_recorded_accuracy(name, dataset):
    """Those of the PyTorch run with seed 0: on the whole test set to 0.02 points, and alike in both frameworks.

    Where that takes long, on a part, to four standard errors. The tutorials of those nets read the whole test set in
    each build, in both frameworks, and tests/browser holds what they print to the record, to 0.02 points.
    """
    epochs = recipe_for(name, dataset).epochs
    record = Record.load(RECORDS / f"{name}-{dataset}-torch-{epochs}-epochs-seed-0.json")
    count, margin = (10_000, 2e-4) if name.startswith("lenet") else (2_000, 2e-2)
    whole = data.load(dataset)
    part = replace(whole, test_images=whole.test_images[:count], test_labels=whole.test_labels[:count])
    left, right = (
        evaluate(backbones.create_model(name, framework, weights=dataset), part, "test")
        for framework in FRAMEWORKS
    )
    assert left.accuracy == pytest.approx(record.test_accuracy, abs=margin)
    assert np.array_equal(left.predictions, right.predictions)


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
        ("vgg_mini", "mnist", "known: fashion-mnist"),  # another data set, not a slip of the pen
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
