"""What a model is fed: sentences' ids as one padded batch, and what a decoder is fed beside."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from attnviz.inspection.facts import AttentionKind

Ids = Sequence[int]


@dataclass(frozen=True)
class Feed:
    """A batch of sentences: ids, token types where the model has them, and the decoder's ids where
    it is run.
    """

    ids: Sequence[Ids]
    types: Sequence[Ids] | None = None
    targets: Sequence[Ids] | None = None

    def lengths(self, kind: AttentionKind) -> list[tuple[int, int]]:
        """How many queries and keys this kind of attention has in each sentence."""
        if self.targets is None:
            return [(len(row), len(row)) for row in self.ids]
        keys = self.ids if kind == "cross" else self.targets
        return [(len(row), len(looked)) for row, looked in zip(self.targets, keys, strict=True)]

    def tensors(self, pad: int, device: torch.device) -> dict[str, Tensor]:
        """What transformers calls them; shorter sentences are padded on the right, and masked."""
        fed = {"input_ids": _padded(self.ids, pad, device)}
        if self.types is not None:
            fed["token_type_ids"] = _padded(self.types, 0, device)
        if self.targets is not None:
            fed["decoder_input_ids"] = _padded(self.targets, pad, device)
        for name, rows in (
            ("attention_mask", self.ids),
            ("decoder_attention_mask", self.targets),
        ):
            # without padding there is no mask to be made
            if rows is not None and len({len(row) for row in rows}) > 1:
                fed[name] = _padded([[1] * len(row) for row in rows], 0, device)
        return fed


def _padded(rows: Sequence[Ids], filler: int, device: torch.device) -> Tensor:
    longest = max(map(len, rows))
    padded = [[*row, *([filler] * (longest - len(row)))] for row in rows]
    return torch.tensor(padded, device=device)
