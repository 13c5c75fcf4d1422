"""The phrase book tells the truth: both snippets of every row run, and mean the same."""

import multiprocessing
import warnings
from functools import partial
from unittest import mock

import keras
import numpy as np
import phrases
import pytest
import safetensors.numpy
import safetensors.torch
import tensorflow as tf
import torch
import torch.nn.functional as F
from torch import nn

ROWS = [
    pytest.param(group["setup"], row, id=f"{group['group']}: {row['meaning']}")
    for group in phrases.load()
    for row in group["rows"]
]


def same(left, right):
    """Equal to rounding. Maps of PyTorch, N x C x H x W, are turned to N x H x W x C before they meet Keras's."""
    maps = isinstance(left, torch.Tensor) and left.ndim == 4 and not isinstance(right, torch.Tensor)
    left, right = (np.asarray(v.detach() if isinstance(v, torch.Tensor) else v) for v in (left, right))
    np.testing.assert_allclose(left.transpose(0, 2, 3, 1) if maps else left, right, rtol=1e-5, atol=1e-5)


def play(parts, folder):
    """Run the snippets one after the other, in one scope. They are this repository's own code."""
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    images = rng.normal(size=(4, 6, 6, 3)).astype(np.float32)
    scope = {
        "F": F, "folder": folder, "images": images, "keras": keras, "layers": keras.layers, "nn": nn, "np": np,
        "rng": rng, "safetensors": safetensors, "same": same, "tf": tf, "torch": torch,
        "x": torch.from_numpy(images).permute(0, 3, 1, 2),
    }  # fmt: skip
    # The default backend needs a C++ compiler, which may not be there.
    in_python = mock.patch.object(torch, "compile", partial(torch.compile, backend="eager"))
    with in_python, warnings.catch_warnings():
        warnings.simplefilter("error")  # in a process of its own, too
        warnings.filterwarnings(
            "ignore", "__array__ implementation", DeprecationWarning
        )  # Keras's, when it saves
        for code in parts:
            exec(code, scope)


@pytest.mark.parametrize(("setup", "row"), ROWS)
def test_both_sides_mean_the_same(setup, row, tmp_path):
    parts = (setup, row.get("before", ""), row["torch"], row["keras"], row["check"])
    if "process" in row:
        process = multiprocessing.get_context("spawn").Process(target=play, args=(parts, tmp_path))
        process.start()
        process.join()
        assert process.exitcode == 0
    else:
        play(parts, tmp_path)


def test_there_are_enough_rows_and_no_two_alike():
    meanings = [row["meaning"] for group in phrases.load() for row in group["rows"]]
    assert len(set(meanings)) == len(meanings) > 40
