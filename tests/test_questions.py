"""The interview questions beside what the package computes, or the frameworks when they are run."""

import math
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import interview
import keras
import macros
import numpy as np
import pytest
import tensorflow as tf
import torch
from jinja2 import Environment, meta
from torch import nn
from torch.nn import functional as F

from backbones.training import Recipe
from backbones.training.torch import make_optimizer

DOCS = Path(__file__).parents[1] / "docs"
QUESTIONS = interview.load()
CALCULATIONS = [question for question in QUESTIONS if question.value]
LATEX = {
    r"\cdot": "*", r"\,": "*", "^": "**", r"\lfloor": "floor(", r"\rfloor": ")", r"\sqrt": "sqrt", r"\ln": "log",
    "{": "(", "}": ")",
}  # fmt: skip
ASKER = interview.Asker({function.__name__: function for function in macros.FUNCTIONS})


def test_questions_are_told_apart():
    ids = [question.id for question in QUESTIONS]
    assert len(set(ids)) == len(ids)
    for name in [path.stem for path in interview.FOLDER.glob("*.yaml")]:
        assert name in interview.TITLES
        assert {question.topic for question in interview.load(name)} == {name}
        assert {question.level for question in interview.load(name)} == set(interview.LEVELS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_a_question_has_an_answer_and_evidence(question):
    assert question.level in interview.LEVELS
    assert question.question.strip().endswith(("?", "."))
    answer = ASKER.answer(question)
    assert (DOCS / question.evidence.split("#")[0]).exists() or question.evidence.startswith("tutorials/")
    if question.value:
        value = ASKER.value(question)
        assert math.isfinite(value)
        assert question.unit
        assert re.search(rf"(?<![\d,.]){re.escape(f'{value:,}')}(?!\d|,\d)", answer), (
            f"{value:,} is not in the answer"
        )


def ones(*shape):
    return torch.ones(shape)


def pixel(side, maps=1, place=None):
    """A map that is 0 but for one place, the middle if no other is named."""
    x = torch.zeros(1, maps, side, side)
    x[place or (0, 0, side // 2, side // 2)] = 1
    return x


def keras_steps(optimizer, gradient, rates):
    """How far the last of several steps moves a weight."""
    weight = keras.Variable(0.0)
    for rate in rates:
        optimizer.learning_rate, before = rate, float(weight)
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [weight])
    return abs(float(weight) - before)


def step_without_correction():
    """What PyTorch keeps after one step of a weight: its rate would be multiplied by the ratio."""
    unit = nn.Linear(1, 1, bias=False)
    unit.weight.grad = torch.ones(1, 1)
    optimizer = make_optimizer(unit, Recipe())
    optimizer.step()
    state = optimizer.state[unit.weight]
    return (state["exp_avg"] / state["exp_avg_sq"].sqrt()).item()


def steady_momentum():
    weight = nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.9)
    for _ in range(200):
        before = weight.item()
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    return before - weight.item()


def signal_behind(layers):
    x = start = torch.randn(500, 1000)
    for _ in range(layers):
        x = nn.Linear(1000, 1000, bias=False)(x).relu()
    return (start.square().mean() / x.square().mean()).item()


def variances_kept():
    one, other = nn.BatchNorm2d(1, momentum=1.0), keras.layers.BatchNormalization(momentum=0.0)
    x = torch.arange(4.0).reshape(1, 1, 2, 2)
    one(x)
    other(x.numpy().reshape(1, 2, 2, 1), training=True)
    return one.running_var.item() / float(other.moving_variance[0])


def outputs_of_a_quiet_map():
    one, other = nn.BatchNorm2d(1).eval(), keras.layers.BatchNormalization()
    other.build((None, 1, 1, 1))
    one.running_var.fill_(1e-4)
    other.moving_variance.assign([1e-4])
    return one(ones(1, 1, 1, 1)).item() / float(np.array(other(np.ones((1, 1, 1, 1)))).item())


def running_mean_after(batches):
    norm = keras.layers.BatchNormalization()
    for _ in range(batches):
        norm(np.ones((2, 3, 3, 1)), training=True)
    return float(norm.moving_mean[0])


def share_of_the_new():
    norm = nn.BatchNorm2d(1)
    norm(ones(2, 1, 3, 3))
    return norm.running_mean.item()


def radius_of(size):
    """Which of TensorFlow's gives what PyTorch's normalisation of so many neighbours does."""
    x = torch.arange(1.0, 21).reshape(1, 20, 1, 1)
    wanted = nn.LocalResponseNorm(size, alpha=1e-4 * size)(x).numpy().ravel()
    rows = x.numpy().reshape(1, 1, 1, 20)
    settings = {"bias": 1, "alpha": 1e-4, "beta": 0.75}
    return next(r for r in range(9) if np.allclose(tf.nn.lrn(rows, r, **settings), wanted, rtol=1e-6))


# Where the package's ledger, recipe, loss and optimizer have no say, the frameworks have; and chance, all of it.
RUN = {
    "basics-ways-to-the-middle": lambda: F.conv2d(F.conv2d(pixel(5), ones(1, 1, 3, 3)), ones(1, 1, 3, 3)),
    "basics-batchnorm-by-hand": lambda: F.batch_norm(
        torch.tensor([[1.0], [1.0], [5.0], [5.0]]), None, None, 2 * ones(1), ones(1), training=True, eps=1e-9
    )[-1],
    "training-without-bias-correction": step_without_correction,
    "training-momentum-of-a-steady-gradient": steady_momentum,
    "training-what-dropout-multiplies": lambda: F.dropout(ones(1000), 0.2).max(),
    "training-error-of-an-accuracy": lambda: 100 * np.std([1] * 900 + [0] * 100) / math.sqrt(1000),
    "training-error-of-a-mean": lambda: np.std([np.mean(runs) for runs in product((-0.1, 0.1), repeat=5)]),
    "training-six-pairs": lambda: 2**6 / sum(len(set(pairs)) == 1 for pairs in product("AB", repeat=6)),
    "training-step-behind-one": lambda: torch.finfo(torch.bfloat16).eps,
    "frameworks-place-in-flatten": lambda: np.argmax(
        keras.layers.Flatten()(pixel(5, 16, (0, 3, 2, 4)).permute(0, 2, 3, 1).numpy())
    ),
    "frameworks-batchnorm-momentum": lambda: 1 - share_of_the_new(),
    "frameworks-batchnorm-pace": lambda: running_mean_after(10),
    "frameworks-batchnorm-epsilon": outputs_of_a_quiet_map,
    "frameworks-batchnorm-unbiased": variances_kept,
    "frameworks-mean-in-the-corner": lambda: F.avg_pool2d(ones(1, 1, 5, 5), 3, 1, 1)[0, 0, 0, 0],
    "frameworks-deviation-of-new-weights": lambda: nn.Linear(500, 2000).weight.std(),
    "frameworks-range-of-new-biases": lambda: nn.Linear(100, 10_000).bias.abs().max(),
    "frameworks-signal-at-the-defaults": lambda: signal_behind(5),
    "frameworks-local-response-normalisation": lambda: radius_of(9),
    "frameworks-slope-of-leaky-relu": lambda: keras.layers.LeakyReLU()(np.array([-2.0]))[0],
    "frameworks-epsilon-of-adam": lambda: keras_steps(keras.optimizers.Adam(), 1e-7, [0.1]),
    "frameworks-momentum-and-rate": lambda: keras_steps(
        keras.optimizers.SGD(momentum=0.9), 1.0, [0.1, 0.1, 0.01]
    ),
    "frameworks-pixels-that-weights-expect": lambda: keras.applications.imagenet_utils.preprocess_input(
        np.full((1, 1, 1, 3), 255.0), mode="torch"
    )[0, 0, 0, 0],
}
# What a framework draws at random has the value on average only.
DRAWN = {
    "frameworks-deviation-of-new-weights",
    "frameworks-range-of-new-biases",
    "frameworks-signal-at-the-defaults",
}


@pytest.mark.parametrize("question", CALCULATIONS, ids=lambda question: question.id)
def test_a_number_is_the_packages_or_is_run(question):
    """An expression that asks neither is only what its author believed."""
    called = meta.find_undeclared_variables(Environment().parse(f"{{{{ {question.value} }}}}"))
    assert (question.id in RUN) is not bool(called - {"math"})
    if question.id in RUN:
        torch.manual_seed(0)
        with torch.no_grad():
            seen, value = float(RUN[question.id]()), ASKER.value(question)
        if question.id in DRAWN:
            assert seen == pytest.approx(value, rel=0.05)
        else:  # to the digits that are asked for
            rounded = interview.ROUNDED.search(question.value)
            assert seen == pytest.approx(value, abs=0.6 * 10 ** -int(rounded[1]) if rounded else 1e-5)


@pytest.mark.parametrize("question", CALCULATIONS, ids=lambda question: question.id)
def test_a_derivation_leads_to_the_number(question):
    """Also where the package computed it: the sum before the answer's equals sign is typed."""
    rounded = interview.ROUNDED.search(question.value)
    value, digits = ASKER.value(question), int(rounded[1]) if rounded else 9
    for formula in re.findall(r"([^$=]+)=\$\s+\{\{ value \}\}", question.answer):
        assert round(reckoned(formula), digits) == pytest.approx(value)
    if rounded:  # to how many places must be said where there would be more
        exact = ASKER.value(replace(question, value=question.value.replace(f"| {rounded[0]}", "")))
        assert exact == pytest.approx(value, rel=1e-4) or "decimal" in question.question


def reckoned(formula):
    """What a formula without unknowns comes to."""
    formula = re.sub(r"\\frac\{(.+?)\}\{(.+?)\}", r"((\1) / (\2))", formula)
    formula = re.sub(r"\\ln ([\d.]+)", r"log(\1)", formula)
    for latex, python in LATEX.items():
        formula = formula.replace(latex, python)
    return eval(formula, dict(vars(math)))


def test_a_phone_shows_the_keys_that_an_answer_needs():
    """Those for decimals may lack the minus."""
    forms = re.findall(r'data-value="(.*?)".*?inputmode="(.*?)"', ASKER.ask())
    assert len(forms) == len(CALCULATIONS)
    assert {value[0] == "-": keys for value, keys in forms} == {True: "text", False: "decimal"}
