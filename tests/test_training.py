"""The two loops learn, learn the same, and record what they did."""

import errno
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from conftest import (
    FRAMEWORKS,
    images_for,
    keras_loss,
    make_pair,
    thin,
    to_torch,
    torch_loss,
    without_dropout,
)
from safetensors.numpy import load_file

import backbones
from backbones import convert, data
from backbones.data import Augmentation
from backbones.training import Evaluation, History, Recipe, evaluate, fit, recipe_for
from backbones.training import run as training_run
from backbones.training import tensorflow as training_tensorflow
from backbones.training import torch as training_torch
from backbones.training.record import Record, make_record
from backbones.training.report import RECORDS, load_records
from benchmarks.lockstep import Walk, keras_precision, lockstep

both = pytest.mark.parametrize("framework", FRAMEWORKS)
small = Recipe(epochs=3, batch_size=32, learning_rate=3e-3)


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(rotate=10, shift=1.5, scale=0.1)])
def test_both_loops_go_the_same_way(tiny, augmentation):
    """From the same start with the same recipe: the same losses, epoch by epoch, and the same weights."""
    left = backbones.create_model("lenet5", framework="torch", seed=0)
    right = convert.to_tensorflow(left)
    recipe = replace(small, augmentation=augmentation)
    ours, theirs = (fit(model, tiny, recipe, progress=False) for model in (left, right))
    # Rounding differs, and each step builds on the last: the differences grow with the epochs.
    for a, b, within in zip(ours.epochs, theirs.epochs, (0.002, 0.02, 0.1), strict=True):
        assert a.train_loss == pytest.approx(b.train_loss, rel=within)
        assert a.train_accuracy == pytest.approx(b.train_accuracy, abs=0.01)
        assert a.validation_loss == pytest.approx(b.validation_loss, rel=2 * within, abs=1e-3)
        assert a.learning_rate == b.learning_rate


def test_both_take_the_same_steps_in_float64(tiny):
    """No rounding to speak of: what is left would be a difference in the rule."""
    seen = lockstep(Walk("lenet5", "mnist", "float64"), replace(tiny, name="mnist"), steps=20)
    np.testing.assert_allclose(seen["torch"], seen["tensorflow"], rtol=1e-10)
    assert max(seen["weights"]) < 1e-8


def test_both_stay_together_in_float32():
    """200 steps on real digits; the learning rate decides how fast rounding grows: see docs/compare/lockstep.md."""
    seen = lockstep(Walk("lenet5", "mnist", "float32", slower=10), data.load("mnist"))
    assert np.abs(np.subtract(seen["torch"], seen["tensorflow"])).max() < 1e-3
    assert seen["torch"][-1] < 0.8 * seen["torch"][0]


@pytest.mark.parametrize("name", backbones.list_models("lenet"))  # the others: test_models.py
@both
def test_a_model_learns_what_can_be_learned(name, framework, tiny):
    """Labels that do not belong to their images cannot be learned."""
    model = backbones.create_model(name, framework=framework, seed=0)
    history = fit(model, tiny, replace(small, epochs=12), progress=False)
    assert evaluate(model, tiny, "test").accuracy > 0.95
    assert history.epochs[-1].train_loss < 0.3 * history.epochs[0].train_loss


def test_auxiliary_heads_count_in_both_loops(rng):
    """What each loop minimises is the main head's loss plus 0.3 of each other head's."""
    left, right = without_dropout(*make_pair("googlenet", **thin("googlenet")))
    images, labels = images_for(left, 4, rng), rng.integers(0, 10, 4)
    expected = float(torch_loss(left, left.train()(to_torch(images)), torch.tensor(labels)).detach())
    assert len(left(to_torch(images))) == 3
    _, loss = training_torch.forward(left, to_torch(images), torch.tensor(labels))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    right.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    logs = right.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(expected, rel=1e-3)
    assert right.predict_on_batch(images).shape == (4, 10)
    alone = right.test_on_batch(images, labels, return_dict=True)["loss"]
    logits = right(images, training=False)
    assert alone == pytest.approx(float(keras_loss(right, logits, labels)), rel=1e-3)


def thin_vgg(framework, **options):
    """Has dropout, whose random state counts."""
    return backbones.create_model("vgg_mini", framework, channels=(4, 8, 16), **options)


