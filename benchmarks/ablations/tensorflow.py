"""The small net in Keras. Shapes are N x H x W x C. The same in PyTorch: `torch.py` beside this file."""

from __future__ import annotations

import keras
from keras import layers

from backbones.alexnet.tensorflow import LocalResponseNorm
from benchmarks.ablations.spec import SmallNetSpec, pools_before, stride_of

POOLS = {"max": layers.MaxPooling2D, "mean": layers.AveragePooling2D}


def build(spec: SmallNetSpec) -> keras.Model:
    """N x 28 x 28 x 1 -> N x 10. Its weights are to come from PyTorch's, so that both start alike."""
    images = keras.Input((spec.input_size, spec.input_size, spec.in_channels), name="images")
    x = images
    for stage, channels in enumerate(spec.channels, start=1):
        if pools_before(spec, stage):
            x = POOLS[spec.downsample](2, name=f"pool{stage}")(x)
        for i in range(1, spec.depth + 1):
            name = f"{stage}_{i}"
            x = conv(x, channels, spec.kernel, stride_of(spec, stage, i), f"conv{name}")
            if spec.norm == "batch":
                # PyTorch's numbers: Keras's own are 0.99 and 1e-3.
                x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm{name}")(x)
            x = layers.Activation(spec.activation, name=f"act{name}")(x)
            if spec.norm == "local":
                x = LocalResponseNorm(name=f"norm{name}")(x)
    if spec.average:
        x = layers.GlobalAveragePooling2D(keepdims=True, name="avgpool")(x)
    x = layers.Flatten(name="flatten")(x)
    for i, units in enumerate(spec.hidden, start=1):
        x = layers.Dense(units, name=f"fc{i}")(x)
        x = layers.Activation(spec.activation, name=f"act{i}")(x)
        x = layers.Dropout(spec.dropout, name=f"drop{i}")(x)
    model = keras.Model(images, layers.Dense(spec.num_classes, name="fc")(x), name=spec.name)
    model.config = spec
    return model


def conv(x, channels: int, kernel: int, stride: int, name: str):
    """A convolution padded by kernel // 2 on every side."""
    padding = "same"
    if stride > 1:
        # Keras's own padding of strided windows is not even on both sides.
        x, padding = layers.ZeroPadding2D(kernel // 2, name=f"{name}.pad")(x), "valid"
    return layers.Conv2D(channels, kernel, stride, padding=padding, name=name)(x)


def with_tanh(model: keras.Model) -> keras.Model:
    """A model with the same weights, with tanh where the other has ReLU."""

    def other(layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, layers.ReLU):
            return layers.Activation("tanh", name=layer.name)
        return layer.from_config(layer.get_config())

    changed = keras.models.clone_model(model, clone_function=other)
    changed.set_weights(model.get_weights())
    changed.config = model.config
    return changed
