"""How a spec tells its net: one method per kind of layer, which takes a map and returns the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from backbones.errors import BackbonesError
from backbones.spec import AnySpec
from backbones.summary import Feature, FeatureMap, Layer, Side, Summary, met, pair


class TooSmallError(BackbonesError):
    """A window that does not fit into its map, but would into that of a larger input."""


class Ledger:
    """Collects the rows while a spec describes its net: each method takes a map and returns the next.

    `x` is the map that a layer takes, `name` its name, which no other has; `channels` or `units` is how many maps or
    values it gives; `kernel`, `stride` and `padding` are the side and step of its window, and the zeros on each side.
    A layer that does not fit its input, or has the name of another, is a `BackbonesError` that names it.

    Examples:
        >>> net = Ledger()
        >>> x = net.conv(FeatureMap(3, 32, 32), "conv1", 8, 3, padding=1)
        >>> x.shape, net.layers[0].parameters
        ((8, 32, 32), 224)
    """

    def __init__(self) -> None:
        self.layers: list[Layer] = []
        self.features: list[Feature] = []
        self._names: set[str] = set()
        self._auxiliary = False

    def conv(
        self,
        x: FeatureMap,
        name: str,
        channels: int,
        kernel: Side,
        *,
        stride: int = 1,
        padding: Side = 0,
        groups: int = 1,
        bias: bool = True,
        connections: int | None = None,
    ) -> FeatureMap:
        """A convolution.

        `groups`: parts into which input and output maps are divided; each part sees its own part alone. `bias`:
        whether each output map has one. `connections`: how many pairs of an input and an output map, if not all.

        Raises:
            BackbonesError: If the window does not fit into the map, or the groups do not divide the maps.
        """
        if x.channels % groups or channels % groups:
            raise BackbonesError(
                f"{name}: {x.channels} input and {channels} output maps must be multiples of {groups} groups"
            )
        inputs = x.channels // groups
        height, width = pair(kernel)
        count = (channels * inputs if connections is None else connections) * height * width
        pairs = f"{channels} x {inputs}" if connections is None else str(connections)
        weights = f"{pairs} x {height} x {width}"
        parameters = count + channels * bias
        out = self._window(x, name, kernel, stride, padding, channels)
        multiply_adds = count * out.height * out.width
        return self._add(
            Layer(
                name,
                "Conv",
                out,
                parameters=parameters,
                multiply_adds=multiply_adds,
                kernel=kernel,
                stride=stride,
                padding=padding,
                arithmetic=f"{weights}{f' + {channels}' if bias else ''} = {parameters:,}; "
                f"{weights} x {out.height} x {out.width} = {multiply_adds:,}",
            )
        )

    def batch_norm(self, x: FeatureMap, name: str) -> FeatureMap:
        """Each map scaled and shifted to mean 0 and variance 1, then by one weight and one bias per map."""
        count = 2 * x.channels
        arithmetic = f"2 x {x.channels} = {count:,}, and as many running statistics"
        return self._add(
            Layer(name, "BatchNorm", x, parameters=count, statistics=count, arithmetic=arithmetic)
        )

    def max_pool(
        self, x: FeatureMap, name: str, kernel: int, *, stride: int, padding: int = 0, ceil: bool = False
    ) -> FeatureMap:
        """The largest value of each window. `ceil`: a last window may hang over the border.

        Raises:
            BackbonesError: If the window does not fit into the map.
        """
        out = self._window(x, name, kernel, stride, padding, x.channels, ceil)
        return self._add(Layer(name, "MaxPool", out, kernel=kernel, stride=stride, padding=padding))

    def avg_pool(self, x: FeatureMap, name: str, kernel: int, *, stride: int, padding: int = 0) -> FeatureMap:
        """The mean of each window.

        Raises:
            BackbonesError: If the window does not fit into the map.
        """
        out = self._window(x, name, kernel, stride, padding, x.channels)
        return self._add(Layer(name, "AvgPool", out, kernel=kernel, stride=stride, padding=padding))

    def global_avg_pool(self, x: FeatureMap, name: str) -> FeatureMap:
        """The mean of each map."""
        return self._add(Layer(name, "GlobalAvgPool", replace(x.whole(), channels=x.channels)))

    def subsampling(self, x: FeatureMap, name: str, kernel: int) -> FeatureMap:
        """LeNet's pooling (LeCun et al. 1998, Section II.B), with `kernel` for side and step.

        The sum of each window times one weight plus one bias per map.

        Raises:
            BackbonesError: If the window does not fit into the map.
        """
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
        """A function of each value by itself. `type`: which one, such as `"ReLU"`."""
        return self._add(Layer(name, type, x))

    def local_response_norm(self, x: FeatureMap, name: str) -> FeatureMap:
        """Each value divided by a power of the sum of squares of nearby maps (Krizhevsky et al. 2012, Section 3.3)."""
        return self._add(Layer(name, "LocalResponseNorm", x))

    def dropout(self, x: FeatureMap, name: str) -> FeatureMap:
        """Values set to zero at random in training; nothing in evaluation."""
        return self._add(Layer(name, "Dropout", x))

    def add(self, x: FeatureMap, shortcut: FeatureMap, name: str) -> FeatureMap:
        """The sum of `x` and `shortcut`, two maps of the same shape.

        Raises:
            BackbonesError: If they have not the same shape.
        """
        if x.shape != shortcut.shape:
            raise BackbonesError(f"{name}: {x.shape} and {shortcut.shape} cannot be added")
        return self._add(Layer(name, "Add", met([x, shortcut], x.channels)))

    def pad_shortcut(self, x: FeatureMap, name: str, channels: int, *, stride: int) -> FeatureMap:
        """Every `stride`-th pixel, and maps of zeros behind, up to `channels` (He et al. 2015, Section 4.1, option A).

        Raises:
            BackbonesError: If there are more maps already.
        """
        if channels < x.channels:
            raise BackbonesError(
                f"{name}: adding zeros to {x.channels} maps cannot make {channels} of them; "
                f"no stage may have fewer channels than the one before"
            )
        out = self._window(x, name, 1, stride, 0, channels)
        return self._add(Layer(name, "PadShortcut", out, stride=stride))

    def concat(self, branches: list[FeatureMap], name: str) -> FeatureMap:
        """The maps of all `branches`, one after the other.

        Raises:
            BackbonesError: If they are of different sizes.
        """
        if len(sizes := {(x.height, x.width): None for x in branches}) > 1:
            raise BackbonesError(
                f"{name}: its branches give maps of {' and '.join(f'{h} x {w}' for h, w in sizes)}"
            )
        channels = sum(x.channels for x in branches)
        arithmetic = " + ".join(str(x.channels) for x in branches) + f" = {channels} maps"
        return self._add(Layer(name, "Concat", met(branches, channels), arithmetic=arithmetic))

    def flatten(self, x: FeatureMap, name: str) -> FeatureMap:
        """All values in one row; each next unit sees everything the map sees."""
        return self._add(Layer(name, "Flatten", x.whole()))

    def linear(self, x: FeatureMap, name: str, units: int) -> FeatureMap:
        """A dense layer with bias: `units` values, each from all of the map's."""
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
        """Squared distances to fixed prototypes, one unit per class (LeCun et al. 1998, Section II.B, Eq. 7)."""
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

    def feature(self, x: FeatureMap, name: str) -> FeatureMap:
        """Give the last layer's map a name under which both frameworks hand it out."""
        if not self.layers:
            raise BackbonesError(f"{name}: there is no layer whose map it could be")
        self.features.append(Feature(name, self.layers[-1].name, x))
        return x

    @contextmanager
    def auxiliary(self) -> Iterator[None]:
        """What is described inside belongs to a head that exists for training alone."""
        self._auxiliary = True
        yield
        self._auxiliary = False

    def _window(
        self, x: FeatureMap, name: str, kernel: Side, stride: int, padding: Side, channels: int,
        ceil: bool = False,
    ) -> FeatureMap:  # fmt: skip
        kernels, paddings = pair(kernel), pair(padding)
        sides = []
        for side, k, p in zip((x.height, x.width), kernels, paddings, strict=True):
            room = side + 2 * p - k
            sides.append((-(-room // stride) if ceil else room // stride) + 1)
        if min(sides) < 1:
            raise TooSmallError(
                f"{name}: its {kernels[0]} x {kernels[1]} window does not fit into a map of "
                f"{x.height} x {x.width}"
            )
        height, width = (s + (k - 1) * x.stride for s, k in zip(x.sees, kernels, strict=True))
        return FeatureMap(channels, sides[0], sides[1], (height, width), x.stride * stride)

    def _add(self, layer: Layer) -> FeatureMap:
        if layer.name in self._names:
            raise BackbonesError(f"{layer.name}: two layers have this name, and each must have its own")
        self._names.add(layer.name)
        self.layers.append(replace(layer, auxiliary=self._auxiliary))
        return layer.output


def summarize(model: str, describe: Callable[[Ledger, FeatureMap], FeatureMap], x: FeatureMap) -> Summary:
    """Run a spec's description and close the ledger."""
    ledger = Ledger()
    describe(ledger, x)
    return Summary(model, x, tuple(ledger.layers), tuple(ledger.features))


def features_of(
    spec: AnySpec, describe_features: Callable[[AnySpec, Ledger, FeatureMap], FeatureMap]
) -> FeatureMap:
    """The last map before the dense layers: what the description of a net's features ends with."""
    start = FeatureMap(spec.in_channels, spec.input_size, spec.input_size)
    return describe_features(spec, Ledger(), start)
