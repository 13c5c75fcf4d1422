"""The one error that this package raises for bad input."""


class BackbonesError(ValueError):
    """Something a caller can put right. Its message is one line: what was wrong, and what would be right."""
