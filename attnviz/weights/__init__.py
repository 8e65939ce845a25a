"""A model's sizes, and its weights by name, without torch: reading some, drawing some.

`configs.py` reads config.json into the numbers of `shape.py`. `names.py` has the published names,
which the encoder is filled by; `layout.py` knows what files the weights lie in; `stored.py` reads
tensors out of them; `untrained.py` draws the random ones of the model that was never trained.
"""
