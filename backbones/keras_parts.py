"""What several of the Keras files need and Keras itself lacks."""

from __future__ import annotations

import keras


def he_normal(seed: keras.random.SeedGenerator) -> keras.initializers.Initializer:
    """Normal weights of variance 2 / fan-in (He et al. 2015, arXiv:1502.01852, Eq. 10).

    Keras's own `HeNormal` cuts the tails off, PyTorch's does not; hence "untruncated".
    """
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal", seed=seed)


def number(seed: keras.random.SeedGenerator) -> int:
    """The next number from a generator: Keras's dropout wants a generator of its own."""
    return int(keras.random.randint((), 0, 2**31 - 1, seed=seed))
