"""A live bar on a terminal, a line per epoch everywhere."""

from __future__ import annotations

import sys

from tqdm import tqdm

from backbones.training.history import Epoch


class Progress:
    """Shows how one epoch gets on; a context manager. On a pipe or in a notebook the bar stays hidden."""

    def __init__(self, epoch: int, epochs: int, steps: int, batch_size: int, *, show: bool) -> None:
        self.show = show
        self.batch_size = batch_size
        self.bar = tqdm(
            total=steps * batch_size,
            desc=f"epoch {epoch + 1}/{epochs}",
            unit=" images",
            unit_scale=True,
            leave=False,
            file=sys.stdout,
            disable=None if show else True,  # None: hidden unless this is a terminal
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.close()

    def update(self, steps: int, loss: float, accuracy: float) -> None:
        """Say that so many more steps are done, and the epoch's mean loss and accuracy so far."""
        self.bar.set_postfix(loss=f"{loss:.4f}", accuracy=f"{accuracy:.2%}", refresh=False)
        self.bar.update(steps * self.batch_size)

    def finish(self, epoch: Epoch) -> None:
        """Close the bar and print the epoch's line."""
        self.bar.close()
        if self.show:
            print(epoch, flush=True)
