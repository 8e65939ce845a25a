"""Findings over many texts: what is read, how it is folded, and what is asked of it."""
