"""Queries and keys in fewer bits: float16, int8 with a scale for each row, and what a page has.

For each, how far any weight of any head is off, and bits for each number after deflate.

usage: python benchmarks/packed.py
"""

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from attnviz.answers.page import PageLayer, page
from attnviz.attention.layer import LayerRecord
from attnviz.inspection import Inspection
from attnviz.show.page.packing import pack

Small = tuple[np.ndarray, bytes]  # numbers as they are read again, and the bytes that say them

HEADER = """\
| model | tokens | form of q and k | any weight is off by up to | bits a number |
|---|---|---|---|---|"""


def rows(model: str, inspection: Inspection) -> list[str]:
    """A row of the table for each form."""
    [text] = page([inspection.view()]).texts
    layers = [layer for layer in text.layers if layer is not None]
    found = {
        "float16": _other(layers, _float16),
        "int8, a scale for each row": _other(layers, _int8),
        "attnviz: 16 bits, a step for each head": _ours(layers),
    }
    return [
        f"| {model} | {len(inspection.tokens)} | {form} | {off:.1e} | {bits:.1f} |"
        for form, (off, bits) in found.items()
    ]


def _ours(layers: Sequence[PageLayer]) -> tuple[float, float]:
    pairs = {str(n): _queries_and_keys(layer) for n, layer in enumerate(layers)}
    packed = dict(pack(pairs))
    count = sum(layer.arrays["q"].size + layer.arrays["k"].size for layer in layers)
    bits = sum(7 * len(one.text) for one in packed.values())  # of each letter
    return max(layer.rounding.off for layer in layers), bits / count


def _queries_and_keys(layer: PageLayer) -> PageLayer:
    return layer._replace(arrays={name: layer.arrays[name] for name in "qk"})


def _other(
    layers: Sequence[PageLayer], small: Callable[[np.ndarray], Small]
) -> tuple[float, float]:
    off, size, count = 0.0, 0, 0
    for number, layer in enumerate(layers):
        q, k = layer.arrays["q"], layer.arrays["k"]
        (new_q, bytes_q), (new_k, bytes_k) = small(q), small(k)
        exact, new = (
            LayerRecord(q=a, k=b, scale=layer.record.scale).weights(number)
            for a, b in ((q, k), (new_q, new_k))
        )
        off = max(off, float(np.abs(new - exact).max()))
        size += _deflated(bytes_q + bytes_k)
        count += q.size + k.size
    return off, 8 * size / count


def _float16(array: np.ndarray) -> Small:
    half = array.astype("<f2")
    planes = half.view(np.uint8).reshape(-1, 2).T  # low bytes, then high bytes
    return half.astype(np.float32), planes.tobytes()


def _int8(array: np.ndarray) -> Small:
    scales = np.abs(array).max(axis=-1, keepdims=True).astype(np.float32) / 127
    whole = np.rint(array / scales).astype(np.int8)
    return whole * scales, whole.tobytes() + scales.tobytes()


def _deflated(data: bytes) -> int:
    """The smaller of two ways to deflate."""
    sizes = []
    for strategy in (zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE):
        deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
        sizes.append(len(deflate.compress(data) + deflate.flush()))
    return min(sizes)


def table() -> str:
    """Minilm and e5, both trained, with texts of view.py's lengths."""
    from view import LENGTHS, text_of  # which imports this module

    from attnviz.model import load_model

    found = [HEADER]
    for name in ("minilm", "e5"):
        model = load_model(name)
        for length in LENGTHS:
            found += rows(name, model.inspect(text_of(length), truncate=True))
    return "\n".join(found)


if __name__ == "__main__":
    print(table())
