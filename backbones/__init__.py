"""Classic image-classification backbones, from scratch, in PyTorch and in TensorFlow, proved equal.

Importing this package imports neither framework: `create_model` imports the one it is asked for.

Examples:
    >>> import backbones
    >>> backbones.list_models("lenet")
    ['lenet5', 'lenet5_1998']
    >>> backbones.summary("lenet5").parameters
    61706
"""

import os

# TensorFlow uses oneDNN's convolutions by itself only on processors with instructions made for neural networks; what
# they buy on others is measured in docs/results/speed.md. It must be said before TensorFlow is imported.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from backbones import convert, data, training
from backbones.building import create_model
from backbones.errors import BackbonesError
from backbones.features import feature_extractor
from backbones.registry import list_models, summary
from backbones.weights import load_weights, save_weights

__all__ = [
    "BackbonesError",
    "convert",
    "create_model",
    "data",
    "feature_extractor",
    "list_models",
    "load_weights",
    "save_weights",
    "summary",
    "training",
]
__version__ = "0.1.0"
