"""GoogLeNet in PyTorch. Shapes are N x C x H x W, given for `googlenet`. In Keras: `tensorflow.py`."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from backbones.alexnet.spec import ALPHA, BETA, NEIGHBOURS, K
from backbones.inception.spec import (
    GOOGLENET,
    HEAD_DROPOUT,
    HEAD_MAPS,
    HEAD_POOL,
    HEAD_STRIDE,
    HEAD_UNITS,
    Block,
    GoogLeNetSpec,
    head_inputs,
)
from backbones.inception.spec_v3 import InceptionV3Spec
from backbones.inception.torch_v3 import InceptionV3
from backbones.torch_parts import channels_last


def build(spec: GoogLeNetSpec | InceptionV3Spec) -> nn.Module:
    """Build a form of Inception, freshly initialised from PyTorch's random generator."""
    return InceptionV3(spec) if isinstance(spec, InceptionV3Spec) else GoogLeNet(spec)


class GoogLeNet(nn.Module):
    """GoogLeNet, Szegedy et al. 2014, Table 1.

    In training the output is a tuple: the logits, then those of the auxiliary heads.

    Deviations from the paper: the mean before the last layer is over the whole map, whatever its size; the
    response normalisation has AlexNet's numbers, since the paper gives none.

    Initialisation: He normal weights (He et al. 2015, arXiv:1502.01852, Eq. 10) and zero biases. The paper gives
    no rule.

    Args:
        spec: What to build: a form from `backbones.inception.spec`, such as `GOOGLENET`.

    Shape:
        Input N x 3 x 224 x 224, output N x 1000.

    Examples:
        >>> import torch
        >>> from backbones.inception.spec import GOOGLENET_MINI
        >>> GoogLeNet(GOOGLENET_MINI).eval()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, spec: GoogLeNetSpec = GOOGLENET) -> None:
        super().__init__()
        self.spec = spec
        self.stem = small_stem(spec) if spec.small_images else stem(spec)  # N x 192 x 28 x 28
        inputs = spec.stem[-1]
        for block in spec.blocks:
            # N x 480 x 28 x 28 after 3b, N x 832 x 14 x 14 after 4e, N x 1024 x 7 x 7 after 5b
            self.add_module(block.name, Inception(spec, block, inputs))
            inputs = block.conv1 + block.conv3 + block.conv5 + block.project
            if block.name in spec.heads:
                self.add_module(f"aux{block.name[-2:]}", Auxiliary(spec, inputs))
            if block.pool:
                self.add_module(f"pool{block.name[-2:]}", halve())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.drop = nn.Dropout(spec.dropout)
        self.fc = nn.Linear(inputs, spec.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map: N x 3 x 224 x 224 -> N x 1024 x 7 x 7."""
        return self._features_and_heads(x, with_heads=False)[0]

    def forward_head(self, x: Tensor) -> Tensor:
        """The last feature map to logits: N x 1024 x 7 x 7 -> N x 1000."""
        return self.fc(self.drop(self.flatten(self.avgpool(x))))

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Images to logits: N x 3 x 224 x 224 -> N x 1000; in training, a tuple with those of each head."""
        x, heads = self._features_and_heads(x, with_heads=self.training)
        logits = self.forward_head(x)
        return (logits, *heads) if heads else logits

    def _features_and_heads(self, x: Tensor, with_heads: bool) -> tuple[Tensor, list[Tensor]]:
        heads = []
        x = self.stem(channels_last(x))
        for block in self.spec.blocks:
            x = self.get_submodule(block.name)(x)
            if with_heads and block.name in self.spec.heads:
                heads.append(self.get_submodule(f"aux{block.name[-2:]}")(x))
            if block.pool:
                x = self.get_submodule(f"pool{block.name[-2:]}")(x)
        return x, heads


def stem(spec: GoogLeNetSpec) -> nn.Sequential:
    """The first rows of Table 1: N x 3 x 224 x 224 -> N x 192 x 28 x 28."""
    conv1, conv2, conv3 = spec.stem
    return nn.Sequential(
        OrderedDict(
            conv1=Conv(spec, spec.in_channels, conv1, 7, stride=2),  # N x 64 x 112 x 112
            pool1=halve(),  # N x 64 x 56 x 56
            norm1=response_norm(),
            conv2=Conv(spec, conv1, conv2, 1),
            conv3=Conv(spec, conv2, conv3, 3),  # N x 192 x 56 x 56
            norm2=response_norm(),
            pool2=halve(),  # N x 192 x 28 x 28
        )
    )


def small_stem(spec: GoogLeNetSpec) -> nn.Sequential:
    """For small images: N x 1 x 28 x 28 -> N x 64 x 14 x 14."""
    return nn.Sequential(OrderedDict(conv1=Conv(spec, spec.in_channels, spec.stem[0], 3), pool1=halve()))


def halve() -> nn.Module:
    """3 x 3 max-pooling with stride 2, whose last window may hang over the border.

    Shape:
        N x C x H x W -> N x C x H/2 x W/2, rounded down.
    """
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def response_norm() -> nn.Module:
    """AlexNet's. PyTorch divides alpha by the number of neighbours, the paper does not.

    Shape:
        N x C x H x W to the same shape.
    """
    return nn.LocalResponseNorm(NEIGHBOURS, ALPHA * NEIGHBOURS, BETA, K)


class Conv(nn.Module):
    """A convolution padded to keep the map's size, then ReLU (Section 5). In the mini form BatchNorm stands between.

    Shape:
        N x C x H x W -> N x channels x H/stride x W/stride.
    """

    def __init__(self, spec: GoogLeNetSpec, inputs: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, channels, kernel, stride, padding=kernel // 2, bias=not spec.batch_norm)
        self.bn = nn.BatchNorm2d(channels) if spec.batch_norm else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x channels x H/stride x W/stride."""
        x = self.conv(x)
        if self.bn is not None:
            x = self.bn(x)
        return self.relu(x)


