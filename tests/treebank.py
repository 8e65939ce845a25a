"""A small treebank, written for the tests."""


def conllu(*sentences: str) -> str:
    """Sentences in CoNLL-U; each word is `form/upos/head/relation`, with blanks between."""
    blocks = []
    for number, sentence in enumerate(sentences, start=1):
        lines = [f"# sent_id = s{number}"]
        for place, word in enumerate(sentence.split(), start=1):
            form, upos, head, relation = word.split("/")
            cells = str(place), form, form.lower(), upos, "_", "_", head, relation, "_", "_"
            lines.append("\t".join(cells))
        blocks.append("\n".join(lines) + "\n\n")
    return "".join(blocks)


SMALL = (
    "The/DET/2/det animal/NOUN/4/nsubj did/AUX/4/aux cross/VERB/0/root the/DET/6/det "
    "street/NOUN/4/obj ./PUNCT/4/punct",
    "A/DET/3/det tired/ADJ/3/amod dog/NOUN/4/nsubj slept/VERB/0/root ./PUNCT/4/punct",
    "We/PRON/3/nsubj were/AUX/3/aux:pass seen/VERB/0/root by/ADP/6/case the/DET/6/det "
    "old/ADJ/7/amod teacher/NOUN/3/obl:agent ./PUNCT/3/punct",
    "She/PRON/2/nsubj reads/VERB/0/root long/ADJ/4/amod books/NOUN/2/obj",
    "They/PRON/4/nsubj are/AUX/4/cop my/PRON/4/nmod:poss friends/NOUN/0/root !/PUNCT/4/punct",
    "The/DET/2/det child/NOUN/3/nsubj wants/VERB/0/root to/PART/5/mark sing/VERB/3/xcomp "
    "a/DET/7/det song/NOUN/5/obj ./PUNCT/3/punct",
)
"""Sentences for `conllu`."""
