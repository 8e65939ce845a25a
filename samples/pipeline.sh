#!/usr/bin/env bash
# What does `it` look at, apart from itself and its neighbours? The three largest weights in each
# sentence that has an `it`, over all heads.
#
# usage: samples/pipeline.sh [FILE]     FILE has one sentence a line; without: sentences.txt
set -euo pipefail

grep -iw it "${1:-$(dirname "$0")/sentences.txt}" | attnviz run --query it -f jsonl --quiet - | jq -r '
  .word.index as $it | .tokens as $all | .text,
  ([.heads[] | {layer, head} + (.keys[] | select((.index - $it | fabs) > 1 and ($all[.index].special | not)))]
    | sort_by(-.weight)[:3][] | "    \(.weight * 100 | round)% to \(.text), in L\(.layer)H\(.head)")'
