"""ResNet in PyTorch. Shapes are N x C x H x W, given for `resnet50`. The same nets in Keras: `tensorflow.py`."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from backbones.resnet.spec import EXPANSION, VARIANTS, ResNetSpec, stride_of
from backbones.torch_parts import channels_last


def build(spec: ResNetSpec) -> nn.Module:
    """Build a form of ResNet, freshly initialised from PyTorch's random generator."""
    return ResNet(spec)


class ResNet(nn.Module):
    """ResNet, He et al. 2015, Table 1 and Section 4.2.

    Deviation from the authors' models: a bottleneck halves the map in its 3 x 3 convolution, not in the first 1 x 1
    (`stride_in_1x1` is their way; Table 1 names only the block).

    Initialisation: He normal weights (He et al. 2015, arXiv:1502.01852, Eq. 10, as Section 3.4 says) and zero
    biases; BatchNorm starts with scale 1 and shift 0.

    Args:
        spec: What to build: a form from `backbones.resnet.spec`, such as `VARIANTS["resnet50"]`.

    Shape:
        Input N x 3 x 224 x 224, output N x 1000.

    Examples:
        >>> import torch
        >>> ResNet(VARIANTS["resnet20"]).eval()(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(self, spec: ResNetSpec = VARIANTS["resnet50"]) -> None:
        super().__init__()
        inputs = spec.channels[0]
        if spec.small_images:
            self.conv1 = nn.Conv2d(spec.in_channels, inputs, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(spec.in_channels, inputs, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU(inplace=True)
        self.pool1 = None if spec.small_images else nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = [f"layer{stage}" for stage in range(1, len(spec.blocks) + 1)]
        for stage, (count, channels) in enumerate(zip(spec.blocks, spec.channels, strict=True), start=1):
            blocks = nn.Sequential()
            for block in range(count):
                kind = Bottleneck if spec.bottleneck else Basic
                blocks.append(kind(spec, inputs, channels, stride_of(stage, block)))
                inputs = channels * (EXPANSION if spec.bottleneck else 1)
            self.add_module(f"layer{stage}", blocks)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(inputs, spec.num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(self.fc.bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map: N x 3 x 224 x 224 -> N x 2048 x 7 x 7."""
        if len(x) > 1:  # for one image, bringing the weights into that order costs what it gains
            x = channels_last(x)
        x = self.relu1(self.bn1(self.conv1(x)))  # N x 64 x 112 x 112
        if self.pool1 is not None:
            x = self.pool1(x)  # N x 64 x 56 x 56
        for stage in self.stages:
            # N x 256 x 56 x 56, N x 512 x 28 x 28, N x 1024 x 14 x 14, N x 2048 x 7 x 7
            x = self.get_submodule(stage)(x)
        return x

    def forward_head(self, x: Tensor) -> Tensor:
        """The last feature map to logits: N x 2048 x 7 x 7 -> N x 1000."""
        return self.fc(self.flatten(self.avgpool(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits: N x 3 x 224 x 224 -> N x 1000."""
        return self.forward_head(self.forward_features(x))


class Basic(nn.Module):
    """Two 3 x 3 convolutions and the way around them (Fig. 2, Fig. 5 left).

    Shape:
        N x C x H x W -> N x channels x H/stride x W/stride.
    """

    def __init__(self, spec: ResNetSpec, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.plain = spec.shortcut == "none"
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsample(spec, inputs, channels, stride)
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x channels x H/stride x W/stride."""
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if not self.plain:
            out += x if self.downsample is None else self.downsample(x)  # in place, as ReLU: no map more
        return self.relu2(out)


class Bottleneck(nn.Module):
    """1 x 1 to fewer maps, 3 x 3, 1 x 1 to four times as many, and the way around them (Fig. 5 right).

    Shape:
        N x C x H x W -> N x 4 channels x H/stride x W/stride.
    """

    def __init__(self, spec: ResNetSpec, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.plain = spec.shortcut == "none"
        first, second = (stride, 1) if spec.stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(inputs, channels, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv3 = nn.Conv2d(channels, EXPANSION * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(EXPANSION * channels)
        self.downsample = downsample(spec, inputs, EXPANSION * channels, stride)
        self.relu3 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x 4 channels x H/stride x W/stride."""
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if not self.plain:
            out += x if self.downsample is None else self.downsample(x)  # in place, as ReLU: no map more
        return self.relu3(out)


def downsample(spec: ResNetSpec, inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """What leads around a block: nothing to compute where the map keeps its shape (Section 3.2).

    Shape:
        N x C x H x W -> N x outputs x H/stride x W/stride.
    """
    if spec.shortcut == "none" or (stride == 1 and inputs == outputs):
        return None
    if spec.shortcut == "padding":
        return PadShortcut(outputs, stride)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class PadShortcut(nn.Module):
    """Option A of Section 4.1: every second pixel, and maps of zeros behind those that are there.

    Shape:
        N x C x H x W -> N x channels x H/stride x W/stride.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels, self.stride = channels, stride

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x channels x H/stride x W/stride."""
        x = x[:, :, :: self.stride, :: self.stride]
        return F.pad(x, (0, 0, 0, 0, 0, self.channels - x.shape[1]))
