"""Answers as JSON and CSV, and which files attnviz wrote."""

from typing import Literal

from attnviz.show.data.ablations import ABLATE_CSV_HEADER
from attnviz.show.data.comparisons import COMPARE_CSV_HEADER
from attnviz.show.matrix_data import CSV_HEADER

__all__ = ["OURS_BYTES", "DataFormat", "is_ours"]

DataFormat = Literal["json", "jsonl", "csv", "npz"]

OURS_BYTES = 256
"""How many of a file's first bytes `is_ours` needs."""

_JSON_START = b'{"schema":"attnviz.'
_ZIP_MEMBER, _ZIP_NAME_AT = b"PK\x03\x04", 30


def is_ours(head: bytes, data_format: DataFormat) -> bool:
    """Whether a file that begins with these bytes was written by attnviz in this format."""
    if data_format == "csv":
        return head.startswith((CSV_HEADER, COMPARE_CSV_HEADER, ABLATE_CSV_HEADER))
    if data_format == "npz":
        named = head[_ZIP_NAME_AT:].startswith(b"schema.npy")
        return head.startswith(_ZIP_MEMBER) and named and "attnviz.".encode("utf-32-le") in head
    return head.startswith(_JSON_START)
