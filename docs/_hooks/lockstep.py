"""What the pages draw from the walks in lockstep: how far the frameworks' losses part."""

from __future__ import annotations

import json

from drawing import inline, kept, scientific
from tabulate import tabulate

import backbones
from backbones.training.report import RECORDS

# Float32 rounds numbers as large as these losses to about 2e-7, and a loss is rounded several times on its way.
TOGETHER = 2e-6


def _walks() -> dict[tuple[str, str, int], dict]:
    walks = json.loads((RECORDS.parent / "lockstep.json").read_text())
    return {(walk["model"], walk["precision"], walk["seed"]): walk for walk in walks}


def _differences(walk: dict) -> list[float]:
    return [abs(a - b) for a, b in zip(walk["torch"], walk["tensorflow"], strict=True)]


def apart(model: str, precision: str, first: int | None = None) -> str:
    """The largest difference of the frameworks' losses in lockstep, of all steps or the first few, with seed 0."""
    return scientific(max(_differences(_walks()[model, precision, 0])[:first]))


def _seeds() -> dict[int, dict]:
    """LeNet-5's walks in float32. Those that part must be those in which a ReLU did it: the page says so."""
    walks = {
        seed: walk for (name, kind, seed), walk in _walks().items() if (name, kind) == ("lenet5", "float32")
    }
    for seed, walk in walks.items():
        together = walk["parted"]["step"] - 1 if walk["parted"] else None
        assert max(_differences(walk)[:together]) < TOGETHER, f"seed {seed} parts, and no ReLU tells why"
    return walks


def together() -> str:
    """How many of LeNet-5's seeds stay together to the end, of how many."""
    walks = _seeds().values()
    return f"{sum(max(_differences(walk)) < TOGETHER for walk in walks)} of {len(walks)}"


def together_within() -> str:
    """The largest difference of their losses."""
    stay = [found for walk in _seeds().values() if (found := max(_differences(walk))) < TOGETHER]
    return scientific(max(stay))


def lockstep_table() -> str:
    """LeNet-5's seeds: how far their losses part, and the value that parted them."""
    rows = []
    for seed, walk in _seeds().items():
        row = [str(seed), scientific(max(_differences(walk)))]
        if found := walk["parted"]:
            values = [scientific(value) if (value := found[f]) else "0" for f in ("torch", "tensorflow")]
            row += [str(found["step"]), f"`{found['layer']}`", *values]
        rows.append(row + [""] * (6 - len(row)))
    headers = ["seed", "largest difference", "parted in step", "at", "PyTorch has", "TensorFlow has"]
    align = ["right", "right", "right", "left", "right", "right"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def parted_in(model: str) -> int:
    """The step in which a ReLU first lets a value through in one framework alone, with seed 0 in float32."""
    return _walks()[model, "float32", 0]["parted"]["step"]


def relu_inputs(model: str) -> str:
    """How many values of a grey image of 28 x 28 pixels the ReLUs look at."""
    rows = backbones.summary(model, in_channels=1, input_size=28).layers
    return f"{sum(row.output.size for row in rows if row.type == 'ReLU'):,}"


@kept
def lockstep(model: str) -> str:
    """How the frameworks' losses part, step by step: the first seed of each precision, and those that part."""
    from backbones import figures

    shown = {
        f"{precision}, seed {seed}": walk
        for (name, precision, seed), walk in _walks().items()
        if name == model and (seed == 0 or walk["parted"])
    }
    most = (f"{label}, {max(_differences(walk)):.1e}" for label, walk in shown.items())
    alt = (
        f"Difference of the losses of {model} in PyTorch and TensorFlow over the steps. "
        f"The largest of each line: {'; '.join(most)}."
    )
    return inline(
        figures.differences({label: (w["torch"], w["tensorflow"]) for label, w in shown.items()}), alt
    )


FUNCTIONS = (apart, lockstep, lockstep_table, parted_in, relu_inputs, together, together_within)
