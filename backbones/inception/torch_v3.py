"""Inception v3 in PyTorch. Shapes are N x C x H x W. The same net in Keras: `tensorflow_v3.py`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from backbones.inception import blocks_v3 as table
from backbones.inception.spec_v3 import EPSILON, HEAD, INCEPTION_V3, InceptionV3Spec
from backbones.torch_parts import channels_last


class InceptionV3(nn.Module):
    """Inception v3, Szegedy et al. 2015, Table 1.

    In training the output is a tuple: the logits, then those of the auxiliary head.

    Deviations from the paper: the net is that of the authors' published code, numbers of maps included. Behind
    the first pooling its stem has 1 x 1, 3 x 3 and a pooling, where Table 1 has three 3 x 3, the second with stride 2.
    The second branch of the first three blocks has a 5 x 5 where Fig. 5 has a 3 x 3. Of Section 6's five blocks with
    7 x 1 there are four. The head's dense layer has no BatchNorm (Section 10).

    Initialisation: He normal weights (He et al. 2015, arXiv:1502.01852, Eq. 10) and zero biases; BatchNorm starts
    with scale 1 and shift 0. The paper gives no rule.

    Args:
        spec: What to build: `backbones.inception.spec_v3.INCEPTION_V3`, or a change of it.

    Shape:
        Input N x 3 x 299 x 299, output N x 1000.

    Examples:
        >>> InceptionV3().fc
        Linear(in_features=2048, out_features=1000, bias=True)
    """

    def __init__(self, spec: InceptionV3Spec = INCEPTION_V3) -> None:
        super().__init__()
        self.spec = spec
        inputs = spec.in_channels
        for conv in spec.stem:
            self.add_module(conv.name, Conv(conv, inputs))  # to N x 64 x 147 x 147
            inputs = conv.channels
        self.maxpool1 = nn.MaxPool2d(3, 2)  # N x 64 x 73 x 73
        self.maxpool2 = nn.MaxPool2d(3, 2)  # N x 192 x 35 x 35
        for block in spec.blocks:
            # N x 288 x 35 x 35 after 5d, N x 768 x 17 x 17 after 6e, N x 2048 x 8 x 8 after 7c
            module = Block(spec, block, inputs)
            self.add_module(block.name, module)
            inputs = module.outputs
            if block.head and spec.auxiliary:
                self.auxlogits = Auxiliary(inputs, spec.num_classes)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(spec.dropout)
        self.fc = nn.Linear(inputs, spec.num_classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if isinstance(layer, nn.Linear):
                nn.init.zeros_(layer.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map: N x 3 x 299 x 299 -> N x 2048 x 8 x 8."""
        return self._features_and_heads(x, with_heads=False)[0]

    def forward_head(self, x: Tensor) -> Tensor:
        """The last feature map to logits: N x 2048 x 8 x 8 -> N x 1000."""
        return self.fc(self.dropout(self.flatten(self.avgpool(x))))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Images to logits: N x 3 x 299 x 299 -> N x 1000; in training, a tuple with those of the head."""
        x, heads = self._features_and_heads(x, with_heads=self.training)
        logits = self.forward_head(x)
        return (logits, *heads) if heads else logits

    def _features_and_heads(self, x: Tensor, with_heads: bool) -> tuple[Tensor, list[Tensor]]:
        x, heads = channels_last(x), []
        for conv in self.spec.stem:
            x = self.get_submodule(conv.name)(x)
            if conv.name in self.spec.pooled:
                x = self.get_submodule(f"maxpool{self.spec.pooled.index(conv.name) + 1}")(x)
        for block in self.spec.blocks:
            x = self.get_submodule(block.name)(x)
            if with_heads and block.head and self.spec.auxiliary:
                heads.append(self.auxlogits(x))
        return x, heads


class Conv(nn.Module):
    """A convolution without bias, BatchNorm and ReLU; some keep the map's size by zeros around it (Section 6).

    Shape:
        N x C x H x W -> N x channels x H' x W'.
    """

    def __init__(self, conv: table.Conv, inputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, conv.channels, conv.kernel, conv.stride, conv.padding, bias=False)
        self.bn = nn.BatchNorm2d(conv.channels, eps=EPSILON)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x channels x H' x W'."""
        return self.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """Branches side by side, whose maps are put behind each other (Fig. 5, 6, 7 and 10).

    Shape:
        N x C x H x W -> N x outputs x H x W, or half of H and W.
    """

    def __init__(self, spec: InceptionV3Spec, block: table.Block, inputs: int) -> None:
        super().__init__()
        self.block = block
        self.outputs = 0
        for branch in block.branches:
            channels = inputs
            for conv in branch.convs:
                self.add_module(conv.name, Conv(conv, channels))
                channels = conv.channels
            for conv in branch.fork:
                self.add_module(conv.name, Conv(conv, channels))
            self.outputs += sum(conv.channels for conv in branch.fork) or channels
        if block.project:
            self.pool: nn.Module = nn.AvgPool2d(3, 1, padding=1, count_include_pad=spec.pool_counts_padding)
            self.branch_pool = Conv(table.Conv(name="branch_pool", channels=block.project), inputs)
        else:
            self.pool = nn.MaxPool2d(3, 2)
        self.outputs += block.project or inputs

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x outputs x H x W, or half of H and W."""
        outputs = []
        for branch in self.block.branches:
            y = x
            for conv in branch.convs:
                y = self.get_submodule(conv.name)(y)
            outputs += [self.get_submodule(conv.name)(y) for conv in branch.fork] or [y]
        y = self.pool(x)
        outputs.append(self.branch_pool(y) if self.block.project else y)
        return torch.cat(outputs, 1)


class Auxiliary(nn.Module):
    """A second classifier half-way, for training alone (Section 4, Fig. 8).

    Shape:
        N x 768 x 17 x 17 -> N x 1000.
    """

    def __init__(self, inputs: int, num_classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, 3)
        for conv in HEAD:
            self.add_module(conv.name, Conv(conv, inputs))
            inputs = conv.channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(inputs, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x 768 x 17 x 17 -> N x 1000."""
        x = self.pool(x)  # N x 768 x 5 x 5
        for conv in HEAD:
            x = self.get_submodule(conv.name)(x)  # N x 128 x 5 x 5, N x 768 x 1 x 1
        return self.fc(self.flatten(self.avgpool(x)))  # N x 1000
