"""The attention of one layer: its record, its weights, the measures, and the checks."""
