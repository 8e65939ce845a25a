"""Sentences that whoever loads a model should read."""

PICKLE_NOTES: tuple[str, ...] = (
    "its weights are a pickle, which could hold code; they were read as tensors alone, "
    "and nothing in it was run",
)
"""What is said of a model without safetensors."""


WRITTEN_NOTES: tuple[str, ...] = (
    "no --target came, so the target is what the model writes itself, the likeliest word each time",
)
"""What is said where a decoder is fed its own words."""


def code_note(has_own_code: bool, ran: bool) -> tuple[str, ...]:
    """What is said of a model that brings code of its own, which `ran` or did not."""
    if ran:
        return ("its own code was run, as --trust-remote-code allows",)
    return ("it brings code of its own, which was not run",) if has_own_code else ()


def sizes_note(pieces: int, vectors: int) -> tuple[str, ...]:
    """What is said of a tokenizer with more pieces than the model has vectors for."""
    if pieces <= vectors:
        return ()
    return (
        f"its tokenizer has {pieces} pieces, and the model vectors for {vectors}: a text with one "
        "of the others is refused",
    )


def left_over_note(left_over: tuple[str, ...], part: str) -> tuple[str, ...]:
    """What is said of a file's tensors that belong to nothing in `part`, what is looked at."""
    if not left_over:
        return ()
    parts = sorted(set(map(_part_of, left_over)))
    return (f"not part of {part}, and not read: {', '.join(parts)}",)


def _part_of(name: str) -> str:
    """What a tensor belongs to: its name, up to a layer's number if there is one."""
    parts = name.split(".")[:-1]
    end = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts))
    return ".".join(parts[:end]) or name
