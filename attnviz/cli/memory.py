"""`attnviz memory`: what is remembered?"""

from dataclasses import dataclass
from typing import Annotated, ClassVar

from attnviz.cli.options import INPUT, Results, flag, valued
from attnviz.errors import RequestError


@dataclass(frozen=True)
class Forgotten:
    """What to forget."""

    forget: Annotated[
        list[str] | None, valued("NAME", INPUT, "Forget what has that name. May repeat.")
    ] = None
    forget_all: Annotated[bool, flag("--forget-all", INPUT, "Forget everything.")] = False


class Listing(Results):
    """Results that need no settings: the file may be broken."""

    forgiving: ClassVar[bool] = True


def memory(forgotten: Forgotten, output: Listing) -> None:
    """Show what attnviz remembers, by the name that --from takes; or forget it.

    last is the last sentence of this terminal, and B what it was compared with, if it was. Other
    terminals have their own, so that no terminal changes another's; last-scripts is that of
    commands without a terminal. --as NAME keeps a sentence for good; the others go after 30 days,
    or sooner if there are many. ATTNVIZ_NO_MEMORY=1 turns memory off.

    Example: attnviz memory --forget last
    """
    from attnviz.answers.memory import memory
    from attnviz.cli.output import Notes, check_output, writing
    from attnviz.inspection.memory import forget, found, remembered

    check_output(output, "Memory")
    names = list(dict.fromkeys(forgotten.forget or ()))
    if names and forgotten.forget_all:
        raise RequestError("--forget and --forget-all came", "give one of the two")
    if forgotten.forget_all:
        names = list(remembered())
    for name in names:  # all or none
        found(name)
    for name in names:
        forget(name)
    notes = Notes(output.quiet)
    if names or forgotten.forget_all:
        notes.say(f"forgotten: {', '.join(names) or 'nothing, for nothing was remembered'}")
    with writing(output, notes) as write:
        write(memory(), 0)
