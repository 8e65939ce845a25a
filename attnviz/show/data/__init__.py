"""Inspections and answers as data: JSON, CSV, NPZ, and which files attnviz wrote."""

from typing import Literal

from attnviz.show.data.ablations import ABLATE_CSV_HEADER
from attnviz.show.data.as_csv import CSV_HEADER, csv_header, run_csv
from attnviz.show.data.as_json import run_json
from attnviz.show.data.as_npz import NpzWriter
from attnviz.show.data.comparisons import COMPARE_CSV_HEADER

__all__ = [
    "CSV_HEADER",
    "OURS_BYTES",
    "DataFormat",
    "NpzWriter",
    "csv_header",
    "is_ours",
    "run_csv",
    "run_json",
]

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
