"""The Transformer encoder of the article, and what fills it with weights.

Read `encoder.py` first: attention, feed-forward, one layer, the stack. `embeddings.py` makes the
vectors that go in, `distance.py` what some models add to the scores. `checkpoint.py` fills it from
a published model by the names in `families.py`, and reads its weights with `pickled.py` where they
are a pickle; `paper.py` builds the article's own, untrained. `record.py` keeps what a run leaves
behind, `ablate.py` runs a sentence again without some heads, and `masked_lm.py` guesses masked
words. Only this room (and what adapts other architectures) imports torch.
"""
