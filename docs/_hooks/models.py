"""All nets in one table and one figure: what they cost, what they reach, how long they take."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import yaml
from drawing import inline, kept
from evidence import groups
from tabulate import tabulate

import backbones
from backbones.registry import FAMILIES
from backbones.training.recipe import recipe_for
from backbones.training.report import RECORDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DATASET = "fashion-mnist"
LIBRARIES = {"torch": "torchvision", "tensorflow": "keras.applications"}
LATENCY = RECORDS.parent / "latency.json"
INFERENCE = RECORDS.parent / "inference.json"
PUBLISHED = Path(__file__).parents[1] / "compare" / "published.yaml"


def _published() -> dict[str, dict[str, Any]]:
    return {row["model"]: row for row in yaml.safe_load(PUBLISHED.read_text(encoding="utf-8"))}


def _latency() -> dict[str, Any]:
    return json.loads(LATENCY.read_text(encoding="utf-8"))


def _memory(name: str) -> tuple[float, float]:
    """Megabytes of float32: the weights, and all layers' values for one image, which training keeps."""
    ledger = backbones.summary(name)
    values = sum(layer.output.size for layer in ledger.layers)
    return 4e-6 * ledger.parameters, 4e-6 * values


def _ours(name: str) -> str:
    """The mean test accuracy on Fashion-MNIST of both frameworks' runs with the net's own recipe."""
    own = [group for key, group in groups().items() if key[:2] == (name, DATASET)]
    runs = [run for group in own for run in group if run.epochs == recipe_for(name, DATASET).epochs]
    return f"{100 * mean(run.test_accuracy for run in runs):.2f} %" if runs else ""


def all_models() -> str:
    """Every net: cost, receptive field, memory, latency in both frameworks, our accuracy, the paper's top-5 error."""
    rows = []
    for name in (name for family in FAMILIES for name in backbones.list_models(family)):
        ledger = backbones.summary(name)
        weights, values = _memory(name)
        times = _latency()["milliseconds"][name]
        top5 = _published().get(name, {}).get("top5")
        rows.append(
            [
                f"`{name}`",
                f"{ledger.parameters:,}",
                f"{ledger.multiply_adds / 1e6:,.1f}",
                f"{ledger.features[-1].map.receptive_field:,}",
                f"{weights:.1f}",
                f"{values:.1f}",
                f"{times['torch']:,.1f}",
                f"{times['tensorflow']:,.1f}",
                _ours(name),
                f"{top5:.1f} %" if top5 else "",
            ]
        )
    headers = ["net", "parameters", "multiply-adds, 10⁶", "sees", "weights, MB", "values, MB", "PyTorch, ms"]
    headers += ["TensorFlow, ms", "accuracy, here", "top-5 error, paper"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=["left", *["right"] * 9], disable_numparse=True)


