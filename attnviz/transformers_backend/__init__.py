"""Record the attention of models that transformers runs; read `attention_call.py` first."""
