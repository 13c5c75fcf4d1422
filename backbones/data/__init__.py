"""Real data sets as NumPy arrays, and the batches that both frameworks train on.

Images are N x H x W x C, uint8, as they are on disk. One batch order and one augmentation, both in NumPy and
fixed by a seed and the epoch's number, serve both frameworks: they can be given the very same batches.
"""

from backbones.data.augmentation import Augmentation, augment, warp
from backbones.data.batching import batches, prefetch
from backbones.data.datasets import Dataset, Split, list_datasets, load

__all__ = [
    "Augmentation",
    "Dataset",
    "Split",
    "augment",
    "batches",
    "list_datasets",
    "load",
    "prefetch",
    "warp",
]
