"""AlexNet in PyTorch. Shapes are N x C x H x W, given for `alexnet`. In Keras: `tensorflow.py` beside this file."""

from __future__ import annotations

from torch import Tensor, nn

from backbones.alexnet.spec import (
    ALEXNET,
    ALPHA,
    BETA,
    NEIGHBOURS,
    POOL_KERNEL,
    POOL_STRIDE,
    AlexNetSpec,
    K,
    describe_features,
)
from backbones.ledger import features_of
from backbones.torch_parts import channels_last


def build(spec: AlexNetSpec) -> nn.Module:
    """Build a form of AlexNet, freshly initialised from PyTorch's random generator."""
    return AlexNet(spec)


class AlexNet(nn.Sequential):
    """AlexNet, Krizhevsky et al. 2012, Section 3.5; its layers run in the order in which they are added.

    Deviations from the paper: one machine computes both groups; the test averages no ten crops.
    `alexnet_owt` starts from the same weights' distribution, for which its paper gives no rule; torchvision
    drops what fc6 and fc7 see; here, as in the paper, what they give is dropped, so that fc6 sees all.

    Initialisation: normal weights of standard deviation 0.01; biases 1 in conv2, conv4, conv5 and the hidden
    dense layers, so that their ReLUs start open, 0 elsewhere (Section 5). `alexnet_mini`: He et al. 2015.

    Args:
        spec: What to build: a form from `backbones.alexnet.spec`, such as `ALEXNET`.

    Shape:
        Input N x 3 x 227 x 227, output N x 1000.

    Examples:
        >>> import torch
        >>> from backbones.alexnet.spec import ALEXNET_MINI
        >>> AlexNet(ALEXNET_MINI).forward_features(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 64, 2, 2])
    """

    def __init__(self, spec: AlexNetSpec = ALEXNET) -> None:
        super().__init__()
        inputs = spec.in_channels
        for i, conv in enumerate(spec.convs, start=1):
            self.add_module(
                f"conv{i}",
                nn.Conv2d(inputs, conv.channels, conv.kernel, conv.stride, conv.padding, groups=conv.groups),
            )  # N x 96 x 55 x 55, N x 256 x 27 x 27, then 13 x 13: N x 384, N x 384, N x 256
            self.add_module(f"relu{i}", nn.ReLU(inplace=True))
            if conv.norm:
                # PyTorch divides alpha by the number of neighbours, the paper does not.
                self.add_module(f"norm{i}", nn.LocalResponseNorm(NEIGHBOURS, ALPHA * NEIGHBOURS, BETA, K))
            if conv.pool:
                self.add_module(f"pool{i}", nn.MaxPool2d(POOL_KERNEL, POOL_STRIDE))  # 55 to 27 to 13 to 6
            inputs = conv.channels
        self.split = len(self)  # the features end, the head begins
        self.add_module("flatten", nn.Flatten())
        inputs = features_of(spec, describe_features).size  # 9216 = 256 x 6 x 6
        for i, units in enumerate(spec.hidden, start=6):
            self.add_module(f"fc{i}", nn.Linear(inputs, units))  # N x 4096
            self.add_module(f"relu{i}", nn.ReLU(inplace=True))
            self.add_module(f"drop{i}", nn.Dropout(spec.dropout))
            inputs = units
        self.add_module("fc8", nn.Linear(inputs, spec.num_classes))  # N x 1000
        self._init_weights(spec)

    def _init_weights(self, spec: AlexNetSpec) -> None:
        biases = [conv.bias for conv in spec.convs] + [spec.hidden_bias] * len(spec.hidden) + [0.0]
        layers = [layer for layer in self if isinstance(layer, nn.Conv2d | nn.Linear)]
        for layer, bias in zip(layers, biases, strict=True):
            if spec.init_std:
                nn.init.normal_(layer.weight, std=spec.init_std)
            else:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.constant_(layer.get_parameter("bias"), bias)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map: N x 3 x 227 x 227 -> N x 256 x 6 x 6."""
        x = channels_last(x)
        for layer in list(self)[: self.split]:
            x = layer(x)
        return x

    def forward_head(self, x: Tensor) -> Tensor:
        """The last feature map to logits: N x 256 x 6 x 6 -> N x 1000."""
        for layer in list(self)[self.split :]:
            x = layer(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits: N x 3 x 227 x 227 -> N x 1000."""
        return self.forward_head(self.forward_features(x))