@both
def test_the_same_weights_and_the_same_seed_give_the_same_run(framework, tiny):
    part = tiny.part(train=160, validation=10)
    weights = convert.state(thin_vgg(framework, seed=0))

    def loss(seed):
        model = thin_vgg(framework)
        convert.load_state(model, weights)
        return fit(model, part, replace(small, epochs=1, seed=seed), progress=False).epochs[0].train_loss

    first, again, other = map(loss, (1, 1, 2))
    assert first == pytest.approx(again, rel=1e-5)
    assert first != pytest.approx(other, rel=1e-3)


@both
def test_memory_does_not_grow_with_the_epochs(framework, monkeypatch):
    held, finish = [], training_run.Run.finish_epoch

    def looked_at(*given):
        held.append(int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
        return finish(*given)

    monkeypatch.setattr(training_run.Run, "finish_epoch", looked_at)
    part = data.load("mnist").part(train=2000, validation=100)  # 6 MB, as numbers
    model = backbones.create_model("lenet5", framework, seed=0)
    fit(model, part, replace(small, epochs=10), progress=False)
    assert held[-1] - held[3] < 15  # by then all is there that is needed


def test_training_mode_is_on_for_training_and_off_afterwards(tiny):
    """Evaluation must not leave its mode behind, nor training its own."""
    seen = []

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(784, 10)

        def forward(self, x):
            seen.append(self.training)
            return self.fc(x.flatten(1))

    net = Net()
    net.config = {"units": 10}  # of its own, and not ours to read
    fit(net, tiny, replace(small, epochs=2), progress=False)
    steps = small.steps_per_epoch(len(tiny.train))
    assert seen == [False] + ([True] * steps + [False]) * 2  # first, whether its logits fit
    assert not net.training
    net.train()
    evaluate(net, tiny)
    assert net.training


KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
from pathlib import Path
sys.path.insert(0, "tests")
from conftest import make_tiny
import backbones
from backbones.training import Recipe, fit

framework, folder = sys.argv[1], Path(sys.argv[2])
# Has dropout, whose random state counts, and BatchNorm, whose statistics do.
model = backbones.create_model("vgg_mini", framework, seed=0, channels=(4, 8, 16))
recipe = Recipe(epochs=4, batch_size=64, learning_rate=1e-3, label_smoothing=0.1)
fit(model, make_tiny(), recipe, checkpoint=folder / "checkpoint.safetensors")
backbones.save_weights(model, folder / "weights.safetensors")
"""


@both
def test_a_killed_run_goes_on_to_the_same_weights(framework, tmp_path):
    """Killed by the system at any moment, then started again: bit for bit what an unbroken run gives."""
    command = [sys.executable, "-c", KILLED, framework]
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    subprocess.run([*command, str(straight)], check=True, capture_output=True)
    process = subprocess.Popen([*command, str(broken)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.readline()  # the first epoch's line: its checkpoint is written, the second epoch runs
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdout.close()
    assert (broken / "checkpoint.safetensors").exists()
    again = subprocess.run([*command, str(broken)], check=True, capture_output=True, text=True)
    assert "epoch   1" not in again.stdout
    expected, got = (load_file(folder / "weights.safetensors") for folder in (straight, broken))
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)


@both
def test_a_checkpoint_of_another_run_is_refused(framework, tiny, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    once = replace(small, epochs=1)
    fit(thin_vgg(framework), tiny, once, progress=False, checkpoint=str(path))
    part = tiny.part(train=320, validation=160)
    other = FRAMEWORKS[framework == "torch"]
    for model, dataset, recipe, said in (
        (thin_vgg(framework), tiny, replace(once, learning_rate=0.5), "its learning_rate is 0.003, not 0.5"),
        (backbones.create_model("lenet5", framework), tiny, once, "its model is 'vgg_mini', not 'lenet5'"),
        (thin_vgg(framework, dropout=0.1), tiny, once, "its dropout is 0.5, not 0.1"),
        (thin_vgg(framework), part, once, "its number of training images is 640, not 320"),
        (thin_vgg(other), tiny, once, "state of another framework or of another net"),
    ):
        with pytest.raises(backbones.BackbonesError, match=said):
            fit(model, dataset, recipe, checkpoint=path)
    path.write_bytes(b"nonsense")
    with pytest.raises(backbones.BackbonesError, match="is not a checkpoint of a training run"):
        fit(thin_vgg(framework), tiny, once, checkpoint=path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "expected the path of a checkpoint, not ''"),
        (3, "expected the path of a checkpoint, not 3"),
        ("a\0b", r"expected the path of a checkpoint, not 'a\\x00b'"),
        ("a" * 300, "is not a checkpoint of a training run: .*File name too long"),
    ],
)
def test_a_path_that_none_can_have_is_refused_before_training(path, said, tiny):
    with pytest.raises(backbones.BackbonesError, match=said):
        fit(backbones.create_model("lenet5"), tiny, small, checkpoint=path)


@both
def test_a_full_disk_loses_no_earlier_checkpoint(framework, tiny, tmp_path, monkeypatch):
    path = tmp_path / "checkpoint.safetensors"
    whole = training_run.save_file

    def fail_later(arrays, part, metadata):
        if path.exists():
            part.write_bytes(b"half a checkpo")
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(arrays, part, metadata)

    monkeypatch.setattr(training_run, "save_file", fail_later)
    with pytest.raises(backbones.BackbonesError, match=r"cannot write .*checkpoint.*: No space left"):
        fit(backbones.create_model("lenet5", framework, seed=0), tiny, small, progress=False, checkpoint=path)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    model = backbones.create_model("lenet5", framework, seed=0)
    assert len(fit(model, tiny, small, progress=False, checkpoint=path).epochs) == 3


@both
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"warmup": 0.0}, r"loss became (nan|inf) by step (\d|1\d|20) of epoch 1, at .*try"),
        # A run's last rate is 0. Keras looks at the loss once in many steps, and here after the last one alone.
        ({"batch_size": 160}, r"of epoch 1, at learning rates up to [\d.]+e\+(29|30); try"),
    ],
)
def test_a_loss_that_is_no_number_stops_the_run(framework, change, said, tiny):
    wild = replace(small, epochs=1, learning_rate=1e30, **change)
    with pytest.raises(backbones.BackbonesError, match=said):
        fit(backbones.create_model("lenet5", framework, seed=0), tiny, wild, progress=False)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_losses_smooth_labels_alike(precision, tiny):
    left = backbones.create_model("lenet5", framework="torch", seed=0)
    right = convert.to_tensorflow(left)
    recipe = replace(small, epochs=1, label_smoothing=0.1, precision=precision)
    losses = [fit(m, tiny, recipe, progress=False).epochs[0].train_loss for m in (left, right)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3 if precision == "fp32" else 2e-2)
    plain = fit(convert.to_torch(right), tiny, replace(recipe, label_smoothing=0), progress=False)
    assert abs(plain.epochs[0].train_loss - losses[0]) > 0.01


@both
def test_bf16_is_for_training_alone(framework, tiny):
    """What is evaluated, and recorded, is the float32 model; its logits are those of the other framework."""
    model = backbones.create_model("lenet5", framework, seed=0)
    history = fit(model, tiny, replace(small, precision="bf16"), progress=False)
    found = evaluate(model, tiny, "validation")
    assert history.epochs[-1].validation_loss == pytest.approx(found.loss, rel=1e-6)
    other = convert.to_torch(model) if framework == "tensorflow" else convert.to_tensorflow(model)
    np.testing.assert_allclose(found.logits, evaluate(other, tiny, "validation").logits, rtol=1e-4, atol=1e-4)


@both
@pytest.mark.parametrize("precision", ["float64", "bfloat16"])
def test_a_model_is_trained_and_measured_in_its_own_precision(framework, precision, tiny):
    if framework == "torch":
        model = backbones.create_model("lenet5", seed=0).to(getattr(torch, precision))
    else:
        with keras_precision(precision):
            model = backbones.create_model("lenet5", "tensorflow", seed=0)
    history = fit(model, tiny, small, progress=False)
    found = evaluate(model, tiny)
    assert found.logits.dtype == np.float32
    assert found.loss == pytest.approx(history.epochs[-1].validation_loss, rel=1e-6)
    assert found.accuracy > 0.8


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in `save`
def test_a_trained_keras_model_is_saved_and_measured_as_any(tiny, tmp_path):
    model = backbones.create_model("lenet5", "tensorflow", seed=0)
    fit(model, tiny, replace(small, label_smoothing=0.1, precision="bf16"), progress=False)
    found = evaluate(model, tiny, "validation")
    model.save(tmp_path / "lenet5.keras")
    again = keras.models.load_model(tmp_path / "lenet5.keras")
    images = ((tiny.validation.images / 255 - tiny.mean) / tiny.std).astype(np.float32)
    loss, accuracy = again.evaluate(images, tiny.validation.labels, verbose=0)
    assert (loss, accuracy) == pytest.approx((found.loss, found.accuracy), rel=1e-5)


def test_keras_takes_an_epoch_in_bounded_parts_to_the_same_end(tiny, monkeypatch):
    """Images that do not fit into one stream: the same steps, the same history, and no stream above the bound."""
    ends, sizes = [], []
    whole = training_tensorflow.as_tf_dataset

    def watched(batches):
        sizes.append(sum(images.nbytes for images, _ in batches))
        return whole(batches)

    monkeypatch.setattr(training_tensorflow, "as_tf_dataset", watched)
    bound = 7 * 32 * 28 * 28 * 4 + 1  # seven batches, of twenty in an epoch
    for limit, streams in ((training_tensorflow.STREAM_BYTES, 1), (bound, 3), (1, 20)):
        monkeypatch.setattr(training_tensorflow, "STREAM_BYTES", limit)
        model = backbones.create_model("lenet5", "tensorflow", seed=0)
        sizes.clear()
        history = fit(model, tiny, replace(small, epochs=2), progress=False)
        assert len(sizes) == 2 * streams
        assert max(sizes) <= max(limit, 32 * 28 * 28 * 4)
        ends.append((history, convert.state(model)))
    (history, weights), *others = ends
    for other, same in others:
        for a, b in zip(history.epochs, other.epochs, strict=True):
            assert a.train_loss == pytest.approx(b.train_loss, rel=1e-5)
            assert a.train_accuracy == pytest.approx(b.train_accuracy, abs=1e-6)
        for key, value in weights.items():
            np.testing.assert_array_equal(same[key], value, err_msg=key)


def test_learning_rate_climbs_then_falls():
    rates = Recipe(epochs=2, learning_rate=0.1, warmup=0.25).learning_rates(50)
    assert len(rates) == 100
    assert rates.argmax() == 24
    assert rates.max() == pytest.approx(0.1)
    assert (np.diff(rates[:25]) > 0).all()
    assert (np.diff(rates[25:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1 and at most 10000, not 0"),
        ({"epochs": "3"}, "epochs must be a whole number of at least 1 and at most 10000, not '3'"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1 and at most 10000, not 1.5"),
        ({"epochs": True}, "epochs must be a whole number of at least 1 and at most 10000, not True"),
        (
            {"epochs": 10**11},
            "epochs must be a whole number of at least 1 and at most 10000, not 100000000000",
        ),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"batch_size": None}, "batch_size must be a whole number of at least 1, not None"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number above 0"),
        ({"warmup": 1.0}, "warmup must be a finite number of at least 0 and below 1, not 1.0"),
        ({"warmup": -1}, "warmup must be a finite number of at least 0 and below 1, not -1"),
        ({"weight_decay": float("nan")}, "weight_decay must be a finite number of at least 0, not nan"),
        ({"weight_decay": -1}, "weight_decay must be a finite number of at least 0, not -1"),
        ({"beta1": 1.5}, "beta1 must be a finite number of at least 0 and below 1, not 1.5"),
        ({"beta2": 1.0}, "beta2 must be a finite number of at least 0 and below 1, not 1.0"),
        ({"epsilon": 0.0}, "epsilon must be a finite number above 0, not 0.0"),
        (
            {"label_smoothing": 1.0},
            "label_smoothing must be a finite number of at least 0 and below 1, not 1.0",
        ),
        ({"precision": "fp16"}, "unknown precision 'fp16'; did you mean 'bf16'.* known: fp32, bf16"),
        ({"augmentation": None}, "augmentation must be an Augmentation, not None"),
        ({"seed": -1}, r"seed must be a whole number of at least 0 and below 4294967296, not -1"),
        ({"seed": "a"}, "seed must be a whole number of at least 0 and below 4294967296, not 'a'"),
    ],
)
def test_a_wrong_recipe_is_refused(wrong, said):
    with pytest.raises(backbones.BackbonesError, match=said):
        Recipe(**wrong)


def test_a_recipe_holds_plain_numbers():
    """NumPy's would not fit into a checkpoint's or a record's JSON."""
    recipe = Recipe(epochs=np.int64(3), learning_rate=np.float32(0.5))
    assert json.loads(json.dumps(recipe.to_json())) == Recipe(epochs=3, learning_rate=0.5).to_json()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("lenet5", "cifar"), "unknown data set 'cifar'; known: mnist, fashion-mnist"),
        (("lenet", "mnist"), "unknown model 'lenet'; did you mean 'lenet5'?"),
    ],
)
def test_a_recipe_for_something_unknown_is_refused(names, said):
    with pytest.raises(backbones.BackbonesError, match=said):
        recipe_for(*names)


