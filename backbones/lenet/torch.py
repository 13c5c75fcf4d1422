"""LeNet-5 in PyTorch. Shapes are N x C x H x W. The same net in Keras: `tensorflow.py` beside this file."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backbones.lenet.spec import (
    C3_CONNECTIONS,
    INIT_RANGE,
    LENET5,
    LENET5_1998,
    SQUASH_AMPLITUDE,
    SQUASH_SLOPE,
    LeNetSpec,
    prototypes,
)


def build(spec: LeNetSpec) -> nn.Module:
    """Build the form of LeNet-5 that `spec` names, freshly initialised from PyTorch's random generator."""
    return LeNet51998(spec) if spec.name == LENET5_1998.name else LeNet5(spec)


class LeNet5(nn.Module):
    """LeNet-5 as taught and used today, after LeCun et al. 1998, Section II.B.

    Deviations from the paper: 28 x 28 input, padded to 32 x 32 by the first convolution; ReLU for scaled
    tanh; max-pooling for trainable subsampling; every map of the second convolution sees all six maps
    below it; a linear output layer whose values are logits.

    Initialisation: He normal weights, for ReLU (He et al. 2015, arXiv:1502.01852, Eq. 10), and zero biases.

    Args:
        spec: What to build: `backbones.lenet.spec.LENET5`, or a change of it.

    Shape:
        Input N x 1 x 28 x 28, output N x 10.

    Examples:
        >>> import torch
        >>> LeNet5()(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 10])
    """

    def __init__(self, spec: LeNetSpec = LENET5) -> None:
        super().__init__()
        c1, c3 = spec.channels
        f5, f6 = spec.units
        side = (spec.input_size + 2 * spec.padding - spec.kernel + 1) // spec.pool  # 14
        side = (side - spec.kernel + 1) // spec.pool  # 5
        self.conv1 = nn.Conv2d(spec.in_channels, c1, spec.kernel, padding=spec.padding)
        self.relu1 = nn.ReLU()
        self.pool1 = nn.MaxPool2d(spec.pool)
        self.conv2 = nn.Conv2d(c1, c3, spec.kernel)
        self.relu2 = nn.ReLU()
        self.pool2 = nn.MaxPool2d(spec.pool)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(c3 * side * side, f5)
        self.relu3 = nn.ReLU()
        self.fc2 = nn.Linear(f5, f6)
        self.relu4 = nn.ReLU()
        self.fc3 = nn.Linear(f6, spec.num_classes)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            else:
                nn.init.zeros_(parameter)

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map: N x 1 x 28 x 28 -> N x 16 x 5 x 5."""
        x = self.relu1(self.conv1(x))  # N x 6 x 28 x 28
        x = self.pool1(x)  # N x 6 x 14 x 14
        x = self.relu2(self.conv2(x))  # N x 16 x 10 x 10
        return self.pool2(x)  # N x 16 x 5 x 5

    def forward_head(self, x: Tensor) -> Tensor:
        """The last feature map to logits: N x 16 x 5 x 5 -> N x 10."""
        x = self.flatten(x)  # N x 400
        x = self.relu3(self.fc1(x))  # N x 120
        x = self.relu4(self.fc2(x))  # N x 84
        return self.fc3(x)  # N x 10

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits: N x 1 x 28 x 28 -> N x 10."""
        return self.forward_head(self.forward_features(x))


