"""Models that other libraries run: what their attention works with, as LayerRecords."""
