"""GoogLeNet in Keras. Shapes are N x H x W x C, given for `googlenet`. In PyTorch: `torch.py`."""

from __future__ import annotations

import keras
from keras import layers

from backbones.alexnet.tensorflow import LocalResponseNorm
from backbones.inception.auxiliary import with_heads
from backbones.inception.spec import (
    HEAD_DROPOUT,
    HEAD_MAPS,
    HEAD_POOL,
    HEAD_STRIDE,
    HEAD_UNITS,
    Block,
    GoogLeNetSpec,
)
from backbones.inception.spec_v3 import InceptionV3Spec
from backbones.inception.tensorflow_v3 import inception_v3
from backbones.keras_parts import he_normal, number


def build(spec: GoogLeNetSpec | InceptionV3Spec, seed: keras.random.SeedGenerator) -> keras.Model:
    """Build a form of Inception, freshly initialised from `seed`.

    `keras.models.load_model` reads a `.keras` file of it once this module is imported. What it gives has no `config`.
    """
    return inception_v3(spec, seed) if isinstance(spec, InceptionV3Spec) else googlenet(spec, seed)


def googlenet(spec: GoogLeNetSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """GoogLeNet, Szegedy et al. 2014, Table 1.

    In training the output is a tuple: the logits, then those of the auxiliary heads.

    Deviations from the paper: the mean before the last layer is over the whole map, whatever its size; the
    response normalisation has AlexNet's numbers, since the paper gives none.

    Initialisation: He normal weights (He et al. 2015, arXiv:1502.01852, Eq. 10) and zero biases. The paper gives
    no rule.

    Args:
        spec: What to build: a form from `backbones.inception.spec`, such as `GOOGLENET`.
        seed: Draws the initial weights, and the seeds of dropout.

    Shape:
        Input N x 224 x 224 x 3, output N x 1000.

    Examples:
        >>> from backbones.inception.spec import GOOGLENET_MINI
        >>> googlenet(GOOGLENET_MINI, keras.random.SeedGenerator(0)).outputs[0].shape
        (None, 10)
    """
    init = he_normal(seed)

    def features_and_heads(x):
        heads = []
        x = small_stem(x, spec, init) if spec.small_images else stem(x, spec, init)
        for block in spec.blocks:
            # N x 28 x 28 x 480 after 3b, N x 14 x 14 x 832 after 4e, N x 7 x 7 x 1024 after 5b
            x = inception(x, spec, block, init)
            if block.name in spec.heads:
                heads.append(auxiliary(x, spec, init, seed, f"aux{block.name[-2:]}"))
            if block.pool:
                x = halve(x, f"pool{block.name[-2:]}")
        return x, heads

    def head(x):
        x = layers.GlobalAveragePooling2D(keepdims=True, name="avgpool")(x)  # N x 1 x 1 x 1024
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dropout(spec.dropout, seed=number(seed), name="drop")(x)
        return layers.Dense(spec.num_classes, kernel_initializer=init, name="fc")(x)  # N x 1000

    images = keras.Input((spec.input_size, spec.input_size, spec.in_channels), name="images")
    x, heads = features_and_heads(images)
    return with_heads(spec, images, head(x), heads)


def stem(x, spec: GoogLeNetSpec, init):
    """The first rows of Table 1: N x 224 x 224 x 3 -> N x 28 x 28 x 192."""
    conv1, conv2, conv3 = spec.stem
    x = conv(x, spec, conv1, 7, init, "stem.conv1", stride=2)  # N x 112 x 112 x 64
    x = halve(x, "stem.pool1")  # N x 56 x 56 x 64
    x = LocalResponseNorm(name="stem.norm1")(x)
    x = conv(x, spec, conv2, 1, init, "stem.conv2")
    x = conv(x, spec, conv3, 3, init, "stem.conv3")  # N x 56 x 56 x 192
    x = LocalResponseNorm(name="stem.norm2")(x)
    return halve(x, "stem.pool2")  # N x 28 x 28 x 192


def small_stem(x, spec: GoogLeNetSpec, init):
    """For small images: N x 28 x 28 x 1 -> N x 14 x 14 x 64."""
    return halve(conv(x, spec, spec.stem[0], 3, init, "stem.conv1"), "stem.pool1")


def halve(x, name: str):
    """3 x 3 max-pooling with stride 2, whose last window may hang over the border.

    "same" would begin before the first pixel where the map's side is odd.

    Shape:
        N x H x W x C -> N x H/2 x W/2 x C, rounded down.
    """
    if x.shape[1] % 2:
        return layers.MaxPooling2D(3, 2, name=name)(x)
    return layers.MaxPooling2D(3, 2, padding="same", name=name)(x)


def conv(x, spec: GoogLeNetSpec, channels: int, kernel: int, init, name: str, stride: int = 1):
    """A convolution padded to keep the map's size, then ReLU (Section 5). In the mini form BatchNorm stands between.

    Shape:
        N x H x W x C -> N x H/stride x W/stride x channels.
    """
    padding = "same"
    if stride > 1:
        # Keras's own padding of strided windows is not even on both sides.
        x, padding = layers.ZeroPadding2D(kernel // 2, name=f"{name}.conv.pad")(x), "valid"
    x = layers.Conv2D(
        channels, kernel, stride, padding=padding, use_bias=not spec.batch_norm, kernel_initializer=init,
        name=f"{name}.conv",
    )(x)  # fmt: skip
    if spec.batch_norm:
        # PyTorch's numbers: Keras's own are 0.99 and 1e-3.
        x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}.bn")(x)
    return layers.ReLU(name=f"{name}.relu")(x)


def inception(x, spec: GoogLeNetSpec, block: Block, init):
    """Four branches side by side, whose maps are put behind each other (Fig. 2(b)).

    The 1 x 1 convolutions before the 3 x 3 and the 5 x 5 make those affordable.

    Shape:
        N x H x W x C -> N x H x W x (conv1 + conv3 + conv5 + project).
    """
    name = block.name
    one = conv(x, spec, block.conv1, 1, init, f"{name}.conv1")
    three = conv(x, spec, block.reduce3, 1, init, f"{name}.reduce3")
    three = conv(three, spec, block.conv3, 3, init, f"{name}.conv3")
    five = conv(x, spec, block.reduce5, 1, init, f"{name}.reduce5")
    five = conv(five, spec, block.conv5, 5, init, f"{name}.conv5")
    pooled = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}.pool")(x)
    pooled = conv(pooled, spec, block.project, 1, init, f"{name}.project")
    return layers.Concatenate(name=name)([one, three, five, pooled])


def auxiliary(x, spec: GoogLeNetSpec, init, seed: keras.random.SeedGenerator, name: str):
    """A second classifier half-way, for training alone (Section 5).

    Shape:
        N x 14 x 14 x C -> N x 1000.
    """
    x = layers.AveragePooling2D(HEAD_POOL, HEAD_STRIDE, name=f"{name}.pool")(x)
    x = conv(x, spec, HEAD_MAPS, 1, init, f"{name}.reduce")  # N x 4 x 4 x 128
    x = layers.Flatten(name=f"{name}.flatten")(x)
    x = layers.Dense(HEAD_UNITS, kernel_initializer=init, name=f"{name}.fc1")(x)
    x = layers.ReLU(name=f"{name}.relu")(x)  # N x 1024
    x = layers.Dropout(HEAD_DROPOUT, seed=number(seed), name=f"{name}.drop")(x)
    return layers.Dense(spec.num_classes, kernel_initializer=init, name=f"{name}.fc2")(x)  # N x 1000
