"""The command line as its users meet it."""

import json
import os
import queue
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import backbones
from backbones import cli, data, training
from backbones.training import processor
from backbones.training.record import Record
from backbones.training.run import Run
from benchmarks import records

runner = CliRunner()


def test_list_and_summary():
    listed = runner.invoke(cli.app, ["list"]).output
    assert all(name in listed for name in backbones.list_models())
    assert "61,706" in listed
    shown = runner.invoke(cli.app, ["summary", "lenet5_1998"]).output
    assert "60 x 5 x 5 + 16 = 1,516" in shown
    assert "840 further weights are fixed" in shown
    markdown = runner.invoke(cli.app, ["summary", "lenet5", "--markdown"]).output
    assert markdown.startswith("| layer")


def test_it_tells_its_version():
    assert runner.invoke(cli.app, ["--version"]).output == f"backbones {backbones.__version__}\n"


@pytest.mark.parametrize("command", ["list", "summary", "data", "train", "evaluate", "report"])
def test_help_teaches_by_example(command):
    result = runner.invoke(cli.app, [command, "--help"])
    assert result.exit_code == 0
    assert f"backbones {command}" in result.output.replace("\n", " ")
    assert "Example" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["summary", "lenet"], "unknown model 'lenet'; did you mean 'lenet5'?"),
        (["list", "--family", "vggg"], "unknown family 'vggg'"),
        (["train", "lenet5", "--framework", "tensorflo"], "did you mean 'tensorflow'?"),
        (["train", "lenet5", "--dataset", "mnits"], "unknown data set 'mnits'; did you mean 'mnist'?"),
        (["train", "lenet5", "--out", "/proc/nowhere"], "cannot write into the folder /proc/nowhere"),
        (["evaluate", "lenet5", "--weights", "none.safetensors"], "no weights file at none.safetensors"),
        (
            ["evaluate", "lenet5", "--weights", "imagenet"],
            "no weights of lenet5 trained on imagenet come with this",
        ),
        (["evaluate", "lenet5", "--weights", ""], "expected the path of a file of save_weights"),
        (["train", "lenet5", "--out", ""], "expected the path of a folder for --out, not ''"),
        (["report", "docs/results/records", "--out", ""], "expected the path of a folder for --out, not ''"),
        (["evaluate", "vgg16"], "no weights of vgg16 trained on mnist come with this package"),
        (
            ["report", "docs/results/records", "--out", "README.md"],
            "cannot write into the folder README.md: Not a",
        ),
        (["report", ""], "expected the path of a folder of records, not ''"),
        (["report", "nosuch"], "there is no folder nosuch"),
        (["report", "README.md"], "there is no folder README.md"),
        (["report", "a" * 300], "there is no folder aaa"),
        (["data", ""], "unknown data set ''; known: mnist, fashion-mnist"),
        (["train", "lenet5", "--epochs", "100000000000"], "at least 1 and at most 10000, not 100000000000"),
        (["report", "docs/api"], "no records (*.json) in docs/api"),
        (["train", "lenet5", "--resume"], "--resume needs --out"),
        (["train", "lenet5", "--epochs", "0"], "'--epochs': Input should be greater than or equal to 1; see"),
        (["summary", "lenet5", "--num-classes", "abc"], "'--num-classes': Input should be a valid integer"),
        (["evaluate", "lenet5", "--split", "val"], "'val' is not one of 'train', 'validation', 'test'"),
        (["train", "lenet5", "--epoch", "1"], "No such option: --epoch (Possible options: --epochs)"),
        (["summary"], "Missing argument 'NAME'"),
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said, monkeypatch, capfd):
    monkeypatch.setattr(sys, "argv", ["backbones", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert said in errors
    assert errors.count("\n") == 1


def test_weights_are_looked_for_before_data_and_framework(monkeypatch):
    monkeypatch.setattr(data, "load", None)
    for command in ("train", "evaluate"):
        result = runner.invoke(cli.app, [command, "lenet5", "--weights", "none.pth"])
        assert "no weights file at none.pth" in str(result.exception)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"backend": "torch"}, "Keras has backend 'torch'; set it to 'tensorflow'"),
        ({"image_data_format": "channels_first"}, "Keras has image_data_format 'channels_first'; set it to"),
        (None, "framework 'tensorflow' cannot run with KERAS_BACKEND=jax"),
    ],
)
def test_keras_must_compute_with_tensorflow(settings, said, tmp_path):
    """Else a net of "tensorflow" would be one of another framework, without a word."""
    own = {"KERAS_HOME": str(tmp_path)} if settings else {"KERAS_BACKEND": "jax"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    arguments = [sys.executable, "-m", "backbones.cli", "evaluate", "lenet5", "--framework", "tensorflow"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=os.environ | own)
    assert done.returncode == 2
    assert said in done.stderr.splitlines()[-1]


def test_a_process_tells_the_same():
    """Its imports say nothing of their own."""
    options = "-W error -m backbones.cli evaluate lenet5 --weights none --framework tensorflow"
    done = subprocess.run([sys.executable, *options.split()], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch("backbones: no weights .* none .*\n", done.stderr)


@pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), (["train", "--help"], 0), ([], 2)])
def test_help_is_not_an_error_line(arguments, code, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["backbones", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.main()
    assert done.value.code == code
    said = capsys.readouterr()
    assert "Usage: backbones" in said.out
    assert said.err == ""


@pytest.mark.parametrize(
    "wrong",
    [
        ["nope"],
        ["lenet5", "--dataset", "nope"],
        ["lenet5", "--framework", "nope"],
        ["lenet5", "--weights", "none.safetensors"],
    ],
)
def test_a_refused_run_leaves_no_folder(wrong, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: tiny)
    result = runner.invoke(cli.app, ["train", *wrong, "--out", str(tmp_path / "new" / "out")])
    assert isinstance(result.exception, backbones.BackbonesError)
    assert list(tmp_path.iterdir()) == []


def test_train_then_evaluate_in_both_frameworks(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: tiny)
    out = tmp_path / "out"
    result = runner.invoke(cli.app, ["train", "lenet5", "--epochs", "2", "--seed", "3", "--out", str(out)])
    assert result.exit_code == 0, result.output
    record = Record.load(out / "record.json")
    assert (record.seed, record.epochs, record.framework) == (3, 2, "torch")
    assert sorted(p.name for p in out.iterdir()) == ["record.json", "weights.safetensors"]
    for framework in ("torch", "tensorflow"):
        arguments = [
            "evaluate",
            "lenet5",
            "--weights",
            str(out / "weights.safetensors"),
            "--framework",
            framework,
        ]
        shown = runner.invoke(cli.app, arguments).output
        assert float(shown.split("accuracy: ")[1].split("%")[0]) == pytest.approx(
            100 * record.test_accuracy, abs=0.006
        )


@pytest.mark.parametrize(
    ("able", "options", "used"),
    [(True, [], "bf16"), (False, [], "fp32"), (False, ["--precision", "bf16"], "bf16")],
)
def test_bf16_is_for_processors_that_have_it(able, options, used, tiny, monkeypatch):
    """Elsewhere it takes many times as long: only who asks for it gets it."""

    def fit(model, images, recipe, **options):
        chosen.append(recipe.precision)
        raise KeyboardInterrupt

    chosen: list[str] = []
    monkeypatch.setattr(data, "load", lambda name: tiny)
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: able)
    monkeypatch.setattr(training, "fit", fit)
    shown = runner.invoke(cli.app, ["train", "vgg_mini", "--dataset", "fashion-mnist", *options]).output
    assert chosen == [used]
    assert ("no instructions for the recipe's bf16" in shown) == (used == "fp32")


def test_a_stopped_run_is_neither_lost_nor_mistaken(tiny, tmp_path, monkeypatch):
    """Ctrl-C says how to go on; without --resume an unfinished run is left alone; a finished one always is."""
    monkeypatch.setattr(data, "load", lambda name: tiny)
    out = str(tmp_path / "out")
    train = ["train", "lenet5", "--epochs", "2", "--out", out]

    def stop(self, epoch):
        if epoch == 1:
            raise KeyboardInterrupt
        return batches(self, epoch)

    batches = Run.batches
    monkeypatch.setattr(Run, "batches", stop)
    result = runner.invoke(cli.app, train)
    assert result.exit_code == 130
    assert "the same command with --resume goes on" in result.stderr
    monkeypatch.setattr(Run, "batches", batches)
    again = runner.invoke(cli.app, train)
    assert "holds an unfinished run; add --resume" in str(again.exception)
    done = runner.invoke(cli.app, [*train, "--resume"])
    assert done.exit_code == 0, done.output
    assert "epoch   1" not in done.output
    assert sorted(p.name for p in Path(out).iterdir()) == ["record.json", "weights.safetensors"]
    record = Record.load(Path(out) / "record.json")
    assert len(record.history) == 2
    for more in ([], ["--resume"]):
        once_more = runner.invoke(cli.app, [*train, "--seed", "1", *more])
        assert "holds a finished run; choose another --out" in str(once_more.exception)
    assert Record.load(Path(out) / "record.json") == record
    shown = runner.invoke(cli.app, ["report", out, "--out", str(tmp_path / "report")])
    assert shown.exit_code == 0, shown.output
    assert "| `lenet5` | MNIST" in shown.output
    assert {p.name for p in (tmp_path / "report").iterdir()} == {"results.md", "lenet5-mnist.svg"}


def test_a_finished_run_is_kept_without_another_training(tmp_path, monkeypatch):
    """As when `make records` was stopped between the two."""
    monkeypatch.setattr(records, "RECORDS", tmp_path / "kept")
    monkeypatch.setattr(records, "UNFINISHED", tmp_path / "runs")
    run = records.RUNS[0]
    folder = tmp_path / "runs" / run.path.stem
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{}")
    records.record(run, queue.SimpleQueue())
    assert run.path.read_text() == "{}"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "run",
    [run for run in records.RUNS if (run.framework, run.seed) == ("torch", 0)],
    ids=lambda run: run.path.stem,
)
def test_a_recorded_run_has_its_recipe_on_any_processor(run, tmp_path, monkeypatch):
    def fit(model, images, recipe, **options):
        used.append(recipe)
        raise KeyboardInterrupt

    commands: list[list[str]] = []
    used: list[training.Recipe] = []
    free = queue.SimpleQueue[int]()
    free.put(0)
    monkeypatch.setattr(records, "UNFINISHED", tmp_path)
    run.folder.path.mkdir(parents=True)
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "run", lambda command, **options: commands.append(command))
        records.train(run, free)
    monkeypatch.setattr(processor, "multiplies_bfloat16", lambda: False)
    monkeypatch.setattr(training, "fit", fit)
    runner.invoke(cli.app, commands[0][3:])
    assert used == [training.recipe_for(run.model, run.dataset)]


def test_training_goes_on_from_given_weights(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "load", lambda name: tiny)
    start = backbones.create_model("lenet5", seed=9)
    backbones.save_weights(start, tmp_path / "start.safetensors")
    arguments = ["train", "lenet5", "--epochs", "1", "--weights", str(tmp_path / "start.safetensors")]
    lines = [
        runner.invoke(cli.app, [*arguments, "--framework", f]).output.split() for f in ("torch", "tensorflow")
    ]
    losses = [float(line[line.index("loss") + 1]) for line in lines]
    assert np.isclose(*losses, rtol=2e-3)
