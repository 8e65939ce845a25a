"""English sentences to measure with: made up from word lists, the same ones every time.

`python benchmarks/sentences.py 2000 > sentences.txt` writes them, one a line.
"""

import random
import sys

SHORTEST, LONGEST = 5, 40
"""How many words a sentence has; one that would go on is cut."""


def _phrases(text: str) -> list[str]:
    return text.split(",")


_PEOPLE = _phrases(
    "the captain,a teacher,her brother,the old baker,our neighbour,the librarian,a student,"
    "the violinist,my grandmother,the gardener,two engineers,the mayor,a translator,the nurse,"
    "his daughter,the fisherman,an astronomer,the children,the photographer,a young lawyer"
)
_THINGS = _phrases(
    "the ferry,a broken clock,the wooden bridge,her bicycle,the last letter,a map of the valley,"
    "the piano,an unfinished novel,the green lantern,three suitcases,the orchard,a telescope,"
    "the kitchen window,his grandfather's violin,the railway timetable,a bag of tangerines,"
    "the experiment,an overcoat,the museum's catalogue,a spreadsheet"
)
_DOINGS = _phrases(
    "repaired,photographed,carried,remembered,painted,described,forgot,sold,borrowed,examined,"
    "didn't recognise,measured,translated,hid,admired,couldn't find,returned,drew,ignored,"
    "rediscovered"
)
_PLACES = _phrases(
    "near the harbour,in the attic,behind the station,on the island,across the bay,at the market,"
    "under the bridge,in Kraków,by the lake,outside the theatre,along the coast,in the laboratory"
)
_TIMES = _phrases(
    "before sunrise,after the concert,in April,during the storm,last Thursday,at midnight,"
    "for eleven years,while it rained,on the first warm morning,shortly after lunch"
)
_LINKS = _phrases(
    "because,although,so,but,and then,while,until,even though,whereas,just as,after,since"
)
_ENDS = _phrases(
    "it was too heavy,nobody had asked,she was tired,they were late,it wasn't finished,"
    "he trusted them,the wind had turned,it looked like rain"
)


def sentences(count: int, seed: int = 20210704) -> list[str]:
    """`count` sentences of 5 to 40 words, all lengths about as often."""
    dice = random.Random(seed)
    return [_sentence(dice, dice.randint(SHORTEST, LONGEST)) for _ in range(count)]


def _sentence(dice: random.Random, wanted: int) -> str:
    """Clauses, joined until the sentence has about `wanted` words."""
    words = _clause(dice, short=True)
    while len(words) < wanted:
        clause = _clause(dice, short=wanted - len(words) < SHORTEST)
        words += [*dice.choice(_LINKS).split(), *clause]
    text = " ".join(words[:LONGEST])
    return f"{text[0].upper()}{text[1:]}."


def _clause(dice: random.Random, short: bool) -> list[str]:
    if short and dice.random() < 0.3:
        return dice.choice(_ENDS).split()
    clause = [dice.choice(_PEOPLE), dice.choice(_DOINGS), dice.choice(_THINGS)]
    if not short:
        clause += dice.sample((dice.choice(_PLACES), dice.choice(_TIMES)), dice.randint(0, 2))
    return " ".join(clause).split()


if __name__ == "__main__":
    sys.stdout.write("".join(f"{text}\n" for text in sentences(int(sys.argv[1]))))