@both
def test_what_does_not_fit_the_data_is_refused(framework, tiny):
    for arguments, said in (
        ({"in_channels": 3}, "built for 3 input channels, tiny has 1"),
        ({"num_classes": 2}, "built for 2 classes, tiny has 10"),
    ):
        model = backbones.create_model("lenet5", framework=framework, **arguments)
        with pytest.raises(backbones.BackbonesError, match=said):
            fit(model, tiny, small)
    for height, width in ((28, 30), (26, 28), (28, 26), (34, 34)):
        images = np.zeros((len(tiny.train_images), height, width, 1), np.uint8)
        other = replace(tiny, train_images=images, test_images=images[: len(tiny.test_images)])
        with pytest.raises(backbones.BackbonesError, match=f"28 x 28 pixels, tiny has {height} x {width}"):
            evaluate(backbones.create_model("lenet5", framework=framework), other)
    with pytest.raises(backbones.BackbonesError, match="batch_size 10000 is more than the 640"):
        fit(backbones.create_model("lenet5", framework=framework), tiny, Recipe(batch_size=10_000))
    with pytest.raises(backbones.BackbonesError, match="unknown split 'val'"):
        evaluate(backbones.create_model("lenet5", framework=framework), tiny, "val")


def own_net(framework, *units, wrap=lambda outputs: outputs[0]):
    """A net that was not built here, with a dense layer for each number of units."""
    if framework == "tensorflow":
        images = keras.Input((28, 28, 1))
        flat = keras.layers.Flatten()(images)
        return keras.Model(images, wrap([keras.layers.Dense(count)(flat) for count in units]))

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = torch.nn.ModuleList(torch.nn.Linear(784, count) for count in units)

        def forward(self, x):
            return wrap([head(x.flatten(1)) for head in self.heads])

    return Net()


