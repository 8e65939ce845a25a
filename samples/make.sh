#!/usr/bin/env bash
# Makes the pictures that README and docs show, and runs the pipeline on the sample sentences.
#
# usage: samples/make.sh [FOLDER]     where the pictures go; without: samples/pictures
set -euo pipefail
cd "$(dirname "$0")"
pictures=$(realpath -m "${1:-pictures}")
mkdir -p "$pictures"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export ATTNVIZ_NO_MEMORY=1  # the user's own last sentence stays

tired=$(sed -n 1p sentences.txt)
wide=$(sed -n 2p sentences.txt)
student=$(sed -n 3p sentences.txt)
korean=$(sed -n 4p sentences.txt)
founding=$(sed -n 5p sentences.txt)
saved=$scratch/tired.safetensors

attnviz lines "$tired" --query it --head L3H1 -o "$pictures/tired.png" --save "$saved"
attnviz lines "$wide" --query it --head L3H1 -o "$pictures/wide.png"
attnviz heatmap "$korean" --head L5H2 --no-special -o "$pictures/korean.png" --quiet
attnviz heatmap --load "$saved" --head L3H1 -o "$pictures/head.png"
attnviz heatmap --load "$saved" --layer 3 -o "$pictures/layer.png"
attnviz heatmap --load "$saved" --query it -o "$pictures/word.png"
attnviz find --load "$saved" --query it --key animal -o "$pictures/find.png"
attnviz compare "$tired" "$wide" --query it --head L3H1 -o "$pictures/tired-wide.png"
attnviz patch "$tired" "${tired/animal/truck}" --query it --each -o "$pictures/patch.png"
attnviz explain --load "$saved" --query it --head L3H1 -o "$pictures/explain.png"
attnviz heatmap --load "$saved" -o "$pictures/all.png"
attnviz lines --load "$saved" --query it --layer 3 -o "$pictures/heads.png"
attnviz explain --load "$saved" --query it --layer 3 -o "$pictures/encoder-layer.png"
attnviz compare --untrained "$tired" --head L3H1 -o "$pictures/untrained.png"
attnviz heatmap "$student" --model paper -o "$pictures/paper.png" --save "$scratch/student"
attnviz explain --load "$scratch/student" --query student --head L0H0 -o "$pictures/student.png"
attnviz explain --load "$scratch/student" --head L0H0 -o "$pictures/whole-head.png"
attnviz lines "$founding" --model e5 --query 피곤했기 --head L11H3 -o "$pictures/tired-korean.png"
attnviz lines "$tired" --model translator --attention cross --query weil --head L0H0 \
  -o "$pictures/weil.png" --quiet
attnviz heatmap "$(cat alice.txt)" --truncate --head L3H1 --window 0:40 \
  -o "$pictures/alice.png" --quiet
python terminal.py "$saved" "$pictures/terminal.svg"

place="--query it --head L3H1 --no-open --quiet"
attnviz view "$tired" $place -o "$scratch/tired.html"
attnviz view "$tired" --beside "$wide" $place -o "$scratch/both.html"
attnviz survey treebank.conllu --quiet -o "$scratch/atlas.html" >/dev/null
python pages.py "$scratch"/{tired,both,atlas}.html "$pictures"

./pipeline.sh
