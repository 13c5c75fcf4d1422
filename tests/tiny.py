"""A small synthetic data set. By itself, since a process that trains in one framework need not load the other."""

import numpy as np

from backbones import data


def make_tiny():
    """A data set of 640 + 160 images whose class is written all over them, so that a net can learn it at once."""
    rng = np.random.default_rng(1)
    templates = rng.integers(0, 256, (10, 28, 28, 1))

    def draw(count):
        labels = rng.integers(0, 10, count)
        noisy = templates[labels] * 0.8 + rng.integers(0, 52, (count, 28, 28, 1))
        return noisy.astype(np.uint8), labels

    train, test = draw(800), draw(200)
    return data.Dataset("tiny", *train, *test, tuple("0123456789"), mean=0.5, std=0.3, validation_size=160)
