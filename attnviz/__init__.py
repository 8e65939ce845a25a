"""attnviz, the command-line attention inspector."""