@both
def test_a_net_of_the_readers_own_must_give_logits(framework, tiny):
    wrong = {
        "images x 10 for the classes of tiny, not [0-9]+ x 3$": own_net(framework, 3),
        "images x 10 for the classes of tiny, not a (list|tuple)$": own_net(framework, 10, 10, wrap=tuple),
    }
    for said, model in wrong.items():
        with pytest.raises(backbones.BackbonesError, match=said):
            fit(model, tiny, small)
        with pytest.raises(backbones.BackbonesError, match=said):
            evaluate(model, tiny)
    fit(own_net(framework, 12), tiny, replace(small, epochs=1), progress=False)


@both
def test_a_net_with_nothing_to_train_is_refused(framework, tiny):
    frozen = own_net(framework, 10)
    if framework == "torch":
        bare, switch = torch.nn.Flatten(), "requires_grad"
        frozen.requires_grad_(False)
    else:
        bare, switch = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()]), "trainable"
        frozen.trainable = False
    for model in (bare, frozen):
        with pytest.raises(
            backbones.BackbonesError, match=f"nothing to train: it needs weights, and {switch}"
        ):
            fit(model, tiny, small, progress=False)
        evaluate(model, tiny)  # needs none


@both
def test_a_net_that_cannot_take_the_images_is_refused_in_one_line(framework, tiny):
    if framework == "torch":
        given, layers = (
            "N x 1 x 28 x 28",
            [torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(2704, 10)],
        )
        coloured, own = torch.nn.Sequential(*layers), torch.nn.Linear(10, 10)
    else:
        given, layers = (
            "N x 28 x 28 x 1",
            [keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(10)],
        )
        coloured, own = keras.Sequential([keras.Input((28, 28, 3)), *layers]), TakesFive()
    for model, reason in ((coloured, "3"), (own, "10")):
        for call in (lambda model=model: fit(model, tiny, small), lambda model=model: evaluate(model, tiny)):
            with pytest.raises(
                backbones.BackbonesError, match=f"^the model cannot take {given}: .*{reason}"
            ) as error:
                call()
            assert not re.search("\n|\x1b|Exception encountered", str(error.value))


