"""A recipe: its learning rates, its numbers, and what it refuses."""

import json

import numpy as np
import pytest

import backbones
from backbones.training import Recipe, recipe_for


def test_learning_rate_climbs_then_falls():
    rates = Recipe(epochs=2, learning_rate=0.1, warmup=0.25).learning_rates(50)
    assert len(rates) == 100
    assert rates.argmax() == 24
    assert rates.max() == pytest.approx(0.1)
    assert (np.diff(rates[:25]) > 0).all()
    assert (np.diff(rates[25:]) < 0).all()
    assert rates[-1] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1 and at most 10000, not 0"),
        ({"epochs": "3"}, "epochs must be a whole number of at least 1 and at most 10000, not '3'"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 1 and at most 10000, not 1.5"),
        ({"epochs": True}, "epochs must be a whole number of at least 1 and at most 10000, not True"),
        (
            {"epochs": 10**11},
            "epochs must be a whole number of at least 1 and at most 10000, not 100000000000",
        ),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"batch_size": None}, "batch_size must be a whole number of at least 1, not None"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number above 0"),
        ({"warmup": 1.0}, "warmup must be a finite number of at least 0 and below 1, not 1.0"),
        ({"warmup": -1}, "warmup must be a finite number of at least 0 and below 1, not -1"),
        ({"weight_decay": float("nan")}, "weight_decay must be a finite number of at least 0, not nan"),
        ({"weight_decay": -1}, "weight_decay must be a finite number of at least 0, not -1"),
        ({"beta1": 1.5}, "beta1 must be a finite number of at least 0 and below 1, not 1.5"),
        ({"beta2": 1.0}, "beta2 must be a finite number of at least 0 and below 1, not 1.0"),
        ({"epsilon": 0.0}, "epsilon must be a finite number above 0, not 0.0"),
        (
            {"label_smoothing": 1.0},
            "label_smoothing must be a finite number of at least 0 and below 1, not 1.0",
        ),
        ({"precision": "fp16"}, "unknown precision 'fp16'; did you mean 'bf16'.* known: fp32, bf16"),
        ({"augmentation": None}, "augmentation must be an Augmentation, not None"),
        ({"seed": -1}, r"seed must be a whole number of at least 0 and below 4294967296, not -1"),
        ({"seed": "a"}, "seed must be a whole number of at least 0 and below 4294967296, not 'a'"),
    ],
)
def test_a_wrong_recipe_is_refused(wrong, said):
    with pytest.raises(backbones.BackbonesError, match=said):
        Recipe(**wrong)


def test_a_recipe_holds_plain_numbers():
    """NumPy's would not fit into a checkpoint's or a record's JSON."""
    recipe = Recipe(epochs=np.int64(3), learning_rate=np.float32(0.5))
    assert json.loads(json.dumps(recipe.to_json())) == Recipe(epochs=3, learning_rate=0.5).to_json()


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("lenet5", "cifar"), "unknown data set 'cifar'; known: mnist, fashion-mnist"),
        (("lenet", "mnist"), "unknown model 'lenet'; did you mean 'lenet5'?"),
    ],
)
def test_a_recipe_for_something_unknown_is_refused(names, said):
    with pytest.raises(backbones.BackbonesError, match=said):
        recipe_for(*names)
