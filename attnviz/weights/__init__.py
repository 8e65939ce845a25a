"""A model's weights by name, without torch: what files call them, reading some, drawing some.

`names.py` has the published names, which the encoder is filled by; `stored.py` reads tensors out of
a checkpoint; `untrained.py` draws the random ones of the model that was never trained.
"""
