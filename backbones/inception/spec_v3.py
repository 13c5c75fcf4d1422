"""Inception v3 as data, shared by the PyTorch and the Keras file.

Source: C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for
Computer Vision", arXiv:1512.00567, 2015. Table 1 outlines the net, Fig. 5, 6 and 7 show its blocks, Fig. 10 how
the map is halved, Section 4 the auxiliary head. The numbers of maps inside the blocks are not in the paper: they
are those of its authors' published code, which torchvision and Keras follow. Layer names are torchvision's.
"""

from __future__ import annotations

from dataclasses import dataclass

from backbones.checks import NotNegative, Share
from backbones.errors import BackbonesError, require_known
from backbones.inception.blocks_v3 import MIXED_6A, MIXED_7A, Block, Conv, square, thin, wide
from backbones.ledger import Ledger
from backbones.spec import Spec
from backbones.summary import FeatureMap


@dataclass(frozen=True, kw_only=True)
class InceptionV3Spec(Spec):
    """Inception v3 (Szegedy et al. 2015, arXiv:1512.00567, Table 1 and Section 6).

    The numbers of maps inside the blocks are not in the paper: they are those of its authors' published code.

    Attributes:
        stem: The convolutions before the blocks.
        pooled: Those of them that max-pooling follows.
        blocks: The Inception blocks, in order.
        dropout: Share of the last features that training sets to zero.
        auxiliary: Whether there is an auxiliary head.
        auxiliary_weight: What its loss counts beside that of the main head.
        pool_counts_padding: Whether the mean at a map's border counts the zeros around it. It does in
            torchvision, whose weights were trained otherwise, and here; it does not in Keras.

    Examples:
        >>> from backbones.inception.spec_v3 import INCEPTION_V3
        >>> len(INCEPTION_V3.blocks), [block.name for block in INCEPTION_V3.blocks if block.head]
        (11, ['mixed_6e'])
    """

    stem: tuple[Conv, ...]
    pooled: tuple[str, str]
    blocks: tuple[Block, ...]
    dropout: Share = 0.5  # torchvision's; the authors' published code has 0.2
    auxiliary: bool = True  # Section 4: it regularises
    auxiliary_weight: NotNegative = 0.3  # GoogLeNet's (Szegedy et al. 2014, Section 5); the paper gives none
    pool_counts_padding: bool = True  # so that torchvision's weights give what they give there


# Of every BatchNorm. The paper gives none: it is that of the authors' code, torchvision and Keras.
EPSILON = 1e-3

# The auxiliary head: 5 x 5 means, 3 apart, as in GoogLeNet (Szegedy et al. 2014, Section 5), then these two.
HEAD = (
    Conv(name="conv0", channels=128),
    Conv(name="conv1", channels=768, kernel=5, same=False),
)

INCEPTION_V3 = InceptionV3Spec(
    name="inception_v3",
    input_size=299,
    stem=(
        Conv(name="conv2d_1a_3x3", channels=32, kernel=3, stride=2, same=False),
        Conv(name="conv2d_2a_3x3", channels=32, kernel=3, same=False),
        Conv(name="conv2d_2b_3x3", channels=64, kernel=3),
        Conv(name="conv2d_3b_1x1", channels=80),
        Conv(name="conv2d_4a_3x3", channels=192, kernel=3, same=False),
    ),
    pooled=("conv2d_2b_3x3", "conv2d_4a_3x3"),
    blocks=(
        square("mixed_5b", project=32),
        square("mixed_5c", project=64),
        square("mixed_5d", project=64),
        MIXED_6A,
        thin("mixed_6b", channels=128),
        thin("mixed_6c", channels=160),
        thin("mixed_6d", channels=160),
        thin("mixed_6e", channels=192, head=True),
        MIXED_7A,
        wide("mixed_7b"),
        wide("mixed_7c"),
    ),
    published_parameters=23_834_568,
)


def describe(spec: InceptionV3Spec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """Tell the ledger the net, layer by layer, under the names that both frameworks use."""
    for name in spec.pooled:
        require_known("convolution in pooled", name, (conv.name for conv in spec.stem))
    for conv in spec.stem:
        x = _describe_conv(conv, net, x, conv.name)
        if conv.name in spec.pooled:
            x = net.max_pool(x, f"maxpool{spec.pooled.index(conv.name) + 1}", 3, stride=2)
    net.feature(x, "stem")
    for block in spec.blocks:
        x = _describe_block(block, net, x)
        net.feature(x, block.name)
        if block.head and spec.auxiliary:
            with net.auxiliary():
                _describe_head(spec, net, x)
    x = net.global_avg_pool(x, "avgpool")
    x = net.flatten(x, "flatten")
    x = net.dropout(x, "dropout")
    return net.linear(x, "fc", spec.num_classes)


def _describe_conv(conv: Conv, net: Ledger, x: FeatureMap, name: str) -> FeatureMap:
    out = net.conv(
        x, f"{name}.conv", conv.channels, conv.kernel, stride=conv.stride, padding=conv.padding, bias=False
    )
    if conv.same and out.shape[1:] != x.shape[1:]:
        raise BackbonesError(f"{name}: to keep the map's size, a window must be odd and its stride 1")
    x = net.batch_norm(out, f"{name}.bn")
    return net.activation(x, f"{name}.relu", "ReLU")


def _describe_block(block: Block, net: Ledger, x: FeatureMap) -> FeatureMap:
    outputs = []
    for branch in block.branches:
        y = x
        for conv in branch.convs:
            y = _describe_conv(conv, net, y, f"{block.name}.{conv.name}")
        outputs += [_describe_conv(c, net, y, f"{block.name}.{c.name}") for c in branch.fork] or [y]
    if block.project:
        y = net.avg_pool(x, f"{block.name}.pool", 3, stride=1, padding=1)
        projection = Conv(name="branch_pool", channels=block.project)
        outputs.append(_describe_conv(projection, net, y, f"{block.name}.branch_pool"))
    else:
        outputs.append(net.max_pool(x, f"{block.name}.pool", 3, stride=2))
    return net.concat(outputs, block.name)


def _describe_head(spec: InceptionV3Spec, net: Ledger, x: FeatureMap) -> FeatureMap:
    x = net.avg_pool(x, "auxlogits.pool", 5, stride=3)
    for conv in HEAD:
        x = _describe_conv(conv, net, x, f"auxlogits.{conv.name}")
    x = net.global_avg_pool(x, "auxlogits.avgpool")
    x = net.flatten(x, "auxlogits.flatten")
    return net.linear(x, "auxlogits.fc", spec.num_classes)