class LeNet51998(nn.Module):
    """LeNet-5 as LeCun et al. 1998 describe it, Section II.B and Appendix A.

    The output is the negative of the paper's: there, the class with the smallest squared distance wins;
    here, as everywhere else in this package, the largest logit does.

    Deviations from the paper: the output prototypes are redrawn (see `spec.DIGIT_BITMAPS`); biases start
    at zero, for which the paper gives no rule.

    Args:
        spec: What to build: `backbones.lenet.spec.LENET5_1998`, of which only `in_channels` may be another.

    Shape:
        Input N x 1 x 32 x 32, output N x 10.

    Examples:
        >>> import torch
        >>> LeNet51998()(torch.zeros(2, 1, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(self, spec: LeNetSpec = LENET5_1998) -> None:
        super().__init__()
        c1, c3 = spec.channels
        c5, f6 = spec.units
        self.c1 = nn.Conv2d(spec.in_channels, c1, spec.kernel)
        self.squash1 = ScaledTanh()
        self.s2 = Subsampling(c1, spec.pool)
        self.squash2 = ScaledTanh()
        self.c3 = PartialConv(c1, C3_CONNECTIONS, spec.kernel)
        self.squash3 = ScaledTanh()
        self.s4 = Subsampling(c3, spec.pool)
        self.squash4 = ScaledTanh()
        self.c5 = nn.Conv2d(c3, c5, spec.kernel)
        self.squash5 = ScaledTanh()
        self.flatten = nn.Flatten()
        self.f6 = nn.Linear(c5, f6)
        self.squash6 = ScaledTanh()
        self.output = RBF(prototypes())
        for layer in (self.c1, self.c5, self.f6):
            fan_in = layer.weight[0].numel()
            nn.init.uniform_(layer.weight, -INIT_RANGE / fan_in, INIT_RANGE / fan_in)
            nn.init.zeros_(layer.get_parameter("bias"))

    def forward_features(self, x: Tensor) -> Tensor:
        """Images to the last feature map: N x 1 x 32 x 32 -> N x 120 x 1 x 1."""
        x = self.squash1(self.c1(x))  # N x 6 x 28 x 28
        x = self.squash2(self.s2(x))  # N x 6 x 14 x 14
        x = self.squash3(self.c3(x))  # N x 16 x 10 x 10
        x = self.squash4(self.s4(x))  # N x 16 x 5 x 5
        return self.squash5(self.c5(x))  # N x 120 x 1 x 1

    def forward_head(self, x: Tensor) -> Tensor:
        """The last feature map to logits: N x 120 x 1 x 1 -> N x 10."""
        x = self.flatten(x)  # N x 120
        x = self.squash6(self.f6(x))  # N x 84
        return self.output(x)  # N x 10

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits: N x 1 x 32 x 32 -> N x 10."""
        return self.forward_head(self.forward_features(x))


class ScaledTanh(nn.Module):
    """The squashing function A tanh(S a), LeCun et al. 1998, Eq. 6 and Appendix A.

    Shape:
        Any shape to the same shape.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Any shape to the same shape."""
        return SQUASH_AMPLITUDE * torch.tanh(SQUASH_SLOPE * x)


class Subsampling(nn.Module):
    """S2 and S4: each window's sum, times one weight, plus one bias, per map (Section II.B).

    Shape:
        N x C x H x W -> N x C x H/k x W/k.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.weight = nn.Parameter(torch.empty(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        fan_in = kernel**2
        nn.init.uniform_(self.weight, -INIT_RANGE / fan_in, INIT_RANGE / fan_in)

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x C x H/k x W/k."""
        total = F.avg_pool2d(x, self.kernel) * self.kernel**2
        return total * self.weight[:, None, None] + self.bias[:, None, None]


class PartialConv(nn.Module):
    """C3: a convolution in which each output map sees only some input maps (Table I).

    The weight holds one kernel per connected pair, in the order of the table, and nothing for the others.

    Shape:
        N x C x H x W -> N x (maps of the table) x (H - k + 1) x (W - k + 1); weight pairs x k x k.
    """

    def __init__(self, in_channels: int, connections: tuple[tuple[int, ...], ...], kernel: int) -> None:
        super().__init__()
        pairs = [(out, inp) for out, inputs in enumerate(connections) for inp in inputs]
        self.full_shape = (len(connections), in_channels, kernel, kernel)
        self.outputs, self.inputs = (torch.tensor(side) for side in zip(*pairs, strict=True))
        self.weight = nn.Parameter(torch.empty(len(pairs), kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(len(connections)))
        bounds = [INIT_RANGE / (len(connections[out]) * kernel**2) for out, _ in pairs]
        with torch.no_grad():
            self.weight.uniform_(-1, 1).mul_(torch.tensor(bounds)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """N x C x H x W -> N x (maps of the table) x (H - k + 1) x (W - k + 1)."""
        kernel = self.weight.new_zeros(self.full_shape)  # unconnected pairs stay zero
        kernel = kernel.index_put((self.outputs, self.inputs), self.weight)
        return F.conv2d(x, kernel, self.bias)


class RBF(nn.Module):
    """The output layer: minus the squared distance to each class's fixed prototype (Eq. 7).

    Shape:
        N x F -> N x K; weight K x F, not trained.
    """

    weight: Tensor

    def __init__(self, weight: list[list[float]]) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor(weight))

    def forward(self, x: Tensor) -> Tensor:
        """N x F -> N x K."""
        return -(x[:, None, :] - self.weight).square().sum(-1)
