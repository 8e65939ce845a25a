"""From text to tokens: words, pieces, spans, windows, and the tokenizers that cut them."""
