"""BertViz's head view of a text, written to a file; prints its bytes and seconds as JSON.

`seconds`: from all heads' weights to the file, without the pass that gives them.

Arguments: the model's folder, a file with the text, the file to write. BertViz is found on
PYTHONPATH.
"""

import json
import sys
import time
from pathlib import Path

import torch
from bertviz import head_view
from transformers import AutoModel, AutoTokenizer


def main(folder: str, source: str, target: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, attn_implementation="eager")
    inputs = tokenizer(Path(source).read_text(encoding="utf-8"), return_tensors="pt")
    with torch.inference_mode():
        attention = model(**inputs, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
    start = time.perf_counter()
    page = head_view(attention, tokens, html_action="return")
    Path(target).write_text(page.data, encoding="utf-8")
    seconds = time.perf_counter() - start
    print(json.dumps({"bytes": Path(target).stat().st_size, "seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
