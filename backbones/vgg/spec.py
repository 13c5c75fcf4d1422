"""VGG as data, shared by the PyTorch and the Keras file.

Source: K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition",
arXiv:1409.1556, 2014. Table 1 lists the nets A to E, Table 2 their parameters, Section 3.1 the training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from backbones.checks import Share
from backbones.ledger import Ledger
from backbones.spec import Spec, stages
from backbones.summary import FeatureMap


@dataclass(frozen=True, kw_only=True)
class VGGSpec(Spec):
    """One column of Table 1 (Simonyan and Zisserman 2014, arXiv:1409.1556).

    Attributes:
        blocks: How many convolutions each block has; max-pooling ends it.
        channels: Maps of each block's convolutions.
        hidden: Units of the hidden dense layers, fc6 and fc7 in the paper.
        batch_norm: Whether each convolution is followed by BatchNorm (which the paper does not have).
        dropout: Share of the hidden units' outputs that training sets to zero (Section 3.1).

    Examples:
        >>> from backbones.vgg.spec import VGG16
        >>> VGG16.blocks, sum(VGG16.blocks) + len(VGG16.hidden) + 1
        ((2, 2, 3, 3, 3), 16)
    """

    blocks: tuple[int, ...]
    channels: tuple[int, ...] = (64, 128, 256, 512, 512)
    hidden: tuple[int, ...] = (4096, 4096)
    batch_norm: bool = False
    dropout: Share = 0.5


# Table 1: every window is 3 x 3, padded by 1; every pooling window is 2 x 2, without overlap.
KERNEL, POOL = 3, 2

VGG11 = VGGSpec(name="vgg11", blocks=(1, 1, 2, 2, 2), published_parameters=132_863_336)  # A
VGG13 = VGGSpec(name="vgg13", blocks=(2, 2, 2, 2, 2), published_parameters=133_047_848)  # B
VGG16 = VGGSpec(name="vgg16", blocks=(2, 2, 3, 3, 3), published_parameters=138_357_544)  # D
VGG19 = VGGSpec(name="vgg19", blocks=(2, 2, 4, 4, 4), published_parameters=143_667_240)  # E

# For 28 x 28 grey images: pairs of 3 x 3 windows, maps doubled after each pooling. Deviations: three blocks,
# since three poolings take 28 pixels to 3; BatchNorm; one small hidden dense layer.
VGG_MINI = VGGSpec(
    name="vgg_mini",
    input_size=28,
    num_classes=10,
    in_channels=1,
    blocks=(2, 2, 2),
    channels=(32, 64, 128),
    hidden=(128,),
    batch_norm=True,
)


def with_batch_norm(spec: VGGSpec) -> VGGSpec:
    """The same net with BatchNorm. The literature's count follows: two more weights for each map."""
    more = sum(2 * count * maps for count, maps in zip(spec.blocks, spec.channels, strict=True))
    total = (spec.published_parameters or 0) + more
    return replace(spec, name=f"{spec.name}_bn", batch_norm=True, published_parameters=total)


PAPER = (VGG11, VGG13, VGG16, VGG19)
VARIANTS = {spec.name: spec for spec in (*PAPER, *map(with_batch_norm, PAPER), VGG_MINI)}


def describe(spec: VGGSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """Tell the ledger the net, layer by layer, under the names that both frameworks use."""
    x = describe_features(spec, net, x)
    x = net.flatten(x, "flatten")
    for i, units in enumerate(spec.hidden, start=6):
        x = net.linear(x, f"fc{i}", units)
        x = net.activation(x, f"relu{i}", "ReLU")
        x = net.dropout(x, f"drop{i}")
    return net.linear(x, f"fc{6 + len(spec.hidden)}", spec.num_classes)


def describe_features(spec: VGGSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """The convolutional part. Its last map is what the dense layers see."""
    for block, (count, channels) in enumerate(stages(spec.blocks, spec.channels), start=1):
        for i in range(1, count + 1):
            x = net.conv(x, f"conv{block}_{i}", channels, KERNEL, padding=KERNEL // 2)
            if spec.batch_norm:
                x = net.batch_norm(x, f"bn{block}_{i}")
            x = net.activation(x, f"relu{block}_{i}", "ReLU")
        x = net.max_pool(x, f"pool{block}", POOL, stride=POOL)
        net.feature(x, f"block{block}")
    return x
