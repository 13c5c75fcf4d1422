"""What the pages draw from models and records, so that no number in them is typed."""

from __future__ import annotations

import json
from functools import cache
from html import escape
from statistics import mean
from typing import TYPE_CHECKING

from scipy.stats import ttest_ind
from tabulate import tabulate

import backbones
from backbones import figures
from backbones.lenet.spec import C3_CONNECTIONS
from backbones.registry import FAMILIES
from backbones.summary import pair
from backbones.training.history import History
from backbones.training.recipe import recipe_for
from backbones.training.record import Record
from backbones.training.report import (
    DATASET_LABELS,
    FRAMEWORK_LABELS,
    RECORDS,
    accuracy_text,
    load_records,
    results_table,
)
from backbones.weights import SHIPPED

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def define_env(env) -> None:
    """Hand the functions of this module to the pages."""
    for function in (
        accuracy, apart, best, c3_table, connections_table, count, curves, diagram, field, ledger, lockstep, macs,
        macs_number, models_table, params, results_table, seconds, seed_table, seeds, shipped_table,
        solution_colour, trained, verdict,
    ):  # fmt: skip
        env.macro(function)


def ledger(model: str) -> str:
    """The layer ledger of a model, as a table."""
    return backbones.summary(model).to_markdown()


def params(model: str, layer: str | None = None) -> str:
    """Trainable parameters of a model or of one layer, with thousands separated."""
    summary = backbones.summary(model)
    return f"{summary[layer].parameters if layer else summary.parameters:,}"


def macs(model: str, layer: str | None = None) -> str:
    """Multiply-adds for one image, of a model or of one layer."""
    summary = backbones.summary(model)
    return f"{summary[layer].multiply_adds if layer else summary.multiply_adds:,}"


def macs_number(model: str, layer: str) -> int:
    """Multiply-adds of one layer, to reckon with."""
    return backbones.summary(model)[layer].multiply_adds


def field(model: str, layer: str) -> int:
    """Receptive field of a layer, in input pixels."""
    return backbones.summary(model)[layer].output.receptive_field


def solution_colour() -> str:
    """LeNet's parameters on colour images."""
    return f"{backbones.summary('lenet5', in_channels=3).parameters:,}"


def count(value: float) -> str:
    """A number that the page works out, with thousands separated."""
    return f"{value:,}"


def diagram(model: str) -> str:
    """The block diagram of a model."""
    return figures.diagram(backbones.summary(model))


def c3_table() -> str:
    """Table I of LeCun et al. 1998, from the spec."""
    rows = [[s2, *("X" if s2 in inputs else "" for inputs in C3_CONNECTIONS)] for s2 in range(6)]
    headers = ["S2", *map(str, range(len(C3_CONNECTIONS)))]
    return tabulate(rows, headers, tablefmt="pipe", colalign=["center"] * len(headers))


