"""The training loop with Keras's `fit`. The same in plain PyTorch: `torch.py` beside this file."""

from __future__ import annotations

import time

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from backbones.data import Dataset, batches
from backbones.training.evaluation import evaluate, input_padding
from backbones.training.history import Epoch, History
from backbones.training.progress import Progress
from backbones.training.recipe import Recipe

# Steps that run inside one call of the compiled graph. Each call costs Python time; one step of a small net
# is over before Python is back.
STEPS_PER_CALL = 39


def fit(model: keras.Model, dataset: Dataset, recipe: Recipe, *, progress: bool = True) -> History:
    """Train on the training split, and look at the validation split after each epoch.

    Args:
        model: Gives logits, N x classes. Changed in place.
        dataset: From `backbones.data.load`. The test images are not touched.
        recipe: How to train.
        progress: Whether to show a progress bar (on a terminal) and a line per epoch.

    Raises:
        BackbonesError: If the model does not fit the data set.
    """
    steps = recipe.steps_per_epoch(len(dataset.train.labels))
    rates = recipe.learning_rates(steps)
    padding = input_padding(model, dataset)
    model.compile(
        make_optimizer(recipe, rates),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=STEPS_PER_CALL,
        jit_compile=False,  # XLA is several times slower on a CPU
    )
    history = History()
    for epoch in range(recipe.epochs):
        stream = as_tf_dataset(
            lambda epoch=epoch: batches(
                dataset.train,
                batch_size=recipe.batch_size,
                seed=recipe.seed,
                epoch=epoch,
                augmentation=recipe.augmentation,
                mean=dataset.mean,
                std=dataset.std,
                padding=padding,
            ),
            steps,
        )
        start = time.perf_counter()
        with Progress(epoch, recipe.epochs, steps, recipe.batch_size, show=progress) as bar:
            # One call of `fit` per epoch: Keras forgets nothing between them, and each epoch is one stream.
            logs = model.fit(stream, shuffle=False, verbose=0, callbacks=[_Bar(bar)]).history
            seconds = time.perf_counter() - start
            validation = evaluate(model, dataset, "validation")
            history.epochs.append(
                Epoch(
                    epoch + 1,
                    float(rates[(epoch + 1) * steps - 1]),
                    float(logs["loss"][0]),
                    float(logs["accuracy"][0]),
                    validation.loss,
                    validation.accuracy,
                    seconds,
                )
            )
            bar.finish(history.epochs[-1])
    return history


def make_optimizer(recipe: Recipe, rates: NDArray[np.float32]) -> keras.optimizers.Optimizer:
    """AdamW with the recipe's numbers."""
    return keras.optimizers.AdamW(
        RateOfStep(rates),
        beta_1=recipe.beta1,
        beta_2=recipe.beta2,
        epsilon=recipe.epsilon,
        weight_decay=recipe.weight_decay,
    )


class RateOfStep(keras.optimizers.schedules.LearningRateSchedule):
    """Looks the learning rate up in the recipe's own list, so that both frameworks use the same numbers."""

    def __init__(self, rates: NDArray[np.float32]) -> None:
        self.rates = tf.constant(rates)

    def __call__(self, step):
        """The rate of that step, from 0."""
        return tf.gather(self.rates, tf.cast(step, tf.int32))


def as_tf_dataset(make_batches, steps: int) -> tf.data.Dataset:
    """NumPy batches as a `tf.data.Dataset` that prepares a few in the background."""
    images, labels = next(iter(make_batches()))
    signature = (tf.TensorSpec(images.shape, images.dtype), tf.TensorSpec(labels.shape, labels.dtype))
    stream = tf.data.Dataset.from_generator(make_batches, output_signature=signature)
    return stream.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(4)


class _Bar(keras.callbacks.Callback):
    """Moves the progress bar; Keras calls it once per `STEPS_PER_CALL` steps."""

    def __init__(self, bar: Progress) -> None:
        super().__init__()
        self.bar, self.done = bar, 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        self.bar.update(batch + 1 - self.done, float(logs["loss"]), float(logs["accuracy"]))
        self.done = batch + 1
