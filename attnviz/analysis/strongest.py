"""Which head shows a word's strongest link?"""

import numpy as np

from attnviz.inspection import HeadId, View


def strongest_head(view: View, query: int) -> HeadId:
    """The head in which the query looks hardest at another word.

    Links to itself and to special tokens are left out, unless there is nothing else to look at.
    """
    rows = view.query(query)
    others = [t.index for t in view.tokens if not t.special and t.index != query]
    strongest = rows[..., others or slice(None)].max(axis=-1)
    layer, head = np.unravel_index(strongest.argmax(), strongest.shape)
    return HeadId(int(layer), int(head))
