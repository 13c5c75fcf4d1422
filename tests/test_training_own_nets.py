"""Training of nets that were not built here: what they must give, and what they may be."""

import re
from dataclasses import replace

import keras
import numpy as np
import pytest
import torch
from nets import SHORT, both

import backbones
from backbones.training import evaluate, fit


def own_net(framework, *units, wrap=lambda outputs: outputs[0]):
    """A net that was not built here, with a dense layer for each number of units."""
    if framework == "tensorflow":
        images = keras.Input((28, 28, 1))
        flat = keras.layers.Flatten()(images)
        return keras.Model(images, wrap([keras.layers.Dense(count)(flat) for count in units]))

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.heads = torch.nn.ModuleList(torch.nn.Linear(784, count) for count in units)

        def forward(self, x):
            return wrap([head(x.flatten(1)) for head in self.heads])

    return Net()


def one_row(outputs):
    """For all images one row, which NumPy would hold against every label."""
    (logits,) = outputs
    return (
        logits.mean(0, keepdim=True)
        if isinstance(logits, torch.Tensor)
        else keras.ops.mean(logits, 0, keepdims=True)
    )


@both
def test_a_net_of_the_readers_own_must_give_logits(framework, tiny):
    wrong = {
        "32 x 10 for 32 images and the classes of tiny, not 32 x 3$": own_net(framework, 3),
        "32 x 10 for 32 images and the classes of tiny, not a (list|tuple)$": own_net(
            framework, 10, 10, wrap=tuple
        ),
        "32 x 10 for 32 images and the classes of tiny, not 1 x 10$": own_net(framework, 10, wrap=one_row),
    }
    for said, model in wrong.items():
        with pytest.raises(backbones.BackbonesError, match=said):
            fit(model, tiny, SHORT)
        with pytest.raises(backbones.BackbonesError, match=said.replace("32", "[0-9]+")):
            evaluate(model, tiny)
    fit(own_net(framework, 12), tiny, replace(SHORT, epochs=1), progress=False)


@both
def test_a_net_with_nothing_to_train_is_refused(framework, tiny):
    frozen = own_net(framework, 10)
    if framework == "torch":
        bare, switch = torch.nn.Flatten(), "requires_grad"
        frozen.requires_grad_(False)
    else:
        bare, switch = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()]), "trainable"
        frozen.trainable = False
    for model in (bare, frozen):
        with pytest.raises(
            backbones.BackbonesError, match=f"nothing to train: it needs weights, and {switch}"
        ):
            fit(model, tiny, SHORT, progress=False)
        evaluate(model, tiny)  # needs none


@both
def test_a_net_that_cannot_take_the_images_is_refused_in_one_line(framework, tiny):
    if framework == "torch":
        given, layers = (
            "N x 1 x 28 x 28",
            [torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(2704, 10)],
        )
        coloured, own = torch.nn.Sequential(*layers), torch.nn.Linear(10, 10)
    else:
        given, layers = (
            "N x 28 x 28 x 1",
            [keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(10)],
        )
        coloured, own = keras.Sequential([keras.Input((28, 28, 3)), *layers]), TakesFive()
    for model, reason in ((coloured, "3"), (own, "10")):
        for call in (lambda model=model: fit(model, tiny, SHORT), lambda model=model: evaluate(model, tiny)):
            with pytest.raises(
                backbones.BackbonesError, match=f"^the model cannot take {given}: .*{reason}"
            ) as error:
                call()
            assert not re.search("\n|\x1b|Exception encountered", str(error.value))


class TakesFive(keras.Model):
    """A net whose layer TensorFlow itself refuses, below Keras's checks."""

    def call(self, x):
        return keras.ops.matmul(x, np.ones((5, 10), np.float32))


def test_heads_that_no_config_weighs_are_refused(tiny):
    """As of torchvision's GoogLeNet, which gives logits alone in evaluation mode."""
    model = own_net("torch", 10, 10)
    model.forward = lambda x: (
        (model.heads[0](x.flatten(1)),) * 2 if model.training else model.heads[0](x.flatten(1))
    )
    with pytest.raises(backbones.BackbonesError, match="gives 2 outputs in training; a net of your own"):
        fit(model, tiny, SHORT, progress=False)


def test_an_unbuilt_keras_model_is_built(tiny):
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    assert len(fit(model, tiny, SHORT, progress=False).epochs) == 3
