#!/usr/bin/env bash
# What does `it` look at, apart from itself and its neighbours? The three largest weights in each
# sentence, over all heads.
#
# usage: samples/pipeline.sh [FILE]     FILE has one sentence a line; without: sentences.txt
set -euo pipefail
sentences=${1:-$(dirname "$0")/sentences.txt}

attnviz run --json --quiet - < "$sentences" | jq -r '
  def looks($it):
    [ .tokens[] | select((.special | not) and (.index - $it | fabs) > 1) ] as $far
    | [ .heads[] as $head | $far[]
        | {text, head: "L\($head.layer)H\($head.head)", weight: $head.weights[$it][.index]} ];

  .text,
  ( first((.tokens[] | select(.text | ascii_downcase == "it") | .index), null) as $it
    | if $it == null then "    no it here"
      else looks($it) | sort_by(-.weight)[:3][]
        | "    \(.weight * 100 | round)% to \(.text), in \(.head)"
      end )
'