def published_table() -> str:
    """What the papers report, each with its place."""
    rows = [
        [
            f"`{row['model']}`",
            row["data"],
            *(f"{row[k]} %" if k in row else "" for k in ("top1", "top5")),
            row["source"],
        ]
        for row in _published().values()
    ]
    align = ["left", "left", "right", "right", "left"]
    headers = ["net", "test error on", "top-1", "top-5", "source"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def latency_setting() -> str:
    """On what the latencies were measured."""
    versions = _latency()["versions"]
    return f"{_latency()['cpu']}; PyTorch {versions['torch']}, TensorFlow {versions['tensorflow']}"


def _inference() -> dict[str, Any]:
    return json.loads(INFERENCE.read_text(encoding="utf-8"))


def inference_setting() -> str:
    """On what our nets were compared with the libraries'."""
    result = _inference()
    versions = {"PyTorch": "torch", "torchvision": "torchvision", "TensorFlow": "tensorflow"}
    used = ", ".join(f"{label} {result['versions'][key]}" for label, key in versions.items())
    return f"{result['cpu']}; {used}; median of {result['turns']} turns"


def inference_table() -> str:
    """Images per second of our nets and of the libraries'."""
    rows = _inference()["images_per_second"]
    return _beside(
        [{"theirs_channels_last": row["theirs"]} | row for row in rows],  # Keras knows no other order
        {
            "images at once": "{batch}",
            "ours, images/s": "{ours:.1f}",
            "theirs, images/s": "{theirs:.1f}",
            "ratio": "{ratio:.2f}",
            "theirs, channels last, images/s": "{theirs_channels_last:.1f}",
        },
    )


def building_table() -> str:
    """What it takes to build our nets and the libraries'."""
    return _beside(
        _inference()["building"],
        {
            "ours": "{ours_seconds:.2f} s",
            "theirs": "{theirs_seconds:.2f} s",
            "ours, memory": "{ours_megabytes:,} MB",
            "theirs, memory": "{theirs_megabytes:,} MB",
        },
    )


def _beside(found: list[dict[str, Any]], columns: dict[str, str]) -> str:
    """A line per comparison; each column with the form of its cells."""
    rows = [
        [f"`{row['net']}`", LIBRARIES[row["framework"]], *(form.format(**row) for form in columns.values())]
        for row in found
    ]
    headers, align = ["net", "against", *columns], ["left", "left", *["right"] * len(columns)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def slowest_summary() -> str:
    """The longest that a ledger takes."""
    slowest = _inference()["slowest_summary"]
    return f"{1000 * slowest['seconds']:.0f} ms (`{slowest['net']}`)"


@kept
def models_figure() -> str:
    """Parameters against multiply-adds, each net a dot."""
    from backbones import figures

    # BatchNorm costs next to nothing, and a plain net costs what its ResNet does: their dots would lie on others.
    shown = {
        family: [
            n for n in backbones.list_models(family) if not n.startswith("plain") and not n.endswith("_bn")
        ]
        for family in FAMILIES
    }
    points = {family: {name: _cost(name) for name in names} for family, names in shown.items()}
    costs = {name: cost for family in points.values() for name, cost in family.items()}
    ends = [
        f"{name} ({costs[name][0]:,} parameters, {costs[name][1]:,} multiply-adds)"
        for name in (least(costs, key=lambda name: costs[name][1]) for least in (min, max))
    ]
    alt = (
        "Every net's multiply-adds for one image against its parameters, both on logarithmic axes, from "
        f"{' to '.join(ends)}. The VGG nets lie to the right and high, AlexNet to the right and lower; ResNets, "
        "GoogLeNet and Inception v3 do as much work or less with far fewer parameters; the small nets are at the "
        "lower left."
    )
    figure = figures.scatter(points, xlabel="parameters", ylabel="multiply-adds per image", log="xy")
    return inline(_apart(figure), alt)


@kept
def error_figure() -> str:
    """The papers' top-5 errors on ImageNet against parameters, by year."""
    from backbones import figures

    rows = [row for row in _published().values() if "top5" in row]
    years = sorted({row["year"] for row in rows})
    points = {
        str(year): {
            row["model"]: (backbones.summary(row["model"]).parameters, row["top5"])
            for row in rows
            if row["year"] == year
        }
        for year in years
    }
    told = ", ".join(f"{row['model']} {row['top5']} per cent ({row['year']})" for row in rows)
    alt = f"Top-5 error on ImageNet as reported in the papers, against parameters, coloured by year: {told}."
    figure = figures.scatter(points, xlabel="parameters", ylabel="top-5 error, per cent", log="x")
    return inline(_apart(figure), alt)


def _apart(figure: Figure) -> Figure:
    """Move the names until none lies on another or on a dot."""
    from adjustText import adjust_text

    axes = figure.axes[0]
    # A number of rounds, not a time: the same figure on every machine.
    adjust_text(
        axes.texts, ax=axes, iter_lim=300, expand=(1.3, 1.8), arrowprops={"arrowstyle": "-", "lw": 0.4}
    )
    return figure


def _cost(name: str) -> tuple[int, int]:
    ledger = backbones.summary(name)
    return ledger.parameters, ledger.multiply_adds


FUNCTIONS = (
    all_models,
    building_table,
    error_figure,
    inference_setting,
    inference_table,
    latency_setting,
    models_figure,
    published_table,
    slowest_summary,
)
