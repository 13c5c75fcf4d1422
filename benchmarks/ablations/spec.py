"""The net that is changed in one place at a time, as data. No paper's: as small as the questions allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backbones.ledger import Ledger, summarize
from backbones.spec import Spec
from backbones.summary import FeatureMap, Summary


@dataclass(frozen=True, kw_only=True)
class SmallNetSpec(Spec):
    """Stages of convolutions, each on a map of half the side of the one before, then dense layers.

    Attributes:
        channels: Maps of each stage's convolutions. Without any, dense layers see the pixels.
        depth: Convolutions per stage.
        kernel: Side of their windows.
        activation: What follows each layer but the last.
        downsample: What halves the map between two stages: pooling by maximum or mean, or the next
            stage's first convolution, with stride 2.
        norm: What follows each convolution, before the activation ("batch") or behind it ("local").
        average: Whether the head sees each last map's mean, or all its values.
        hidden: Units of the hidden dense layers.
        dropout: Share of their outputs that training sets to zero.
        init: Standard deviation of the initial weights: "he" is sqrt(2 / inputs), "xavier" is
            sqrt(2 / (inputs + outputs)), "small" is 0.01.
    """

    name: str = "small_net"
    input_size: int = 28
    num_classes: int = 10
    in_channels: int = 1
    channels: tuple[int, ...] = (8, 16, 32)
    depth: int = 1
    kernel: int = 3
    activation: Literal["relu", "tanh", "sigmoid", "linear"] = "relu"
    downsample: Literal["max", "mean", "stride"] = "max"
    norm: Literal["none", "batch", "local"] = "none"
    average: bool = False
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    init: Literal["he", "xavier", "small"] = "he"


def stride_of(spec: SmallNetSpec, stage: int, i: int) -> int:
    """2 where a convolution halves the map. Both count from 1."""
    return 2 if spec.downsample == "stride" and stage > 1 and i == 1 else 1


def pools_before(spec: SmallNetSpec, stage: int) -> bool:
    """Whether a stage begins with a pooling."""
    return spec.downsample != "stride" and stage > 1


def summary_of(spec: SmallNetSpec) -> Summary:
    """The net's ledger: parameters, multiply-adds, receptive field."""
    start = FeatureMap(spec.in_channels, spec.input_size, spec.input_size)
    return summarize(spec.name, lambda net, x: describe(spec, net, x), start)


def describe(spec: SmallNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """Tell the ledger the net, layer by layer, under the names that both frameworks use."""
    x = describe_features(spec, net, x)
    for i, units in enumerate(spec.hidden, start=1):
        x = net.linear(x, f"fc{i}", units)
        x = net.activation(x, f"act{i}", spec.activation)
        x = net.dropout(x, f"drop{i}")
    return net.linear(x, "fc", spec.num_classes)


def describe_features(spec: SmallNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """All before the first dense layer."""
    for stage, channels in enumerate(spec.channels, start=1):
        if pools_before(spec, stage):
            x = net.max_pool(x, f"pool{stage}", 2, stride=2)
        for i in range(1, spec.depth + 1):
            name = f"{stage}_{i}"
            stride = stride_of(spec, stage, i)
            x = net.conv(x, f"conv{name}", channels, spec.kernel, stride=stride, padding=spec.kernel // 2)
            x = net.batch_norm(x, f"norm{name}") if spec.norm == "batch" else x
            x = net.activation(x, f"act{name}", spec.activation)
            x = net.local_response_norm(x, f"norm{name}") if spec.norm == "local" else x
    x = net.global_avg_pool(x, "avgpool") if spec.average else x
    return net.flatten(x, "flatten")
