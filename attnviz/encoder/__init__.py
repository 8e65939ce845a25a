"""The Transformer encoder of the article, and what fills it with weights.

Read `encoder.py` first: attention, feed-forward, one layer, the stack. `embeddings.py` makes the
vectors that go in. `checkpoint.py` fills the encoder from a published model; `paper.py` builds the
paper's own, untrained. `record.py` keeps the vectors of a run, `ablate.py` runs a sentence again
without some heads, and `masked_lm.py` predicts masked words. `devices.py` knows devices, dtypes,
memory and threads. Only this room and transformers_backend import torch.
"""
