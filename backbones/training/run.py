"""What both loops share: the batches, the rates, the history, and the checkpoint that a run goes on from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from backbones.data import Dataset, batches
from backbones.errors import BackbonesError, shown
from backbones.files import as_path, write_whole
from backbones.training.evaluation import evaluate, require_logits
from backbones.training.fitting import input_padding, require_trainable, spec_of
from backbones.training.history import Epoch, History
from backbones.training.progress import Progress
from backbones.training.recipe import Recipe

Arrays = Mapping[str, NDArray[Any]]


class Run:
    """One training: what it is given, how far it is, and where it keeps that.

    Attributes:
        history: The epochs that are done.
        saved: Everything that the framework has to put back to go on, if a checkpoint was found.

    Args:
        model: Of either framework.
        dataset: From `backbones.data.load`.
        recipe: How to train.
        progress: Whether to show a progress bar (on a terminal) and a line per epoch.
        checkpoint: A file to write after each epoch. If it is there, the run goes on from it.

    Raises:
        BackbonesError: If the model does not fit the data, gives no logits or has nothing to train, or the checkpoint
            is not one of this run.
    """

    def __init__(
        self, model: Any, dataset: Dataset, recipe: Recipe, *, progress: bool, checkpoint: str | Path | None
    ) -> None:
        self.model, self.dataset, self.recipe = model, dataset, recipe
        self.progress = progress
        self.checkpoint = None if checkpoint is None else as_path(checkpoint, "a checkpoint")
        self.padding = input_padding(model, dataset)
        self.steps = recipe.steps_per_epoch(len(dataset.train))
        self.rates = recipe.learning_rates(self.steps)
        self.history = History()
        self.saved: Arrays | None = None
        self.identity = _identity(model, dataset, recipe)
        require_logits(model, dataset, next(self.batches(0))[0])
        require_trainable(model)
        if self.checkpoint is not None:
            self._read(self.checkpoint)

    @property
    def epochs_to_do(self) -> range:
        """Numbers, from 0, of the epochs that are not done yet."""
        return range(len(self.history.epochs), self.recipe.epochs)

    def batches(self, epoch: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """The training batches of one epoch: N x H x W x C and N. The same for both frameworks."""
        return batches(
            self.dataset.train,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            epoch=epoch,
            augmentation=self.recipe.augmentation,
            mean=self.dataset.mean,
            std=self.dataset.std,
            padding=self.padding,
        )

    def bar(self, epoch: int) -> Progress:
        """The progress bar of one epoch."""
        return Progress(epoch, self.recipe.epochs, self.steps, self.recipe.batch_size, show=self.progress)

    def check(self, loss: float, epoch: int, step: int) -> None:
        """Stop a run whose loss is no longer a number: no later step can mend it.

        Args:
            loss: Of that step, or a mean up to it.
            epoch: From 0.
            step: Of the epoch, from 0.

        Raises:
            BackbonesError: With the step, the largest learning rate so far and what to do.
        """
        if not math.isfinite(loss):
            rate = self.rates[: epoch * self.steps + step + 1].max()  # the last one of a run is 0
            raise BackbonesError(
                f"the loss became {loss} by step {step + 1} of epoch {epoch + 1}, at learning rates up to {rate:.3g}; "
                f"try a peak learning rate below {self.recipe.learning_rate:.3g}, or a longer warm-up"
            )

    def finish_epoch(self, loss: float, accuracy: float, seconds: float, arrays: Arrays) -> Epoch:
        """Look at the validation images, note what happened, and write the checkpoint.

        Args:
            loss: Mean of the epoch's training steps.
            accuracy: Likewise.
            seconds: How long they took.
            arrays: Weights, optimizer and random state: what the framework needs to go on from here.
        """
        validation = evaluate(self.model, self.dataset, "validation")
        number = len(self.history.epochs) + 1
        rate = float(self.rates[number * self.steps - 1])
        self.history.epochs.append(
            Epoch(number, rate, loss, accuracy, validation.loss, validation.accuracy, seconds)
        )
        if self.checkpoint is not None:
            notes = {"run": json.dumps(self.identity), "history": json.dumps(self.history.to_json())}
            write_whole(self.checkpoint, partial(save_file, dict(arrays), metadata=notes))
        return self.history.epochs[-1]

    def _read(self, path: Path) -> None:
        try:
            if not path.exists():
                return
            with safe_open(path, framework="np") as file:
                notes = file.metadata() or {}
                self.saved = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            found, epochs = json.loads(notes["run"]), json.loads(notes["history"])
            self.history = History.from_json(epochs)
            other = _difference(found, self.identity)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise BackbonesError(f"{path} is not a checkpoint of a training run: {error}") from error
        if other:
            raise BackbonesError(f"{path} is of another run: {other}")


def _identity(model: Any, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """What makes a run this one, in the order in which a difference is named."""
    spec = spec_of(model)
    made = {
        "model": spec.name if spec else type(model).__name__,
        "dataset": dataset.name,
        "number of training images": len(dataset.train),
        **(asdict(spec) if spec else {}),
        **recipe.to_json(),
    }
    # In a checkpoint's words, so that what was written compares equal to what is read back.
    return json.loads(json.dumps(made))


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first thing in which two runs differ; empty if there is none."""
    pairs = ((key, found.get(key), wanted.get(key)) for key in {**wanted, **found})
    return next((f"its {key} is {shown(a)}, not {shown(b)}" for key, a, b in pairs if a != b), "")
