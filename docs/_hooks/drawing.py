"""How a page draws: figures in its ink, kept for as long as nothing changes, and numbers as it writes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import wraps
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from backbones.training.record import REPOSITORY
from backbones.training.report import RECORDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DRAWN = REPOSITORY / ".cache" / "drawn"


def kept(draw: Callable[..., str]) -> Callable[..., str]:
    """Keep what takes long to draw on disk, for as long as nothing it depends on changes.

    That spares a server that starts the import of the plotting and the statistics library.
    """

    @wraps(draw)
    def drawn(*args: object) -> str:
        code = [*(REPOSITORY / "backbones").rglob("*.py"), *Path(__file__).parent.glob("*.py")]
        sources = [*RECORDS.parent.rglob("*.json"), *(REPOSITORY / "docs").rglob("*.yaml"), *code]
        digest = hashlib.sha256(repr((draw.__name__, args)).encode())
        for path in sorted(sources):
            digest.update(path.read_bytes())
        file = DRAWN / digest.hexdigest()
        if not file.exists():
            DRAWN.mkdir(parents=True, exist_ok=True)
            file.write_text(draw(*args), encoding="utf-8")
        return file.read_text(encoding="utf-8")

    return drawn


def inline(figure: Figure, alt: str) -> str:
    """A figure as an SVG element in the page's ink, whose ids no other figure on the page has."""
    from backbones import figures

    svg = figures.to_svg(figure)
    own = hashlib.sha256(svg.encode()).hexdigest()[:8]
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{own}-", svg)
    svg = svg.replace("#000000", "currentColor")
    opened = svg.replace("<svg", f'<svg fill="currentColor" role="img" aria-label="{escape(alt)}"', 1)
    return f'<figure class="plot">{opened}</figure>'


def scientific(value: float) -> str:
    """A small number as a page writes it."""
    digits, power = f"{value:.1e}".split("e")
    return rf"${digits} \cdot 10^{{{int(power)}}}$"
