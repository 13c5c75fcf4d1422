"""The training loop in plain PyTorch. The same in Keras: `tensorflow.py` beside this file."""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backbones.data import Dataset, batches, prefetch
from backbones.training.evaluation import evaluate, input_padding
from backbones.training.history import Epoch, History
from backbones.training.progress import Progress
from backbones.training.recipe import Recipe


def fit(model: nn.Module, dataset: Dataset, recipe: Recipe, *, progress: bool = True) -> History:
    """Train on the training split, and look at the validation split after each epoch.

    Args:
        model: Gives logits, N x classes. Changed in place, and left in evaluation mode.
        dataset: From `backbones.data.load`. The test images are not touched.
        recipe: How to train.
        progress: Whether to show a progress bar (on a terminal) and a line per epoch.

    Raises:
        BackbonesError: If the model does not fit the data set.
    """
    steps = recipe.steps_per_epoch(len(dataset.train.labels))
    rates = recipe.learning_rates(steps)
    padding = input_padding(model, dataset)
    optimizer = make_optimizer(model, recipe)
    history = History()
    for epoch in range(recipe.epochs):
        stream = prefetch(
            batches(
                dataset.train,
                batch_size=recipe.batch_size,
                seed=recipe.seed,
                epoch=epoch,
                augmentation=recipe.augmentation,
                mean=dataset.mean,
                std=dataset.std,
                padding=padding,
            )
        )
        model.train()
        total_loss, right = 0.0, 0
        start = time.perf_counter()
        with Progress(epoch, recipe.epochs, steps, recipe.batch_size, show=progress) as bar:
            for step, (images, labels) in enumerate(stream):
                optimizer.param_groups[0]["lr"] = float(rates[epoch * steps + step])
                # A view, not a copy: N x C x H x W whose memory order stays N x H x W x C ("channels last").
                x, y = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
                logits, loss = forward(model, x, y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total_loss += loss.item()
                right += int((logits.detach().argmax(1) == y).sum())
                seen = (step + 1) * recipe.batch_size
                bar.update(1, total_loss / (step + 1), right / seen)
            seconds = time.perf_counter() - start
            validation = evaluate(model, dataset, "validation")
            history.epochs.append(
                Epoch(
                    epoch + 1,
                    float(rates[(epoch + 1) * steps - 1]),
                    total_loss / steps,
                    right / (steps * recipe.batch_size),
                    validation.loss,
                    validation.accuracy,
                    seconds,
                )
            )
            bar.finish(history.epochs[-1])
    model.eval()
    return history


def forward(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The logits and the loss. Those of auxiliary heads count in the loss as the net's spec says."""
    outputs = model(x)
    if not isinstance(outputs, tuple):
        return outputs, F.cross_entropy(outputs, y)
    logits, *heads = outputs
    spec: Any = model.config
    auxiliary = sum(F.cross_entropy(head, y) for head in heads)
    return logits, F.cross_entropy(logits, y) + spec.auxiliary_weight * auxiliary


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW with the recipe's numbers."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.epsilon,
        weight_decay=recipe.weight_decay,
        fused=True,  # one pass over all weights instead of several per weight
    )
