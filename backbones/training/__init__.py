"""Training and evaluation: one recipe, one readable loop per framework, one record of what came out."""

from pathlib import Path
from typing import Any

from backbones.data import Dataset
from backbones.training.evaluation import Evaluation, evaluate
from backbones.training.fitting import model_for
from backbones.training.history import Epoch, History
from backbones.training.recipe import RECIPES, Recipe, recipe_for

__all__ = [
    "RECIPES",
    "Epoch",
    "Evaluation",
    "History",
    "Recipe",
    "evaluate",
    "fit",
    "model_for",
    "recipe_for",
]


def fit(
    model: Any,
    dataset: Dataset,
    recipe: Recipe,
    *,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> History:
    """Train a model of either framework by its own loop: see `backbones.training.torch` and `.tensorflow`.

    Args:
        model: A `torch.nn.Module` that takes N x C x H x W, or a `keras.Model` that takes N x H x W x C. It gives
            logits, N x classes. Changed in place.
        dataset: From `backbones.data.load`. The test images are not touched.
        recipe: How to train.
        progress: Whether to show a progress bar (on a terminal) and a line per epoch.
        checkpoint: A file to write after each epoch, and on Ctrl-C. If it is there, the run goes on from it.

    Returns:
        The epochs of the whole run, in order, those before an interruption included.

    Raises:
        BackbonesError: If the model is of neither framework, does not fit the data set or gives no logits, the
            checkpoint is of another run or cannot be written, or the loss is no longer a number.

    Examples:
        >>> from backbones import create_model, data
        >>> part = data.load("mnist").part(train=640, validation=100)
        >>> history = fit(create_model("lenet5", "torch", seed=0), part, Recipe(epochs=1), progress=False)
        >>> len(history.epochs)
        1
    """
    from backbones.convert import framework_of

    if framework_of(model) == "torch":
        from backbones.training import torch as loop
    else:
        from backbones.training import tensorflow as loop  # type: ignore[no-redef]
    return loop.fit(model, dataset, recipe, progress=progress, checkpoint=checkpoint)
