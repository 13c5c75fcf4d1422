"""GoogLeNet (Inception v1) as data, shared by the PyTorch and the Keras file. Inception v3: `spec_v3.py`.

Source: C. Szegedy et al., "Going Deeper with Convolutions", arXiv:1409.4842, 2014. Table 1 lists the net,
Fig. 2(b) shows its block, Section 5 describes the auxiliary heads.
"""

from __future__ import annotations

from dataclasses import dataclass

from backbones.checks import NotNegative, Share
from backbones.errors import BackbonesError
from backbones.inception import spec_v3
from backbones.ledger import Ledger
from backbones.spec import Spec
from backbones.summary import FeatureMap


@dataclass(frozen=True, kw_only=True)
class Block:
    """One Inception block: four branches side by side (Szegedy et al. 2014, arXiv:1409.4842, Fig. 2(b)).

    The numbers are a row of Table 1.

    Attributes:
        name: As in the table.
        conv1: Maps of the 1 x 1 branch.
        reduce3: Maps of the 1 x 1 convolution before the 3 x 3.
        conv3: Maps of the 3 x 3.
        reduce5: Maps of the 1 x 1 convolution before the 5 x 5.
        conv5: Maps of the 5 x 5.
        project: Maps of the 1 x 1 convolution behind the pooling branch.
        pool: Whether max-pooling that halves the map follows the block.
        head: Whether an auxiliary head looks at the block's output (Section 5).

    Examples:
        >>> from backbones.inception.spec import GOOGLENET
        >>> block = GOOGLENET.blocks[0]
        >>> block.name, block.conv1 + block.conv3 + block.conv5 + block.project
        ('inception3a', 256)
    """

    name: str
    conv1: int
    reduce3: int
    conv3: int
    reduce5: int
    conv5: int
    project: int
    pool: bool = False
    head: bool = False


@dataclass(frozen=True, kw_only=True)
class GoogLeNetSpec(Spec):
    """One form of GoogLeNet (Szegedy et al. 2014, arXiv:1409.4842, Table 1 and Section 5).

    Attributes:
        blocks: The Inception blocks, in order.
        small_images: Whether the stem is one 3 x 3 convolution and pooling, or that of Table 1.
        stem: Maps of the stem's convolutions.
        batch_norm: Whether BatchNorm follows each convolution (which the paper does not have).
        dropout: Share of the last features that training sets to zero.
        auxiliary: Whether there are auxiliary heads.
        auxiliary_weight: What their losses count beside that of the main head.

    Examples:
        >>> from backbones.inception.spec import GOOGLENET
        >>> len(GOOGLENET.blocks), GOOGLENET.heads
        (9, ('inception4a', 'inception4d'))
    """

    blocks: tuple[Block, ...]
    small_images: bool = False
    stem: tuple[int, ...] = (64, 64, 192)  # Table 1
    batch_norm: bool = False
    dropout: Share = 0.4  # Table 1
    auxiliary: bool = True  # Section 5
    auxiliary_weight: NotNegative = 0.3  # Section 5

    @property
    def heads(self) -> tuple[str, ...]:
        """The blocks that an auxiliary head looks at."""
        return tuple(block.name for block in self.blocks if block.head) if self.auxiliary else ()


# Section 5: an auxiliary head averages 5 x 5 windows, 3 apart, reduces to 128 maps, and has 1024 hidden units.
HEAD_POOL, HEAD_STRIDE, HEAD_MAPS, HEAD_UNITS, HEAD_DROPOUT = 5, 3, 128, 1024, 0.7

# 6,998,552 parameters follow from the widths in Table 1. The table's own column of parameters adds up to 6.8 million,
# and differs by more than rounding in some rows (block 4c: 463 thousand for 510,104).
GOOGLENET = GoogLeNetSpec(
    name="googlenet",
    blocks=(
        Block(name="inception3a", conv1=64, reduce3=96, conv3=128, reduce5=16, conv5=32, project=32),
        Block(
            name="inception3b", conv1=128, reduce3=128, conv3=192, reduce5=32, conv5=96, project=64, pool=True
        ),
        Block(
            name="inception4a", conv1=192, reduce3=96, conv3=208, reduce5=16, conv5=48, project=64, head=True
        ),
        Block(name="inception4b", conv1=160, reduce3=112, conv3=224, reduce5=24, conv5=64, project=64),
        Block(name="inception4c", conv1=128, reduce3=128, conv3=256, reduce5=24, conv5=64, project=64),
        Block(
            name="inception4d", conv1=112, reduce3=144, conv3=288, reduce5=32, conv5=64, project=64, head=True
        ),
        Block(
            name="inception4e",
            conv1=256,
            reduce3=160,
            conv3=320,
            reduce5=32,
            conv5=128,
            project=128,
            pool=True,
        ),
        Block(name="inception5a", conv1=256, reduce3=160, conv3=320, reduce5=32, conv5=128, project=128),
        Block(name="inception5b", conv1=384, reduce3=192, conv3=384, reduce5=48, conv5=128, project=128),
    ),
    published_parameters=6_998_552,
)

