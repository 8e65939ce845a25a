"""The options of runs with edits: what is replaced in a head, and what is measured of a run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from attnviz.cli.options import SHOW, flag, valued
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.inspection.outcomes import Asked
    from attnviz.text.tokens import Typed

What = Annotated[
    Literal["z", "q", "k", "v", "weights"],
    valued(
        "NAME",
        SHOW,
        "What of the head is replaced: z, its result (the default), q, k, v or weights.",
    ),
]

Replaced = Annotated[
    Literal["zero", "mean", "noise"],
    valued(
        "NAME",
        SHOW,
        "What replaces it: zero (the default), its mean over the sentence, or noise with its mean "
        "and spread (--seed).",
        "--with",
    ),
]

Rows = Annotated[
    list[str] | None,
    valued("WORD", SHOW, "Replace the row of WORD alone (of k and v: as a key). May repeat."),
]


@dataclass(frozen=True)
class OutcomeChoice:
    """What is measured of each run."""

    outcome: Annotated[
        Literal["states", "mask", "label", "next", "similarity"] | None,
        valued(
            "NAME",
            SHOW,
            "What is measured: states (how far they move), mask, label or next (a probability), "
            "similarity. Without: what the checkpoint's head says, or states.",
        ),
    ] = None
    of: Annotated[
        str | None,
        valued(
            "WORD",
            SHOW,
            "Of which word, label or token; the likeliest if not given. Of similarity: the other "
            "text.",
        ),
    ] = None
    against: Annotated[
        str | None, valued("WORD", SHOW, "Measure that of --of less that of WORD.")
    ] = None
    logit: Annotated[bool, flag("--logit", SHOW, "Logits in place of probabilities.")] = False

    def asked(self, target: "Typed | None" = None) -> "Asked":
        """The same for the model; target: what a decoder beside the encoder is fed."""
        from attnviz.inspection.outcomes import Asked

        return Asked(self.outcome, self.of, self.against, self.logit, target)

    def check(self, of_rows: bool = False) -> None:
        """Raise RequestError for options that mean nothing in this outcome.

        of_rows: rows of a table may say of what it is measured.
        """
        words = {"--against": self.against, "--logit": self.logit}
        if self.outcome == "states":
            words = {"--of": self.of, **words}
        given = [option for option, value in words.items() if value]
        if self.outcome in ("states", "similarity") and given:
            what = "how far states move" if self.outcome == "states" else "a cosine"
            raise RequestError(
                f"--outcome {self.outcome} measures {what}, and {given[0]} came beside it",
                "leave out one of the two",
            )
        if self.outcome == "similarity" and self.of is None and not of_rows:
            raise RequestError(
                "--outcome similarity measures how alike two texts are, and one came",
                "name the other with --of TEXT",
            )
