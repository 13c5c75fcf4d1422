"""The two loops learn, learn the same, and measure what they learned."""

import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from nets import (
    SHORT,
    both,
    images_for,
    keras_loss,
    make_pair,
    thin,
    to_torch,
    torch_loss,
    without_dropout,
)

import backbones
from backbones import convert, data
from backbones.data import Augmentation
from backbones.training import Evaluation, Recipe, evaluate, fit, model_for
from backbones.training import run as training_run
from backbones.training import tensorflow as training_tensorflow
from backbones.training import torch as training_torch
from backbones.training.progress import Progress
from benchmarks.lockstep import Walk, keras_precision, lockstep


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(rotate=10, shift=1.5, scale=0.1)])
def test_both_loops_go_the_same_way(tiny, augmentation):
    """From the same start with the same recipe: the same losses, epoch by epoch, and the same weights."""
    left = backbones.create_model("lenet5", framework="torch", seed=0)
    right = convert.to_tensorflow(left)
    recipe = replace(SHORT, augmentation=augmentation)
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
    np.testing.assert_allclose(seen["torch"], seen["tensorflow"], rtol=1e-12)
    assert max(seen["weights"]) < 1e-11


def test_both_stay_together_in_float32():
    """200 steps on real digits. On another processor a ReLU may open in one alone: see docs/compare/lockstep.md."""
    for seed in range(3):
        seen = lockstep(Walk("lenet5", "mnist", "float32", seed), data.load("mnist"))
        together = seen["parted"]["step"] - 1 if seen["parted"] else 200
        assert np.abs(np.subtract(seen["torch"], seen["tensorflow"]))[:together].max(initial=0) < 1e-5
        assert max(seen["weights"][:together], default=0) < 1e-5
        assert seen["torch"][-1] < 0.8 * seen["torch"][0]
        if together == 200:
            return
    pytest.fail("no seed of three stays together")


@pytest.mark.parametrize("name", backbones.list_models("lenet"))  # the others: test_learning.py
@both
def test_a_model_learns_what_can_be_learned(name, framework, tiny):
    """Labels that do not belong to their images cannot be learned."""
    model = backbones.create_model(name, framework=framework, seed=0)
    history = fit(model, tiny, replace(SHORT, epochs=12), progress=False)
    assert evaluate(model, tiny, "test").accuracy > 0.95
    assert history.epochs[-1].train_loss < 0.3 * history.epochs[0].train_loss


def test_auxiliary_heads_count_in_both_loops(rng):
    """What each loop minimises is the main head's loss plus 0.3 of each other head's."""
    left, right = make_pair("googlenet", **thin("googlenet"))
    with without_dropout(left, right):
        images, labels = images_for(left, 4, rng), rng.integers(0, 10, 4)
        expected = float(torch_loss(left, left.train()(to_torch(images)), torch.tensor(labels)).detach())
        assert len(left(to_torch(images))) == 3
        _, loss = training_torch.forward(left, to_torch(images), torch.tensor(labels))
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        right.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True)  # to trace it takes longer
        logs = right.train_on_batch(images, labels, return_dict=True)
        assert logs["loss"] == pytest.approx(expected, rel=1e-3)
        assert right.predict_on_batch(images).shape == (4, 10)
        alone = right.test_on_batch(images, labels, return_dict=True)["loss"]
        logits = right(images, training=False)
        assert alone == pytest.approx(float(keras_loss(right, logits, labels)), rel=1e-3)


@both
def test_memory_does_not_grow_with_the_epochs(framework, monkeypatch):
    held, finish = [], training_run.Run.finish_epoch

    def looked_at(*given):
        held.append(int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
        return finish(*given)

    monkeypatch.setattr(training_run.Run, "finish_epoch", looked_at)
    part = data.load("mnist").part(train=2000, validation=100)  # 6 MB, as numbers
    model = backbones.create_model("lenet5", framework, seed=0)
    fit(model, part, replace(SHORT, epochs=10), progress=False)
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
    fit(net, tiny, replace(SHORT, epochs=2), progress=False)
    steps = SHORT.steps_per_epoch(len(tiny.train))
    assert seen == [False] + ([True] * steps + [False]) * 2  # first, whether its logits fit
    assert not net.training
    net.train()
    evaluate(net, tiny)
    assert net.training


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
    wild = replace(SHORT, epochs=1, learning_rate=1e30, **change)
    with pytest.raises(backbones.BackbonesError, match=said):
        fit(backbones.create_model("lenet5", framework, seed=0), tiny, wild, progress=False)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_losses_smooth_labels_alike(precision, tiny):
    left = backbones.create_model("lenet5", framework="torch", seed=0)
    right = convert.to_tensorflow(left)
    recipe = replace(SHORT, epochs=1, label_smoothing=0.1, precision=precision)
    losses = [fit(m, tiny, recipe, progress=False).epochs[0].train_loss for m in (left, right)]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3 if precision == "fp32" else 2e-2)
    plain = fit(convert.to_torch(right), tiny, replace(recipe, label_smoothing=0), progress=False)
    assert abs(plain.epochs[0].train_loss - losses[0]) > 0.01


