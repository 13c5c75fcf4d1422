"""The layer ledger: what every layer of a net costs and sees, worked out without either framework.

Each family's `spec.py` describes its nets to a `Ledger`, layer by layer. The description imports no
framework and holds no weights, so it is a third witness beside the PyTorch and the Keras file: tests
hold the built models of both to it.

Rules of the count:

- One multiply-add is one weight used once. Biases, activations, normalisation and pooling are not counted,
  except where a pooling layer has weights of its own.
- Shapes are channels x height x width for one image, the layout of the papers and of PyTorch. Keras
  holds the same map as height x width x channels.
- The receptive field is the side of the square of input pixels that one output value depends on, padding
  included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from tabulate import tabulate


@dataclass(frozen=True)
class FeatureMap:
    """What flows from layer to layer.

    Attributes:
        channels: Number of maps.
        height: Rows of one map; 1 after flattening.
        width: Columns of one map; 1 after flattening.
        receptive_field: Side, in input pixels, of what one value sees.
        stride: Distance, in input pixels, between the centres of two neighbouring values.
    """

    channels: int
    height: int
    width: int
    receptive_field: int = 1
    stride: int = 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def size(self) -> int:
        """Values in the map."""
        return self.channels * self.height * self.width


@dataclass(frozen=True)
class Layer:
    """One row of the ledger. Counts are for one image.

    Attributes:
        name: Where the layer is, the same in both frameworks.
        type: What it is.
        output: The feature map it gives.
        parameters: Trainable weights.
        fixed: Weights that are set once and never trained.
        multiply_adds: Multiplications of a weight with an input, each with its addition.
        kernel: Side of the window, where there is one.
        stride: Step of the window.
        padding: Zeros added on each side.
        arithmetic: How the numbers come about, as text.
    """

    name: str
    type: str
    output: FeatureMap
    parameters: int = 0
    fixed: int = 0
    multiply_adds: int = 0
    kernel: int | None = None
    stride: int | None = None
    padding: int | None = None
    arithmetic: str = ""


HEADERS = ["layer", "type", "output", "k/s/p", "parameters", "multiply-adds", "sees", "arithmetic"]


@dataclass(frozen=True)
class Summary:
    """The finished ledger of one model. Printed, it is a table; `to_markdown` gives it for a page."""

    model: str
    input: FeatureMap
    layers: tuple[Layer, ...]

    @property
    def parameters(self) -> int:
        """Trainable parameters."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def fixed(self) -> int:
        """Weights that are not trained."""
        return sum(layer.fixed for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    def __getitem__(self, name: str) -> Layer:
        """The row of that name; `KeyError` if there is none."""
        return {layer.name: layer for layer in self.layers}[name]

    def _rows(self) -> list[list[str]]:
        start = ["input", "", "x".join(map(str, self.input.shape)), "", "", "", "1", ""]
        total = ["total", "", "", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", "", ""]
        return [start, *map(_row, self.layers), total]

    def to_markdown(self) -> str:
        """The ledger as a Markdown table."""
        return tabulate(self._rows(), HEADERS, tablefmt="pipe", colalign=_ALIGN, disable_numparse=True)

    def __str__(self) -> str:
        table = tabulate(self._rows(), HEADERS, tablefmt="simple", colalign=_ALIGN, disable_numparse=True)
        fixed = f"\n{self.fixed:,} further weights are fixed." if self.fixed else ""
        return f"{self.model}\n{table}{fixed}"


_ALIGN = ("left", "left", "right", "right", "right", "right", "right", "left")


def _row(layer: Layer) -> list[str]:
    window = "/".join(str(v) for v in (layer.kernel, layer.stride, layer.padding) if v is not None)
    return [
        layer.name,
        layer.type,
        "x".join(str(v) for v in layer.output.shape) if layer.output.height > 1 else str(layer.output.size),
        window,
        f"{layer.parameters:,}" if layer.parameters else "",
        f"{layer.multiply_adds:,}" if layer.multiply_adds else "",
        str(layer.output.receptive_field),
        layer.arithmetic,
    ]


class Ledger:
    """Collects the rows while a spec describes its net: each method takes a map and returns the next."""

    def __init__(self) -> None:
        self.layers: list[Layer] = []

    def conv(
        self,
        x: FeatureMap,
        name: str,
        channels: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        connections: int | None = None,
    ) -> FeatureMap:
        """A convolution with bias. `connections`: the pairs of an input and an output map, if not all."""
        pairs = f"{channels} x {x.channels}" if connections is None else str(connections)
        count = channels * x.channels if connections is None else connections
        out = self._window(x, name, kernel, stride, padding, channels)
        return self._add(
            Layer(
                name,
                "Conv",
                out,
                parameters=count * kernel**2 + channels,
                multiply_adds=count * kernel**2 * out.height * out.width,
                kernel=kernel,
                stride=stride,
                padding=padding,
                arithmetic=f"{pairs} x {kernel} x {kernel} + {channels} = {count * kernel**2 + channels:,}; "
                f"{pairs} x {kernel} x {kernel} x {out.height} x {out.width} "
                f"= {count * kernel**2 * out.height * out.width:,}",
            )
        )

    def max_pool(self, x: FeatureMap, name: str, kernel: int, *, stride: int) -> FeatureMap:
        """The largest value of each window."""
        out = self._window(x, name, kernel, stride, 0, x.channels)
        return self._add(Layer(name, "MaxPool", out, kernel=kernel, stride=stride, padding=0))

    def subsampling(self, x: FeatureMap, name: str, kernel: int) -> FeatureMap:
        """LeNet's pooling: the sum of each window times one weight plus one bias per map."""
        out = self._window(x, name, kernel, kernel, 0, x.channels)
        return self._add(
            Layer(
                name,
                "Subsampling",
                out,
                parameters=2 * x.channels,
                multiply_adds=out.size,
                kernel=kernel,
                stride=kernel,
                padding=0,
                arithmetic=f"2 x {x.channels} = {2 * x.channels}; "
                f"{out.channels} x {out.height} x {out.width} = {out.size:,}",
            )
        )

    def activation(self, x: FeatureMap, name: str, type: str) -> FeatureMap:
        """A function of each value by itself."""
        return self._add(Layer(name, type, x))

    def flatten(self, x: FeatureMap, name: str) -> FeatureMap:
        """All values in one row; each next unit sees everything the map sees."""
        field = x.receptive_field + (max(x.height, x.width) - 1) * x.stride
        return self._add(Layer(name, "Flatten", FeatureMap(x.size, 1, 1, field, x.stride)))

    def linear(self, x: FeatureMap, name: str, units: int) -> FeatureMap:
        """A dense layer with bias."""
        return self._add(
            Layer(
                name,
                "Linear",
                replace(x, channels=units),
                parameters=(x.size + 1) * units,
                multiply_adds=x.size * units,
                arithmetic=f"{x.size} x {units} + {units} = {(x.size + 1) * units:,}; "
                f"{x.size} x {units} = {x.size * units:,}",
            )
        )

    def rbf(self, x: FeatureMap, name: str, units: int) -> FeatureMap:
        """Squared distances to fixed prototypes, one unit per class."""
        count = x.size * units
        return self._add(
            Layer(
                name,
                "RBF",
                replace(x, channels=units),
                fixed=count,
                multiply_adds=count,
                arithmetic=f"{x.size} x {units} = {count:,}, all fixed",
            )
        )

    def _window(
        self, x: FeatureMap, name: str, kernel: int, stride: int, padding: int, channels: int
    ) -> FeatureMap:
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (x.height, x.width))
        return FeatureMap(
            channels, height, width, x.receptive_field + (kernel - 1) * x.stride, x.stride * stride
        )

    def _add(self, layer: Layer) -> FeatureMap:
        self.layers.append(layer)
        return layer.output


def summarize(model: str, describe: Callable[[Ledger, FeatureMap], FeatureMap], x: FeatureMap) -> Summary:
    """Run a spec's description and close the ledger."""
    ledger = Ledger()
    describe(ledger, x)
    return Summary(model, x, tuple(ledger.layers))
