"""What the command line says of itself."""

from __future__ import annotations

from typing import Any

from typer.cli import get_docs_for_click
from typer.main import get_command

from backbones.cli import app


def command_line() -> str:
    """Each command with its arguments, its options and an example, below the page's own title."""
    group: Any = get_command(app)
    context = group.context_class(group, info_name="backbones")
    return get_docs_for_click(obj=group, ctx=context, name="backbones").partition("\n")[2]


FUNCTIONS = (command_line,)
