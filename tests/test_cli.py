"""The command line as its users meet it."""

import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import backbones
from backbones import cli, data
from backbones.training.record import Record

runner = CliRunner()


def run(*arguments):
    command = [sys.executable, "-W", "error", "-m", "backbones.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_list_and_summary():
    listed = runner.invoke(cli.app, ["list"]).output
    assert all(name in listed for name in backbones.list_models())
    assert "61,706" in listed
    shown = runner.invoke(cli.app, ["summary", "lenet5_1998"]).output
    assert "60 x 5 x 5 + 16 = 1,516" in shown
    assert "840 further weights are fixed" in shown
    markdown = runner.invoke(cli.app, ["summary", "lenet5", "--markdown"]).output
    assert markdown.startswith("| layer")


@pytest.mark.parametrize("command", ["list", "summary", "data", "train", "evaluate"])
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
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, said):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_wrong_usage_is_exit_code_2():
    assert runner.invoke(cli.app, ["train", "lenet5", "--epochs", "0"]).exit_code == 2
    assert runner.invoke(cli.app, ["no-such-command"]).exit_code == 2


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
