"""LeNet-5 as data: the tables of LeCun et al. 1998, shared by the PyTorch and the Keras file.

Source: Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
Recognition", Proceedings of the IEEE 86(11), 1998. Section II.B and Fig. 2 describe the net, Table I the
connections of C3, Fig. 3 the output prototypes, Appendix A the squashing function.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from backbones.checks import ZeroOrMore
from backbones.errors import BackbonesError
from backbones.ledger import Ledger
from backbones.spec import Spec
from backbones.summary import FeatureMap


@dataclass(frozen=True, kw_only=True)
class LeNetSpec(Spec):
    """One form of LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, Section II.B and Fig. 2).

    Attributes:
        channels: Maps of the two convolutions (C1, C3).
        units: Units of the two hidden dense layers (C5, F6).
        kernel: Side of both convolutions' kernels.
        padding: Zeros on each side before the first convolution.
        pool: Side and stride of both pooling windows.

    Examples:
        >>> from backbones.lenet.spec import LENET5, LENET5_1998
        >>> LENET5.input_size, LENET5.padding, LENET5_1998.input_size
        (28, 2, 32)
    """

    channels: tuple[int, int] = (6, 16)
    units: tuple[int, int] = (120, 84)
    kernel: int = 5
    padding: ZeroOrMore = 0
    pool: int = 2
    num_classes: int = 10
    in_channels: int = 1


# As taught and used today: 28 x 28 input padded to the paper's 32 x 32, ReLU, max-pooling, all maps of the
# second convolution connected, a linear output.
LENET5 = LeNetSpec(name="lenet5", input_size=28, padding=2, published_parameters=61_706)

# As in the paper: 32 x 32 input, scaled tanh, trainable subsampling, partial C3, fixed RBF output.
LENET5_1998 = LeNetSpec(name="lenet5_1998", input_size=32, published_parameters=60_000)

VARIANTS = {spec.name: spec for spec in (LENET5, LENET5_1998)}

# Table I: which maps of S2 each map of C3 sees. 60 of the 96 pairs, so that maps are forced to differ.
C3_CONNECTIONS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2),
    (1, 2, 3),
    (2, 3, 4),
    (3, 4, 5),
    (0, 4, 5),
    (0, 1, 5),
    (0, 1, 2, 3),
    (1, 2, 3, 4),
    (2, 3, 4, 5),
    (0, 3, 4, 5),
    (0, 1, 4, 5),
    (0, 1, 2, 5),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)

# Appendix A: f(a) = A tanh(S a), with f(1) = 1 and f(-1) = -1, so that targets of +1 and -1 are within range.
SQUASH_AMPLITUDE = 1.7159
SQUASH_SLOPE = 2 / 3

# Appendix A: weights start uniform in [-2.4 / fan_in, 2.4 / fan_in].
INIT_RANGE = 2.4

# Fig. 3: each class is one bitmap of 7 x 12, -1 for paper and +1 for ink; 7 x 12 = 84 is why F6 has 84 units.
# The bitmaps here are drawn anew after the figure's digits, so single pixels may differ from the original.
DIGIT_BITMAPS: tuple[str, ...] = (
    "....... ..###.. .#...#. #.....# #.....# #.....# #.....# #.....# #.....# .#...#. ..###.. .......",
    "....... ...#... ..##... .#.#... ...#... ...#... ...#... ...#... ...#... ...#... .#####. .......",
    "....... .#####. #.....# ......# ......# .....#. ....#.. ..##... .#..... #...... ####### .......",
    "....... .#####. #.....# ......# ......# ..####. ......# ......# ......# #.....# .#####. .......",
    "....... ....##. ...#.#. ..#..#. .#...#. #....#. #....#. ####### .....#. .....#. .....#. .......",
    "....... ####### #...... #...... #...... ######. ......# ......# ......# #.....# .#####. .......",
    "....... ..####. .#..... #...... #...... ######. #.....# #.....# #.....# #.....# .#####. .......",
    "....... ####### #.....# .....#. .....#. ....#.. ....#.. ...#... ...#... ..#.... ..#.... .......",
    "....... .#####. #.....# #.....# #.....# .#####. #.....# #.....# #.....# #.....# .#####. .......",
    "....... .#####. #.....# #.....# #.....# #.....# .###### ......# ......# .....#. .####.. .......",
)


def prototypes() -> list[list[float]]:
    """The output layer's fixed weights, one row of 84 values (-1 or +1) per class."""
    return [[1.0 if dot == "#" else -1.0 for dot in bitmap.replace(" ", "")] for bitmap in DIGIT_BITMAPS]


def describe(spec: LeNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """Tell the ledger the net, layer by layer, under the names that both frameworks use."""
    if spec.name == LENET5_1998.name:
        return _describe_1998(spec, net, x)
    c1, c3 = spec.channels
    f5, f6 = spec.units
    x = net.conv(x, "conv1", c1, spec.kernel, padding=spec.padding)
    x = net.activation(x, "relu1", "ReLU")
    x = net.max_pool(x, "pool1", spec.pool, stride=spec.pool)
    net.feature(x, "stage1")
    x = net.conv(x, "conv2", c3, spec.kernel)
    x = net.activation(x, "relu2", "ReLU")
    x = net.max_pool(x, "pool2", spec.pool, stride=spec.pool)
    net.feature(x, "stage2")
    x = net.flatten(x, "flatten")
    x = net.linear(x, "fc1", f5)
    x = net.activation(x, "relu3", "ReLU")
    x = net.linear(x, "fc2", f6)
    x = net.activation(x, "relu4", "ReLU")
    return net.linear(x, "fc3", spec.num_classes)


def _require_papers_numbers(spec: LeNetSpec) -> None:
    """Raise a `BackbonesError` if anything but the input's channels is not as in the paper.

    Table I fixes the maps, the bitmaps fix the classes and F6, and C5, named a convolution, ends in 1 x 1 maps.
    """
    for field in fields(spec):
        given, fixed = getattr(spec, field.name), getattr(LENET5_1998, field.name)
        if field.name != "in_channels" and given != fixed:
            raise BackbonesError(
                f"{spec.name} is the net of the paper: {field.name} must be {fixed}, not {given}; "
                f"{LENET5.name} takes any that fits"
            )


def _describe_1998(spec: LeNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    _require_papers_numbers(spec)
    c1, c3 = spec.channels
    c5, f6 = spec.units
    pairs = sum(len(inputs) for inputs in C3_CONNECTIONS)
    x = net.conv(x, "c1", c1, spec.kernel)
    x = net.activation(x, "squash1", "ScaledTanh")
    x = net.subsampling(x, "s2", spec.pool)
    x = net.activation(x, "squash2", "ScaledTanh")
    net.feature(x, "stage1")
    x = net.conv(x, "c3", c3, spec.kernel, connections=pairs)
    x = net.activation(x, "squash3", "ScaledTanh")
    x = net.subsampling(x, "s4", spec.pool)
    x = net.activation(x, "squash4", "ScaledTanh")
    net.feature(x, "stage2")
    x = net.conv(x, "c5", c5, spec.kernel)
    x = net.activation(x, "squash5", "ScaledTanh")
    x = net.flatten(x, "flatten")
    x = net.linear(x, "f6", f6)
    x = net.activation(x, "squash6", "ScaledTanh")
    return net.rbf(x, "output", spec.num_classes)
