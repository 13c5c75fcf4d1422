"""The proof that nothing was lost on the way: what each layer gives, in both frameworks, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from backbones.convert.checks import check_images, check_names
from backbones.convert.entries import flattened
from backbones.convert.models import evaluating, framework_of
from backbones.convert.state import State
from backbones.errors import BackbonesError
from backbones.registry import summarize_spec
from backbones.spec import Spec


def activations(model: Any, images: NDArray[Any]) -> State:
    """What every layer gives for these images, and the logits.

    Args:
        model: A `torch.nn.Module` or a `keras.Model`; run in evaluation mode.
        images: N x H x W x C, normalised, in the precision of the model's weights: float32 or float64.

    Returns:
        Layer name -> N x C x H x W or N x features, in the order of the forward pass. In PyTorch a block of
        layers has a name, too. Auxiliary heads do not run in evaluation. Of a layer that is called more than once,
        it is what the first call gives. A layer that gives several tensors, such as an LSTM, is left out.

    Raises:
        BackbonesError: If the model cannot take the images, and the message then says which it takes; if it does not
            give a tensor; or if it is of Keras and neither functional nor a built `Sequential`.

    Examples:
        >>> import numpy as np
        >>> from backbones import create_model
        >>> seen = activations(create_model("lenet5", "torch", seed=0), np.zeros((1, 28, 28, 1), np.float32))
        >>> seen["pool1"].shape, seen["logits"].shape
        ((1, 6, 14, 14), (1, 10))
    """
    check_images(model, images, np.ndarray)
    if framework_of(model) == "torch":
        return _torch_activations(model, images)
    return _keras_activations(model, images)


def _torch_activations(model: Any, images: NDArray[Any]) -> State:
    import torch

    outputs: State = {}

    def keep(name):
        def hook(module, inputs, output):
            if torch.is_tensor(output) and name not in outputs:
                outputs[name] = output.numpy().copy()

        return hook

    hooks = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    try:
        with evaluating(model), torch.no_grad():
            # A copy, and then a view: N x C x H x W in the memory order of N x H x W x C.
            logits = model(torch.tensor(np.ascontiguousarray(images)).permute(0, 3, 1, 2))
    finally:
        for hook in hooks:
            hook.remove()
    if not torch.is_tensor(logits):
        raise BackbonesError(f"expected a model that gives a tensor, not a {type(logits).__name__}")
    return {**outputs, "logits": logits.numpy()}


def _keras_activations(model: Any, images: NDArray[Any]) -> State:
    import keras

    if not getattr(model, "outputs", None):
        raise BackbonesError(
            f"{model.name!r} ({type(model).__name__}): only in a functional model, or a Sequential one that is built, "
            "is it known what each layer gives"
        )
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    kept = [layer for layer in layers if isinstance(layer.output, keras.KerasTensor)]
    logits = model.outputs[0]  # those of auxiliary heads follow
    outputs = keras.Model(model.inputs[0], [*(layer.output for layer in kept), logits])(
        images, training=False
    )
    names = [*(layer.name for layer in kept), "logits"]
    return {name: _channels_first(np.asarray(out)) for name, out in zip(names, outputs, strict=True)}


def _channels_first(x: NDArray[Any]) -> NDArray[Any]:
    return x.transpose(0, 3, 1, 2) if x.ndim == 4 else x


@dataclass(frozen=True)
class Difference:
    """How far two layers' outputs are apart.

    Attributes:
        layer: Name in both frameworks.
        shape: N x C x H x W, or N x features.
        size: The largest absolute value.
        largest: The largest absolute difference.
        feature: The named feature that the layer gives, if it gives one.

    Examples:
        >>> Difference("conv1", (1, 6, 28, 28), size=2.0, largest=1e-6).relative
        5e-07
    """

    layer: str
    shape: tuple[int, ...]
    size: float
    largest: float
    feature: str = ""

    @property
    def relative(self) -> float:
        """The largest difference over the largest value."""
        return self.largest / self.size if self.size else self.largest


@dataclass(frozen=True)
class Comparison:
    """The differences of all layers, in order, the logits last. Printed, it is a table.

    Attributes:
        rows: One for each layer, in the order of PyTorch's forward pass, and one for the logits.

    Examples:
        >>> conv1, logits = Difference("conv1", (1, 6, 28, 28), 2.0, 1e-6), Difference("logits", (1, 10), 0.5, 1e-6)
        >>> Comparison((conv1, logits)).largest
        2e-06
    """

    rows: tuple[Difference, ...]

    @property
    def largest(self) -> float:
        """The largest relative difference of any layer; not a number if one of them is none."""
        return float(np.max([row.relative for row in self.rows]))  # `max` passes over what is not a number

    def to_markdown(self) -> str:
        """The comparison as a Markdown table."""
        return self._table("pipe")

    def __str__(self) -> str:
        return self._table("simple")

    def _table(self, style: str) -> str:
        rows = [
            [r.layer, r.feature, "x".join(map(str, r.shape)),
             f"{r.size:.4g}", f"{r.largest:.1e}", f"{r.relative:.1e}"]
            for r in self.rows
        ]  # fmt: skip
        headers = ["layer", "feature", "shape", "largest value", "largest difference", "relative"]
        align = ("left", "left", "right", "right", "right", "right")
        return tabulate(rows, headers, tablefmt=style, colalign=align, disable_numparse=True)


def compare(
    torch_model: Any, keras_model: Any, images: NDArray[Any], layers: Iterable[str] | None = None
) -> Comparison:
    """Run both models on the same images and compare what their layers give, one by one.

    Args:
        torch_model: A `torch.nn.Module`.
        keras_model: A `keras.Model` with the same layer names.
        images: N x H x W x C, normalised, in the precision of both models' weights: float32 or float64.
        layers: The layers to compare. If None, those that give the named features of a model that
            `create_model` built; of other models, all that the two have in common, but for `Flatten` and what
            keeps its order, such as an activation behind it: the two frameworks flatten in another order, by
            design.

    Returns:
        One row for each of these layers, in the order of PyTorch's forward pass, and one for the logits.

    Raises:
        BackbonesError: If the models share no layer or not one that is asked for, a shared layer's shapes
            differ, or a model is one that `activations` refuses, or cannot take the images.

    Examples:
        >>> import numpy as np
        >>> from backbones import convert, create_model
        >>> model = create_model("lenet5", "torch", seed=0)
        >>> images = np.random.default_rng(0).normal(size=(2, 28, 28, 1)).astype(np.float32)
        >>> compare(model, convert.to_tensorflow(model), images).largest < 1e-5
        True
    """
    if (given := (framework_of(torch_model), framework_of(keras_model))) != ("torch", "tensorflow"):
        raise BackbonesError(
            f"expected a model of PyTorch, then one of Keras, not of {' and of '.join(given)}"
        )
    left, right = activations(torch_model, images), activations(keras_model, images)
    common = [name for name in left if name in right and name != "logits"]
    if not common:
        raise BackbonesError("the two models have no layer name in common")
    features = _features(torch_model)
    if layers is None:
        reordered = _reordered(keras_model)
        wanted = list(features) or [name for name in common if name not in reordered]
    else:
        wanted = check_names("layer of both models", layers, [*common, "logits"])
    features = features or _features(keras_model)
    names = [*(name for name in common if name in wanted), "logits"]
    return Comparison(tuple(_difference(n, left[n], right[n], features.get(n, "")) for n in names))


def _reordered(keras_model: Any) -> set[str]:
    """The names of the layers that give features in another order than in PyTorch, or in one that is not known."""
    import keras

    def other_order(tensor: Any) -> bool:
        try:
            return flattened(tensor) is not None
        except BackbonesError:
            return True

    given = {layer.name: keras.tree.flatten(getattr(layer, "output", [])) for layer in keras_model.layers}
    return {name for name, tensors in given.items() if any(map(other_order, tensors))}


def _features(model: Any) -> dict[str, str]:
    """Layer -> the name of the feature that it gives."""
    config = getattr(model, "config", None)
    known = summarize_spec(config).features if isinstance(config, Spec) else ()
    return {feature.layer: feature.name for feature in known}


def _difference(name: str, left: NDArray[Any], right: NDArray[Any], feature: str) -> Difference:
    if left.shape != right.shape:
        raise BackbonesError(f"{name!r} gives {left.shape} in PyTorch and {right.shape} in Keras")
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is reported as that
        difference = np.abs(left - right).max()
    return Difference(name, left.shape, float(np.abs(left).max()), float(difference), feature)
