"""How far two frameworks stay together, step by step, from the same start on the same batches.

    python -m benchmarks.lockstep

Writes `docs/results/lockstep.json`. LeNet-5 on MNIST and ResNet-20 on Fashion-MNIST, in float32 and in float64:
the first tells how it goes in practice, the second whether it is the rounding or the rule that differs. LeNet-5 also
with a tenth of the learning rate, which is what decides how fast a difference grows.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


import keras
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from backbones import convert, data
from backbones.files import write_whole
from backbones.training import model_for, recipe_for
from backbones.training import tensorflow as tensorflow_loop
from backbones.training import torch as torch_loop
from backbones.training.run import Run

PATH = Path("docs/results/lockstep.json")
STEPS, BATCH_SIZE = 200, 32


@dataclass(frozen=True)
class Walk:
    """One pair of runs.

    Attributes:
        model: The net.
        dataset: What it is trained on.
        precision: `"float32"` or `"float64"`.
        slower: What the recipe's learning rate is divided by.
    """

    model: str
    dataset: str
    precision: str
    slower: int = 1


WALKS = (
    Walk("lenet5", "mnist", "float32", slower=10),
    Walk("lenet5", "mnist", "float32"),
    Walk("lenet5", "mnist", "float64"),
    Walk("resnet20", "fashion-mnist", "float32"),
    Walk("resnet20", "fashion-mnist", "float64"),
)

Step = Callable[[NDArray[Any], NDArray[np.int64]], float]


@contextlib.contextmanager
def keras_precision(name: str) -> Iterator[None]:
    """Keras models built in here compute in that type."""
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def torch_step(model: torch.nn.Module, run: Run) -> Step:
    """One step of the loop in `backbones.training.torch`, with the loss as the outcome."""
    optimizer = torch_loop.make_optimizer(model, run.recipe)
    rates = iter(run.rates)
    model.train()

    def step(images: NDArray[Any], labels: NDArray[np.int64]) -> float:
        optimizer.param_groups[0]["lr"] = float(next(rates))
        x, y = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
        _, loss = torch_loop.forward(model, x, y, run.recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def keras_step(model: keras.Model, run: Run) -> Step:
    """One step of the loop in `backbones.training.tensorflow`, with the loss as the outcome."""
    tensorflow_loop.compile_for(model, run.recipe, run.rates)
    model.steps_per_execution = 1

    def step(images: NDArray[Any], labels: NDArray[np.int64]) -> float:
        model.reset_metrics()  # the loss of this step, not the mean of all
        return float(model.train_on_batch(images, labels, return_dict=True)["loss"])

    return step


def differences(left: torch.nn.Module, right: keras.Model) -> float:
    """The largest difference between trained weights, relative to the largest of each array.

    Not between running variances, of which PyTorch's are a little larger by design.
    """
    ours, theirs, names = convert.state(left), convert.state(right), dict(left.named_parameters())
    return max(float(np.abs(ours[k] - theirs[k]).max() / np.abs(ours[k]).max()) for k in names)


def lockstep(walk: Walk, dataset: data.Dataset, steps: int = STEPS) -> dict[str, list[float]]:
    """Both losses of every step, and how far the weights are apart after it."""
    recipe = recipe_for(walk.model, dataset.name)
    recipe = replace(recipe, batch_size=BATCH_SIZE, learning_rate=recipe.learning_rate / walk.slower)
    left = model_for(dataset, walk.model, "torch", seed=0).to(getattr(torch, walk.precision))
    with keras_precision(walk.precision):
        right = model_for(dataset, walk.model, "tensorflow", seed=0)
        convert.copy_weights(left, right)
        run = Run(left, dataset, recipe, progress=False, checkpoint=None)
        take = {"torch": torch_step(left, run), "tensorflow": keras_step(right, run)}
        seen: dict[str, list[float]] = {"torch": [], "tensorflow": [], "weights": []}
        for images, labels in tqdm(islice(run.batches(0), steps), str(walk), steps, disable=None):
            for framework, step in take.items():
                seen[framework].append(step(images.astype(walk.precision), labels))
            seen["weights"].append(differences(left, right))
    return seen


def main() -> None:
    """Run all and write the file."""
    found = [asdict(walk) | lockstep(walk, data.load(walk.dataset)) for walk in WALKS]
    for one in found:
        apart = np.abs(np.subtract(one["torch"], one["tensorflow"]))
        name = f"{one['model']}, {one['precision']}, rate / {one['slower']}"
        print(f"{name}: losses of {STEPS} steps differ by at most {apart.max():.1e}")
        del one["weights"]  # for the tests; the page speaks of losses
    write_whole(PATH, partial(Path.write_text, data=json.dumps(found) + "\n"))


if __name__ == "__main__":
    typer.run(main)