# LeCun et al. 1998, Section II.B: the paper counts a bias as one more connection of each unit.
PUBLISHED_CONNECTIONS = {"c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120}
PUBLISHED_PARAMETERS = {"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164}


def connections_table() -> str:
    """The paper's counts beside the ledger's; a difference stops the build."""
    summary = backbones.summary("lenet5_1998")
    rows = []
    for name, published in PUBLISHED_PARAMETERS.items():
        layer = summary[name]
        values = layer.output.size
        # Subsampling adds up a window's four values before the one multiplication.
        height, width = pair(layer.kernel) if layer.type == "Subsampling" and layer.kernel else (1, 1)
        inputs = layer.multiply_adds * height * width
        connections = inputs + values
        assert layer.parameters == published, name
        assert connections == PUBLISHED_CONNECTIONS.get(name, connections), name
        stated = f"{PUBLISHED_CONNECTIONS[name]:,}" if name in PUBLISHED_CONNECTIONS else ""
        rows.append(
            [
                f"`{name}`",
                f"{published:,}",
                f"{layer.parameters:,}",
                stated,
                f"{inputs:,} + {values:,} = {connections:,}",
            ]
        )
    rows.append(["sum", "60,000", f"{summary.parameters:,}", "", ""])
    headers = ["layer", "parameters, paper", "here", "connections, paper", "here: inputs + biases"]
    align = ["left", "right", "right", "right", "right"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def models_table() -> str:
    """Every registered model with what it costs, from its ledger."""
    rows = []
    for family in FAMILIES:
        for name in backbones.list_models(family):
            ledger = backbones.summary(name)
            rows.append(
                [
                    f"`{name}`",
                    " x ".join(map(str, ledger.input.shape)),
                    f"{ledger.parameters:,}",
                    f"{ledger.multiply_adds:,}",
                    f"{ledger.features[-1].map.receptive_field:,}",
                ]
            )
    headers = ["name", "input", "parameters", "multiply-adds", "sees"]
    align = ["left", "right", "right", "right", "right"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def trained() -> list[tuple[str, str, int, str]]:
    """Model, data set, epochs and a title, for everything that has records in both frameworks."""
    keys = dict.fromkeys((model, dataset, epochs) for model, dataset, _, epochs in load_records())
    return [
        (model, dataset, epochs, f"{model} on {DATASET_LABELS[dataset]}, {epochs} epochs")
        for model, dataset, epochs in keys
        if all((model, dataset, framework, epochs) in load_records() for framework in FRAMEWORK_LABELS)
    ]


def shipped_table() -> str:
    """The weights that come with the package, with what their runs reached on the test images."""
    rows = []
    for path in sorted(SHIPPED.glob("*.safetensors")):
        name, dataset = path.stem.split("-", 1)
        run = _group(name, dataset, "torch")[0]
        size = f"{path.stat().st_size / 1e6:.2f} MB"
        rows.append([f"`{name}`", f'`"{dataset}"`', run.epochs, f"{run.test_accuracy:.2%}", size])
    headers = ["net", "weights", "epochs", "test accuracy", "file"]
    align = ["left", "left", "right", "right", "right"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


@cache
def _groups(stamp: float) -> dict:
    return load_records()


def _group(model: str, dataset: str, framework: str, epochs: int | None = None) -> list[Record]:
    """The records of one row of the results, the recipe's own if not told; none is an error and stops the build."""
    epochs = epochs or recipe_for(model, dataset).epochs
    return _groups(max(path.stat().st_mtime for path in RECORDS.glob("*.json")))[
        model, dataset, framework, epochs
    ]


def accuracy(model: str, dataset: str, framework: str) -> str:
    """Mean test accuracy with its spread."""
    return accuracy_text(_group(model, dataset, framework))


def best(model: str, dataset: str, framework: str) -> str:
    """The highest test accuracy of any seed."""
    return f"{max(r.test_accuracy for r in _group(model, dataset, framework)):.2%}"


def seeds(model: str, dataset: str, framework: str) -> int:
    """How many runs there are."""
    return len(_group(model, dataset, framework))


def seconds(model: str, dataset: str, framework: str) -> str:
    """Mean training time."""
    return f"{mean(r.seconds for r in _group(model, dataset, framework)):.0f} s"


def seed_table(model: str, dataset: str) -> str:
    """Every single run."""
    rows = [
        [
            FRAMEWORK_LABELS[framework],
            record.framework_version,
            record.seed,
            f"{record.history[-1]['validation_accuracy']:.2%}",
            f"{record.test_accuracy:.2%}",
            f"{record.seconds:.0f} s",
            f"{record.images_per_second:,}",
            f"`{record.commit}`",
        ]
        for framework in FRAMEWORK_LABELS
        for record in _group(model, dataset, framework)
    ]
    headers = ["framework", "version", "seed", "validation", "test", "training", "images/s", "commit"]
    align = ["left", "left", "right", "right", "right", "right", "right", "left"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def verdict(model: str, dataset: str) -> str:
    """What the difference between the frameworks amounts to, in plain words, by Welch's t-test."""
    left, right = (
        [100 * r.test_accuracy for r in _group(model, dataset, framework)] for framework in FRAMEWORK_LABELS
    )
    gap = mean(left) - mean(right)
    if len(left) < 2 or len(right) < 2:
        return f"PyTorch's accuracy minus TensorFlow's is {gap:+.2f} percentage points, of one run each: no verdict."
    test = ttest_ind(left, right, equal_var=False)
    interval = test.confidence_interval()
    facts = (
        f"PyTorch's mean minus TensorFlow's is {gap:+.3f} percentage points (95 % confidence interval "
        f"{interval.low:+.3f} to {interval.high:+.3f}; Welch's t-test, p = {test.pvalue:.2f}, "
        f"{len(left)} and {len(right)} seeds)."
    )
    if test.pvalue < 0.05:
        return f"**The difference is larger than chance explains.** {facts}"
    return f"**No difference between the frameworks beyond what seeds alone explain.** {facts}"


def curves(model: str, dataset: str) -> str:
    """Loss and accuracy over the epochs of both frameworks, as an SVG element in the page's ink."""
    return _curves(model, dataset, max(path.stat().st_mtime for path in RECORDS.glob("*.json")))


@cache
def _curves(model: str, dataset: str, stamp: float) -> str:
    runs = {
        label: [History.from_json(record.history) for record in _group(model, dataset, framework)]
        for framework, label in FRAMEWORK_LABELS.items()
    }
    alt = (
        f"Loss and accuracy of {model} on {DATASET_LABELS[dataset]} over the epochs, mean of all seeds with a band "
        "from the lowest to the highest, for PyTorch and TensorFlow."
    )
    return _inline(figures.curves(runs), alt)


def _inline(figure: Figure, alt: str) -> str:
    """A figure as an SVG element in the page's ink."""
    svg = figures.to_svg(figure).replace("#000000", "currentColor")
    opened = svg.replace("<svg", f'<svg fill="currentColor" role="img" aria-label="{escape(alt)}"', 1)
    return f'<figure class="plot">{opened}</figure>'


@cache
def _walks() -> dict[tuple[str, str, int], dict]:
    walks = json.loads((RECORDS.parent / "lockstep.json").read_text())
    return {(walk["model"], walk["precision"], walk["slower"]): walk for walk in walks}


def apart(model: str, precision: str, slower: int = 1, first: int | None = None) -> str:
    """The largest difference of the frameworks' losses in lockstep, of all steps or the first few."""
    walk = _walks()[model, precision, slower]
    pairs = list(zip(walk["torch"], walk["tensorflow"], strict=True))[:first]
    digits, power = f"{max(abs(a - b) for a, b in pairs):.1e}".split("e")
    return rf"${digits} \cdot 10^{{{int(power)}}}$"


def lockstep(model: str) -> str:
    """How the frameworks' losses part, step by step, in every way that was tried."""
    labels = {
        f"{precision}" + (f", a {slower}th of the rate" if slower > 1 else ""): (
            walk["torch"],
            walk["tensorflow"],
        )
        for (name, precision, slower), walk in _walks().items()
        if name == model
    }
    alt = (
        f"Difference of the losses of {model} in PyTorch and TensorFlow over the steps: {', '.join(labels)}."
    )
    return _inline(figures.differences(labels), alt)
