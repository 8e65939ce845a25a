"""The Transformer encoder (read `encoder.py` first), and what fills it with weights."""
