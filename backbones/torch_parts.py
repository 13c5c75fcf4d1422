"""What several of the PyTorch files need and PyTorch itself lacks."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from backbones.errors import BackbonesError


def channels_last(x: Tensor) -> Tensor:
    """The same values in another order in memory, which each layer keeps and in which processors are faster.

    How much faster, `python -m benchmarks.inference` measures. Images that lie so in memory already, as those of
    `backbones.data` do, are not copied; nor are grey ones, which are the same in both orders.

    Shape:
        N x C x H x W to the same shape, in memory as N x H x W x C.
    """
    return x.contiguous(memory_format=torch.channels_last)


def refuse_what_does_not_fit(model: nn.Module) -> None:
    """Let each convolution and dense layer refuse other channels or features than it has weights for, by its name.

    PyTorch's own error has no name of a layer; a layer that a reader puts in the place of one of these raises that.

    Raises:
        BackbonesError: When the model is called, not here.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(partial(_require, name, -3, layer.in_channels))
        elif isinstance(layer, nn.Linear):
            layer.register_forward_pre_hook(partial(_require, name, -1, layer.in_features))


def _require(name: str, axis: int, count: int, _layer: nn.Module, given: tuple[Any, ...]) -> None:
    if given and given[0].shape[axis:][:1] != (count,):
        takes = f"N x {count} x H x W" if axis == -3 else f"N x {count}"
        raise BackbonesError(f"layer {name!r} takes {takes}, not {' x '.join(map(str, given[0].shape))}")
