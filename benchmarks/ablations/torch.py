"""The small net in PyTorch. Shapes are N x C x H x W. The same in Keras: `tensorflow.py` beside this file."""

from __future__ import annotations

from torch import Tensor, nn

from backbones.alexnet.spec import ALPHA, BETA, NEIGHBOURS, K
from backbones.ledger import features_of
from benchmarks.ablations.spec import SmallNetSpec, describe_features, pools_before, stride_of

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "linear": nn.Identity}
POOLS = {"max": nn.MaxPool2d, "mean": nn.AvgPool2d}


def build(spec: SmallNetSpec) -> nn.Module:
    """N x 1 x 28 x 28 -> N x 10, freshly initialised from PyTorch's random generator."""
    net = nn.Sequential()
    inputs = spec.in_channels
    for stage, channels in enumerate(spec.channels, start=1):
        if pools_before(spec, stage):
            net.add_module(f"pool{stage}", POOLS[spec.downsample](2))
        for i in range(1, spec.depth + 1):
            name = f"{stage}_{i}"
            stride = stride_of(spec, stage, i)
            net.add_module(
                f"conv{name}", nn.Conv2d(inputs, channels, spec.kernel, stride, padding=spec.kernel // 2)
            )
            if spec.norm == "batch":
                net.add_module(f"norm{name}", nn.BatchNorm2d(channels))
            net.add_module(f"act{name}", ACTIVATIONS[spec.activation]())
            if spec.norm == "local":
                net.add_module(f"norm{name}", nn.LocalResponseNorm(NEIGHBOURS, ALPHA * NEIGHBOURS, BETA, K))
            inputs = channels
    if spec.average:
        net.add_module("avgpool", nn.AdaptiveAvgPool2d(1))
    net.add_module("flatten", nn.Flatten())
    inputs = features_of(spec, describe_features).size
    for i, units in enumerate(spec.hidden, start=1):
        net.add_module(f"fc{i}", nn.Linear(inputs, units))
        net.add_module(f"act{i}", ACTIVATIONS[spec.activation]())
        net.add_module(f"drop{i}", nn.Dropout(spec.dropout))
        inputs = units
    net.add_module("fc", nn.Linear(inputs, spec.num_classes))
    for layer in net:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            init_weight(layer.weight, spec.init)
            nn.init.zeros_(layer.get_parameter("bias"))
    net.config = spec  # type: ignore[assignment]
    return net


def init_weight(weight: Tensor, rule: str) -> None:
    """Draw a layer's initial weights, normal around zero."""
    if rule == "he":
        nn.init.kaiming_normal_(weight, nonlinearity="relu")
    elif rule == "xavier":
        nn.init.xavier_normal_(weight)
    else:
        nn.init.normal_(weight, std=0.01)


def with_tanh(model: nn.Module) -> nn.Module:
    """The model itself, with tanh where it had ReLU."""
    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.ReLU):
            model.set_submodule(name, nn.Tanh())
    return model
