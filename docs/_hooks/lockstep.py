"""What the pages draw from the walks in lockstep: how far the frameworks' losses part."""

from __future__ import annotations

import json
from functools import cache

from drawing import inline, kept, scientific

from backbones.training.report import RECORDS


@cache
def _walks() -> dict[tuple[str, str, int], dict]:
    walks = json.loads((RECORDS.parent / "lockstep.json").read_text())
    return {(walk["model"], walk["precision"], walk["slower"]): walk for walk in walks}


def apart(model: str, precision: str, slower: int = 1, first: int | None = None) -> str:
    """The largest difference of the frameworks' losses in lockstep, of all steps or the first few."""
    walk = _walks()[model, precision, slower]
    pairs = list(zip(walk["torch"], walk["tensorflow"], strict=True))[:first]
    return scientific(max(abs(a - b) for a, b in pairs))


@kept
def lockstep(model: str) -> str:
    """How the frameworks' losses part, step by step, in every way that was tried."""
    from backbones import figures

    labels = {
        f"{precision}" + (f", a {slower}th of the rate" if slower > 1 else ""): (
            walk["torch"],
            walk["tensorflow"],
        )
        for (name, precision, slower), walk in _walks().items()
        if name == model
    }
    most = (
        f"{label}, {max(abs(a - b) for a, b in zip(*runs, strict=True)):.1e}"
        for label, runs in labels.items()
    )
    alt = (
        f"Difference of the losses of {model} in PyTorch and TensorFlow over the steps. "
        f"The largest of each line: {'; '.join(most)}."
    )
    return inline(figures.differences(labels), alt)
