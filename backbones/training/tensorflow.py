"""The training loop with Keras's `fit`. The same in plain PyTorch: `torch.py` beside this file."""

from __future__ import annotations

import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from backbones.data import Dataset, prefetch
from backbones.errors import BackbonesError
from backbones.training.history import History
from backbones.training.progress import Progress
from backbones.training.recipe import Recipe
from backbones.training.run import Arrays, Part, Run

# Short steps that run inside one call of the compiled graph. Each call costs some milliseconds of Python, which is not
# much less than such a step takes.
STEPS_PER_CALL = 39

# A step is long if a batch takes more seconds than this forward, layer by layer. On the slowest processor measured
# LeNet-5 takes a third of it, alexnet_mini half as much again, and the other nets three times as much and more.
LONG = 0.06

# The most that the images of one stream may take, in bytes; a few streams are in memory at once. MNIST's training
# split is one stream, with LeNet's border, too.
STREAM_BYTES = 2**28


def fit(
    model: keras.Model,
    dataset: Dataset,
    recipe: Recipe,
    *,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> History:
    """Train on the training split, and look at the validation split after each epoch.

    Args:
        model: Takes N x H x W x C and gives logits, N x classes. Changed in place, and left with Keras's own
            cross-entropy, so that its `evaluate` and `save` work.
        dataset: From `backbones.data.load`. The test images are not touched.
        recipe: How to train.
        progress: Whether to show a progress bar (on a terminal) and a line per epoch.
        checkpoint: A file to write after each epoch, and on Ctrl-C. If it is there, the run goes on from it.

    Returns:
        The epochs of the whole run, in order, those before an interruption included.

    Raises:
        BackbonesError: If the model does not fit the data set, gives no logits or has nothing to train, the checkpoint
            is of another run or cannot be written, or the loss is no longer a number.

    Examples:
        >>> from backbones import create_model, data
        >>> model, part = create_model("lenet5", "tensorflow"), data.load("mnist").part(train=64, validation=10)
        >>> len(fit(model, part, Recipe(epochs=2), progress=False).epochs)
        2
    """
    run = Run(model, dataset, recipe, progress=progress, checkpoint=checkpoint)
    compile_for(model, recipe, run.rates, steps_per_call(model, run.images))
    seed_dropout(model, recipe.seed)
    if run.saved is not None:
        restore(model, run.saved)
    # One stream's batches are made while the one before is learned from, also from epoch to epoch.
    streams = prefetch((stream for epoch in run.epochs_to_do for stream in streams_of(run, epoch)), depth=1)
    try:
        with run.interruptible():
            for epoch in run.epochs_to_do:
                with run.bar(epoch) as bar:
                    with in_precision(model, recipe.precision):
                        part = train_epoch(model, streams, run, epoch, bar)
                    bar.finish(run.finish_epoch(part, partial(arrays_of, model)))
    finally:
        # A `.keras` file could not hold the recipe's optimizer and loss; Ctrl-C leaves a model that can be saved, too.
        model.compile("sgd", cross_entropy(label_smoothing=0), metrics=["accuracy"])
    return run.history


def train_epoch(
    model: keras.Model, streams: Iterator[tf.data.Dataset], run: Run, epoch: int, bar: Progress
) -> Part:
    """Go through the training images once; their losses and right answers on the way."""
    part = run.begun(epoch)
    while part.steps < run.steps:
        # One call of `fit` per stream: Keras forgets nothing between them, but begins its means anew.
        watch = _Watch(run, epoch, bar, part)
        model.fit(next(streams), shuffle=False, verbose=0, callbacks=[watch])
        part = watch.part
    return part


def steps_per_call(model: keras.Model, images: NDArray[np.float32]) -> int:
    """How many steps run inside one call of the compiled graph. It changes no weight.

    One, where a step is long: many win nothing there, take longer to trace, and let progress bar and Ctrl-C wait.
    """
    # The shortest of several, since other work on the machine makes a short one long now and then.
    seconds = min(timeit.repeat(partial(model, images, training=False), number=1, repeat=3))
    return 1 if seconds > LONG else STEPS_PER_CALL


def compile_for(model: keras.Model, recipe: Recipe, rates: NDArray[np.float32], steps: int) -> None:
    """Give the model the recipe's optimizer and loss, and so many steps per call."""
    model.compile(
        AdamW(recipe, rates),
        cross_entropy(recipe.label_smoothing),
        # Not by name: such a metric makes its variables in the first step, which TensorFlow then traces twice.
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
        steps_per_execution=steps,
        jit_compile=False,  # XLA is several times slower on a CPU
    )
    model.optimizer.build(model.trainable_variables)  # likewise


def seed_dropout(model: keras.Model, seed: int) -> None:
    """Begin the random numbers of every layer that draws some anew, each layer's elsewhere."""
    random = np.random.default_rng(seed)
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            variable.assign(random.integers(2**31, size=2))


@contextmanager
def in_precision(model: keras.Model, precision: str) -> Iterator[None]:
    """Let the layers compute in the recipe's precision, and afterwards in their own, which evaluation is done in.

    Keras keeps the graph of a training step once it is traced, so that no later epoch traces it anew.
    """
    if precision == "fp32":
        yield
        return
    own = [layer.dtype_policy for layer in model.layers]
    try:
        for layer in model.layers:
            layer.dtype_policy = keras.DTypePolicy("mixed_bfloat16")
        yield
    finally:
        for layer, policy in zip(model.layers, own, strict=True):
            layer.dtype_policy = policy


def cross_entropy(label_smoothing: float) -> Any:
    """Cross-entropy from logits. Keras smooths labels only where they are vectors, so that is what they become."""
    if not label_smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    of_vectors = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=label_smoothing)

    def smoothed(labels, logits):
        return of_vectors(tf.one_hot(tf.cast(tf.reshape(labels, [-1]), tf.int32), logits.shape[-1]), logits)

    return smoothed


