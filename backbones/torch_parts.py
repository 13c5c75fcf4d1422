"""What several of the PyTorch files need and PyTorch itself lacks."""

from __future__ import annotations

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """The same values in another order in memory, which each layer keeps and in which processors are faster.

    How much faster, `python -m benchmarks.inference` measures. Images that lie so in memory already, as those of
    `backbones.data` do, are not copied; nor are grey ones, which are the same in both orders.

    Shape:
        N x C x H x W to the same shape, in memory as N x H x W x C.
    """
    return x.contiguous(memory_format=torch.channels_last)
