"""A small synthetic data set and a training on it. Apart, since who trains in one framework need not load the other."""

from pathlib import Path

import numpy as np

import backbones
from backbones import data
from backbones.training import Recipe, fit


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


def train(framework, folder):
    """Of a net with dropout, whose random state counts, and BatchNorm, whose statistics do. May be resumed."""
    folder = Path(folder)
    model = backbones.create_model("vgg_mini", framework, seed=0, channels=(4, 8, 16))
    recipe = Recipe(epochs=4, batch_size=64, learning_rate=1e-3, label_smoothing=0.1)
    fit(model, make_tiny(), recipe, checkpoint=folder / "checkpoint.safetensors")
    backbones.save_weights(model, folder / "weights.safetensors")
