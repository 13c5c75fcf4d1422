"""AlexNet as data, shared by the PyTorch and the Keras file.

Sources: A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet Classification with Deep Convolutional Neural
Networks", NeurIPS 2012. Section 3.5 and Fig. 2 describe the net, Section 3.3 the response normalisation,
Section 3.4 the pooling, Section 4.2 dropout, Section 5 the initial weights. The one-column form:
A. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", arXiv:1404.5997, 2014.
"""

from __future__ import annotations

from dataclasses import dataclass

from backbones.checks import NotNegative, Share, ZeroOrMore
from backbones.ledger import Ledger
from backbones.spec import Spec
from backbones.summary import FeatureMap


@dataclass(frozen=True, kw_only=True)
class Conv:
    """One convolution and what follows its ReLU (Krizhevsky, Sutskever and Hinton 2012, Section 3.5).

    Attributes:
        channels: Maps it gives.
        kernel: Side of its window.
        stride: Step of its window.
        padding: Zeros on each side.
        groups: 2 where the paper divides the maps between two GPUs that do not talk (Section 3.2).
        bias: Where each bias starts (Section 5).
        norm: Whether local response normalisation follows (Section 3.3).
        pool: Whether max-pooling follows (Section 3.4).

    Examples:
        >>> from backbones.alexnet.spec import ALEXNET
        >>> conv1 = ALEXNET.convs[0]
        >>> conv1.channels, conv1.kernel, conv1.stride
        (96, 11, 4)
    """

    channels: int
    kernel: int
    stride: int = 1
    padding: ZeroOrMore = 0
    groups: int = 1
    bias: float = 0.0
    norm: bool = False
    pool: bool = False


@dataclass(frozen=True, kw_only=True)
class AlexNetSpec(Spec):
    """One form of AlexNet (Krizhevsky, Sutskever and Hinton 2012, Section 3.5 and Fig. 2).

    `alexnet_owt` is the form in one column: Krizhevsky 2014, arXiv:1404.5997.

    Attributes:
        convs: The convolutions, conv1 to conv5.
        hidden: Units of the two hidden dense layers, fc6 and fc7.
        hidden_bias: Where their biases start (Section 5).
        dropout: Share of their outputs that training sets to zero (Section 4.2).
        init_std: Standard deviation of the initial weights (Section 5); 0 for the rule of He et al. 2015,
            sqrt(2 / fan-in) (arXiv:1502.01852, Eq. 10).

    Examples:
        >>> from backbones.alexnet.spec import ALEXNET
        >>> [conv.channels for conv in ALEXNET.convs], ALEXNET.hidden
        ([96, 256, 384, 384, 256], (4096, 4096))
    """

    convs: tuple[Conv, ...]
    hidden: tuple[int, int] = (4096, 4096)
    hidden_bias: float = 1.0
    dropout: Share = 0.5
    init_std: NotNegative = 0.01


# Windows that overlap: 3 wide, 2 apart (Section 3.4).
POOL_KERNEL, POOL_STRIDE = 3, 2

# Section 3.3: each value is divided by (K + ALPHA * sum of squares over NEIGHBOURS maps) ** BETA.
NEIGHBOURS, K, ALPHA, BETA = 5, 2.0, 1e-4, 0.75

# Section 3.5. The paper says 224 x 224; 227 is the smallest side that gives its 55 x 55 maps without padding.
ALEXNET = AlexNetSpec(
    name="alexnet",
    input_size=227,
    convs=(
        Conv(channels=96, kernel=11, stride=4, norm=True, pool=True),
        Conv(channels=256, kernel=5, padding=2, groups=2, bias=1.0, norm=True, pool=True),
        Conv(channels=384, kernel=3, padding=1),
        Conv(channels=384, kernel=3, padding=1, groups=2, bias=1.0),
        Conv(channels=256, kernel=3, padding=1, groups=2, bias=1.0, pool=True),
    ),
    published_parameters=60_965_224,
)

# Krizhevsky 2014: one column, fewer maps. Its footnote 1 gives conv4 384 maps; the author's own configuration
# (cuda-convnet2, layers-imagenet-1gpu.cfg) and torchvision, which made this form known, have 256, and so has ours. As
# in torchvision, and unlike in that configuration, there is no normalisation, and zeros surround the image.
ALEXNET_OWT = AlexNetSpec(
    name="alexnet_owt",
    convs=(
        Conv(channels=64, kernel=11, stride=4, padding=2, pool=True),
        Conv(channels=192, kernel=5, padding=2, bias=1.0, pool=True),
        Conv(channels=384, kernel=3, padding=1),
        Conv(channels=256, kernel=3, padding=1, bias=1.0),
        Conv(channels=256, kernel=3, padding=1, bias=1.0, pool=True),
    ),
    published_parameters=61_100_840,
)

# For 28 x 28 grey images: the five convolutions, overlapping pooling, ReLU and dropout stay. Deviations:
# stride 1 and a smaller first kernel, since there are few pixels; no normalisation; He et al.'s initial weights.
ALEXNET_MINI = AlexNetSpec(
    name="alexnet_mini",
    input_size=28,
    num_classes=10,
    in_channels=1,
    convs=(
        Conv(channels=32, kernel=5, padding=2, pool=True),
        Conv(channels=64, kernel=5, padding=2, pool=True),
        Conv(channels=96, kernel=3, padding=1),
        Conv(channels=96, kernel=3, padding=1),
        Conv(channels=64, kernel=3, padding=1, pool=True),
    ),
    hidden=(256, 256),
    hidden_bias=0.0,
    init_std=0.0,
)

VARIANTS = {spec.name: spec for spec in (ALEXNET, ALEXNET_OWT, ALEXNET_MINI)}


def describe(spec: AlexNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """Tell the ledger the net, layer by layer, under the names that both frameworks use."""
    x = describe_features(spec, net, x)
    x = net.flatten(x, "flatten")
    for i, units in enumerate(spec.hidden, start=6):
        x = net.linear(x, f"fc{i}", units)
        x = net.activation(x, f"relu{i}", "ReLU")
        x = net.dropout(x, f"drop{i}")
    return net.linear(x, "fc8", spec.num_classes)


def describe_features(spec: AlexNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """The convolutional part. Its last map is what the dense layers see."""
    for i, conv in enumerate(spec.convs, start=1):
        x = net.conv(
            x,
            f"conv{i}",
            conv.channels,
            conv.kernel,
            stride=conv.stride,
            padding=conv.padding,
            groups=conv.groups,
        )
        x = net.activation(x, f"relu{i}", "ReLU")
        net.feature(x, f"conv{i}")
        if conv.norm:
            x = net.local_response_norm(x, f"norm{i}")
        if conv.pool:
            x = net.max_pool(x, f"pool{i}", POOL_KERNEL, stride=POOL_STRIDE)
    return net.feature(x, "features")
