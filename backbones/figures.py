"""Plots. Each function returns a figure with a transparent ground, for light and dark pages."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from backbones.training.history import History

# Middle tones, told apart by brightness too, and readable on white and on near-black.
COLOURS = ["#d9480f", "#1c7ed6", "#2b8a3e", "#9c36b5", "#868e96"]
DIVERGING = "coolwarm"

STYLE: dict[str, Any] = {
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "font.family": "sans-serif",
    "font.size": 10,
    "grid.alpha": 0.25,
    "grid.color": COLOURS[-1],
    "savefig.facecolor": "none",
    "svg.fonttype": "none",  # text stays text: smaller, sharp, and it can be selected
    "svg.hashsalt": "backbones",  # the same figure gives the same bytes
}


def show(figure: Figure, alt: str) -> None:
    """Display a figure in a notebook as SVG, with a text that says what it shows.

    Args:
        figure: The figure.
        alt: What a reader who cannot see it should know.

    Examples:
        >>> show(image_grid(np.zeros((2, 4, 4))), alt="Two black squares.")  # prints the data outside of a notebook
        {'image/svg+xml': ... 'text/plain': 'Two black squares.'}
    """
    from IPython.display import display

    display({"image/svg+xml": to_svg(figure), "text/plain": alt}, raw=True)


def to_svg(figure: Figure) -> str:
    """The figure as an SVG element, without the XML heading.

    Args:
        figure: Any of Matplotlib's.

    Examples:
        >>> to_svg(image_grid(np.zeros((2, 4, 4)))).startswith("<svg")
        True
    """
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(1, columns, squeeze=False)[0])


@mpl.rc_context(STYLE)
def curves(runs: Mapping[str, Sequence[History]]) -> Figure:
    """Loss and accuracy over the epochs: solid for validation, dashed for training images.

    Args:
        runs: Label -> histories. Of several, the mean is drawn, and a band from the lowest to the highest.

    Examples:
        >>> from backbones.training import Epoch, History
        >>> history = History([Epoch(1, 0.1, 2.0, 0.3, 1.5, 0.5, 12.0), Epoch(2, 0.0, 1.0, 0.6, 1.2, 0.6, 11.0)])
        >>> curves({"PyTorch": [history]}).axes[0].get_title()
        'Loss'
    """
    figure, (left, right) = _figure(8, 3.2, 2)
    for colour, (label, histories) in zip(cycle(COLOURS), runs.items(), strict=False):
        for axes, measure in ((left, "loss"), (right, "accuracy")):
            for part, line in (("train", "--"), ("validation", "-")):
                values = np.array([[getattr(e, f"{part}_{measure}") for e in h.epochs] for h in histories])
                epochs = np.arange(1, values.shape[1] + 1)
                axes.plot(epochs, values.mean(0), line, color=colour, label=f"{label}, {part}")
                if len(values) > 1:
                    axes.fill_between(
                        epochs, values.min(0), values.max(0), color=colour, alpha=0.15, linewidth=0
                    )
    left.set(title="Loss", xlabel="epoch", ylabel="cross-entropy (nats)", yscale="log")
    right.set(title="Accuracy", xlabel="epoch")
    right.yaxis.set_major_formatter(PercentFormatter(1))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.legend(fontsize=8)
    return figure


@mpl.rc_context(STYLE)
def lines(
    series: Mapping[str, ArrayLike], *, xlabel: str, ylabel: str, log: bool = False, start: int = 1
) -> Figure:
    """One line for each label, over 1, 2, 3 and so on.

    Args:
        series: Label -> values, or several runs' values: then the mean is drawn, and a band from the lowest to the
            highest.
        xlabel: What is counted.
        ylabel: What the values are, with their unit.
        log: Whether the values' axis is logarithmic.
        start: What the first value stands over.

    Examples:
        >>> lines({"loss": [2.0, 1.0]}, xlabel="epoch", ylabel="nats").axes[0].get_xlabel()
        'epoch'
    """
    figure, (axes,) = _figure(8, 3.6)
    for label, values in series.items():
        runs = np.atleast_2d(values)
        steps = np.arange(runs.shape[1]) + start
        (line,) = axes.plot(steps, runs.mean(0), label=label, linewidth=1)
        if len(runs) > 1:
            axes.fill_between(
                steps, runs.min(0), runs.max(0), color=line.get_color(), alpha=0.15, linewidth=0
            )
    axes.set(xlabel=xlabel, ylabel=ylabel, yscale="log" if log else "linear")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=8)
    return figure


def differences(pairs: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """How far two runs of the same training are apart, step by step, on a logarithmic scale.

    Args:
        pairs: Label -> the losses of both runs. Steps in which they are equal leave a gap.

    Examples:
        >>> differences({"float32": ([1.0, 2.0], [1.0, 2.1])}).axes[0].get_yscale()
        'log'
    """
    apart = {label: np.abs(np.subtract(left, right)) for label, (left, right) in pairs.items()}
    gaps = {label: np.where(values > 0, values, np.nan) for label, values in apart.items()}
    return lines(gaps, xlabel="step", ylabel="difference of the losses (nats)", log=True)


@mpl.rc_context(STYLE)
def dots(values: Mapping[str, Mapping[str, Sequence[float]]], *, xlabel: str) -> Figure:
    """One row for each label, in which each value is a dot and each series has its colour.

    Args:
        values: Label -> series -> values, shares of 1.
        xlabel: What the values are.

    Examples:
        >>> figure = dots({"ReLU": {"PyTorch": [0.8, 0.9]}, "tanh": {"PyTorch": [0.7, 0.8]}}, xlabel="accuracy")
        >>> figure.axes[0].get_yticklabels()[1].get_text()
        'tanh'
    """
    figure, (axes,) = _figure(8, 0.8 + 0.45 * len(values))
    for row, series in enumerate(values.values()):
        for i, (colour, (name, found)) in enumerate(zip(cycle(COLOURS), series.items(), strict=False)):
            heights = np.full(len(found), row + 0.16 * (2 * i - len(series) + 1))
            axes.scatter(found, heights, s=18, color=colour, label=None if row else name)
    axes.set(
        xlabel=xlabel, yticks=range(len(values)), yticklabels=list(values), ylim=(len(values) - 0.5, -0.5)
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(fontsize=8)
    return figure


@mpl.rc_context(STYLE)
def scatter(
    points: Mapping[str, Mapping[str, tuple[float, float]]], *, xlabel: str, ylabel: str, log: str = ""
) -> Figure:
    """Named dots, each group in its colour.

    Args:
        points: Group -> name -> x and y.
        xlabel: What x is, with its unit.
        ylabel: What y is, with its unit.
        log: The axes that are logarithmic: "", "x" or "xy".

    Examples:
        >>> scatter({"lenet": {"lenet5": (61_706, 416_520)}}, xlabel="parameters", ylabel="work").axes[0].get_ylabel()
        'work'
    """
    figure, (axes,) = _figure(8, 5)
    for colour, (group, named) in zip(cycle(COLOURS), points.items(), strict=False):
        axes.scatter(*zip(*named.values(), strict=True), s=22, color=colour, label=group)
        for name, place in named.items():
            axes.text(*place, f" {name}", fontsize=7)
    scales = {f"{axis}scale": "log" if axis in log else "linear" for axis in "xy"}
    axes.set(xlabel=xlabel, ylabel=ylabel, **scales)
    axes.legend(fontsize=8)
    return figure


@mpl.rc_context(STYLE)
def confusion(counts: NDArray[np.integer], classes: Sequence[str]) -> Figure:
    """A confusion matrix; the diagonal is left pale, since the mistakes are of interest.

    Args:
        counts: Classes x classes: how often the row's class was called the column's.
        classes: Their names.

    Examples:
        >>> confusion(np.array([[9, 1], [0, 10]]), ["cat", "dog"]).axes[0].get_xlabel()
        'predicted'
    """
    figure, (axes,) = _figure(5.4, 5)
    mistakes = counts - np.diag(np.diag(counts))
    # The more mistakes, the less of the page shows through: pale cells keep the page's ground, and its ink.
    opacity = mistakes / max(mistakes.max(), 1)
    axes.imshow(np.dstack([np.broadcast_to(to_rgb(COLOURS[0]), (*counts.shape, 3)), opacity]))
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "#ffffff" if opacity[row, column] > 0.5 else "#000000"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axes.set(xlabel="predicted", ylabel="true", xticks=range(len(classes)), yticks=range(len(classes)))
    axes.set_xticklabels(classes, rotation=45 if max(map(len, classes)) > 2 else 0, ha="center")
    axes.set_yticklabels(classes)
    axes.grid(visible=False)
    return figure


@mpl.rc_context(STYLE)
def image_grid(
    images: ArrayLike, titles: Sequence[str] | None = None, *, columns: int = 10, cmap: str = "gray"
) -> Figure:
    """Single-channel images side by side, each with its own title.

    Args:
        images: N x H x W. With a diverging `cmap`, zero is in the middle of the colours.
        titles: One for each image.
        columns: Images per row.
        cmap: Matplotlib colour map: "gray" for pictures, `DIVERGING` for weights.

    Examples:
        >>> len(image_grid(np.zeros((12, 8, 8)), columns=10).axes)
        20
    """
    pictures = np.asarray(images)
    rows = -(-len(pictures) // columns)
    height = 1.15 if titles else 0.85
    figure = Figure(figsize=(0.85 * columns, height * rows), layout="constrained")
    limit = np.abs(pictures).max() if cmap == DIVERGING else None
    for index, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.axis("off")
        if index < len(pictures):
            axes.imshow(
                pictures[index], cmap=cmap, interpolation="none", vmin=-limit if limit else None, vmax=limit
            )
            if titles:
                axes.set_title(titles[index], fontsize=8)
    return figure
