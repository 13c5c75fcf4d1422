"""LeNet-5 in Keras. Shapes are N x H x W x C. The same net in PyTorch: `torch.py` beside this file."""

from __future__ import annotations

import keras
from keras import layers, ops

from backbones.keras_parts import he_normal
from backbones.lenet.spec import (
    C3_CONNECTIONS,
    INIT_RANGE,
    LENET5_1998,
    SQUASH_AMPLITUDE,
    SQUASH_SLOPE,
    LeNetSpec,
    prototypes,
)


def build(spec: LeNetSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """Build the form of LeNet-5 that `spec` names, freshly initialised from `seed`.

    `keras.models.load_model` reads a `.keras` file of it once this module is imported. What it gives has no `config`.
    """
    return lenet5_1998(spec, seed) if spec.name == LENET5_1998.name else lenet5(spec, seed)


def lenet5(spec: LeNetSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """LeNet-5 as taught and used today, after LeCun et al. 1998, Section II.B.

    Deviations from the paper: 28 x 28 input, padded to 32 x 32 by the first convolution; ReLU for scaled
    tanh; max-pooling for trainable subsampling; every map of the second convolution sees all six maps
    below it; a linear output layer whose values are logits.

    Initialisation: He normal weights, for ReLU (He et al. 2015, arXiv:1502.01852, Eq. 10), and zero biases.

    Args:
        spec: What to build: `backbones.lenet.spec.LENET5`, or a change of it.
        seed: Draws the initial weights.

    Shape:
        Input N x 28 x 28 x 1, output N x 10.

    Examples:
        >>> from backbones.lenet.spec import LENET5
        >>> lenet5(LENET5, keras.random.SeedGenerator(0)).output.shape
        (None, 10)
    """
    c1, c3 = spec.channels
    f5, f6 = spec.units
    init = {"kernel_initializer": he_normal(seed)}

    # The spec's padding of 2 on each side, for a kernel of 5: with stride 1 Keras pads evenly, as PyTorch does.
    same = 2 * spec.padding == spec.kernel - 1

    def features(x):  # N x 28 x 28 x 1
        if spec.padding and not same:
            x = layers.ZeroPadding2D(spec.padding, name="conv1.pad")(x)
        x = layers.Conv2D(c1, spec.kernel, padding="same" if same else "valid", **init, name="conv1")(x)
        x = layers.ReLU(name="relu1")(x)  # N x 28 x 28 x 6
        x = layers.MaxPooling2D(spec.pool, name="pool1")(x)  # N x 14 x 14 x 6
        x = layers.Conv2D(c3, spec.kernel, **init, name="conv2")(x)
        x = layers.ReLU(name="relu2")(x)  # N x 10 x 10 x 16
        return layers.MaxPooling2D(spec.pool, name="pool2")(x)  # N x 5 x 5 x 16

    def head(x):
        x = layers.Flatten(name="flatten")(x)  # N x 400
        x = layers.Dense(f5, **init, name="fc1")(x)
        x = layers.ReLU(name="relu3")(x)  # N x 120
        x = layers.Dense(f6, **init, name="fc2")(x)
        x = layers.ReLU(name="relu4")(x)  # N x 84
        return layers.Dense(spec.num_classes, **init, name="fc3")(x)  # N x 10

    images = keras.Input((spec.input_size, spec.input_size, spec.in_channels), name="images")
    return keras.Model(images, head(features(images)), name=spec.name)


def lenet5_1998(spec: LeNetSpec, seed: keras.random.SeedGenerator) -> keras.Model:
    """LeNet-5 as LeCun et al. 1998 describe it, Section II.B and Appendix A.

    The output is the negative of the paper's: there, the class with the smallest squared distance wins;
    here, as everywhere else in this package, the largest logit does.

    Deviations from the paper: the output prototypes are redrawn (see `spec.DIGIT_BITMAPS`); biases start
    at zero, for which the paper gives no rule.

    Args:
        spec: What to build: `backbones.lenet.spec.LENET5_1998`, of which only `in_channels` may be another.
        seed: Draws the initial weights.

    Shape:
        Input N x 32 x 32 x 1, output N x 10.

    Examples:
        >>> from backbones.lenet.spec import LENET5_1998
        >>> lenet5_1998(LENET5_1998, keras.random.SeedGenerator(0)).output.shape
        (None, 10)
    """
    c1, _ = spec.channels  # C3's maps are the rows of its table
    c5, f6 = spec.units
    init = {"kernel_initializer": UniformOverFanIn(seed)}

    def features(x):  # N x 32 x 32 x 1
        x = layers.Conv2D(c1, spec.kernel, **init, name="c1")(x)
        x = ScaledTanh(name="squash1")(x)  # N x 28 x 28 x 6
        x = Subsampling(spec.pool, seed, name="s2")(x)
        x = ScaledTanh(name="squash2")(x)  # N x 14 x 14 x 6
        x = PartialConv(C3_CONNECTIONS, spec.kernel, seed, name="c3")(x)
        x = ScaledTanh(name="squash3")(x)  # N x 10 x 10 x 16
        x = Subsampling(spec.pool, seed, name="s4")(x)
        x = ScaledTanh(name="squash4")(x)  # N x 5 x 5 x 16
        x = layers.Conv2D(c5, spec.kernel, **init, name="c5")(x)
        return ScaledTanh(name="squash5")(x)  # N x 1 x 1 x 120

    def head(x):
        x = layers.Flatten(name="flatten")(x)  # N x 120
        x = layers.Dense(f6, **init, name="f6")(x)
        x = ScaledTanh(name="squash6")(x)  # N x 84
        return RBF(prototypes(), name="output")(x)  # N x 10

    images = keras.Input((spec.input_size, spec.input_size, spec.in_channels), name="images")
    return keras.Model(images, head(features(images)), name=spec.name)


@keras.saving.register_keras_serializable(package="backbones")
class UniformOverFanIn(keras.initializers.Initializer):
    """Uniform in [-2.4 / fan_in, 2.4 / fan_in] (Appendix A). The last axis of a kernel is its output.

    A `.keras` file has no seed: it holds the weights.
    """

    def __init__(self, seed: keras.random.SeedGenerator | None = None) -> None:
        self.seed = seed

    def __call__(self, shape, dtype=None):
        """A tensor of that shape."""
        fan_in = 1
        for axis in shape[:-1]:
            fan_in *= axis
        bound = INIT_RANGE / fan_in
        return keras.random.uniform(shape, -bound, bound, dtype=dtype, seed=self.seed)


@keras.saving.register_keras_serializable(package="backbones")
class ScaledTanh(layers.Layer):
    """The squashing function A tanh(S a), LeCun et al. 1998, Eq. 6 and Appendix A.

    Shape:
        Any shape to the same shape.
    """

    def call(self, x):
        """Any shape to the same shape."""
        return SQUASH_AMPLITUDE * ops.tanh(SQUASH_SLOPE * x)


@keras.saving.register_keras_serializable(package="backbones")
class Subsampling(layers.Layer):
    """S2 and S4: each window's sum, times one weight, plus one bias, per map (Section II.B).

    Shape:
        N x H x W x C -> N x H/k x W/k x C.
    """

    def __init__(self, kernel: int, seed: keras.random.SeedGenerator | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.kernel, self.seed = kernel, seed

    def get_config(self):
        """What a `.keras` file holds of it, beside the weights."""
        return {**super().get_config(), "kernel": self.kernel}

    def build(self, input_shape) -> None:
        """Make the weights: one weight and one bias per map."""
        bound = INIT_RANGE / self.kernel**2
        init = keras.initializers.RandomUniform(-bound, bound, seed=self.seed)
        self.weight = self.add_weight((input_shape[-1],), init, name="weight")
        self.bias = self.add_weight((input_shape[-1],), "zeros", name="bias")

    def call(self, x):
        """N x H x W x C -> N x H/k x W/k x C."""
        total = ops.average_pool(x, self.kernel) * self.kernel**2
        return total * self.weight + self.bias


@keras.saving.register_keras_serializable(package="backbones")
class PartialConv(layers.Layer):
    """C3: a convolution in which each output map sees only some input maps (Table I).

    The weight holds one kernel per connected pair, in the order of the table, and nothing for the others.

    Shape:
        N x H x W x C -> N x (H - k + 1) x (W - k + 1) x (maps of the table); weight pairs x k x k.
    """

    def __init__(
        self, connections, kernel: int, seed: keras.random.SeedGenerator | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.connections, self.kernel, self.seed = connections, kernel, seed
        self.pairs = [(out, inp) for out, inputs in enumerate(connections) for inp in inputs]

    def get_config(self):
        """What a `.keras` file holds of it, beside the weights."""
        return {**super().get_config(), "connections": self.connections, "kernel": self.kernel}

    def build(self, input_shape) -> None:
        """Make the weights: one kernel per pair, one bias per output map."""
        self.full_shape = (len(self.connections), input_shape[-1], self.kernel, self.kernel)
        self.weight = self.add_weight((len(self.pairs), self.kernel, self.kernel), self._init, name="weight")
        self.bias = self.add_weight((len(self.connections),), "zeros", name="bias")

    def _init(self, shape, dtype=None):
        bounds = [INIT_RANGE / (len(self.connections[out]) * self.kernel**2) for out, _ in self.pairs]
        draw = keras.random.uniform(shape, -1, 1, dtype=dtype, seed=self.seed)
        return draw * ops.reshape(ops.convert_to_tensor(bounds, dtype), (-1, 1, 1))

    def call(self, x):
        """N x H x W x C -> N x (H - k + 1) x (W - k + 1) x (maps of the table)."""
        kernel = ops.scatter(self.pairs, self.weight, self.full_shape)  # unconnected pairs stay zero
        kernel = ops.transpose(kernel, (2, 3, 1, 0))
        return ops.conv(x, kernel) + self.bias


@keras.saving.register_keras_serializable(package="backbones")
class RBF(layers.Layer):
    """The output layer: minus the squared distance to each class's fixed prototype (Eq. 7).

    Shape:
        N x F -> N x K; weight K x F, not trained.
    """

    def __init__(self, weight: list[list[float]], **kwargs) -> None:
        super().__init__(**kwargs)
        self.prototypes = weight

    def get_config(self):
        """What a `.keras` file holds of it, beside the weights."""
        return {**super().get_config(), "weight": self.prototypes}

    def build(self, input_shape) -> None:
        """Make the fixed weights."""
        self.weight = self.add_weight(
            (len(self.prototypes), input_shape[-1]),
            lambda shape, dtype: ops.convert_to_tensor(self.prototypes, dtype),
            trainable=False,
            name="weight",
        )

    def call(self, x):
        """N x F -> N x K."""
        return -ops.sum(ops.square(x[:, None, :] - self.weight), axis=-1)
