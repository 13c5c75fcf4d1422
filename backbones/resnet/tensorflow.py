"""ResNet in Keras. Shapes are N x H x W x C, given for `resnet50`. The same nets in PyTorch: `torch.py`."""

from __future__ import annotations

import keras
from keras import layers, ops

from backbones.keras_parts import he_normal
from backbones.resnet.spec import EXPANSION, ResNetSpec, stride_of


def build(spec: ResNetSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """Build a form of ResNet, freshly initialised from `seed`.

    `keras.models.load_model` reads a `.keras` file of it once this module is imported. What it gives has no `config`.
    """
    return resnet(spec, seed)


def resnet(spec: ResNetSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """ResNet, He et al. 2015, Table 1 and Section 4.2.

    Deviation from the authors' models: a bottleneck halves the map in its 3 x 3 convolution, not in the first 1 x 1
    (`stride_in_1x1` is their way; Table 1 names only the block).

    Initialisation: He normal weights (He et al. 2015, arXiv:1502.01852, Eq. 10, as Section 3.4 says) and zero
    biases; BatchNorm starts with scale 1 and shift 0.

    Args:
        spec: What to build: a form from `backbones.resnet.spec`, such as `VARIANTS["resnet50"]`.
        seed: Draws the initial weights.

    Shape:
        Input N x 224 x 224 x 3, output N x 1000.

    Examples:
        >>> from backbones.resnet.spec import VARIANTS
        >>> resnet(VARIANTS["resnet20"], keras.random.SeedGenerator(0)).output.shape
        (None, 10)
    """
    init = he_normal(seed)

    def features(x):
        if spec.small_images:
            x = conv(x, spec.channels[0], 3, 1, init, "conv1")
        else:
            x = conv(x, spec.channels[0], 7, 2, init, "conv1")
        x = layers.ReLU(name="relu1")(batch_norm(x, "bn1"))  # N x 112 x 112 x 64
        if not spec.small_images:
            x = layers.ZeroPadding2D(1, name="pool1.pad")(x)  # as good as minus infinity after a ReLU
            x = layers.MaxPooling2D(3, 2, name="pool1")(x)  # N x 56 x 56 x 64
        block = bottleneck if spec.bottleneck else basic
        for stage, (count, channels) in enumerate(zip(spec.blocks, spec.channels, strict=True), start=1):
            for i in range(count):
                x = block(x, spec, channels, stride_of(stage, i), init, f"layer{stage}.{i}")
            # N x 56 x 56 x 256, N x 28 x 28 x 512, N x 14 x 14 x 1024, N x 7 x 7 x 2048
        return x

    def head(x):
        x = layers.GlobalAveragePooling2D(keepdims=True, name="avgpool")(x)  # N x 1 x 1 x 2048
        x = layers.Flatten(name="flatten")(x)
        return layers.Dense(spec.num_classes, kernel_initializer=init, name="fc")(x)  # N x 1000

    images = keras.Input((spec.input_size, spec.input_size, spec.in_channels), name="images")
    return keras.Model(images, head(features(images)), name=spec.name)


def basic(x, spec: ResNetSpec, channels: int, stride: int, init, name: str):
    """Two 3 x 3 convolutions and the way around them (Fig. 2, Fig. 5 left).

    Shape:
        N x H x W x C -> N x H/stride x W/stride x channels.
    """
    out = conv(x, channels, 3, stride, init, f"{name}.conv1")
    out = layers.ReLU(name=f"{name}.relu1")(batch_norm(out, f"{name}.bn1"))
    out = conv(out, channels, 3, 1, init, f"{name}.conv2")
    out = batch_norm(out, f"{name}.bn2")
    if spec.shortcut != "none":
        shortcut = downsample(x, spec, channels, stride, init, f"{name}.downsample")
        out = layers.Add(name=f"{name}.add")([out, shortcut])
    return layers.ReLU(name=f"{name}.relu2")(out)


def bottleneck(x, spec: ResNetSpec, channels: int, stride: int, init, name: str):
    """1 x 1 to fewer maps, 3 x 3, 1 x 1 to four times as many, and the way around them (Fig. 5 right).

    Shape:
        N x H x W x C -> N x H/stride x W/stride x 4 channels.
    """
    first, second = (stride, 1) if spec.stride_in_1x1 else (1, stride)
    out = conv(x, channels, 1, first, init, f"{name}.conv1")
    out = layers.ReLU(name=f"{name}.relu1")(batch_norm(out, f"{name}.bn1"))
    out = conv(out, channels, 3, second, init, f"{name}.conv2")
    out = layers.ReLU(name=f"{name}.relu2")(batch_norm(out, f"{name}.bn2"))
    out = conv(out, EXPANSION * channels, 1, 1, init, f"{name}.conv3")
    out = batch_norm(out, f"{name}.bn3")
    if spec.shortcut != "none":
        shortcut = downsample(x, spec, EXPANSION * channels, stride, init, f"{name}.downsample")
        out = layers.Add(name=f"{name}.add")([out, shortcut])
    return layers.ReLU(name=f"{name}.relu3")(out)


def downsample(x, spec: ResNetSpec, outputs: int, stride: int, init, name: str):
    """What leads around a block: nothing to compute where the map keeps its shape (Section 3.2).

    Shape:
        N x H x W x C -> N x H/stride x W/stride x outputs.
    """
    if stride == 1 and x.shape[-1] == outputs:
        return x
    if spec.shortcut == "padding":
        return PadShortcut(outputs, stride, name=name)(x)
    return batch_norm(conv(x, outputs, 1, stride, init, f"{name}.0"), f"{name}.1")


@keras.saving.register_keras_serializable(package="backbones")
class PadShortcut(layers.Layer):
    """Option A of Section 4.1: every second pixel, and maps of zeros behind those that are there.

    Shape:
        N x H x W x C -> N x H/stride x W/stride x channels.
    """

    def __init__(self, channels: int, stride: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.channels, self.stride = channels, stride

    def get_config(self):
        """What a `.keras` file holds of it."""
        return {**super().get_config(), "channels": self.channels, "stride": self.stride}

    def call(self, x):
        """N x H x W x C -> N x H/stride x W/stride x channels."""
        x = x[:, :: self.stride, :: self.stride, :]
        return ops.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.channels - x.shape[-1])))


def conv(x, channels: int, kernel: int, stride: int, init, name: str):
    """A convolution without bias, padded by kernel // 2 on every side.

    Shape:
        N x H x W x C -> N x H/stride x W/stride x channels.
    """
    padding = "same"
    if stride > 1 and kernel > 1:
        # Keras's own padding of strided windows is not even on both sides.
        x, padding = layers.ZeroPadding2D(kernel // 2, name=f"{name}.pad")(x), "valid"
    return layers.Conv2D(
        channels, kernel, stride, padding=padding, use_bias=False, kernel_initializer=init, name=name
    )(x)


def batch_norm(x, name: str):
    """BatchNorm with PyTorch's numbers: Keras's own are 0.99 and 1e-3.

    Shape:
        N x H x W x C to the same shape.
    """
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)