@both
def test_bf16_is_for_training_alone(framework, tiny):
    """What is evaluated, and recorded, is the float32 model; its logits are those of the other framework."""
    model = backbones.create_model("lenet5", framework, seed=0)
    history = fit(model, tiny, replace(SHORT, precision="bf16"), progress=False)
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
    history = fit(model, tiny, SHORT, progress=False)
    found = evaluate(model, tiny)
    assert found.logits.dtype == np.float32
    assert found.loss == pytest.approx(history.epochs[-1].validation_loss, rel=1e-6)
    assert found.accuracy > 0.8


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras's own, in `save`
def test_a_trained_keras_model_is_saved_and_measured_as_any(tiny, tmp_path):
    model = backbones.create_model("lenet5", "tensorflow", seed=0)
    fit(model, tiny, replace(SHORT, label_smoothing=0.1, precision="bf16"), progress=False)
    found = evaluate(model, tiny, "validation")
    model.save(tmp_path / "lenet5.keras")
    again = keras.models.load_model(tmp_path / "lenet5.keras")
    images = ((tiny.validation.images / 255 - tiny.mean) / tiny.std).astype(np.float32)
    loss, accuracy = again.evaluate(images, tiny.validation.labels, verbose=0)
    assert (loss, accuracy) == pytest.approx((found.loss, found.accuracy), rel=1e-5)


def test_steps_per_call_go_by_the_length_of_a_step_and_change_no_weight(tiny, monkeypatch):
    ends, updates = [], []
    monkeypatch.setattr(Progress, "update", lambda bar, steps, *means: updates.append(steps))
    for long, expected in ((0, [1] * 20), (float("inf"), [20])):
        monkeypatch.setattr(training_tensorflow, "LONG", long)
        model = backbones.create_model("lenet5", "tensorflow", seed=0)
        updates.clear()
        fit(model, tiny, replace(SHORT, epochs=1), progress=False)
        assert updates == expected
        ends.append(convert.state(model))
    for key, value in ends[0].items():
        np.testing.assert_array_equal(ends[1][key], value, err_msg=key)


def test_keras_takes_an_epoch_in_bounded_parts_to_the_same_end(tiny, monkeypatch):
    """Images that do not fit into one stream: the same steps, the same history, and no stream above the bound.

    A step is traced once for all of them, which takes longer than the steps themselves.
    """
    ends, sizes, traced = [], [], []
    whole = training_tensorflow.as_tf_dataset

    def watched(batches):
        sizes.append(sum(images.nbytes for images, _ in batches))
        return whole(batches)

    monkeypatch.setattr(training_tensorflow, "as_tf_dataset", watched)
    bound = 7 * 32 * 28 * 28 * 4 + 1  # seven batches, of twenty in an epoch
    for limit, streams in ((training_tensorflow.STREAM_BYTES, 1), (bound, 3), (1, 20)):
        monkeypatch.setattr(training_tensorflow, "STREAM_BYTES", limit)
        model = backbones.create_model("lenet5", "tensorflow", seed=0)
        step = model.train_step
        model.train_step = lambda data, step=step: traced.append(data) or step(data)
        sizes.clear()
        traced.clear()
        history = fit(model, tiny, replace(SHORT, epochs=2), progress=False)
        assert len(traced) == 1
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


@both
def test_what_does_not_fit_the_data_is_refused(framework, tiny):
    for arguments, said in (
        ({"in_channels": 3}, "built for 3 input channels, tiny has 1"),
        ({"num_classes": 2}, "built for 2 classes, tiny has 10"),
    ):
        model = backbones.create_model("lenet5", framework=framework, **arguments)
        with pytest.raises(backbones.BackbonesError, match=said):
            fit(model, tiny, SHORT)
    for height, width in ((28, 30), (26, 28), (28, 26), (34, 34)):
        images = np.zeros((len(tiny.train_images), height, width, 1), np.uint8)
        other = replace(tiny, train_images=images, test_images=images[: len(tiny.test_images)])
        with pytest.raises(backbones.BackbonesError, match=f"28 x 28 pixels, tiny has {height} x {width}"):
            evaluate(backbones.create_model("lenet5", framework=framework), other)
    with pytest.raises(backbones.BackbonesError, match="batch_size 10000 is more than the 640"):
        fit(backbones.create_model("lenet5", framework=framework), tiny, Recipe(batch_size=10_000))
    with pytest.raises(backbones.BackbonesError, match="unknown split 'val'"):
        evaluate(backbones.create_model("lenet5", framework=framework), tiny, "val")
    model, no_data = (
        backbones.create_model("lenet5", framework=framework),
        "expected a data set, .* not 'mnist'",
    )
    for call in (
        lambda: fit(model, "mnist", SHORT), lambda: evaluate(model, "mnist"), lambda: model_for("mnist", "lenet5"),
    ):  # fmt: skip
        with pytest.raises(backbones.BackbonesError, match=no_data):
            call()
    with pytest.raises(backbones.BackbonesError, match=r"expected a backbones.training.Recipe, not \{\}"):
        fit(model, tiny, {})
    with pytest.raises(backbones.BackbonesError, match="takes images of 224 x 224 pixels, tiny has 28 x 28"):
        evaluate(backbones.create_model("resnet18", framework, in_channels=1, num_classes=10), tiny)


def test_what_is_asked_for_counts_more_than_what_the_data_has(tiny):
    config = model_for(tiny, "resnet20", input_size=32, num_classes=12).config
    assert (config.input_size, config.num_classes, config.in_channels) == (32, 12, 1)


def test_evaluation_matches_torchs_own_loss(rng):
    logits, labels = rng.standard_normal((50, 10)).astype(np.float32) * 5, rng.integers(0, 10, 50)
    result = Evaluation(logits, labels)
    expected = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels)).item()
    assert result.loss == pytest.approx(expected, rel=1e-5)
    confusion = result.confusion()
    assert confusion.sum() == 50
    assert np.trace(confusion) / 50 == result.accuracy
