"""How to train, without a framework: both loops read the same recipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from backbones.checks import Bounds, NotNegative, Positive, Seed, Share, check_fields
from backbones.data import Augmentation
from backbones.errors import BackbonesError, require_known
from backbones.registry import find_spec


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run, except the model and the data.

    The optimizer is AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101, Algorithm 2). Keras adds epsilon elsewhere
    than the paper and PyTorch do, which its loop here mends; given the same numbers, both then take the same step. The
    libraries' defaults differ (epsilon 1e-8 and 1e-7, weight decay 0.01 and 0.004), so the recipe names every number.

    Attributes:
        epochs: Passes over the training images. More are better; ten are what there was time for. At most 10,000, since
            the rate of each step is held in memory.
        batch_size: Images per step. 64 takes twice the steps of 128 in the same ten epochs, which was worth
            more on the validation images than the speed it costs; much smaller ones leave the cores idle.
        learning_rate: The peak of the schedule. Chosen for LeNet-5 on MNIST, among 0.003 to 0.006.
        warmup: Share of all steps over which the rate climbs to its peak, so that Adam's first estimates,
            made from few batches, do not throw the weights far off.
        weight_decay: Share of each weight that one step at learning rate 1 takes away. Less, 0.01 or 0.05,
            was worse for LeNet-5 on MNIST.
        beta1: Decay of the gradient's running mean. This, beta2 and epsilon are those of Adam's own paper (Kingma
            and Ba, arXiv:1412.6980, Algorithm 1).
        beta2: Decay of the squared gradient's running mean.
        epsilon: Keeps the division finite.
        label_smoothing: Share of the target that is spread evenly over all classes (Szegedy et al. 2015, Section 7).
            Labels of real images are sometimes wrong or open; a net that need not be certain of each fits better.
        precision: `"fp32"`, or `"bf16"` for convolutions and dense layers in bfloat16, with weights kept in
            float32. Faster only on processors that have instructions for it.
        augmentation: Largest random change to each training image. Small changes that a person would not
            notice make new images of old ones.
        seed: Fixes the initial weights, the order of the images and their changes, and dropout.

    Raises:
        BackbonesError: If a number is out of its range, or not of its type.

    Examples:
        >>> recipe = Recipe(epochs=2, learning_rate=0.1, warmup=0.5)
        >>> recipe.learning_rates(steps_per_epoch=2).round(3).tolist()
        [0.05..., 0.1..., 0.05..., 0.0]
    """

    epochs: Annotated[int, Bounds(least=1, most=10_000)] = 10
    batch_size: int = 64
    learning_rate: Positive = 5e-3
    warmup: Share = 0.2
    weight_decay: NotNegative = 0.1
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: Positive = 1e-8
    label_smoothing: Share = 0.0
    precision: Literal["fp32", "bf16"] = "fp32"
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: Seed = 0

    def __post_init__(self) -> None:
        check_fields(self)

    def steps_per_epoch(self, images: int) -> int:
        """Full batches in so many images.

        Raises:
            BackbonesError: If there is not one.
        """
        if images < self.batch_size:
            raise BackbonesError(f"batch_size {self.batch_size} is more than the {images} training images")
        return images // self.batch_size

    def learning_rates(self, steps_per_epoch: int) -> NDArray[np.float32]:
        """The rate of every step of the run: a straight climb, then half a cosine down to zero.

        The climb is that of Goyal et al. 2017 (arXiv:1706.02677, Section 2.2), the cosine that of Loshchilov and
        Hutter 2016 (arXiv:1608.03983, Eq. 5), without restarts.

        Args:
            steps_per_epoch: Batches in one epoch.

        Returns:
            Shape (steps,), float32, where steps is `epochs` times `steps_per_epoch`. The last is 0.
        """
        steps = self.epochs * steps_per_epoch
        done = (np.arange(steps) + 1) / steps
        climb = done / self.warmup if self.warmup else np.ones(steps)
        fall = (1 + np.cos(np.pi * np.clip((done - self.warmup) / (1 - self.warmup), 0, 1))) / 2
        return (self.learning_rate * np.minimum(climb, fall)).astype(np.float32)

    def to_json(self) -> dict[str, Any]:
        """The recipe as plain values."""
        return asdict(self)


RECIPES = {
    # Digits keep their meaning when turned or moved a little, not when mirrored.
    "mnist": Recipe(label_smoothing=0.1, augmentation=Augmentation(rotate=10, shift=1.5, scale=0.1)),
    # Clothes keep theirs when mirrored; the photographs are all upright, and fill their frames but for a pixel or two.
    "fashion-mnist": Recipe(label_smoothing=0.1, augmentation=Augmentation(flip=True, crop=1)),
}
"""The recipe of each data set, chosen on the validation images: docs/results/index.md says among what."""

# The larger nets: bfloat16 takes half the time where a processor has instructions for it, and larger batches keep
# the cores busier. More epochs, since they have the room to learn more.
LARGER: dict[str, Any] = {"batch_size": 128, "precision": "bf16"}

# Over many epochs the larger nets get more training images right than others; erased rectangles narrow that.
# Erasing did not pay in runs of a few epochs (the paper behind it has three hundred).
ERASED = Augmentation(flip=True, crop=1, erase=0.5)

# Where a net needs another recipe than its data set's.
CHANGES: dict[tuple[str, str], dict[str, Any]] = {
    # As many passes as in the paper (LeCun et al. 1998, Section III.B).
    ("lenet5_1998", "mnist"): {"epochs": 20},
    # Shifts did not pay on the validation images.
    ("lenet5", "fashion-mnist"): {"epochs": 25, "augmentation": Augmentation(flip=True)},
    # No BatchNorm: it bears smaller steps only.
    ("alexnet_mini", "fashion-mnist"): {
        "epochs": 50,
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "precision": "bf16",
        "augmentation": ERASED,
    },
    ("vgg_mini", "fashion-mnist"): LARGER | {"epochs": 24},
    ("googlenet_mini", "fashion-mnist"): LARGER | {"epochs": 24},
    ("resnet20", "fashion-mnist"): LARGER | {"epochs": 65, "augmentation": ERASED},
}


def recipe_for(model: str, dataset: str) -> Recipe:
    """The recipe that a net is trained with on a data set, here and in the records.

    Args:
        model: A name from `backbones.list_models()`.
        dataset: A name from `backbones.data.list_datasets()`.

    Returns:
        The data set's from `RECIPES`, changed where this net needs another.

    Raises:
        BackbonesError: If there is no such model, or no recipe for the data set.

    Examples:
        >>> recipe_for("lenet5", "mnist").epochs
        10
    """
    find_spec(model)
    require_known("data set", dataset, RECIPES)
    return replace(RECIPES[dataset], **CHANGES.get((model, dataset), {}))
