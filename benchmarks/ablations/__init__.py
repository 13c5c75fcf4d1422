"""One question of design at a time: the same small net, trained with and without it. See `__main__.py`."""
