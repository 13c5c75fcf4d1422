"""The layer ledger: what every layer of a net costs and sees, worked out without either framework.

Each family's `spec.py` describes its nets to a `Ledger` (in `ledger.py`), layer by layer. The description
imports no framework and holds no weights, so it is a third witness beside the PyTorch and the Keras file:
tests hold the built models of both to it.

Rules of the count:

- One multiply-add is one weight used once. Biases, activations, normalisation and pooling are not counted,
  except where a pooling layer has weights of its own.
- Auxiliary heads, which exist for training alone, are listed but not part of the totals.
- Shapes are channels x height x width for one image, the layout of the papers and of PyTorch. Keras
  holds the same map as height x width x channels.
- The receptive field is the side of the square of input pixels that one output value depends on, padding
  included. Where branches meet, the largest counts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tabulate import tabulate

# A window's side, or its (height, width) where they differ.
Side = int | tuple[int, int]


def pair(side: Side) -> tuple[int, int]:
    """(height, width).

    Examples:
        >>> pair(3), pair((1, 7))
        ((3, 3), (1, 7))
    """
    return (side, side) if isinstance(side, int) else side


@dataclass(frozen=True)
class FeatureMap:
    """What flows from layer to layer.

    Attributes:
        channels: Number of maps.
        height: Rows of one map; 1 after flattening.
        width: Columns of one map; 1 after flattening.
        sees: Height and width, in input pixels, of what one value depends on.
        stride: Distance, in input pixels, between the centres of two neighbouring values.

    Examples:
        >>> FeatureMap(6, 28, 28).size
        4704
    """

    channels: int
    height: int
    width: int
    sees: tuple[int, int] = (1, 1)
    stride: int = 1

    @property
    def receptive_field(self) -> int:
        """The larger side of what one value sees, in input pixels."""
        return max(self.sees)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width

    @property
    def size(self) -> int:
        """Values in the map."""
        return self.channels * self.height * self.width

    def whole(self) -> FeatureMap:
        """One row of all values, which see together what the whole map sees."""
        height, width = self.sees
        sees = height + (self.height - 1) * self.stride, width + (self.width - 1) * self.stride
        return FeatureMap(self.size, 1, 1, sees, self.stride)


def met(branches: list[FeatureMap], channels: int) -> FeatureMap:
    """What several maps of the same size give together.

    Examples:
        >>> met([FeatureMap(64, 28, 28, (3, 3)), FeatureMap(32, 28, 28, (5, 5))], channels=96).sees
        (5, 5)
    """
    height, width = (max(x.sees[axis] for x in branches) for axis in (0, 1))
    return replace(branches[0], channels=channels, sees=(height, width))


@dataclass(frozen=True)
class Layer:
    """One row of the ledger. Counts are for one image.

    Attributes:
        name: Where the layer is, the same in both frameworks.
        type: What it is.
        output: The feature map it gives.
        parameters: Trainable weights.
        fixed: Weights that are set once and never trained.
        statistics: Running means and variances.
        multiply_adds: Multiplications of a weight with an input, each with its addition.
        kernel: Side of the window, where there is one.
        stride: Step of the window.
        padding: Zeros added on each side.
        auxiliary: Whether the layer belongs to a head that exists for training alone.
        arithmetic: How the numbers come about, as text.

    Examples:
        >>> import backbones
        >>> layer = backbones.summary("lenet5")["conv1"]
        >>> layer.type, layer.kernel, layer.parameters
        ('Conv', 5, 156)
    """

    name: str
    type: str
    output: FeatureMap
    parameters: int = 0
    fixed: int = 0
    statistics: int = 0
    multiply_adds: int = 0
    kernel: Side | None = None
    stride: int | None = None
    padding: Side | None = None
    auxiliary: bool = False
    arithmetic: str = ""


@dataclass(frozen=True)
class Feature:
    """A map worth looking at, or building on: the last of its size, or the end of a stage.

    Attributes:
        name: The same in both frameworks.
        layer: The layer that gives it.
        map: Its channels, size, stride and receptive field.

    Examples:
        >>> import backbones
        >>> backbones.summary("lenet5").features[-1].name
        'stage2'
    """

    name: str
    layer: str
    map: FeatureMap


HEADERS = ["layer", "type", "output", "k/s/p", "parameters", "multiply-adds", "sees", "arithmetic"]


@dataclass(frozen=True)
class Summary:
    """The finished ledger of one model. Printed, it is a table; `to_markdown` gives it for a page.

    Attributes:
        model: Its name.
        input: One image: its channels and size.
        layers: One row for each layer, in the order of the forward pass, those of auxiliary heads included.
        features: The named features, in the same order.

    Examples:
        >>> import backbones
        >>> ledger = backbones.summary("lenet5")
        >>> ledger.parameters, ledger.multiply_adds, ledger["conv2"].output.receptive_field
        (61706, 416520, 14)
    """

    model: str
    input: FeatureMap
    layers: tuple[Layer, ...]
    features: tuple[Feature, ...]

    @property
    def parameters(self) -> int:
        """Trainable parameters, without auxiliary heads."""
        return sum(layer.parameters for layer in self.layers if not layer.auxiliary)

    @property
    def auxiliary_parameters(self) -> int:
        """Trainable parameters of the heads that exist for training alone."""
        return sum(layer.parameters for layer in self.layers if layer.auxiliary)

    @property
    def fixed(self) -> int:
        """Weights that are set once and never trained."""
        return sum(layer.fixed for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds for one image, without auxiliary heads."""
        return sum(layer.multiply_adds for layer in self.layers if not layer.auxiliary)

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
        heads = self.auxiliary_parameters
        auxiliary = f"\n{heads:,} further parameters are in heads for training alone." if heads else ""
        return f"{self.model}\n{table}{fixed}{auxiliary}"


_ALIGN = ("left", "left", "right", "right", "right", "right", "right", "left")


def _row(layer: Layer) -> list[str]:
    window = "/".join(_side(v) for v in (layer.kernel, layer.stride, layer.padding) if v is not None)
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


def _side(side: Side) -> str:
    return str(side) if isinstance(side, int) else "x".join(map(str, side))
