"""Answers as rich renderables for the terminal; nothing here prints.

Colour says how large a weight is, and a marker says it again for terminals without colour. Every
table takes the width of the console that prints it.
"""
