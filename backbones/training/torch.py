"""The training loop in plain PyTorch. The same in Keras: `tensorflow.py` beside this file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backbones.data import Dataset, prefetch
from backbones.errors import BackbonesError
from backbones.training.fitting import spec_of
from backbones.training.history import History
from backbones.training.progress import Progress
from backbones.training.recipe import Recipe
from backbones.training.run import Arrays, Part, Run


def fit(
    model: nn.Module,
    dataset: Dataset,
    recipe: Recipe,
    *,
    progress: bool = True,
    checkpoint: str | Path | None = None,
) -> History:
    """Train on the training split, and look at the validation split after each epoch.

    Args:
        model: Takes N x C x H x W and gives logits, N x classes. Changed in place, and left in evaluation mode.
        dataset: From `backbones.data.load`. The test images are not touched.
        recipe: How to train.
        progress: Whether to show a progress bar (on a terminal) and a line per epoch.
        checkpoint: A file to write after each epoch, and on Ctrl-C. If it is there, the run goes on from it, to the
            very same weights as one that was never interrupted.

    Returns:
        The epochs of the whole run, in order, those before an interruption included.

    Raises:
        BackbonesError: If the model does not fit the data set, gives no logits or has nothing to train, the checkpoint
            is of another run or cannot be written, or the loss is no longer a number.

    Examples:
        >>> from backbones import create_model, data
        >>> model, part = create_model("lenet5", "torch", seed=0), data.load("mnist").part(train=64, validation=10)
        >>> len(fit(model, part, Recipe(epochs=2), progress=False).epochs), model.training
        (2, False)
    """
    run = Run(model, dataset, recipe, progress=progress, checkpoint=checkpoint)
    optimizer = make_optimizer(model, recipe)
    try:
        with torch.random.fork_rng(), run.interruptible():
            torch.manual_seed(recipe.seed)  # for dropout
            if run.saved is not None:
                restore(model, optimizer, run.saved)
            for epoch in run.epochs_to_do:
                with run.bar(epoch) as bar:
                    part = train_epoch(model, optimizer, run, epoch, bar)
                    bar.finish(run.finish_epoch(part, partial(arrays_of, model, optimizer)))
    finally:
        model.eval()
    return run.history


def train_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, run: Run, epoch: int, bar: Progress
) -> Part:
    """Go through the training images once; their losses and right answers on the way."""
    recipe, part = run.recipe, run.begun(epoch)
    dtype = next(model.parameters()).dtype
    model.train()
    for images, labels in prefetch(run.batches(epoch)):
        optimizer.param_groups[0]["lr"] = float(run.rates[epoch * run.steps + part.steps])
        # A view, not a copy: N x C x H x W whose memory order stays N x H x W x C ("channels last").
        x, y = torch.from_numpy(images).permute(0, 3, 1, 2).to(dtype), torch.from_numpy(labels)
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.precision == "bf16"):
            logits, loss = forward(model, x, y, recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.check(loss.item(), epoch, part.steps)
        part = part.after(1, loss.item(), int((logits.detach().argmax(1) == y).sum()) / recipe.batch_size)
        bar.update(1, part.loss / part.steps, part.accuracy / part.steps)
        run.finish_steps(part, partial(arrays_of, model, optimizer))
    return part


def forward(model: nn.Module, x: Tensor, y: Tensor, label_smoothing: float = 0.0) -> tuple[Tensor, Tensor]:
    """The logits and the loss. Those of auxiliary heads count in the loss as the net's spec says."""

    def cross_entropy(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits, y, label_smoothing=label_smoothing)

    outputs = model(x)
    if not isinstance(outputs, tuple):
        return outputs, cross_entropy(outputs)
    logits, *heads = outputs
    if (spec := spec_of(model)) is None:
        raise BackbonesError(
            f"the model gives {len(outputs)} outputs in training; a net of your own must give its logits alone"
        )
    return logits, cross_entropy(logits) + spec.auxiliary_weight * sum(map(cross_entropy, heads))


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


def arrays_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> Arrays:
    """All that the rest of the run depends on: weights, the optimizer's running means, the random state."""
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in values.items()}
    tensors["random"] = torch.get_rng_state()
    # NumPy has no bfloat16; float32 holds it exactly.
    tensors = {key: v.float() if v.dtype == torch.bfloat16 else v for key, v in tensors.items()}
    return {key: value.detach().contiguous().numpy() for key, value in tensors.items()}


def restore(model: nn.Module, optimizer: torch.optim.Optimizer, arrays: Arrays) -> None:
    """The way back from `arrays_of`.

    Raises:
        BackbonesError: If the arrays are of another framework or of another net.
    """
    tensors = {key: torch.from_numpy(value.copy()) for key, value in arrays.items()}
    weights = {key.removeprefix("model."): v for key, v in tensors.items() if key[:6] == "model."}
    if {key: v.shape for key, v in weights.items()} != {k: v.shape for k, v in model.state_dict().items()}:
        raise BackbonesError("the checkpoint holds the state of another framework or of another net")
    model.load_state_dict(weights)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".")
            state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    torch.set_rng_state(tensors["random"])
