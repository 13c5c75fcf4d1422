"""What the command line says of itself."""

from __future__ import annotations

from typing import Any

from typer.main import get_command

from backbones.cli import app


def command_line() -> str:
    """Each command with the help that it gives."""
    group: Any = get_command(app)
    above = group.context_class(group, info_name="backbones")
    parts = []
    for name, command in group.commands.items():
        command.rich_markup_mode = None  # plain text, not boxes for a terminal
        told = command.get_help(
            command.context_class(command, info_name=name, parent=above, terminal_width=100)
        )
        parts.append(f"## {name}\n\n```text\n{told}\n```")
    return "\n\n".join(parts)


FUNCTIONS = (command_line,)
