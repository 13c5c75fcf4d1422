"""Inception v3 in Keras. Shapes are N x H x W x C. The same net in PyTorch: `torch_v3.py`."""

from __future__ import annotations

import keras
from keras import layers

from backbones.inception import blocks_v3 as table
from backbones.inception.auxiliary import with_heads
from backbones.inception.spec_v3 import EPSILON, HEAD, InceptionV3Spec
from backbones.keras_parts import he_normal, number


def inception_v3(spec: InceptionV3Spec, seed: keras.random.SeedGenerator) -> keras.Model:
    """Inception v3, Szegedy et al. 2015, Table 1.

    In training the output is a tuple: the logits, then those of the auxiliary head.

    Deviations from the paper: the net is that of the authors' published code, numbers of maps included. Behind
    the first pooling its stem has 1 x 1, 3 x 3 and a pooling, where Table 1 has three 3 x 3, the second with stride 2.
    The second branch of the first three blocks has a 5 x 5 where Fig. 5 has a 3 x 3. Of Section 6's five blocks with
    7 x 1 there are four. The head's dense layer has no BatchNorm (Section 10).

    Initialisation: He normal weights (He et al. 2015, arXiv:1502.01852, Eq. 10) and zero biases; BatchNorm starts
    with scale 1 and shift 0. The paper gives no rule.

    Args:
        spec: What to build: `backbones.inception.spec_v3.INCEPTION_V3`, or a change of it.
        seed: Draws the initial weights, and the seeds of dropout.

    Shape:
        Input N x 299 x 299 x 3, output N x 1000.

    Examples:
        >>> from backbones.inception.spec_v3 import INCEPTION_V3
        >>> inception_v3(INCEPTION_V3, keras.random.SeedGenerator(0)).outputs[0].shape
        (None, 1000)
    """
    init = he_normal(seed)

    def features_and_heads(x):
        heads = []
        for step in spec.stem:
            x = conv(x, step, init, step.name)  # to N x 147 x 147 x 64
            if step.name in spec.pooled:
                # N x 73 x 73 x 64, N x 35 x 35 x 192
                x = layers.MaxPooling2D(3, 2, name=f"maxpool{spec.pooled.index(step.name) + 1}")(x)
        for part in spec.blocks:
            # N x 35 x 35 x 288 after 5d, N x 17 x 17 x 768 after 6e, N x 8 x 8 x 2048 after 7c
            x = block(x, spec, part, init)
            if part.head and spec.auxiliary:
                heads.append(auxiliary(x, spec, init))
        return x, heads

    def head(x):
        x = layers.GlobalAveragePooling2D(keepdims=True, name="avgpool")(x)  # N x 1 x 1 x 2048
        x = layers.Flatten(name="flatten")(x)
        x = layers.Dropout(spec.dropout, seed=number(seed), name="dropout")(x)
        return layers.Dense(spec.num_classes, kernel_initializer=init, name="fc")(x)  # N x 1000

    images = keras.Input((spec.input_size, spec.input_size, spec.in_channels), name="images")
    x, heads = features_and_heads(images)
    return with_heads(spec, images, head(x), heads)


def conv(x, step: table.Conv, init, name: str):
    """A convolution without bias, BatchNorm and ReLU; some keep the map's size by zeros around it (Section 6).

    Shape:
        N x H x W x C -> N x H' x W' x channels.
    """
    x = layers.Conv2D(
        step.channels,
        step.kernel,
        step.stride,
        padding="same" if step.same else "valid",  # no strided window is padded here
        use_bias=False,
        kernel_initializer=init,
        name=f"{name}.conv",
    )(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=EPSILON, name=f"{name}.bn")(x)
    return layers.ReLU(name=f"{name}.relu")(x)


def block(x, spec: InceptionV3Spec, part: table.Block, init):
    """Branches side by side, whose maps are put behind each other (Fig. 5, 6, 7 and 10).

    Shape:
        N x H x W x C -> N x H x W x outputs, or half of H and W.
    """
    outputs = []
    for branch in part.branches:
        y = x
        for step in branch.convs:
            y = conv(y, step, init, f"{part.name}.{step.name}")
        outputs += [conv(y, step, init, f"{part.name}.{step.name}") for step in branch.fork] or [y]
    if part.project:
        y = mean(x, spec, f"{part.name}.pool")
        projection = table.Conv(name="branch_pool", channels=part.project)
        outputs.append(conv(y, projection, init, f"{part.name}.branch_pool"))
    else:
        outputs.append(layers.MaxPooling2D(3, 2, name=f"{part.name}.pool")(x))
    return layers.Concatenate(name=part.name)(outputs)


def mean(x, spec: InceptionV3Spec, name: str):
    """3 x 3 average pooling. Keras leaves its own padding out of the mean; zeros put there before count.

    Shape:
        N x H x W x C to the same shape.
    """
    if spec.pool_counts_padding:
        x = layers.ZeroPadding2D(1, name=f"{name}.pad")(x)
        return layers.AveragePooling2D(3, 1, name=name)(x)
    return layers.AveragePooling2D(3, 1, padding="same", name=name)(x)


def auxiliary(x, spec: InceptionV3Spec, init):
    """A second classifier half-way, for training alone (Section 4, Fig. 8).

    Shape:
        N x 17 x 17 x 768 -> N x 1000.
    """
    x = layers.AveragePooling2D(5, 3, name="auxlogits.pool")(x)  # N x 5 x 5 x 768
    for step in HEAD:
        x = conv(x, step, init, f"auxlogits.{step.name}")  # N x 5 x 5 x 128, N x 1 x 1 x 768
    x = layers.GlobalAveragePooling2D(keepdims=True, name="auxlogits.avgpool")(x)
    x = layers.Flatten(name="auxlogits.flatten")(x)
    return layers.Dense(spec.num_classes, kernel_initializer=init, name="auxlogits.fc")(x)  # N x 1000