class TakesFive(keras.Model):
    """A net whose layer TensorFlow itself refuses, below Keras's checks."""

    def call(self, x):
        return keras.ops.matmul(x, np.ones((5, 10), np.float32))


def test_heads_that_no_config_weighs_are_refused(tiny):
    """As of torchvision's GoogLeNet, which gives logits alone in evaluation mode."""
    model = own_net("torch", 10, 10)
    model.forward = lambda x: (
        (model.heads[0](x.flatten(1)),) * 2 if model.training else model.heads[0](x.flatten(1))
    )
    with pytest.raises(backbones.BackbonesError, match="gives 2 outputs in training; a net of your own"):
        fit(model, tiny, small, progress=False)


def test_an_unbuilt_keras_model_is_built(tiny):
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    assert len(fit(model, tiny, small, progress=False).epochs) == 3


def test_evaluation_matches_torchs_own_loss(rng):
    logits, labels = rng.standard_normal((50, 10)).astype(np.float32) * 5, rng.integers(0, 10, 50)
    result = Evaluation(logits, labels)
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels)).item()
    assert result.loss == pytest.approx(expected, rel=1e-5)
    confusion = result.confusion()
    assert confusion.sum() == 50
    assert np.trace(confusion) / 50 == result.accuracy


def test_a_record_survives_the_disk_and_has_the_agreed_keys(tmp_path, tiny):
    model = backbones.create_model("lenet5", seed=0)
    history = fit(model, tiny, small, progress=False)
    record = make_record(
        model="lenet5",
        dataset="mnist",
        framework="torch",
        recipe=small,
        history=history,
        images=640,
        accuracy=0.5,
    )
    record.save(tmp_path / "a" / "record.json")
    assert Record.load(tmp_path / "a" / "record.json") == record
    assert set(vars(record)) == {
        "model", "dataset", "framework", "framework_version", "seed", "epochs", "history", "test_accuracy",
        "seconds", "images_per_second", "commit", "cpu", "peak_memory", "recipe",
    }  # fmt: skip
    assert History.from_json(record.history) == history
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"model": 5}, "model must be a string, not 5"),
        ({"model": "../../x"}, "unknown model '../../x'; known: lenet5"),
        ({"seconds": -1.0}, "seconds must be a finite number of at least 0, not -1.0"),
        ({"images_per_second": -1.0}, "images_per_second must be a finite number of at least 0, not -1.0"),
        ({"recipe": {}}, "recipe must be one of 10 epochs, not None"),
        ({"recipe": {"epochs": 3}}, "recipe must be one of 10 epochs, not 3"),
        (
            lambda whole: {"history": whole["history"][::-1]},
            r"history must be of epochs 1 to 10, not \[10, 9, ",
        ),
        (
            lambda whole: {"history": [epoch | {"seconds": -1.0} for epoch in whole["history"]]},
            "seconds must be a finite number of at least 0",
        ),
        ({"dataset": "cifar"}, "unknown data set 'cifar'; known: mnist"),
        ({"framework": "jax"}, "unknown framework 'jax'; known: torch"),
        (
            {"test_accuracy": "0.9"},
            "test_accuracy must be a finite number of at least 0 and at most 1, not '0.9'",
        ),
        (
            {"test_accuracy": 90.0},
            "test_accuracy must be a finite number of at least 0 and at most 1, not 90.0",
        ),
        ({"history": [{"loss": 1.0}] * 10}, "history must be a list of epochs"),
        ({"history": [3] * 10}, "history must be a list of epochs"),
        ({"history": []}, r"history must be of epochs 1 to 10, not \[\]"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
        (None, "missing 14 required"),
    ],
)
def test_a_damaged_record_is_refused_by_name(damage, said, tmp_path):
    whole = json.loads(min(RECORDS.glob("lenet5-mnist-torch-*.json")).read_text())
    path = tmp_path / "bad.json"
    damage = damage(whole) if callable(damage) else damage
    path.write_text(json.dumps({} if damage is None else whole | damage))
    with pytest.raises(backbones.BackbonesError, match=said) as error:
        load_records(tmp_path)
    assert str(error.value).startswith(f"{path} is not a record of a run: ")
    assert "\n" not in str(error.value)


def test_a_record_is_a_json_object(tmp_path):
    path = tmp_path / "list.json"
    path.write_text("[1]")
    with pytest.raises(
        backbones.BackbonesError, match=r"list.json is not a record of a run: .* object, not \[1\]"
    ):
        Record.load(path)


def test_committed_records_are_what_their_names_say():
    for (model, dataset, framework, epochs), records in load_records().items():
        for record in records:
            assert (
                RECORDS / f"{model}-{dataset}-{framework}-{epochs}-epochs-seed-{record.seed}.json"
            ).exists()
            assert len(record.history) == record.epochs == record.recipe["epochs"]
            assert 0.9 < record.test_accuracy < 1
            assert not record.commit.endswith("-dirty")
    assert len(list(RECORDS.glob("*.json"))) == sum(map(len, load_records().values()))
