"""Run every training that `docs/results/records` should hold and does not, then refresh the README's table.

    python -m benchmarks.records                 # run what is missing
    python -m benchmarks.records --readme-only   # only write the README's table anew

Each run is a process of its own, so that neither memory nor random state passes from one to the next.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

import backbones
from backbones.training.report import RECORDS, results_table

README = Path("README.md")
BETWEEN_MARKERS = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- /results -->)", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """One training to record."""

    model: str
    dataset: str
    framework: str
    epochs: int
    seed: int

    @property
    def path(self) -> Path:
        """Where its record is."""
        return (
            RECORDS
            / f"{self.model}-{self.dataset}-{self.framework}-{self.epochs}-epochs-seed-{self.seed}.json"
        )


RUNS = [
    Run("lenet5", "mnist", framework, epochs=10, seed=seed)
    for seed in range(5)
    for framework in ("torch", "tensorflow")  # in turns, so that a slow hour of the machine hits both
]


def main(
    readme_only: Annotated[bool, typer.Option("--readme-only", help="Train nothing.")] = False,
) -> None:
    """Run what is missing, then refresh the README's results table."""
    missing = [] if readme_only else [run for run in RUNS if not run.path.exists()]
    for index, run in enumerate(missing):
        print(f"run {index + 1} of {len(missing)}: {run.path.stem}", flush=True)
        record(run)
    README.write_text(BETWEEN_MARKERS.sub(lambda _: results_table() + "\n", README.read_text()))


def record(run: Run) -> None:
    """Train with the command line that readers use, and keep the record.

    Both frameworks start from the same weights of a seed: those that PyTorch draws.
    """
    with tempfile.TemporaryDirectory() as folder:
        start = Path(folder) / "start.safetensors"
        backbones.save_weights(backbones.create_model(run.model, framework="torch", seed=run.seed), start)
        command = ["train", run.model, "--framework", run.framework, "--dataset", run.dataset]
        command += ["--epochs", str(run.epochs), "--seed", str(run.seed)]
        command += ["--weights", str(start), "--out", folder]
        subprocess.run([sys.executable, "-m", "backbones.cli", *command], check=True)
        run.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(folder) / "record.json", run.path)


if __name__ == "__main__":
    typer.run(main)
