"""VGG in Keras. Shapes are N x H x W x C, given for `vgg16`. The same nets in PyTorch: `torch.py`."""

from __future__ import annotations

import keras
from keras import layers

from backbones.keras_parts import he_normal, number
from backbones.vgg.spec import KERNEL, POOL, VGGSpec


def build(spec: VGGSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """Build a form of VGG, freshly initialised from `seed`.

    `keras.models.load_model` reads a `.keras` file of it. What it gives has no `config`.
    """
    return vgg(spec, seed)


def vgg(spec: VGGSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """VGG, Simonyan and Zisserman 2014, Table 1.

    Deviations from the paper: the `_bn` forms have BatchNorm between convolution and ReLU, which came a year
    later (Ioffe and Szegedy, arXiv:1502.03167).

    Initialisation: He normal weights (He et al. 2015, arXiv:1502.01852, Eq. 10) and zero biases. A deviation:
    the paper draws net A from a normal distribution of variance 0.01 and starts the deeper nets from the
    trained A, since a bad start can stall them (Section 3.1).

    Args:
        spec: What to build: a form from `backbones.vgg.spec`, such as `VGG16`.
        seed: Draws the initial weights, and the seeds of dropout.

    Shape:
        Input N x 224 x 224 x 3, output N x 1000.

    Examples:
        >>> from backbones.vgg.spec import VGG_MINI
        >>> vgg(VGG_MINI, keras.random.SeedGenerator(0)).output.shape
        (None, 10)
    """
    init = {"kernel_initializer": he_normal(seed)}

    def features(x):
        for block, (count, channels) in enumerate(zip(spec.blocks, spec.channels, strict=True), start=1):
            for i in range(1, count + 1):
                x = layers.Conv2D(channels, KERNEL, padding="same", **init, name=f"conv{block}_{i}")(x)
                if spec.batch_norm:
                    # PyTorch's numbers: Keras's own are 0.99 and 1e-3.
                    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"bn{block}_{i}")(x)
                x = layers.ReLU(name=f"relu{block}_{i}")(x)
            # N x 112 x 112 x 64, N x 56 x 56 x 128, N x 28 x 28 x 256, N x 14 x 14 x 512, N x 7 x 7 x 512
            x = layers.MaxPooling2D(POOL, name=f"pool{block}")(x)
        return x

    def head(x):
        x = layers.Flatten(name="flatten")(x)  # N x 25088
        for i, units in enumerate(spec.hidden, start=6):
            x = layers.Dense(units, **init, name=f"fc{i}")(x)  # N x 4096
            x = layers.ReLU(name=f"relu{i}")(x)
            x = layers.Dropout(spec.dropout, seed=number(seed), name=f"drop{i}")(x)
        return layers.Dense(spec.num_classes, **init, name=f"fc{6 + len(spec.hidden)}")(x)  # N x 1000

    images = keras.Input((spec.input_size, spec.input_size, spec.in_channels), name="images")
    return keras.Model(images, head(features(images)), name=spec.name)
