"""Texts with mentions, written for the tests: in CoNLL-U with `Entity=`, and as in GAP."""

HEADER = "# newdoc id = {}\n# global.Entity = eid-etype-head-other\n"


def conllu(*words: str, comments: str = "") -> str:
    """A sentence of words as in `Anna/PROPN/2/(e1-person-1-)`: form, tag, head and `Entity=`."""
    lines = []
    for number, word in enumerate(words, start=1):
        form, tag, head, *entity = word.split("/")
        name = "root" if head == "0" else "dep"
        misc = f"SpaceAfter=No|Entity={entity[0]}" if entity else "_"
        lines.append(f"{number}\t{form}\t_\t{tag}\t_\t_\t{head}\t{name}\t_\t{misc}")
    return comments + "\n".join(lines) + "\n\n"


ANNA = conllu(
    "Anna/PROPN/2/(e1-person-1-)", "met/VERB/0", "her/PRON/6/(e2-person-3-(e1-person-1-)",
    "old/ADJ/6", ",/PUNCT/6", "teacher/NOUN/2/e2)", "./PUNCT/2",
    comments=HEADER.format("anna"),
)  # fmt: skip
SHE = conllu("She/PRON/2/(e1-person-1-)", "thanked/VERB/0", "him/PRON/2/(e2-person-1-)")
BOB = conllu("Bob/PROPN/2/(e1-person-1-)", "slept/VERB/0", comments=HEADER.format("bob"))

LONG = ANNA + SHE + conllu(
    "Anna/PROPN/2/(e1-person-1-)", "saw/VERB/0", "herself/PRON/2/(e1-person-1-)", "and/CCONJ/6",
    "the/DET/6/(e2-person-2-", "teacher/NOUN/3/e2)", "that/DET/2/(e3-thing-1-)",
) + conllu("Teacher/NOUN/0/(e2-person-1-)", "Anna/PROPN/1/(e4-person-1-)") + BOB  # fmt: skip

GAP = "ID\tText\tPronoun\tPronoun-offset\tA\tA-offset\tA-coref\tB\tB-offset\tB-coref\tURL"
NONE = "there is none for B, B-offset, B-coref"
ROW = 'd-1\t"Zoë" saw Eve Ray as she left.\tshe\t21\tZoë\t1\tFALSE\tEve Ray\t10\tTRUE\tu'
