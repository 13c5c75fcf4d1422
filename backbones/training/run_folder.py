"""The folder of a run: what it goes on from while it lasts, and what it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backbones.errors import BackbonesError
from backbones.files import require_writable
from backbones.training.record import Record
from backbones.weights import save_weights


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps a checkpoint until it is over, then its weights and its record."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        """What the run goes on from."""
        return self.path / "checkpoint.safetensors"

    @property
    def weights(self) -> Path:
        """The weights after the last epoch."""
        return self.path / "weights.safetensors"

    @property
    def record(self) -> Path:
        """The record of the finished run."""
        return self.path / "record.json"

    def require_free(self, resume: bool) -> None:
        """Make sure that another run in here is neither lost nor mistaken for the one to come.

        Args:
            resume: Whether that one goes on with what is here.

        Raises:
            BackbonesError: If there is another run, or the folder cannot be written into.
        """
        require_writable(self.path)
        if self.checkpoint.exists() and not resume:
            raise BackbonesError(
                f"{self.path} holds an unfinished run; add --resume to go on with it, or choose another --out"
            )
        if self.record.exists() and not self.checkpoint.exists():
            raise BackbonesError(f"{self.path} holds a finished run; choose another --out")

    def finish(self, model: Any, record: Record) -> None:
        """Keep what the run leaves; only then forget what it could have gone on from."""
        save_weights(model, self.weights)
        record.save(self.record)
        self.checkpoint.unlink()
