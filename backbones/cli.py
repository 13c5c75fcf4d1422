"""The command line: `backbones --help` says what there is."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tabulate import tabulate

import backbones
from backbones.building import require_framework
from backbones.errors import BackbonesError
from backbones.files import as_path, require_writable
from backbones.registry import find_spec

if TYPE_CHECKING:  # a command imports what it needs: `backbones list` answers at once
    from backbones.training import Recipe

app = typer.Typer(
    help="Classic image-classification backbones, from scratch, in PyTorch and TensorFlow.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
)


class Split(StrEnum):
    """Which images to evaluate on."""

    train = "train"
    validation = "validation"
    test = "test"


class Precision(StrEnum):
    """What to compute in."""

    fp32 = "fp32"
    bf16 = "bf16"


Model = Annotated[str, typer.Argument(help="A model's name; `backbones list` shows all.", metavar="NAME")]
# What Typer raises for a wrong option, argument or command has no public name; it is the base of this.
UsageError: Any = typer.BadParameter.__base__

Framework = Annotated[str, typer.Option(help="torch or tensorflow.")]
DatasetName = Annotated[str, typer.Option("--dataset", help="mnist or fashion-mnist.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"backbones {backbones.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What precedes a command."""


@app.command("list")
def list_models(
    family: Annotated[str | None, typer.Option(help="Show one family only, for example lenet.")] = None,
) -> None:
    """Show all models with their input, parameters and multiply-adds.

    Example: `backbones list`
    """
    ledgers = [backbones.summary(name) for name in backbones.list_models(family)]
    rows = [
        [s.model, "x".join(map(str, s.input.shape)), f"{s.parameters:,}", f"{s.multiply_adds:,}"]
        for s in ledgers
    ]
    headers = ["model", "input", "parameters", "multiply-adds"]
    align = ("left", "right", "right", "right")
    typer.echo(tabulate(rows, headers, colalign=align, disable_numparse=True))


@app.command()
def summary(
    name: Model,
    num_classes: Annotated[int | None, typer.Option(help="Logits; the paper's number if left out.")] = None,
    in_channels: Annotated[int | None, typer.Option(help="Input channels; the paper's if left out.")] = None,
    input_size: Annotated[
        int | None, typer.Option(help="Side of the input in pixels; the paper's if left out.")
    ] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """Show a model's layers: shapes, parameters, multiply-adds, receptive fields, with the arithmetic.

    Example: `backbones summary lenet5`
    """
    ledger = backbones.summary(name, num_classes=num_classes, in_channels=in_channels, input_size=input_size)
    typer.echo(ledger.to_markdown() if markdown else ledger)


@app.command()
def data(
    name: Annotated[str | None, typer.Argument(help="mnist or fashion-mnist; both if left out.")] = None,
) -> None:
    """Get the data sets, verify them, and say what they hold.

    Example: `backbones data mnist`
    """
    from backbones.data import list_datasets, load

    for each in list_datasets() if name is None else [name]:
        dataset = load(each)
        typer.echo(
            f"{dataset.name}: {len(dataset.train):,} training, {len(dataset.validation):,} "
            f"validation and {len(dataset.test):,} test images of "
            f"{'x'.join(map(str, dataset.train_images.shape[1:]))}; mean {dataset.mean:.4f}, "
            f"standard deviation {dataset.std:.4f}; classes: {', '.join(dataset.classes)}"
        )


@app.command()
def train(
    name: Model,
    framework: Framework = "torch",
    dataset: DatasetName = "mnist",
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the training images; the recipe's if left out.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Fixes initial weights, order and augmentation.")] = 0,
    precision: Annotated[
        Precision | None,
        typer.Option(
            help="The recipe's if left out, but fp32 where the processor has no instructions for bf16."
        ),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="Start from these, not from random ones: see `evaluate`.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="Folder for checkpoint, weights.safetensors and record.json.", metavar="PATH"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint in --out, if there is one.")
    ] = False,
) -> None:
    """Train a model with the recipe for its data set, then read the test set once.

    Without `--out` nothing is written. With it, a checkpoint is kept after each epoch and on Ctrl-C, and a run that
    was stopped, however it was, goes on with the same command and `--resume`. A finished run is left as it is.

    Example: `backbones train lenet5 --framework tensorflow --epochs 10 --out runs/lenet5`
    """
    from dataclasses import replace

    from backbones.data import load
    from backbones.training import evaluate, fit, model_for, recipe_for
    from backbones.training.record import make_record
    from backbones.training.run_folder import RunFolder

    # What is asked for is looked at before anything is fetched.
    recipe = recipe_for(name, dataset)
    recipe = replace(recipe, epochs=epochs or recipe.epochs, seed=seed)
    recipe = replace(recipe, precision=precision.value) if precision else _within_reach(recipe)
    require_framework(framework)
    path = _folder(out)
    if resume and path is None:
        raise BackbonesError("--resume needs --out, the folder of the run to go on with")
    folder = RunFolder(path) if path else None
    checkpoint = folder.checkpoint if folder else None
    if folder:
        folder.require_free(resume)
    _require_weights(name, weights)
    images = load(dataset)
    model = model_for(images, name, framework, seed=seed, weights=weights)
    try:
        history = fit(model, images, recipe, checkpoint=checkpoint)
    except KeyboardInterrupt:
        typer.echo(f"backbones: {_how_to_go_on(checkpoint)}", err=True)
        raise typer.Exit(130) from None
    accuracy = evaluate(model, images, "test").accuracy
    typer.echo(f"test accuracy: {accuracy:.2%}")
    if folder:
        record = make_record(
            model=name, dataset=dataset, framework=framework, recipe=recipe, history=history,
            images=len(images.train), accuracy=accuracy,
        )  # fmt: skip
        folder.finish(model, record)
        typer.echo(f"wrote {folder.weights} and {folder.record}")


