"""VGG in PyTorch. Shapes are N x C x H x W, given for `vgg16`. The same nets in Keras: `tensorflow.py`."""

from __future__ import annotations

from torch import Tensor, nn

from backbones.ledger import features_of
from backbones.torch_parts import channels_last
from backbones.vgg.spec import KERNEL, POOL, VGG16, VGGSpec, describe_features


def build(spec: VGGSpec) -> nn.Module:
    """Build a form of VGG, freshly initialised from PyTorch's random generator."""
    return VGG(spec)


class VGG(nn.Sequential):
    """VGG, Simonyan and Zisserman 2014, Table 1; its layers run in the order in which they are added.

    Deviations from the paper: the `_bn` forms have BatchNorm between convolution and ReLU, which came a year
    later (Ioffe and Szegedy, arXiv:1502.03167).

    Initialisation: He normal weights (He et al. 2015, arXiv:1502.01852, Eq. 10) and zero biases. A deviation:
    the paper draws net A from a normal distribution of variance 0.01 and starts the deeper nets from the
    trained A, since a bad start can stall them (Section 3.1).

    Args:
        spec: What to build: a form from `backbones.vgg.spec`, such as `VGG16`.

    Shape:
        Input N x 3 x 224 x 224, output N x 1000.

    Examples:
        >>> import torch
        >>> from backbones.vgg.spec import VGG_MINI
        >>> VGG(VGG_MINI).forward_features(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 128, 3, 3])
    """

    def __init__(self, spec: VGGSpec = VGG16) -> None:
        super().__init__()
        inputs = spec.in_channels
        for block, (count, channels) in enumerate(zip(spec.blocks, spec.channels, strict=True), start=1):
            for i in range(1, count + 1):
                self.add_module(f"conv{block}_{i}", nn.Conv2d(inputs, channels, KERNEL, padding="same"))
                if spec.batch_norm:
                    self.add_module(f"bn{block}_{i}", nn.BatchNorm2d(channels))
                self.add_module(f"relu{block}_{i}", nn.ReLU(inplace=True))
                inputs = channels
            # N x 64 x 112 x 112, N x 128 x 56 x 56, N x 256 x 28 x 28, N x 512 x 14 x 14, N x 512 x 7 x 7
            self.add_module(f"pool{block}", nn.MaxPool2d(POOL))
        self.split = len(self)  # the features end, the head begins
        self.add_module("flatten", nn.Flatten())
        inputs = features_of(spec, describe_features).size  # 25088 = 512 x 7 x 7
        for i, units in enumerate(spec.hidden, start=6):
            self.add_module(f"fc{i}", nn.Linear(inputs, units))  # N x 4096
            self.add_module(f"relu{i}", nn.ReLU(inplace=True))
            self.add_module(f"drop{i}", nn.Dropout(spec.dropout))
            inputs = units
        self.add_module(f"fc{6 + len(spec.hidden)}", nn.Linear(inputs, spec.num_classes))  # N x 1000
        for layer in self:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.get_parameter("bias"))

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map: N x 3 x 224 x 224 -> N x 512 x 7 x 7."""
        x = channels_last(x)
        for layer in list(self)[: self.split]:
            x = layer(x)
        return x

    def forward_head(self, x: Tensor) -> Tensor:
        """The last feature map to logits: N x 512 x 7 x 7 -> N x 1000."""
        for layer in list(self)[self.split :]:
            x = layer(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits: N x 3 x 224 x 224 -> N x 1000."""
        return self.forward_head(self.forward_features(x))
