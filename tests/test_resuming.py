"""A run gives the same again: after a kill, after a full disk, and from the same seed."""

import errno
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nets import FRAMEWORKS, SHORT, both
from safetensors import safe_open
from safetensors.numpy import load_file
from tiny import train

import backbones
from backbones import convert
from backbones.training import fit
from backbones.training import run as training_run
from backbones.training import tensorflow as training_tensorflow
from backbones.training.progress import Progress


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
        return fit(model, part, replace(SHORT, epochs=1, seed=seed), progress=False).epochs[0].train_loss

    first, again, other = map(loss, (1, 1, 2))
    assert first == pytest.approx(again, rel=1e-5)
    assert first != pytest.approx(other, rel=1e-3)


@both
def test_a_killed_run_goes_on_to_the_same_weights(framework, tmp_path, capsys):
    """Killed by the system, then gone on with in another process: bit for bit what an unbroken run gives."""
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    train(framework, straight)
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import tiny; tiny.train(*sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, framework, str(broken)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    process.stdout.readline()  # the first epoch's line: its checkpoint is written, the second epoch runs
    time.sleep(0.2)
    process.kill()
    process.wait()
    process.stdout.close()
    assert (broken / "checkpoint.safetensors").exists()
    capsys.readouterr()
    train(framework, broken)
    assert "epoch   1" not in capsys.readouterr().out
    expected, got = (load_file(folder / "weights.safetensors") for folder in (straight, broken))
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)


@both
@pytest.mark.parametrize(("presses", "kept"), [(1, 8), (2, 0)])
def test_ctrl_c_keeps_the_steps_of_a_broken_epoch(framework, presses, kept, tiny, tmp_path, monkeypatch):
    """The run goes on to the very same end. Pressed twice, it is kept as it was after the last whole epoch."""
    path = tmp_path / "checkpoint.safetensors"
    seen, update = [], Progress.update

    def run(checkpoint):
        model = thin_vgg(framework, seed=0)
        history = fit(model, tiny, SHORT, progress=False, checkpoint=checkpoint)
        return history.epochs, convert.state(model)

    def press(bar, steps, *means):
        update(bar, steps, *means)
        seen.append(steps)
        if sum(seen) == 28:  # the eighth of the second epoch's twenty
            for _ in range(presses):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(training_tensorflow, "STEPS_PER_CALL", 4)
    straight, expected = run(None)
    monkeypatch.setattr(Progress, "update", press)
    with pytest.raises(KeyboardInterrupt):
        run(path)
    with safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()["part"])["steps"] == kept
    epochs, got = run(path)
    assert [e.train_loss for e in epochs] == pytest.approx([e.train_loss for e in straight], rel=1e-6)
    assert [e.train_accuracy for e in epochs] == pytest.approx([e.train_accuracy for e in straight], rel=1e-6)
    for key, value in expected.items():
        np.testing.assert_array_equal(got[key], value, err_msg=key)


@both
def test_a_checkpoint_of_another_run_is_refused(framework, tiny, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    once = replace(SHORT, epochs=1)
    fit(thin_vgg(framework), tiny, once, progress=False, checkpoint=str(path))
    part, fewer = tiny.part(train=320, validation=160), tiny.part(train=640, validation=80)
    other = FRAMEWORKS[framework == "torch"]
    for model, dataset, recipe, said in (
        (thin_vgg(framework), tiny, replace(once, learning_rate=0.5), "its learning_rate is 0.003, not 0.5"),
        (backbones.create_model("lenet5", framework), tiny, once, "its model is 'vgg_mini', not 'lenet5'"),
        (thin_vgg(framework, dropout=0.1), tiny, once, "its dropout is 0.5, not 0.1"),
        (thin_vgg(framework), part, once, "its number of training images is 640, not 320"),
        (thin_vgg(framework), fewer, once, "its number of validation images is 160, not 80"),
        (thin_vgg(other), tiny, once, f"its framework is '{framework}', not '{other}'"),
    ):
        with pytest.raises(backbones.BackbonesError, match=said):
            fit(model, dataset, recipe, checkpoint=path)
    path.write_bytes(b"nonsense")
    with pytest.raises(backbones.BackbonesError, match="is not a checkpoint of a training run"):
        fit(thin_vgg(framework), tiny, once, checkpoint=path)
    backbones.save_weights(thin_vgg(framework), path)
    with pytest.raises(
        backbones.BackbonesError, match="is not a checkpoint of a training run: it lacks 'run'"
    ):
        fit(thin_vgg(framework), tiny, once, checkpoint=path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "expected the path of a checkpoint, not ''"),
        (3, "expected the path of a checkpoint, not 3"),
        ("a\0b", r"expected the path of a checkpoint, not 'a\\x00b'"),
        ("a" * 300, "is not a checkpoint of a training run: .*File name too long"),
        (f"{__file__}/a", "cannot write into the folder .*test_resuming.py: Not a directory"),
    ],
)
def test_a_path_that_none_can_have_is_refused_before_training(path, said, tiny):
    model = backbones.create_model("lenet5", seed=0)
    before = convert.state(model)
    with pytest.raises(backbones.BackbonesError, match=said):
        fit(model, tiny, SHORT, checkpoint=path)
    assert all(np.array_equal(value, before[key]) for key, value in convert.state(model).items())


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
        fit(backbones.create_model("lenet5", framework, seed=0), tiny, SHORT, progress=False, checkpoint=path)
    monkeypatch.undo()
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    model = backbones.create_model("lenet5", framework, seed=0)
    assert len(fit(model, tiny, SHORT, progress=False, checkpoint=path).epochs) == 3
