"""What the labels of pictures are in Korean, in one place."""

import re
from functools import cache

from attnviz.show.forms import STYLE

KOREAN: dict[str, str] = {
    # axes, titles and scales
    "query: who looks": "쿼리: 주목하는 단어",
    "key: what is looked at": "키: 주목받는 단어",
    "queries (target): who looks": "쿼리(목표 문장): 주목하는 단어",
    "keys (source): what is looked at": "키(원문): 주목받는 단어",
    "query: {}": "쿼리: {}",
    "key: {}": "키: {}",
    "query": "쿼리",
    "key": "키",
    "layer": "층",
    "head": "헤드",
    "layer {n}": "{n}번 층",
    "head {n}": "{n}번 헤드",
    "layer {n}, head {n}": "{n}번 층, {n}번 헤드",
    "counted from 1)": "1부터 셈)",
    "all heads": "모든 헤드",
    "all layers": "모든 층",
    "{n} heads": "헤드 {n}개",
    "{n} layers": "층 {n}개",
    "attention weight": "어텐션 가중치",
    "attention rollout": "어텐션 롤아웃",
    "attention flow": "어텐션 플로",
    "size of what arrives": "전달되는 벡터의 크기",
    "share of the row": "행에서 차지하는 비율",
    "{}, the largest of {}": "{}, {}칸 중 가장 큰 값",
    "every {n} token labelled": "{n}개마다 하나씩 표시",
    "every {n} token labelled, with its position": "{n}개마다 하나씩 위치와 함께 표시",
    # notes
    "weights: softmax({}": "가중치: softmax({}",
    "weights: as the model's own code computes them": "가중치: 모델의 코드가 계산한 값",
    "rows are not distributions": "행의 합이 1이 아님",
    "rows sum to 1 with the sink's share": "행의 합은 싱크를 포함하면 1",
    "grey: may not look there": "회색: 볼 수 없는 곳",
    "green: may not look there": "초록색: 볼 수 없는 곳",
    "each cell: the largest of {} weights": "칸마다 가중치 {}개 중 가장 큰 값",
    "each cell: the largest of {} numbers": "칸마다 수치 {}개 중 가장 큰 값",
    "each column: the largest of {n}": "열마다 {n}개 중 가장 큰 값",
    "? before a word: unknown to {}": "단어 앞의 ?: {}의 어휘에 없음",
    "? before a piece: unknown to {}": "조각 앞의 ?: {}의 어휘에 없음",
    "special tokens left out: they held {} of the {} here": "특수 토큰 제외: 여기서 {0}를 차지했음",
    "{n} of {n} words)": "{1}단어 중 {0}단어)",
    "{n} of {n} pieces)": "{1}조각 중 {0}조각)",
    "tokens {n} to {n} of {n}": "토큰 {n}–{n}, 전체 {n}개",
    "{} of their {} lies in the window": "어텐션의 {0}가 이 구간 안에 있음",
    "{} of its {} lies in the window": "어텐션의 {0}가 이 구간 안에 있음",
    "darkest line: {}": "가장 진한 선: {}",
    "links under {} not drawn": "{} 미만은 그리지 않음",
    "hatched: a word that is not in the sentence": "빗금: 그 문장에 없는 단어",
    "change": "변화",
    "change: B − A": "변화: B − A",
    "heads, the most changed first": "헤드(변화가 큰 순)",
    "layers, the most changed first": "층(변화가 큰 순)",
    "Jensen-Shannon distance between what it looks at in A and B: {}": (
        "A와 B에서 주목하는 분포의 옌센-섀넌 거리: {}"
    ),
    # heads side by side
    "weight": "가중치",
    "norm": "노름",
    "excess": "초과분",
    "mean": "평균",
    "mean excess": "평균 초과분",
    "mean attention weight": "평균 어텐션 가중치",
    "rank": "순위",
    "hits": "적중",
    "95% interval": "95% 구간",
    "mean, 95% interval": "평균, 95% 구간",
    "too few sentences for a 95% interval": "95% 구간을 구하기에는 문장이 너무 적음",
    "stripe": "줄무늬",
    "diagonal": "대각선",
    "◇ same distance: what the head gives other pairs as far apart": (
        "◇ 같은 거리: 같은 거리의 다른 단어 쌍에 주는 평균"
    ),
    "● same key: what other words give that key": "● 같은 키: 다른 단어들이 이 키에 주는 평균",
    "grey bars: a yardstick is half of the weight or more": (
        "회색 막대: 비교 기준이 가중치의 절반 이상"
    ),
    "stripe: same key, diagonal: same distance)": "줄무늬: 같은 키, 대각선: 같은 거리)",
    "bold: the key is the query's strongest": "굵은 글씨: 이 키가 쿼리의 가장 강한 키",
    "{n} sentences": "문장 {n}개",
    "{n} sentence": "문장 {n}개",
    "{n} sentences, {n} left out": "문장 {n}개, 제외 {n}개",
    "best on the first half: {}, excess {} there, excess {} on the other half": (
        "앞쪽 절반에서 가장 좋은 헤드: {}, 초과분 {}, 다른 절반에서는 {}"
    ),
    "best on the second half: {}, excess {} there, excess {} on the other half": (
        "뒤쪽 절반에서 가장 좋은 헤드: {}, 초과분 {}, 다른 절반에서는 {}"
    ),
    "distance": "거리",
    "distance: {}": "거리: {}",
    "moves most": "가장 크게 움직인 단어",
    "all words, on average": "모든 단어의 평균",
    "output of this head set to zero: how far final states move": (
        "이 헤드의 출력을 0으로: 마지막 은닉 상태가 움직인 거리"
    ),
    "output of these heads set to zero: how far final states move": (
        "이 헤드들의 출력을 0으로: 마지막 은닉 상태가 움직인 거리"
    ),
    "output of each head alone set to zero: how far final states move": (
        "헤드 하나씩 출력을 0으로: 마지막 은닉 상태가 움직인 거리"
    ),
    "output of this head set to its mean over the sentence: how far final states move": (
        "이 헤드의 출력을 문장 평균으로: 마지막 은닉 상태가 움직인 거리"
    ),
    "output of these heads set to its mean over the sentence: how far final states move": (
        "이 헤드들의 출력을 문장 평균으로: 마지막 은닉 상태가 움직인 거리"
    ),
    "output of each head alone set to its mean over the sentence: how far final states move": (
        "헤드 하나씩 출력을 문장 평균으로: 마지막 은닉 상태가 움직인 거리"
    ),
    "{n} more move by {} at most": "그 밖의 {n}개는 {} 이하로 움직임",
    # two texts
    "words of A": "A의 단어",
    "words of B": "B의 단어",
    "part of the cosine": "코사인에서 차지하는 부분",
    "cosine {}": "코사인 {}",
    "pooling: {}": "풀링: {}",
    "each cell: a_i": "칸: a_i",
    "special tokens left out: they give {}": "특수 토큰 제외: 모두 합해 {}",
    "a word gives what its pieces give together; --pieces takes them apart": (
        "단어의 값은 그 조각들의 합이며, --pieces 옵션으로 조각마다 볼 수 있음"
    ),
    "numbers in cells are hundredths": "칸의 수는 100분의 1 단위",
    "each cell: a_i · b_j / (|a| |b|); all cells sum to the cosine": (
        "칸: a_i · b_j / (|a| |b|), 모두 더하면 코사인"
    ),
}
"""Labels; `{}` stands for a name or a number, `{n}` for a number, also an ordinal."""


class Name(str):
    """A word of a text, which is no label, whatever it says."""


def say(text: str) -> str:
    """A label in the language of the picture; what the list does not have stays as it is."""
    plain = STYLE.get().language == "en" or isinstance(text, Name)
    return text if plain else _in_korean(text)


def letters() -> str:
    """Every character of the labels, for which there must be a font."""
    return "" if STYLE.get().language == "en" else "".join(KOREAN.values())


@cache
def _in_korean(text: str) -> str:
    if text in KOREAN:
        return KOREAN[text]
    for mark in (" · ", "; ", " ("):
        if mark in text:
            return mark.join(map(_in_korean, text.split(mark)))
    for pattern, korean in _templates():
        if found := pattern.fullmatch(text):
            return korean.format(*found.groups())
    return text


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """Patterns of labels with places to fill, the longest first."""
    places = {r"\{\}": "(.+?)", r"\{n\}": r"(\d+)\w*"}
    found = []
    for english in sorted(KOREAN, key=len, reverse=True):
        pattern = re.escape(english)
        for place, group in places.items():
            pattern = pattern.replace(place, group)
        if pattern != re.escape(english):
            found.append((re.compile(pattern, re.DOTALL), KOREAN[english].replace("{n}", "{}")))
    return found
