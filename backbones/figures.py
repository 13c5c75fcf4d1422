"""Plots and diagrams. Each function returns a figure with a transparent ground, for light and dark pages."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from backbones.summary import Layer, Summary
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
    """
    from IPython.display import display

    display({"image/svg+xml": to_svg(figure), "text/plain": alt}, raw=True)


def to_svg(figure: Figure) -> str:
    """The figure as an SVG element, without the XML heading."""
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
    """
    figure, (left, right) = _figure(8, 3.2, 2)
    for colour, (label, histories) in zip(COLOURS, runs.items(), strict=False):
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
def differences(pairs: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """How far two runs of the same training are apart, step by step, on a logarithmic scale.

    Args:
        pairs: Label -> the losses of both runs. Steps in which they are equal leave a gap.
    """
    figure, (axes,) = _figure(8, 3.6)
    for label, (left, right) in pairs.items():
        apart = np.abs(np.subtract(left, right))
        axes.plot(np.arange(1, len(apart) + 1), np.where(apart > 0, apart, np.nan), label=label, linewidth=1)
    axes.set(xlabel="step", ylabel="difference of the losses (nats)", yscale="log")
    axes.legend(fontsize=8)
    return figure


@mpl.rc_context(STYLE)
def confusion(counts: NDArray[np.integer], classes: Sequence[str]) -> Figure:
    """A confusion matrix; the diagonal is left pale, since the mistakes are of interest.

    Args:
        counts: Classes x classes: how often the row's class was called the column's.
        classes: Their names.
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


def diagram(summary: Summary) -> str:
    """A block diagram of a net, drawn from its ledger, as an SVG element that takes the page's colours.

    One row per layer that has a window or weights: a bar as wide as the map's side and labelled with what the
    layer does and gives. Activations and reshapes are named beside the layer they follow.
    """
    blocks = _blocks(summary)
    line, top, bar = 44, 40, 26
    height = top + line * len(blocks) + 8
    largest = max(layer.output.height for _, layer in blocks)
    parts = [
        f'<svg class="diagram" viewBox="0 0 640 {height}" role="img" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(_told(summary))}</title>",
        f'<text x="150" y="20" class="name">input {escape(_shape(summary.input.shape))}</text>',
    ]
    for index, (names, layer) in enumerate(blocks):
        y = top + line * index
        width = 18 + 120 * layer.output.height / largest
        x = 210 - width / 2
        parts += [
            f'<path class="arrow" d="M210 {y - 16} v12 m-4 -5 l4 5 l4 -5"/>',
            f'<rect class="{"weights" if layer.parameters + layer.fixed else "plain"}" x="{x:.0f}" y="{y}" '
            f'width="{width:.0f}" height="{bar}" rx="3"/>',
            f'<text x="120" y="{y + 17}" class="name" text-anchor="end">{escape(names)}</text>',
            f'<text x="290" y="{y + 17}">{escape(_does(layer))}</text>',
            f'<text x="470" y="{y + 17}">{escape(_shape(layer.output.shape))}</text>',
            f'<text x="632" y="{y + 17}" text-anchor="end">{layer.parameters:,}</text>'
            if layer.parameters
            else "",
        ]
    parts += ['<text x="632" y="20" text-anchor="end">parameters</text>', "</svg>"]
    return "".join(parts)


def _blocks(summary: Summary) -> list[tuple[str, Layer]]:
    """The layers to draw, each with the names of the activation that follows it."""
    blocks: list[tuple[str, Layer]] = []
    for layer in summary.layers:
        if layer.kernel is None and not layer.parameters + layer.fixed and blocks:
            if layer.type != "Flatten":
                names, owner = blocks[-1]
                blocks[-1] = (f"{names} + {layer.type}", owner)
            continue
        blocks.append((layer.name, layer))
    return blocks


def _does(layer: Layer) -> str:
    if layer.kernel is None:
        return layer.type
    stride = f", stride {layer.stride}" if layer.stride != 1 else ""
    return f"{layer.type} {layer.kernel} x {layer.kernel}{stride}"


def _shape(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return str(channels) if height == width == 1 else f"{channels} x {height} x {width}"


def _told(summary: Summary) -> str:
    steps = "; ".join(
        f"{layer.name}: {_does(layer)} to {_shape(layer.output.shape)}" for _, layer in _blocks(summary)
    )
    return f"Block diagram of {summary.model}: input {_shape(summary.input.shape)}; {steps}"
