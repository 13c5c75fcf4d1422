"""One JSON file per recorded run: what was run, where, and everything that came out."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backbones.building import FRAMEWORKS
from backbones.checks import Accuracy, NotNegative, Seed, ZeroOrMore, check_fields
from backbones.download import SOURCES
from backbones.errors import BackbonesError, require_known, shown
from backbones.files import write_whole
from backbones.registry import find_spec
from backbones.training.history import History
from backbones.training.processor import cpu, peak_memory
from backbones.training.recipe import Recipe

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        model: A name from `backbones.list_models()`.
        dataset: A name from `backbones.data.list_datasets()`.
        framework: `"torch"` or `"tensorflow"`.
        framework_version: Its version.
        seed: Of the initial weights, the order of the images and their changes.
        epochs: Passes over the training images.
        history: What happened in each.
        test_accuracy: Share of right answers on the test images, 0..1, read once, after the last epoch.
        seconds: Training steps alone.
        images_per_second: Training images over those seconds.
        commit: Of this repository, with "-dirty" where files differed from it, or "unknown".
        cpu: The processor, and the number of cores that the run was given.
        peak_memory: The most memory that the process held at any time, in bytes; 0 where the system does not say.
        recipe: Every number of the recipe.

    Raises:
        BackbonesError: If a value is not of its type or out of its range, a name is unknown, or the history or the
            recipe is not one of so many epochs.

    Examples:
        >>> from backbones.training import Epoch
        >>> history = History([Epoch(1, 0.1, 2.0, 0.3, 1.5, 0.5, 12.0)])
        >>> record = make_record(
        ...     model="lenet5", dataset="mnist", framework="torch", recipe=Recipe(epochs=1), history=history,
        ...     images=55_000, accuracy=0.5,
        ... )
        >>> record.seconds, record.images_per_second
        (12.0, 4583.0)
    """

    model: str
    dataset: str
    framework: str
    framework_version: str
    seed: Seed
    epochs: int
    history: list[dict[str, Any]]
    test_accuracy: Accuracy
    seconds: NotNegative
    images_per_second: NotNegative
    commit: str
    cpu: str
    peak_memory: ZeroOrMore
    recipe: dict[str, Any]

    def __post_init__(self) -> None:
        check_fields(self)
        find_spec(self.model)
        require_known("data set", self.dataset, SOURCES)
        require_known("framework", self.framework, FRAMEWORKS)
        try:
            found = [epoch.epoch for epoch in History.from_json(self.history).epochs]
        except TypeError as error:
            raise BackbonesError(f"history must be a list of epochs: {error}") from error
        if found != list(range(1, self.epochs + 1)):
            raise BackbonesError(f"history must be of epochs 1 to {self.epochs}, not {shown(found)}")
        if (planned := self.recipe.get("epochs")) != self.epochs:
            raise BackbonesError(f"recipe must be one of {self.epochs} epochs, not {shown(planned)}")

    def save(self, path: str | Path) -> None:
        """Write the record; the file appears whole or not at all.

        Raises:
            BackbonesError: If it cannot be written.
        """
        text = json.dumps(asdict(self), indent=1) + "\n"
        write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))

    @classmethod
    def load(cls, path: str | Path) -> Record:
        """Read a record.

        Raises:
            BackbonesError: If the file is not one.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(values, dict):
                raise TypeError(f"expected a JSON object, not {shown(values)}")
            return cls(**values)
        except (OSError, TypeError, ValueError, RecursionError) as error:
            raise BackbonesError(f"{path} is not a record of a run: {error}") from error


def make_record(
    *,
    model: str,
    dataset: str,
    framework: str,
    recipe: Recipe,
    history: History,
    images: int,
    accuracy: float,
) -> Record:
    """Put a run's outcome together with where and from what it came.

    Args:
        model: Its name.
        dataset: Its name.
        framework: `"torch"` or `"tensorflow"`.
        recipe: How it was trained.
        history: Of the training.
        images: Training images per epoch.
        accuracy: On the test images, 0..1.
    """
    return Record(
        model=model,
        dataset=dataset,
        framework=framework,
        framework_version=framework_version(framework),
        seed=recipe.seed,
        epochs=recipe.epochs,
        history=history.to_json(),
        test_accuracy=accuracy,
        seconds=round(history.seconds, 1),
        images_per_second=round(images * recipe.epochs / history.seconds),
        commit=commit(),
        cpu=cpu(),
        peak_memory=peak_memory(),
        recipe=recipe.to_json(),
    )


def framework_version(framework: str) -> str:
    """The version of the installed framework; Keras's too, where it is the one that trains."""
    if framework == "torch":
        return importlib.metadata.version("torch")
    import tensorflow as tf

    return f"{tf.__version__} (Keras {importlib.metadata.version('keras')})"


def commit() -> str:
    """This checkout's commit, "-dirty" if files differ from it, "unknown" outside a checkout."""
    if not (REPOSITORY / ".git").exists():  # installed, perhaps within a repository of the reader's own
        return "unknown"
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
