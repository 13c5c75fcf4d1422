"""AlexNet in Keras. Shapes are N x H x W x C, given for `alexnet`. In PyTorch: `torch.py` beside this file."""

from __future__ import annotations

import keras
from keras import layers, ops

from backbones.alexnet.spec import (
    ALPHA,
    BETA,
    NEIGHBOURS,
    POOL_KERNEL,
    POOL_STRIDE,
    AlexNetSpec,
    K,
)
from backbones.keras_parts import he_normal, number


def build(spec: AlexNetSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """Build a form of AlexNet, freshly initialised from `seed`.

    `keras.models.load_model` reads a `.keras` file of it once this module is imported. What it gives has no `config`.
    """
    return alexnet(spec, seed)


def alexnet(spec: AlexNetSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """AlexNet, Krizhevsky et al. 2012, Section 3.5.

    Deviations from the paper: one machine computes both groups; the test averages no ten crops.
    `alexnet_owt` starts from the same weights' distribution, for which its paper gives no rule; torchvision
    drops what fc6 and fc7 see; here, as in the paper, what they give is dropped, so that fc6 sees all.

    Initialisation: normal weights of standard deviation 0.01; biases 1 in conv2, conv4, conv5 and the hidden
    dense layers, so that their ReLUs start open, 0 elsewhere (Section 5). `alexnet_mini`: He et al. 2015.

    Args:
        spec: What to build: a form from `backbones.alexnet.spec`, such as `ALEXNET`.
        seed: Draws the initial weights, and the seeds of dropout.

    Shape:
        Input N x 227 x 227 x 3, output N x 1000.

    Examples:
        >>> from backbones.alexnet.spec import ALEXNET_MINI
        >>> alexnet(ALEXNET_MINI, keras.random.SeedGenerator(0)).output.shape
        (None, 10)
    """
    kernel_init = (
        keras.initializers.RandomNormal(stddev=spec.init_std, seed=seed) if spec.init_std else he_normal(seed)
    )

    def init(bias: float) -> dict:
        return {
            "kernel_initializer": kernel_init,
            "bias_initializer": keras.initializers.Constant(bias),
        }

    def features(x):
        for i, conv in enumerate(spec.convs, start=1):
            # Keras's own padding of strided windows is not even on both sides.
            same = conv.stride == 1 and 2 * conv.padding == conv.kernel - 1
            if conv.padding and not same:
                x = layers.ZeroPadding2D(conv.padding, name=f"conv{i}.pad")(x)
            x = layers.Conv2D(
                conv.channels,
                conv.kernel,
                conv.stride,
                padding="same" if same else "valid",
                groups=conv.groups,
                **init(conv.bias),
                name=f"conv{i}",
            )(x)  # N x 55 x 55 x 96, N x 27 x 27 x 256, then 13 x 13: 384, 384, 256
            x = layers.ReLU(name=f"relu{i}")(x)
            if conv.norm:
                x = LocalResponseNorm(name=f"norm{i}")(x)
            if conv.pool:
                x = layers.MaxPooling2D(POOL_KERNEL, POOL_STRIDE, name=f"pool{i}")(x)  # 55 to 27 to 13 to 6
        return x

    def head(x):
        x = layers.Flatten(name="flatten")(x)  # N x 9216
        for i, units in enumerate(spec.hidden, start=6):
            x = layers.Dense(units, **init(spec.hidden_bias), name=f"fc{i}")(x)  # N x 4096
            x = layers.ReLU(name=f"relu{i}")(x)
            x = layers.Dropout(spec.dropout, seed=number(seed), name=f"drop{i}")(x)
        return layers.Dense(spec.num_classes, **init(0.0), name="fc8")(x)  # N x 1000

    images = keras.Input((spec.input_size, spec.input_size, spec.in_channels), name="images")
    return keras.Model(images, head(features(images)), name=spec.name)


@keras.saving.register_keras_serializable(package="backbones")
class LocalResponseNorm(layers.Layer):
    """Each value divided by a power of the sum of squares over the maps beside it (Section 3.3).

    TensorFlow has this as one operation, but not in float64.

    Shape:
        N x H x W x C to the same shape.
    """

    def call(self, x):
        """N x H x W x C -> N x H x W x C."""
        channels, side = x.shape[-1], NEIGHBOURS // 2
        squares = ops.pad(ops.square(x), ((0, 0), (0, 0), (0, 0), (side, side)))
        total = sum(squares[..., i : i + channels] for i in range(NEIGHBOURS))
        return x / (K + ALPHA * total) ** BETA
