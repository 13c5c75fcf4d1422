"""Where the built site is, and below which path it is served."""

from pathlib import Path

SITE = Path(__file__).parents[2] / "site"
BELOW = "/cv-classification-backbones/"
