"""Models that the transformers library runs: what their attention works with, as LayerRecords.

Read `calls.py` first: one attention function, registered with transformers, through which some 350
model files call alike; `attending.py` computes it without ever holding all weights. `sites.py`
finds out where a model calls it, `recorder.py` keeps what it was called with, with `masks.py` for
what of it is a mask or a bias. `given.py` is for models that give their weights alone. `reading.py`
loads a model, `feeding.py` makes its inputs, `targets.py` what a decoder is fed, and `runner.py`
puts it all together. Only this room imports transformers, and only when such a model is loaded.
"""
