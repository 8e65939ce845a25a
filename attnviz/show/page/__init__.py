"""The page: one HTML file that shows attention, and works offline."""
