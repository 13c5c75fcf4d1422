"""How fast training is, against the usual way, in turns in one run.

    python -m benchmarks.training

The usual way is what most tutorials show. PyTorch: each image by itself through PIL, a tensor and
`Normalize`, collected by a `DataLoader`. Keras: `fit` on arrays, everything at its default. This project's
way is `backbones.training.fit`. Both train the same net, from the same start, with the same optimizer and batch
size, and without augmentation, which the usual way does not have here.

The two ways take turns, since other work on a machine comes and goes; the median of the turns counts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import torch
import torch.nn.functional as F
import typer
from PIL import Image
from tabulate import tabulate
from torch.utils.data import DataLoader, Dataset
from tqdm import trange

import backbones
from backbones import data
from backbones.training import Recipe, evaluate, fit

MODEL = "lenet5"
TARGETS = {"torch": 3.0, "tensorflow": 1.3}


@dataclass(frozen=True)
class Turn:
    """One turn of one way.

    Attributes:
        images_per_second: In training, without validation.
        accuracy: On the validation images, afterwards.
    """

    images_per_second: float
    accuracy: float


class PerSample(Dataset):
    """As `torchvision.datasets.MNIST` with `ToTensor` and `Normalize`, which it does step by step."""

    def __init__(self, dataset: data.Dataset) -> None:
        self.images, self.labels = dataset.train.images[..., 0], dataset.train.labels
        self.mean, self.std = [dataset.mean], [dataset.std]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray(self.images[index])
        tensor = torch.from_numpy(np.array(picture, copy=True)).view(28, 28, 1)
        tensor = tensor.permute(2, 0, 1).contiguous().to(torch.float32).div(255)
        mean = torch.as_tensor(self.mean, dtype=tensor.dtype).view(-1, 1, 1)
        std = torch.as_tensor(self.std, dtype=tensor.dtype).view(-1, 1, 1)
        return tensor.clone().sub_(mean).div_(std), int(self.labels[index])


def usual_torch(dataset: data.Dataset, recipe: Recipe) -> Turn:
    """The loop of most PyTorch tutorials."""
    torch.manual_seed(recipe.seed)
    model = backbones.create_model(MODEL, framework="torch", seed=recipe.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    loader = DataLoader(PerSample(dataset), recipe.batch_size, shuffle=True, drop_last=True)
    model.train()
    start = time.perf_counter()
    for _ in range(recipe.epochs):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
    seconds = time.perf_counter() - start
    return _turn(model, dataset, recipe, seconds)


def usual_tensorflow(dataset: data.Dataset, recipe: Recipe) -> Turn:
    """`fit` on arrays, with Keras's defaults but for the batch size, which is the recipe's."""
    keras.utils.set_random_seed(recipe.seed)
    model = backbones.create_model(MODEL, framework="tensorflow", seed=recipe.seed)
    images = ((dataset.train.images / 255 - dataset.mean) / dataset.std).astype(np.float32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(1e-3), loss, metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(images, dataset.train.labels, batch_size=recipe.batch_size, epochs=recipe.epochs, verbose=0)
    seconds = time.perf_counter() - start
    return _turn(model, dataset, recipe, seconds)


def ours(framework: str) -> Callable[[data.Dataset, Recipe], Turn]:
    """This project's loop."""

    def run(dataset: data.Dataset, recipe: Recipe) -> Turn:
        model = backbones.create_model(MODEL, framework, seed=recipe.seed)
        history = fit(model, dataset, recipe, progress=False)
        return _turn(model, dataset, recipe, history.seconds)

    return run


WAYS: dict[str, tuple[Callable, Callable]] = {
    "torch": (usual_torch, ours("torch")),
    "tensorflow": (usual_tensorflow, ours("tensorflow")),
}


def _turn(model: Any, dataset: data.Dataset, recipe: Recipe, seconds: float) -> Turn:
    images = recipe.epochs * len(dataset.train.labels)
    return Turn(images / seconds, evaluate(model, dataset, "validation").accuracy)


def matmul_peak(side: int = 2048, repeats: int = 5) -> float:
    """The most float32 operations per second that a matrix multiplication reaches here."""
    a, b = torch.randn(side, side), torch.randn(side, side)
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def main(
    turns: Annotated[int, typer.Option(min=1, help="Turns of each way.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs in each turn.")] = 2,
) -> None:
    """Compare the usual way to train LeNet-5 on MNIST with this project's."""
    dataset = data.load("mnist")
    recipe = replace(Recipe(), epochs=epochs)
    peak = matmul_peak()
    # Forward, and backward to the inputs and to the weights: each takes the multiply-adds once.
    operations = 3 * 2 * backbones.summary(MODEL).multiply_adds
    rows = []
    for framework, (usual, own) in WAYS.items():
        seen: dict[str, list[Turn]] = {"the usual way": [], "this project": []}
        for turn in trange(turns, desc=framework):
            for label, way in zip(seen, (usual, own), strict=True):
                seen[label].append(way(dataset, replace(recipe, seed=turn)))
        speeds = {label: median(turn.images_per_second for turn in of) for label, of in seen.items()}
        for label, of in seen.items():
            rows.append(
                [
                    framework,
                    label,
                    f"{speeds[label]:,.0f}",
                    f"{speeds[label] / speeds['the usual way']:.2f}",
                    f"{speeds[label] * operations / peak:.1%}",
                    f"{np.mean([turn.accuracy for turn in of]):.2%}",
                ]
            )
        rows[-1].append(f"at least {TARGETS[framework]}")
    headers = ["framework", "way", "images/s", "ratio", "of peak", "validation accuracy", "target ratio"]
    print(f"float32 matrix multiplication: {peak / 1e9:.0f} GFLOP/s; {turns} turns of {epochs} epochs each")
    print(tabulate(rows, headers, disable_numparse=True))


if __name__ == "__main__":
    typer.run(main)
