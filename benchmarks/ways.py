"""The ways to train whose speed `benchmarks.training` compares.

The usual way is what most tutorials show. PyTorch: each image by itself through PIL, a tensor and
`Normalize`, collected by a `DataLoader`. Keras: `fit` on arrays. This project's way is `backbones.training.fit`.
Between them stand the steps from one to the other. All train the same net from the same start, on the same batches in
the same order, at the same rates and without augmentation, so that what they reach can be compared, too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Sampler

import backbones.training.tensorflow as keras_loop
from backbones import data
from backbones.training import Recipe, fit
from benchmarks.speed import BF16, MANY, ONE, ONEDNN, OURS, USUAL


class PerSample(Dataset):
    """As `torchvision.datasets.MNIST` with `ToTensor` and `Normalize`: the same steps for each image, in order.

    torchvision itself is not among the requirements, since it goes with one build of PyTorch alone. Its own data
    set and transforms (0.28, beside these in one process) take longer per image than this, not less.
    """

    def __init__(self, dataset: data.Dataset) -> None:
        self.images = torch.from_numpy(dataset.train.images[..., 0].copy())
        self.labels = torch.from_numpy(dataset.train.labels)
        self.normalize = Normalize([dataset.mean], [dataset.std])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        label = int(self.labels[index])
        picture = Image.fromarray(self.images[index].numpy(), mode="L")
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        pixels = pixels.view(picture.size[1], picture.size[0], len(picture.getbands()))
        tensor = pixels.permute((2, 0, 1)).contiguous().to(dtype=torch.get_default_dtype()).div(255)
        return self.normalize(tensor), label


class Normalize(torch.nn.Module):
    """Images, C x H x W, less their channels' means, over their standard deviations."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """A new tensor; the old one stays as it is."""
        tensor = tensor.clone()
        mean = torch.as_tensor(self.mean, dtype=tensor.dtype, device=tensor.device)
        std = torch.as_tensor(self.std, dtype=tensor.dtype, device=tensor.device)
        if (std == 0).any():
            raise ValueError("a channel's standard deviation is zero")
        return tensor.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))


class SameOrder(Sampler):
    """The images of each epoch in the order that `backbones.data.batches` has them in."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        order = order_of(self.count, self.seed, self.epoch)
        self.epoch += 1
        return iter(order.tolist())


def order_of(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """As in `backbones.data.batches`; a test holds the two together."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def usual_torch(model: Any, dataset: data.Dataset, recipe: Recipe) -> list[float]:
    """The loop of most PyTorch tutorials."""
    sampler = SameOrder(len(dataset.train), recipe.seed)
    own = torch.Generator()  # the loader draws a number each epoch, which dropout would miss
    loader = DataLoader(PerSample(dataset), recipe.batch_size, sampler=sampler, drop_last=True, generator=own)
    return plain_torch(model, recipe, len(loader), lambda epoch: loader)


def from_memory(model: Any, dataset: data.Dataset, recipe: Recipe) -> list[float]:
    """The same loop, with batches cut from one array; N x C x H x W in memory as in the model."""

    def batches(epoch: int) -> Iterable:
        made = data.batches(
            dataset.train,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            epoch=epoch,
            mean=dataset.mean,
            std=dataset.std,
        )
        for images, labels in made:
            yield torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)

    model = model.to(memory_format=torch.contiguous_format)
    return plain_torch(model, recipe, recipe.steps_per_epoch(len(dataset.train)), batches)


def plain_torch(model: Any, recipe: Recipe, steps: int, batches: Callable[[int], Iterable]) -> list[float]:
    """Train, and say how many seconds each epoch took."""
    torch.manual_seed(recipe.seed)  # for dropout, as in `fit`
    optimizer = torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    shares = [*recipe.learning_rates(steps) / recipe.learning_rate, 0]  # it asks for one more at the end
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, shares.__getitem__)
    model.train()

    def train_epoch(epoch: int) -> float:
        start = time.perf_counter()
        for images, labels in batches(epoch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
        return time.perf_counter() - start

    return [train_epoch(epoch) for epoch in range(recipe.epochs)]


def usual_tensorflow(model: Any, dataset: data.Dataset, recipe: Recipe) -> list[float]:
    """`fit` on arrays, with the defaults but for the recipe's numbers. One call per epoch, for the order's sake."""
    steps = recipe.steps_per_epoch(len(dataset.train))
    rates = keras_loop.RateOfStep(recipe.learning_rates(steps))
    optimizer = keras.optimizers.AdamW(rates, weight_decay=recipe.weight_decay, epsilon=recipe.epsilon)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    keras_loop.seed_dropout(model, recipe.seed)

    def fit_epoch(epoch: int) -> float:
        order = order_of(len(dataset.train), recipe.seed, epoch)[: steps * recipe.batch_size]
        images = ((dataset.train.images[order] / 255 - dataset.mean) / dataset.std).astype(np.float32)
        labels = dataset.train.labels[order]
        start = time.perf_counter()
        model.fit(images, labels, batch_size=recipe.batch_size, shuffle=False, verbose=0)
        return time.perf_counter() - start

    return [fit_epoch(epoch) for epoch in range(recipe.epochs)]


def one_step_per_call(model: Any, dataset: data.Dataset, recipe: Recipe) -> list[float]:
    """This project's loop in Keras, back in Python after every step, as it is by itself where steps are long."""
    keras_loop.LONG = 0  # this process takes one turn and ends
    return ours(model, dataset, recipe)


def many_steps_per_call(model: Any, dataset: data.Dataset, recipe: Recipe) -> list[float]:
    """This project's loop in Keras, back in Python after many steps, as it is by itself where they are short."""
    keras_loop.LONG = float("inf")
    return ours(model, dataset, recipe)


def ours(model: Any, dataset: data.Dataset, recipe: Recipe) -> list[float]:
    """This project's loop."""
    return [epoch.seconds for epoch in fit(model, dataset, recipe, progress=False).epochs]


def ours_bf16(model: Any, dataset: data.Dataset, recipe: Recipe) -> list[float]:
    """This project's loop in bfloat16."""
    return ours(model, dataset, replace(recipe, precision="bf16"))


WAYS: dict[str, dict[str, Callable[..., list[float]]]] = {
    "torch": {USUAL: usual_torch, "batches from memory": from_memory, OURS: ours, BF16: ours_bf16},
    "tensorflow": {
        USUAL: usual_tensorflow,
        ONEDNN: usual_tensorflow,  # the same, in a process where TensorFlow is told to use it
        ONE: one_step_per_call,
        MANY: many_steps_per_call,
        OURS: ours,
        BF16: ours_bf16,
    },
}