class AdamW(keras.optimizers.Adam):
    """AdamW (Loshchilov and Hutter, Algorithm 2) with the recipe's numbers, in steps that are rounded as PyTorch's.

    Keras's own adds epsilon to the root of the uncorrected running mean of squares, not of the corrected one, and
    rounds its betas to float32 before it takes their powers: its first steps are off by some millionths. And it takes
    the decay away from each weight; PyTorch multiplies all by one number, whose rounding they then have in common.
    """

    def __init__(self, recipe: Recipe, rates: NDArray[np.float32]) -> None:
        super().__init__(RateOfStep(rates), recipe.beta1, recipe.beta2, recipe.epsilon)
        self.decay = recipe.weight_decay

    def apply(self, grads, trainable_variables=None):
        """What is the same for all weights is worked out once, in float64, and rounded once."""
        step, rate = (tf.cast(x, tf.float64) for x in (self.iterations + 1, self.learning_rate))
        # What a running mean that began at zero still lacks of 1.
        of_mean, of_square = (1 - tf.constant(b, tf.float64) ** step for b in (self.beta_1, self.beta_2))
        self.shared = 1 - rate * self.decay, rate / of_mean, tf.sqrt(of_square)
        super().apply(grads, trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        """Move one weight; the rate is in what `apply` has worked out."""
        index = self._get_variable_index(variable)
        mean, square = self._momentums[index], self._velocities[index]
        kept, length, root = (tf.cast(x, variable.dtype) for x in self.shared)
        variable.assign(variable * kept)
        mean.assign_add((gradient - mean) * (1 - self.beta_1))
        square.assign(square * self.beta_2 + gradient * (1 - self.beta_2) * gradient)
        variable.assign_sub(length * mean / (tf.sqrt(square) / root + self.epsilon))


class RateOfStep(keras.optimizers.schedules.LearningRateSchedule):
    """Looks the learning rate up in the recipe's own list, so that both frameworks use the same numbers."""

    def __init__(self, rates: NDArray[np.float32]) -> None:
        self.rates = tf.constant(rates)

    def __call__(self, step):
        """The rate of that step, from 0."""
        return tf.gather(self.rates, tf.cast(step, tf.int32))


def streams_of(run: Run, epoch: int) -> Iterator[tf.data.Dataset]:
    """The batches of one epoch, each N x H x W x C and N, in as few streams as `STREAM_BYTES` allows."""
    batches = run.batches(epoch)
    for first in batches:
        steps = max(1, STREAM_BYTES // first[0].nbytes)
        yield as_tf_dataset([first, *islice(batches, steps - 1)])


def as_tf_dataset(batches: list[tuple[NDArray[np.float32], NDArray[np.int64]]]) -> tf.data.Dataset:
    """Batches as one stream, made beforehand.

    A stream that calls Python for each batch (`from_generator`) waits for Python's lock, and can wait for ever when it
    is taken down.
    """
    images, labels = zip(*batches, strict=True)
    options = tf.data.Options()
    # There is nothing to tune, and the thread that would sleeps up to a minute before it lets the stream end.
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices((np.stack(images), np.stack(labels))).with_options(options)


class _Watch(keras.callbacks.Callback):
    """Moves the progress bar and checks the loss; Keras calls it after each call of the graph.

    The means are Keras's own, and so begin anew with each stream. `before` is what was done of the epoch until then.
    """

    def __init__(self, run: Run, epoch: int, bar: Progress, before: Part) -> None:
        super().__init__()
        self.run, self.epoch, self.bar, self.before, self.part = run, epoch, bar, before, before

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        logs = logs or {}
        loss, accuracy = float(logs["loss"]), float(logs["accuracy"])
        # Keras counts the last call's steps in full, whether the stream had so many left or not.
        part = self.before.after(min(batch + 1, self.params["steps"]), loss, accuracy)
        self.run.check(loss, self.epoch, part.steps - 1)
        self.bar.update(part.steps - self.part.steps, part.loss / part.steps, part.accuracy / part.steps)
        self.part = part
        self.run.finish_steps(part, partial(arrays_of, self.model))


def arrays_of(model: keras.Model) -> Arrays:
    """All that the rest of the run depends on: weights, dropout's random state, the optimizer's running means."""
    return {name: np.asarray(variable) for name, variable in _variables(model).items()}


def restore(model: keras.Model, arrays: Arrays) -> None:
    """The way back from `arrays_of`.

    Raises:
        BackbonesError: If the arrays are of another framework or of another net.
    """
    variables = _variables(model)
    if {key: v.shape for key, v in arrays.items()} != {k: tuple(v.shape) for k, v in variables.items()}:
        raise BackbonesError("the checkpoint holds the state of another framework or of another net")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _variables(model: keras.Model) -> dict[str, Any]:
    # The last part of a path alone: the parts before it count how many such things this process has made.
    both = [*model.variables, *model.optimizer.variables]
    return {f"{index}.{variable.path.split('/')[-1]}": variable for index, variable in enumerate(both)}
