"""Text to tokens: words, pieces, spans and windows, and the tokenizers that cut them."""
