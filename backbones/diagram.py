"""The block diagram of a net, drawn from its ledger as text: needs no plotting library."""

from __future__ import annotations

from html import escape

from backbones.summary import Layer, Summary, pair


def diagram(summary: Summary) -> str:
    """A block diagram of a net, drawn from its ledger, as an SVG element that takes the page's colours.

    One row per layer that has a window or weights: a bar as wide as the map's side and labelled with what the
    layer does and gives. Activations and reshapes are named beside the layer they follow.

    Args:
        summary: From `backbones.summary`.

    Examples:
        >>> import backbones
        >>> diagram(backbones.summary("lenet5")).startswith("<svg")
        True
    """
    blocks = _blocks(summary)
    line, top, bar = 44, 40, 26
    height = top + line * len(blocks) + 8
    largest = max(layer.output.height for _, layer in blocks)
    parts = [
        f'<svg class="diagram" viewBox="0 0 640 {height}" role="img" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(_told(summary))}</title>",
        f'<text x="150" y="20" class="name">input {escape(_shape(summary.input.shape))}</text>',
    ]
    for index, (names, layer) in enumerate(blocks):
        y = top + line * index
        width = 18 + 120 * layer.output.height / largest
        x = 210 - width / 2
        parts += [
            f'<path class="arrow" d="M210 {y - 16} v12 m-4 -5 l4 5 l4 -5"/>',
            f'<rect class="{"weights" if layer.parameters + layer.fixed else "plain"}" x="{x:.0f}" y="{y}" '
            f'width="{width:.0f}" height="{bar}" rx="3"/>',
            f'<text x="120" y="{y + 17}" class="name" text-anchor="end">{escape(names)}</text>',
            f'<text x="290" y="{y + 17}">{escape(_does(layer))}</text>',
            f'<text x="470" y="{y + 17}">{escape(_shape(layer.output.shape))}</text>',
            f'<text x="632" y="{y + 17}" text-anchor="end">{layer.parameters:,}</text>'
            if layer.parameters
            else "",
        ]
    parts += ['<text x="632" y="20" text-anchor="end">parameters</text>', "</svg>"]
    return "".join(parts)


def _blocks(summary: Summary) -> list[tuple[str, Layer]]:
    """The layers to draw, each with the names of the activation that follows it."""
    blocks: list[tuple[str, Layer]] = []
    for layer in summary.layers:
        if layer.kernel is None and not layer.parameters + layer.fixed and blocks:
            if layer.type != "Flatten":
                names, owner = blocks[-1]
                blocks[-1] = (f"{names} + {layer.type}", owner)
            continue
        blocks.append((layer.name, layer))
    return blocks


def _does(layer: Layer) -> str:
    if layer.kernel is None:
        return layer.type
    stride = f", stride {layer.stride}" if layer.stride != 1 else ""
    height, width = pair(layer.kernel)
    return f"{layer.type} {height} x {width}{stride}"


def _shape(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return str(channels) if height == width == 1 else f"{channels} x {height} x {width}"


def _told(summary: Summary) -> str:
    steps = "; ".join(
        f"{layer.name}: {_does(layer)} to {_shape(layer.output.shape)}" for _, layer in _blocks(summary)
    )
    return f"Block diagram of {summary.model}: input {_shape(summary.input.shape)}; {steps}"
