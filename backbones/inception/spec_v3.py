"""Inception v3 as data, shared by the PyTorch and the Keras file.

Source: C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna, "Rethinking the Inception Architecture for
Computer Vision", arXiv:1512.00567, 2015. Table 1 outlines the net, Fig. 5, 6 and 7 show its blocks, Fig. 10 how
the map is halved, Section 4 the auxiliary head. The numbers of maps inside the blocks are not in the paper: they
are those of its authors' published code, which torchvision and Keras follow. Layer names are torchvision's.
"""

from __future__ import annotations

from dataclasses import dataclass

from backbones.ledger import Ledger
from backbones.spec import Spec
from backbones.summary import FeatureMap, Side, pair


@dataclass(frozen=True, kw_only=True)
class Conv:
    """One convolution, BatchNorm and ReLU.

    Attributes:
        name: Within its block.
        channels: Maps it gives.
        kernel: Side of its window, or its (height, width).
        stride: Step of its window.
        same: Whether zeros around the map keep its size.
    """

    name: str
    channels: int
    kernel: Side = 1
    stride: int = 1
    same: bool = True

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros above and below, left and right."""
        height, width = pair(self.kernel)
        return (height // 2, width // 2) if self.same else (0, 0)


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Convolutions behind each other; at their end, perhaps, two side by side.

    Attributes:
        convs: In order.
        fork: Both see what the last of `convs` gives.
    """

    convs: tuple[Conv, ...]
    fork: tuple[Conv, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Block:
    """Branches side by side, and one that pools.

    Attributes:
        name: Its name.
        branches: All but the last.
        project: Maps of the 1 x 1 convolution behind average pooling, or 0: max-pooling that halves the map.
        head: Whether the auxiliary head looks at the block's output.
    """

    name: str
    branches: tuple[Branch, ...]
    project: int = 0
    head: bool = False


@dataclass(frozen=True, kw_only=True)
class InceptionV3Spec(Spec):
    """Inception v3.

    Attributes:
        stem: The convolutions before the blocks.
        pooled: Those of them that max-pooling follows.
        blocks: The Inception blocks, in order.
        dropout: Share of the last features that training sets to zero.
        auxiliary: Whether there is an auxiliary head.
        auxiliary_weight: What its loss counts beside that of the main head.
        pool_counts_padding: Whether the mean at a map's border counts the zeros around it. It does in
            torchvision, whose weights were trained otherwise, and here; it does not in Keras.
    """

    stem: tuple[Conv, ...]
    pooled: tuple[str, ...]
    blocks: tuple[Block, ...]
    dropout: float = 0.5
    auxiliary: bool = True
    auxiliary_weight: float = 0.3
    pool_counts_padding: bool = True


EPSILON = 1e-3  # of every BatchNorm


def _square(name: str, project: int) -> Block:
    """Fig. 5: the 5 x 5 of GoogLeNet becomes two 3 x 3 in one branch."""
    return Block(
        name=name,
        branches=(
            Branch(convs=(Conv(name="branch1x1", channels=64),)),
            Branch(
                convs=(
                    Conv(name="branch5x5_1", channels=48),
                    Conv(name="branch5x5_2", channels=64, kernel=5),
                )
            ),
            Branch(
                convs=(
                    Conv(name="branch3x3dbl_1", channels=64),
                    Conv(name="branch3x3dbl_2", channels=96, kernel=3),
                    Conv(name="branch3x3dbl_3", channels=96, kernel=3),
                )
            ),
        ),
        project=project,
    )


def _thin(name: str, channels: int, head: bool = False) -> Block:
    """Fig. 6: 7 x 7 as 1 x 7 and 7 x 1."""
    return Block(
        name=name,
        branches=(
            Branch(convs=(Conv(name="branch1x1", channels=192),)),
            Branch(
                convs=(
                    Conv(name="branch7x7_1", channels=channels),
                    Conv(name="branch7x7_2", channels=channels, kernel=(1, 7)),
                    Conv(name="branch7x7_3", channels=192, kernel=(7, 1)),
                )
            ),
            Branch(
                convs=(
                    Conv(name="branch7x7dbl_1", channels=channels),
                    Conv(name="branch7x7dbl_2", channels=channels, kernel=(7, 1)),
                    Conv(name="branch7x7dbl_3", channels=channels, kernel=(1, 7)),
                    Conv(name="branch7x7dbl_4", channels=channels, kernel=(7, 1)),
                    Conv(name="branch7x7dbl_5", channels=192, kernel=(1, 7)),
                )
            ),
        ),
        project=192,
        head=head,
    )


def _wide(name: str) -> Block:
    """Fig. 7: 3 x 3 as 1 x 3 and 3 x 1 side by side."""
    return Block(
        name=name,
        branches=(
            Branch(convs=(Conv(name="branch1x1", channels=320),)),
            Branch(
                convs=(Conv(name="branch3x3_1", channels=384),),
                fork=(
                    Conv(name="branch3x3_2a", channels=384, kernel=(1, 3)),
                    Conv(name="branch3x3_2b", channels=384, kernel=(3, 1)),
                ),
            ),
            Branch(
                convs=(
                    Conv(name="branch3x3dbl_1", channels=448),
                    Conv(name="branch3x3dbl_2", channels=384, kernel=3),
                ),
                fork=(
                    Conv(name="branch3x3dbl_3a", channels=384, kernel=(1, 3)),
                    Conv(name="branch3x3dbl_3b", channels=384, kernel=(3, 1)),
                ),
            ),
        ),
        project=192,
    )


# Fig. 10: the map is halved by strided convolutions beside max-pooling.
MIXED_6A = Block(
    name="mixed_6a",
    branches=(
        Branch(convs=(Conv(name="branch3x3", channels=384, kernel=3, stride=2, same=False),)),
        Branch(
            convs=(
                Conv(name="branch3x3dbl_1", channels=64),
                Conv(name="branch3x3dbl_2", channels=96, kernel=3),
                Conv(name="branch3x3dbl_3", channels=96, kernel=3, stride=2, same=False),
            )
        ),
    ),
)
MIXED_7A = Block(
    name="mixed_7a",
    branches=(
        Branch(
            convs=(
                Conv(name="branch3x3_1", channels=192),
                Conv(name="branch3x3_2", channels=320, kernel=3, stride=2, same=False),
            )
        ),
        Branch(
            convs=(
                Conv(name="branch7x7x3_1", channels=192),
                Conv(name="branch7x7x3_2", channels=192, kernel=(1, 7)),
                Conv(name="branch7x7x3_3", channels=192, kernel=(7, 1)),
                Conv(name="branch7x7x3_4", channels=192, kernel=3, stride=2, same=False),
            )
        ),
    ),
)

# The auxiliary head: 5 x 5 means, 3 apart, then these two.
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
        _square("mixed_5b", project=32),
        _square("mixed_5c", project=64),
        _square("mixed_5d", project=64),
        MIXED_6A,
        _thin("mixed_6b", channels=128),
        _thin("mixed_6c", channels=160),
        _thin("mixed_6d", channels=160),
        _thin("mixed_6e", channels=192, head=True),
        MIXED_7A,
        _wide("mixed_7b"),
        _wide("mixed_7c"),
    ),
    published_parameters=23_834_568,
)


def describe(spec: InceptionV3Spec, net: Ledger, x: FeatureMap) -> FeatureMap:
    """Tell the ledger the net, layer by layer, under the names that both frameworks use."""
    for conv in spec.stem:
        x = _describe_conv(conv, net, x, conv.name)
        if conv.name in spec.pooled:
            x = net.max_pool(x, f"maxpool{spec.pooled.index(conv.name) + 1}", 3, stride=2)
    net.feature(x, "stem", net.layers[-1].name)
    for block in spec.blocks:
        x = _describe_block(block, net, x)
        net.feature(x, block.name, block.name)
        if block.head and spec.auxiliary:
            with net.auxiliary():
                _describe_head(spec, net, x)
    x = net.global_avg_pool(x, "avgpool")
    x = net.flatten(x, "flatten")
    x = net.dropout(x, "dropout")
    return net.linear(x, "fc", spec.num_classes)


def _describe_conv(conv: Conv, net: Ledger, x: FeatureMap, name: str) -> FeatureMap:
    x = net.conv(
        x, f"{name}.conv", conv.channels, conv.kernel, stride=conv.stride, padding=conv.padding, bias=False
    )
    x = net.batch_norm(x, f"{name}.bn")
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
