"""ResNet as data, shared by the PyTorch and the Keras file.

Source: K. He, X. Zhang, S. Ren, J. Sun, "Deep Residual Learning for Image Recognition", arXiv:1512.03385,
2015. Table 1 lists the nets for ImageNet, Section 4.2 describes those for small images, Section 3.3 the plain
nets, Section 3.2 and Section 4.1 the shortcuts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from backbones.ledger import Ledger
from backbones.spec import Spec, stages
from backbones.summary import FeatureMap


@dataclass(frozen=True, kw_only=True)
class ResNetSpec(Spec):
    """One column of Table 1, or one net of Section 4.2 (He, Zhang, Ren and Sun 2015, arXiv:1512.03385).

    Attributes:
        blocks: How many residual blocks each stage has. All stages but the first halve the map.
        channels: Maps of each stage's 3 x 3 convolutions.
        bottleneck: Whether a block is 1 x 1, 3 x 3, 1 x 1 with four times the maps at its end (Fig. 5 right),
            or 3 x 3, 3 x 3 (Fig. 5 left).
        stride_in_1x1: Whether a bottleneck that halves the map does so in its first 1 x 1 convolution, as in
            the authors' models ("v1"; Table 1 names only the block), or in its 3 x 3 ("v1.5"), which looks at
            every pixel. torchvision chose v1.5, and so do we; Keras has v1.
        small_images: Whether the stem is one 3 x 3 convolution (Section 4.2), or 7 x 7 with stride 2 and
            pooling (Table 1).
        shortcut: What leads around a block that changes the map's shape: `"projection"` is a strided 1 x 1
            convolution (option B of Section 4.1), `"padding"` drops pixels and adds maps of zeros
            (option A, no parameters), `"none"` leaves out every shortcut of the net: a plain net.

    Examples:
        >>> from backbones.resnet.spec import VARIANTS
        >>> VARIANTS["resnet50"].blocks, VARIANTS["resnet20"].shortcut
        ((3, 4, 6, 3), 'padding')
    """

    blocks: tuple[int, ...]
    channels: tuple[int, ...] = (64, 128, 256, 512)
    bottleneck: bool = False
    stride_in_1x1: bool = False
    small_images: bool = False
    shortcut: Literal["projection", "padding", "none"] = "projection"


# Fig. 5: a bottleneck ends with four times the maps of its 3 x 3 convolution.
EXPANSION = 4

Bottlenecks = partial(ResNetSpec, bottleneck=True)
SmallImages = partial(
    ResNetSpec,
    channels=(16, 32, 64),
    small_images=True,
    shortcut="padding",
    input_size=32,
    num_classes=10,
)

VARIANTS = {
    spec.name: spec
    for spec in (
        ResNetSpec(name="resnet18", blocks=(2, 2, 2, 2), published_parameters=11_689_512),
        ResNetSpec(name="resnet34", blocks=(3, 4, 6, 3), published_parameters=21_797_672),
        Bottlenecks(name="resnet50", blocks=(3, 4, 6, 3), published_parameters=25_557_032),
        Bottlenecks(name="resnet101", blocks=(3, 4, 23, 3), published_parameters=44_549_160),
        Bottlenecks(name="resnet152", blocks=(3, 8, 36, 3), published_parameters=60_192_808),
        # Section 4.2: 6n + 2 layers. The paper gives 0.27, 0.46, 0.66, 0.85 and 1.7 million (Table 6).
        SmallImages(name="resnet20", blocks=(3, 3, 3), published_parameters=269_722),
        SmallImages(name="resnet32", blocks=(5, 5, 5)),
        SmallImages(name="resnet44", blocks=(7, 7, 7)),
        SmallImages(name="resnet56", blocks=(9, 9, 9)),
        SmallImages(name="resnet110", blocks=(18, 18, 18)),
        SmallImages(name="plain20", blocks=(3, 3, 3), shortcut="none", published_parameters=269_722),
        SmallImages(name="plain56", blocks=(9, 9, 9), shortcut="none"),
    )
}


def stride_of(stage: int, block: int) -> int:
    """2 where a block halves the map: the first of every stage but the first. Both count from 1 and 0."""
    return 2 if stage > 1 and block == 0 else 1


def describe(spec: ResNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """Tell the ledger the net, layer by layer, under the names that both frameworks use."""
    parts = stages(spec.blocks, spec.channels)
    x = _describe_stem(spec, net, x)
    describe_block = _describe_bottleneck if spec.bottleneck else _describe_basic
    for stage, (count, channels) in enumerate(parts, start=1):
        for block in range(count):
            name = f"layer{stage}.{block}"
            x = describe_block(spec, net, x, name, channels, stride_of(stage, block))
        net.feature(x, f"layer{stage}")
    x = net.global_avg_pool(x, "avgpool")
    x = net.flatten(x, "flatten")
    return net.linear(x, "fc", spec.num_classes)


def _describe_stem(spec: ResNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    if spec.small_images:
        x = net.conv(x, "conv1", spec.channels[0], 3, padding=1, bias=False)
    else:
        x = net.conv(x, "conv1", spec.channels[0], 7, stride=2, padding=3, bias=False)
    x = net.batch_norm(x, "bn1")
    x = net.activation(x, "relu1", "ReLU")
    net.feature(x, "conv1")
    return x if spec.small_images else net.max_pool(x, "pool1", 3, stride=2, padding=1)


def _describe_basic(
    spec: ResNetSpec, net: Ledger, x: FeatureMap, name: str, channels: int, stride: int
) -> FeatureMap:
    start = x
    x = net.conv(x, f"{name}.conv1", channels, 3, stride=stride, padding=1, bias=False)
    x = net.batch_norm(x, f"{name}.bn1")
    x = net.activation(x, f"{name}.relu1", "ReLU")
    x = net.conv(x, f"{name}.conv2", channels, 3, padding=1, bias=False)
    x = net.batch_norm(x, f"{name}.bn2")
    x = _describe_shortcut(spec, net, start, x, name, stride)
    return net.activation(x, f"{name}.relu2", "ReLU")


def _describe_bottleneck(
    spec: ResNetSpec, net: Ledger, x: FeatureMap, name: str, channels: int, stride: int
) -> FeatureMap:
    start = x
    first, second = (stride, 1) if spec.stride_in_1x1 else (1, stride)
    x = net.conv(x, f"{name}.conv1", channels, 1, stride=first, bias=False)
    x = net.batch_norm(x, f"{name}.bn1")
    x = net.activation(x, f"{name}.relu1", "ReLU")
    x = net.conv(x, f"{name}.conv2", channels, 3, stride=second, padding=1, bias=False)
    x = net.batch_norm(x, f"{name}.bn2")
    x = net.activation(x, f"{name}.relu2", "ReLU")
    x = net.conv(x, f"{name}.conv3", EXPANSION * channels, 1, bias=False)
    x = net.batch_norm(x, f"{name}.bn3")
    x = _describe_shortcut(spec, net, start, x, name, stride)
    return net.activation(x, f"{name}.relu3", "ReLU")


def _describe_shortcut(
    spec: ResNetSpec, net: Ledger, start: FeatureMap, x: FeatureMap, name: str, stride: int
) -> FeatureMap:
    if spec.shortcut == "none":
        return x
    reshapes = stride > 1 or start.channels != x.channels
    if reshapes and spec.shortcut == "padding":
        start = net.pad_shortcut(start, f"{name}.downsample", x.channels, stride=stride)
    elif reshapes:
        start = net.conv(start, f"{name}.downsample.0", x.channels, 1, stride=stride, bias=False)
        start = net.batch_norm(start, f"{name}.downsample.1")
    return net.add(x, start, f"{name}.add")