# For 28 x 28 grey images: the block with its four branches and its 1 x 1 reductions stays. Deviations: a stem of
# one convolution, four blocks, BatchNorm, no auxiliary heads.
GOOGLENET_MINI = GoogLeNetSpec(
    name="googlenet_mini",
    input_size=28,
    num_classes=10,
    in_channels=1,
    small_images=True,
    stem=(64,),
    blocks=(
        Block(name="inception3a", conv1=32, reduce3=32, conv3=64, reduce5=16, conv5=32, project=32),
        Block(
            name="inception3b", conv1=64, reduce3=48, conv3=96, reduce5=16, conv5=48, project=48, pool=True
        ),
        Block(name="inception4a", conv1=96, reduce3=64, conv3=128, reduce5=24, conv5=64, project=64),
        Block(name="inception4b", conv1=128, reduce3=96, conv3=192, reduce5=32, conv5=96, project=96),
    ),
    batch_norm=True,
    auxiliary=False,
)

VARIANTS: dict[str, GoogLeNetSpec | spec_v3.InceptionV3Spec] = {
    spec.name: spec for spec in (GOOGLENET, GOOGLENET_MINI, spec_v3.INCEPTION_V3)
}


def describe(spec: GoogLeNetSpec | spec_v3.InceptionV3Spec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """Tell the ledger the net, layer by layer, under the names that both frameworks use."""
    if isinstance(spec, spec_v3.InceptionV3Spec):
        return spec_v3.describe(spec, net, x)
    x = _describe_stem(spec, net, x)
    net.feature(x, "stem")
    for block in spec.blocks:
        x = _describe_block(spec, block, net, x)
        net.feature(x, block.name)
        if block.name in spec.heads:
            with net.auxiliary():
                _describe_head(spec, net, x, f"aux{block.name[-2:]}")
        if block.pool:
            x = net.max_pool(x, f"pool{block.name[-2:]}", 3, stride=2, ceil=True)
    x = net.global_avg_pool(x, "avgpool")
    x = net.flatten(x, "flatten")
    x = net.dropout(x, "drop")
    return net.linear(x, "fc", spec.num_classes)


def _describe_stem(spec: GoogLeNetSpec, net: Ledger, x: FeatureMap) -> FeatureMap:
    convs = 1 if spec.small_images else 3
    if len(spec.stem) != convs:
        raise BackbonesError(
            f"stem must be a tuple of {convs} where small_images is {spec.small_images}, not {spec.stem}"
        )
    if spec.small_images:
        x = _describe_conv(spec, net, x, "stem.conv1", spec.stem[0], 3)
        return net.max_pool(x, "stem.pool1", 3, stride=2, ceil=True)
    x = _describe_conv(spec, net, x, "stem.conv1", spec.stem[0], 7, stride=2)
    x = net.max_pool(x, "stem.pool1", 3, stride=2, ceil=True)
    x = net.local_response_norm(x, "stem.norm1")
    x = _describe_conv(spec, net, x, "stem.conv2", spec.stem[1], 1)
    x = _describe_conv(spec, net, x, "stem.conv3", spec.stem[2], 3)
    x = net.local_response_norm(x, "stem.norm2")
    return net.max_pool(x, "stem.pool2", 3, stride=2, ceil=True)


def _describe_conv(
    spec: GoogLeNetSpec, net: Ledger, x: FeatureMap, name: str, channels: int, kernel: int, stride: int = 1
) -> FeatureMap:
    x = net.conv(
        x, f"{name}.conv", channels, kernel, stride=stride, padding=kernel // 2, bias=not spec.batch_norm
    )
    if spec.batch_norm:
        x = net.batch_norm(x, f"{name}.bn")
    return net.activation(x, f"{name}.relu", "ReLU")


def _describe_block(spec: GoogLeNetSpec, block: Block, net: Ledger, x: FeatureMap) -> FeatureMap:
    name = block.name
    one = _describe_conv(spec, net, x, f"{name}.conv1", block.conv1, 1)
    three = _describe_conv(spec, net, x, f"{name}.reduce3", block.reduce3, 1)
    three = _describe_conv(spec, net, three, f"{name}.conv3", block.conv3, 3)
    five = _describe_conv(spec, net, x, f"{name}.reduce5", block.reduce5, 1)
    five = _describe_conv(spec, net, five, f"{name}.conv5", block.conv5, 5)
    pooled = net.max_pool(x, f"{name}.pool", 3, stride=1, padding=1)
    pooled = _describe_conv(spec, net, pooled, f"{name}.project", block.project, 1)
    return net.concat([one, three, five, pooled], name)


def _describe_head(spec: GoogLeNetSpec, net: Ledger, x: FeatureMap, name: str) -> FeatureMap:
    x = net.avg_pool(x, f"{name}.pool", HEAD_POOL, stride=HEAD_STRIDE)
    x = _describe_conv(spec, net, x, f"{name}.reduce", HEAD_MAPS, 1)
    x = net.flatten(x, f"{name}.flatten")
    x = net.linear(x, f"{name}.fc1", HEAD_UNITS)
    x = net.activation(x, f"{name}.relu", "ReLU")
    x = net.dropout(x, f"{name}.drop")
    return net.linear(x, f"{name}.fc2", spec.num_classes)


def head_inputs(spec: GoogLeNetSpec) -> int:
    """Values that an auxiliary head's first dense layer sees: 2048 = 128 x 4 x 4 in the paper."""
    net = Ledger()
    describe(spec, net, FeatureMap(spec.in_channels, spec.input_size, spec.input_size))
    return next(layer.output.size for layer in net.layers if layer.auxiliary and layer.type == "Flatten")
