"""The phrase book: the same thing said in PyTorch and in Keras, from data whose every row is run by a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[1] / "compare" / "phrases.yaml"


def load() -> list[dict[str, Any]]:
    """The groups, each with its rows."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def phrase_book() -> str:
    """A table per group: a line that says what is meant, and below it PyTorch beside Keras."""
    return "\n\n".join(f"## {group['group']}\n\n{_table(group['rows'])}" for group in load())


def _table(rows: list[dict[str, Any]]) -> str:
    head = "<thead><tr><th>PyTorch</th><th>Keras</th></tr></thead>"
    body = "\n".join(map(_row, rows))
    table = f'<table class="phrases" markdown>\n{head}\n<tbody markdown>\n{body}\n</tbody>\n</table>'
    return f'<div class="scrolls" markdown>\n{table}\n</div>'


def _row(row: dict[str, Any]) -> str:
    meant = f"**{row['meaning'][0].upper()}{row['meaning'][1:]}.** {row.get('note', '')}"
    codes = "\n".join(
        f"<td markdown>\n\n```python\n{row[framework].strip()}\n```\n\n</td>"
        for framework in ("torch", "keras")
    )
    return (
        f'<tr markdown>\n<td colspan="2" markdown>\n\n{meant}\n\n</td>\n</tr>\n<tr markdown>\n{codes}\n</tr>'
    )


FUNCTIONS = (phrase_book,)
