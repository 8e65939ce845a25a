"""Record the attention of models that the transformers library runs.

Read `attention_call.py` first: one attention function, and a finder of the modules that call it.
`record.py` turns the calls into LayerRecords, `recordable.py` checks them against the model's own
eager attention and falls back on weights only.
"""
