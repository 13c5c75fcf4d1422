"""The blocks of Inception v3 as data, which `spec_v3.py` puts behind each other.

Source: as there; Fig. 5, 6, 7 and 10.
"""

from __future__ import annotations

from dataclasses import dataclass

from backbones.checks import ZeroOrMore
from backbones.summary import Side, pair


@dataclass(frozen=True, kw_only=True)
class Conv:
    """One convolution, BatchNorm and ReLU of Inception v3 (Szegedy et al. 2015, arXiv:1512.00567, Section 6).

    Attributes:
        name: Within its block.
        channels: Maps it gives.
        kernel: Side of its window, or its (height, width).
        stride: Step of its window.
        same: Whether zeros around the map keep its size.

    Examples:
        >>> Conv(name="branch7x7_2", channels=192, kernel=(1, 7)).padding
        (0, 3)
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
        fork: Both see what the last of `convs` gives (Szegedy et al. 2015, arXiv:1512.00567, Fig. 7).

    Examples:
        >>> Branch(convs=(Conv(name="branch1x1", channels=64),)).fork
        ()
    """

    convs: tuple[Conv, ...]
    fork: tuple[Conv, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Block:
    """Branches side by side, and one that pools (Szegedy et al. 2015, arXiv:1512.00567, Fig. 5, 6, 7 and 10).

    Attributes:
        name: Its name.
        branches: All but the last.
        project: Maps of the 1 x 1 convolution behind average pooling, or 0: max-pooling that halves the map.
        head: Whether the auxiliary head looks at the block's output.

    Examples:
        >>> from backbones.inception.spec_v3 import INCEPTION_V3
        >>> block = INCEPTION_V3.blocks[0]
        >>> block.name, [branch.convs[-1].channels for branch in block.branches], block.project
        ('mixed_5b', [64, 64, 96], 32)
    """

    name: str
    branches: tuple[Branch, ...]
    project: ZeroOrMore = 0
    head: bool = False


def square(name: str, project: int) -> Block:
    """Fig. 5: the 5 x 5 of GoogLeNet becomes two 3 x 3 in one branch. Another has a 5 x 5, where Fig. 5 has 3 x 3."""
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


def thin(name: str, channels: int, head: bool = False) -> Block:
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


def wide(name: str) -> Block:
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
