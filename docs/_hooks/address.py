"""Where the project is."""

import importlib.metadata


def repository_address() -> str:
    """The repository's address; its one home is pyproject.toml."""
    urls = importlib.metadata.metadata("backbones").get_all("Project-URL") or []
    return next(url.split(", ")[1] for url in urls if url.startswith("Repository"))
