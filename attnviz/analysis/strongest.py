"""Which head shows a word's strongest link?"""

import numpy as np

from attnviz.analysis.summary import is_near
from attnviz.inspection import HeadId, View


def strongest_head(view: View, query: int) -> HeadId:
    """The head in which the query looks hardest at a word further off.

    Links to special tokens, to itself and to its neighbours, which a head can find by place alone,
    are left out, unless there is nothing else to look at.
    """
    rows = view.query(query)
    token = view.tokens[query]
    further = [t.index for t in view.tokens if not t.special and not is_near(token, t)]
    strongest = rows[..., further or slice(None)].max(axis=-1)
    layer, head = np.unravel_index(strongest.argmax(), strongest.shape)
    return HeadId(int(layer), int(head))
