"""Edits of heads made by hooks on transformers' own modules, and what such runs give."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import transformers
from tiny_bert import tiny_tokenizer
from torch import Tensor, nn

Change = Callable[[Tensor], object]
"""Changes one head's numbers in place: (row, width)."""

Made = Literal["q", "k", "v", "z"]
FUSED = {"Wo": "Wqkv", "c_proj": "c_attn"}


def library() -> Any:
    """The tiny tokenizer, as transformers wraps one."""
    kind: Any = transformers.PreTrainedTokenizerFast
    return kind(
        tokenizer_object=tiny_tokenizer(),
        pad_token="[PAD]",
        unk_token="[UNK]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


@dataclass(frozen=True)
class Attention:
    """The attention of a model's layers: W_O of layer 1 by its name, and what is beside it.

    shared: whether all layers are one module, which runs once for each.
    """

    model: Any
    output: str
    num_heads: int
    shared: bool = False

    def place(self, what: Made, layer: int) -> tuple[nn.Module, int | None]:
        """The module that makes q, k or v, or takes z; and which third of its output, if fused."""
        output = self.output if self.shared else self.output.replace(".1.", f".{layer}.", 1)
        if what == "z":
            return self.model.get_submodule(output), None
        place, _, name = output.rpartition(".")
        if name in FUSED:
            return self.model.get_submodule(f"{place}.{FUSED[name]}"), "qkv".index(what)
        if name == "dense":  # of BERT and ALBERT
            own = place.removesuffix("output") + "self" if place.endswith(".output") else place
            names = {"q": "query", "k": "key", "v": "value"}
            return self.model.get_submodule(f"{own}.{names[what]}"), None
        beside = what if name == "o" else f"{what}_proj"
        return self.model.get_submodule(f"{place}.{beside}"), None

    @contextmanager
    def changed(self, what: Made, layer: int, change: Change, rows: int = 0) -> Iterator[None]:
        """Inside, a layer's numbers are changed in place: (text, row, head, width), a copy.

        rows: so many heads that k and v have; 0 for as many as there are.
        """
        module, third = self.place(what, layer)
        heard = 0

        def made(numbers: Tensor) -> Tensor:
            nonlocal heard
            heard += 1
            if heard - 1 != (layer if self.shared else 0):
                return numbers
            numbers = numbers.clone()
            heads = (3,) * (third is not None) + (rows or self.num_heads,)
            view = numbers.view(*numbers.shape[:-1], *heads, -1)
            change(view if third is None else view[..., third, :, :])
            return numbers

        def enters(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (made(inputs[0]), *inputs[1:])

        def leaves(_: nn.Module, __: Any, output: Tensor) -> Tensor:
            return made(output)

        if what == "z":
            handle = module.register_forward_pre_hook(enters)
        else:
            handle = module.register_forward_hook(leaves)
        try:
            yield
        finally:
            handle.remove()

    def head(self, what: Made, layer: int, head: int, change: Change) -> Any:
        """Inside, one head's numbers of the first text are changed in place: (row, width)."""
        return self.changed(what, layer, lambda numbers: change(numbers[0, :, head]))

    def numbers(self, run: Callable[[], Any], layer: int, kv_heads: int) -> dict[str, Tensor]:
        """A layer's q, k, v and z in a run, each (row, head, width)."""
        found: dict[str, Tensor] = {}
        with ExitStack() as stack:
            kinds: tuple[Made, ...] = ("q", "k", "v", "z")
            for what in kinds:

                def keep(numbers: Tensor, what: str = what) -> None:
                    found[what] = numbers[0].clone()

                heads = kv_heads if what in "kv" else 0
                stack.enter_context(self.changed(what, layer, keep, heads))
            run()
        return found


@torch.no_grad()
def states(model: Any, ids: Sequence[int], target: Sequence[int] | None = None) -> Tensor:
    """The final states, (piece, d_model): of a decoder that is fed a target, if there is one."""
    fed = {"input_ids": torch.tensor([ids])}
    if target is None:
        found: Tensor = model(**fed).last_hidden_state[0]
        return found
    output = model(**fed, decoder_input_ids=torch.tensor([target]), output_hidden_states=True)
    last: Tensor = output.decoder_hidden_states[-1][0]
    return last
