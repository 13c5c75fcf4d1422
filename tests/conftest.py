"""What all tests share: quiet frameworks, one thread each, small synthetic data, and the list of models."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["OMP_NUM_THREADS"] = "1"  # two workers share two cores

import backbones  # isort: skip  (before TensorFlow: it sets how TensorFlow computes)

import contextlib

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch

from backbones import data

torch.set_num_threads(1)
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

MODELS = backbones.list_models()
FRAMEWORKS = ["torch", "tensorflow"]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@contextlib.contextmanager
def keras_float64():
    """Keras models built in here compute in float64."""
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def make_pair(name, dtype="float32"):
    """The same net with the same weights in both frameworks."""
    left = backbones.create_model(name, framework="torch", seed=0)
    if dtype == "float32":
        return left, backbones.convert.to_tensorflow(left)
    with keras_float64():
        right = backbones.create_model(name, framework="tensorflow", seed=0)
    left = left.double()
    backbones.convert.copy_weights(left, right)
    return left, right


def images_for(model, count, rng, dtype="float32"):
    """Random images, N x H x W x C, of the size the model takes."""
    size, channels = model.config.input_size, model.config.in_channels
    return rng.standard_normal((count, size, size, channels)).astype(dtype)


@pytest.fixture
def tiny(monkeypatch):
    """A data set of 640 + 160 images whose class is written all over them, so that a net can learn it at once."""
    monkeypatch.setattr(data, "VALIDATION_SIZE", 160)
    rng = np.random.default_rng(1)
    templates = rng.integers(0, 256, (10, 28, 28, 1))

    def draw(count):
        labels = rng.integers(0, 10, count)
        noisy = templates[labels] * 0.8 + rng.integers(0, 52, (count, 28, 28, 1))
        return noisy.astype(np.uint8), labels

    train, test = draw(800), draw(200)
    return data.Dataset("tiny", *train, *test, tuple("0123456789"), mean=0.5, std=0.3)