@app.command()
def evaluate(
    name: Model,
    weights: Annotated[
        str | None,
        typer.Option(
            help="A file that `backbones train` wrote, in either framework, or the data set of weights that come "
            "with the package; if left out, those for this data set."
        ),
    ] = None,
    framework: Framework = "torch",
    dataset: DatasetName = "mnist",
    split: Annotated[Split, typer.Option(help="Which images.")] = Split.test,
) -> None:
    """Load weights into a model of either framework and measure its accuracy.

    Example: `backbones evaluate lenet5 --weights runs/lenet5/weights.safetensors --framework tensorflow`
    """
    from backbones.data import load
    from backbones.training import evaluate as run
    from backbones.training import model_for

    find_spec(name)
    require_framework(framework)
    weights = dataset if weights is None else weights
    _require_weights(name, weights)
    images = load(dataset)
    result = run(model_for(images, name, framework, weights=weights), images, split.value)
    typer.echo(f"{split.value} accuracy: {result.accuracy:.2%}, loss: {result.loss:.4f}")


@app.command()
def report(
    folder: Annotated[str, typer.Argument(help="Where the records are, in folders below it, too.")],
    out: Annotated[
        str | None, typer.Option(help="Folder for results.md and the curves (SVG).", metavar="PATH")
    ] = None,
) -> None:
    """Show what recorded runs reached: a table, and with `--out` the curves of each net.

    Example: `backbones report runs --out report`
    """
    from backbones.training.report import load_records, results_table, write_report

    if into := _folder(out):
        require_writable(into)
    typer.echo(results_table(load_records(folder)))
    if into:
        typer.echo(f"wrote {', '.join(write_report(folder, into))} to {into}")


def _folder(out: str | None) -> Path | None:
    """Where to write, if anywhere. Not a `Path` from the start: an empty one would be the current folder."""
    return None if out is None else as_path(out, "a folder for --out")


def _require_weights(name: str, weights: str | None) -> None:
    """Find out whether there are such weights before data or a framework are loaded."""
    from backbones.weight_files import read
    from backbones.weights import is_dataset, shipped

    if is_dataset(weights):
        shipped(name, weights)
    elif weights is not None:
        read(weights)


def _within_reach(recipe: Recipe) -> Recipe:
    """The recipe, but not in a precision that would take many times as long on this processor."""
    from dataclasses import replace

    from backbones.training.processor import multiplies_bfloat16

    if recipe.precision == "fp32" or multiplies_bfloat16():
        return recipe
    typer.echo(
        "training in fp32: this processor has no instructions for the recipe's bf16 (--precision bf16 insists)"
    )
    return replace(recipe, precision="fp32")


def _how_to_go_on(checkpoint: Path | None) -> str:
    if checkpoint is None or not checkpoint.exists():
        return "interrupted; nothing was kept"
    return f"interrupted; {checkpoint} holds the run so far: the same command with --resume goes on from it"


def main() -> None:
    """Run the command line; bad input is one line on standard error and exit code 2."""
    try:
        sys.exit(app(prog_name="backbones", standalone_mode=False))
    except BackbonesError as error:
        typer.echo(f"backbones: {error}", err=True)
        sys.exit(2)
    except UsageError as error:
        if message := " ".join(error.format_message().split()):  # none where it has shown the help itself
            typer.echo(f"backbones: {message.rstrip('.')}; see backbones --help", err=True)
        sys.exit(2)
    except OSError as error:  # a full disk behind `>`
        typer.echo(f"backbones: {error}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, typer.Abort):
        typer.echo("backbones: interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
