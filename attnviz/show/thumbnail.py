"""A head as a picture of a few hundred bytes: a pixel a number, more or less opaque."""

import struct
import zlib

import numpy as np

COLOUR = (237, 137, 33)
"""The one colour: an orange that stands out on white and on black."""

LEVELS = 16
"""Shades, from clear to opaque."""

GREY, VEIL = (128, 128, 128), 56
"""What stands where a query may not look, and how opaque it is, of 255: on any ground."""


def thumbnail(shades: np.ndarray, seen: np.ndarray | None = None) -> bytes:
    """A PNG with a pixel a number, opaque where it is 1, clear where it is 0.

    seen: which numbers there are, (row, column); the others are grey.
    """
    pixels = np.rint(np.clip(shades, 0, 1) * (LEVELS - 1)).astype(np.uint8)
    if seen is not None:
        pixels[~seen] = LEVELS
    down, across = pixels.shape
    lines = b"".join(b"\0" + row.tobytes() for row in pixels)
    opacity = bytes(level * 255 // (LEVELS - 1) for level in range(LEVELS))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", across, down, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(COLOUR) * LEVELS + bytes(GREY)),
        (b"tRNS", opacity + bytes([VEIL])),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
