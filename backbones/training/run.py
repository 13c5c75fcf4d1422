"""What both loops share: the batches, the rates, the history, and the checkpoint that a run goes on from."""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from backbones.convert.models import framework_of
from backbones.data import Dataset, batches
from backbones.errors import BackbonesError, shown
from backbones.files import as_path, require_writable, write_whole
from backbones.training.evaluation import evaluate, require_logits
from backbones.training.fitting import input_padding, require_dataset, require_trainable, spec_of
from backbones.training.history import Epoch, History
from backbones.training.progress import Progress
from backbones.training.recipe import Recipe

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Part:
    """The steps of an epoch that are done.

    Attributes:
        steps: How many.
        loss: The sum of theirs.
        accuracy: Likewise.
        seconds: How long they took, as far as an earlier process took them.
    """

    steps: int = 0
    loss: float = 0.0
    accuracy: float = 0.0
    seconds: float = 0.0

    def after(self, steps: int, loss: float, accuracy: float) -> Part:
        """With so many more, whose means these are."""
        return Part(
            self.steps + steps, self.loss + steps * loss, self.accuracy + steps * accuracy, self.seconds
        )


class Run:
    """One training: what it is given, how far it is, and where it keeps that.

    Attributes:
        images: A batch of the training images, N x H x W x C, which the model was seen to take.
        history: The epochs that are done.
        saved: Everything that the framework has to put back to go on, if a checkpoint was found.

    Args:
        model: Of either framework.
        dataset: From `backbones.data.load`.
        recipe: How to train.
        progress: Whether to show a progress bar (on a terminal) and a line per epoch.
        checkpoint: A file to write after each epoch, and on Ctrl-C. If it is there, the run goes on from it.

    Raises:
        BackbonesError: If the model does not fit the data, gives no logits or has nothing to train, or the checkpoint
            is not one of this run.
    """

    def __init__(
        self, model: Any, dataset: Dataset, recipe: Recipe, *, progress: bool, checkpoint: str | Path | None
    ) -> None:
        require_dataset(dataset)
        if not isinstance(recipe, Recipe):
            raise BackbonesError(f"expected a backbones.training.Recipe, not {shown(recipe)}")
        self.model, self.dataset, self.recipe = model, dataset, recipe
        self.progress = progress
        self.checkpoint = None if checkpoint is None else as_path(checkpoint, "a checkpoint")
        self.padding = input_padding(model, dataset)
        self.steps = recipe.steps_per_epoch(len(dataset.train))
        self.rates = recipe.learning_rates(self.steps)
        self.history = History()
        self.saved: Arrays | None = None
        self.first, self.part = 0, Part()  # the first epoch to do, and what is done of it
        self.interrupted = False
        self.identity = _identity(model, dataset, recipe)
        self.images, _ = next(self.batches(0))
        require_logits(model, dataset, self.images)
        require_trainable(model)
        if self.checkpoint is not None:
            require_writable(self.checkpoint.parent)
            self._read(self.checkpoint)

    @property
    def epochs_to_do(self) -> range:
        """Numbers, from 0, of the epochs that are not done yet."""
        return range(len(self.history.epochs), self.recipe.epochs)

    def begun(self, epoch: int) -> Part:
        """What an earlier process has done of an epoch."""
        return self.part if epoch == self.first else Part()

    def batches(self, epoch: int) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """The training batches of one epoch that are left: N x H x W x C and N. The same for both frameworks."""
        made = batches(
            self.dataset.train,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            epoch=epoch,
            augmentation=self.recipe.augmentation,
            mean=self.dataset.mean,
            std=self.dataset.std,
            padding=self.padding,
        )
        # The random numbers of the others are drawn all the same, so that these are what they would have been.
        return islice(made, self.begun(epoch).steps, None)

    def bar(self, epoch: int) -> Progress:
        """The progress bar of one epoch, whose time runs from here."""
        bar = Progress(epoch, self.recipe.epochs, self.steps, self.recipe.batch_size, show=self.progress)
        part = self.begun(epoch)
        if part.steps:
            bar.update(part.steps, part.loss / part.steps, part.accuracy / part.steps)
        self.start = time.perf_counter() - part.seconds
        return bar

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

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Let Ctrl-C wait for the end of a step, where a run can be gone on from. Pressed again, it does not wait."""
        if self.checkpoint is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            if self.interrupted:
                raise KeyboardInterrupt
            self.interrupted = True

        before = signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
        if self.interrupted:  # after the last step
            raise KeyboardInterrupt

    def finish_steps(self, part: Part, arrays: Callable[[], Arrays]) -> None:
        """Stop here if Ctrl-C was pressed.

        Args:
            part: The steps of the epoch that are done.
            arrays: As for `finish_epoch`.

        Raises:
            KeyboardInterrupt: Once the checkpoint is written.
        """
        if self.interrupted:
            self._write(replace(part, seconds=time.perf_counter() - self.start), arrays())
            raise KeyboardInterrupt

    def finish_epoch(self, part: Part, arrays: Callable[[], Arrays]) -> Epoch:
        """Look at the validation images, note what happened, and write the checkpoint.

        Args:
            part: All of the epoch's steps.
            arrays: Weights, optimizer and random state: what the framework needs to go on from here.
        """
        seconds = time.perf_counter() - self.start
        validation = evaluate(self.model, self.dataset, "validation")
        loss, accuracy = part.loss / part.steps, part.accuracy / part.steps
        number = len(self.history.epochs) + 1
        rate = float(self.rates[number * self.steps - 1])
        self.history.epochs.append(
            Epoch(number, rate, loss, accuracy, validation.loss, validation.accuracy, seconds)
        )
        self._write(Part(), arrays())
        return self.history.epochs[-1]

    def _write(self, part: Part, arrays: Arrays) -> None:
        if self.checkpoint is not None:
            made = {"run": self.identity, "history": self.history.to_json(), "part": asdict(part)}
            notes = {key: json.dumps(value) for key, value in made.items()}
            write_whole(self.checkpoint, partial(save_file, dict(arrays), metadata=notes))

    def _read(self, path: Path) -> None:
        try:
            if not path.exists():
                return
            with safe_open(path, framework="np") as file:
                notes = file.metadata() or {}
                self.saved = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            found, epochs = json.loads(notes["run"]), json.loads(notes["history"])
            self.history, self.part = History.from_json(epochs), Part(**json.loads(notes["part"]))
            self.first = len(self.history.epochs)
            other = _difference(found, self.identity)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RecursionError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise BackbonesError(f"{path} is not a checkpoint of a training run: {reason}") from error
        if other:
            raise BackbonesError(f"{path} is of another run: {other}")


def _identity(model: Any, dataset: Dataset, recipe: Recipe) -> dict[str, Any]:
    """What makes a run this one, in the order in which a difference is named."""
    spec = spec_of(model)
    made = {
        "framework": framework_of(model),
        "model": spec.name if spec else type(model).__name__,
        "dataset": dataset.name,
        "number of training images": len(dataset.train),
        "number of validation images": len(dataset.validation),
        **(asdict(spec) if spec else {}),
        **recipe.to_json(),
    }
    # In a checkpoint's words, so that what was written compares equal to what is read back.
    return json.loads(json.dumps(made))


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first thing in which two runs differ; empty if there is none."""
    pairs = ((key, found.get(key), wanted.get(key)) for key in {**wanted, **found})
    return next((f"its {key} is {shown(a)}, not {shown(b)}" for key, a, b in pairs if a != b), "")