class Inception(nn.Module):
    """Four branches side by side, whose maps are put behind each other (Fig. 2(b)).

    The 1 x 1 convolutions before the 3 x 3 and the 5 x 5 make those affordable.

    Shape:
        N x C x H x W -> N x (conv1 + conv3 + conv5 + project) x H x W.
    """

    def __init__(self, spec: GoogLeNetSpec, block: Block, inputs: int) -> None:
        super().__init__()
        self.conv1 = Conv(spec, inputs, block.conv1, 1)
        self.reduce3 = Conv(spec, inputs, block.reduce3, 1)
        self.conv3 = Conv(spec, block.reduce3, block.conv3, 3)
        self.reduce5 = Conv(spec, inputs, block.reduce5, 1)
        self.conv5 = Conv(spec, block.reduce5, block.conv5, 5)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.project = Conv(spec, inputs, block.project, 1)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x (conv1 + conv3 + conv5 + project) x H x W."""
        one = self.conv1(x)
        three = self.conv3(self.reduce3(x))
        five = self.conv5(self.reduce5(x))
        pooled = self.project(self.pool(x))
        return torch.cat([one, three, five, pooled], 1)


class Auxiliary(nn.Module):
    """A second classifier half-way, for training alone (Section 5).

    Shape:
        N x C x 14 x 14 -> N x 1000.
    """

    def __init__(self, spec: GoogLeNetSpec, inputs: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(HEAD_POOL, HEAD_STRIDE)
        self.reduce = Conv(spec, inputs, HEAD_MAPS, 1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(head_inputs(spec), HEAD_UNITS)
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout(HEAD_DROPOUT)
        self.fc2 = nn.Linear(HEAD_UNITS, spec.num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x 14 x 14 -> N x 1000."""
        x = self.reduce(self.pool(x))  # N x 128 x 4 x 4
        x = self.drop(self.relu(self.fc1(self.flatten(x))))  # N x 1024
        return self.fc2(x)  # N x 1000
