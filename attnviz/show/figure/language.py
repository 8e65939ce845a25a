"""What the labels of pictures are in Korean, in one place."""

import re
from functools import cache

from attnviz.show.explain_wording import SELF_ATTENTION, SEQ2SEQ_ATTENTION
from attnviz.show.figure.corpus_language import CORPUS
from attnviz.show.figure.edit_language import EDITS
from attnviz.show.figure.patch_language import PATCHES
from attnviz.show.forms import STYLE
from attnviz.show.layer_wording import SHARES
from attnviz.show.wording import BY_ITSELF, MODEL_IS_SURE

KOREAN: dict[str, str] = {
    **CORPUS,
    **EDITS,
    **PATCHES,
    # axes, titles and scales
    "query: who looks": "쿼리: 주목하는 단어",
    "key: what is looked at": "키: 주목받는 단어",
    "queries (target): who looks": "쿼리(목표 문장): 주목하는 단어",
    "keys (source): what is looked at": "키(원문): 주목받는 단어",
    "queries (target)": "쿼리(목표 문장)",
    "keys (source)": "키(원문)",
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
    "distance in bits": "거리(비트)",
    "heads that pass a test": "검정을 통과한 헤드 수",
    # notes
    "○ assigned: each head once, all distances smallest": "○ 배정: 헤드마다 하나씩, 거리 합 최소",
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
    "{n} more move by {} at most": "그 밖의 {n}개는 {} 이하로 움직임",
    # whose attention
    "decoder: each word sees itself and those before it": (
        "디코더: 단어마다 자신과 그 앞의 단어를 봄"
    ),
    "decoder: each piece sees itself and those before it": (
        "디코더: 조각마다 자신과 그 앞의 조각을 봄"
    ),
    "cross-attention: the decoder's words look at the encoder's": (
        "교차 어텐션: 디코더의 단어가 인코더의 단어에 주목"
    ),
    "cross-attention: the decoder's pieces look at the encoder's": (
        "교차 어텐션: 디코더의 조각이 인코더의 조각에 주목"
    ),
    "what a word of the target looks at helps to choose the word after it": (
        "목표 문장의 단어가 주목하는 곳은 그다음 단어를 고르는 데 쓰임"
    ),
    "computed in {}": "{}로 계산",
    # a head, step by step
    "{}, step by step for one query": "{}, 쿼리 하나를 단계별로",
    "{}, for all words at once": "{}, 모든 단어를 한꺼번에",
    "weights: {}, step by step for one query": "가중치: {}, 쿼리 하나를 단계별로",
    "weights: {}, for all words at once": "가중치: {}, 모든 단어를 한꺼번에",
    SELF_ATTENTION: (
        "셀프 어텐션: Q, K, V가 모두 같은 벡터 x, 곧 이 문장의 단어 벡터에서 나옴. "
        "seq2seq 어텐션에서는 Q가 디코더의 은닉 상태에서, K와 V가 인코더의 은닉 상태에서 나옴."
    ),
    SEQ2SEQ_ATTENTION: (
        "seq2seq 어텐션: Q는 디코더의 은닉 상태 x에서, K와 V는 인코더의 은닉 상태 y에서 나옴. "
        "셀프 어텐션에서는 셋 모두 같은 벡터에서 나옴."
    ),
    "1  the word's vector x": "1  단어 벡터 x",
    "1  the words' vectors": "1  단어 벡터",
    "“{}”, out of layer {n}": "“{}”, {n}번 층의 출력",
    "“{}”: its word and place": "“{}”: 단어와 위치의 벡터",
    "“{}” as it enters attention": "“{}”: 어텐션에 들어가는 벡터",
    "2  times W_Q, W_K and W_V": "2  W_Q, W_K, W_V를 곱함",
    "2  times W_Q, W_K and W_V: Q, K and V": "2  W_Q, W_K, W_V를 곱함: Q, K, V",
    "rotated by its position": "위치만큼 회전",
    "normalised": "정규화",
    "normalised and rotated by its position": "정규화 후 위치만큼 회전",
    "times {}": "× {}",
    "rotated by its position, times {}": "위치만큼 회전, × {}",
    "{}: rotated by its position": "{}: 위치만큼 회전",
    "{}: normalised": "{}: 정규화",
    "{}: normalised and rotated by its position": "{}: 정규화 후 위치만큼 회전",
    "{}: times {}": "{}: × {}",
    "{}: rotated by its position, times {}": "{}: 위치만큼 회전, × {}",
    "of “{}”, {}": "“{}”, {}",
    "K: the keys": "K: 키",
    "V: the values": "V: 값",
    "one row a token": "행마다 토큰 하나",
    "one row a source token": "행마다 원문 토큰 하나",
    "below q, one row a token": "맨 위는 q, 행마다 토큰 하나",
    "below q, one row a source token": "맨 위는 q, 행마다 원문 토큰 하나",
    "larger: more alike": "클수록 비슷함",
    "soft cap": "소프트 캡",
    "+ bias": "+ 편향",
    "5  softmax": "5  소프트맥스",
    "softmax": "소프트맥스",
    "weights: sum 1": "가중치: 합 1",
    "with the sink's: 1": "싱크 포함 합 1",
    "with the sink": "싱크 포함",
    "6  weight × v": "6  가중치 × v",
    "same colours as V": "V와 같은 색",
    "sum: z": "합: z",
    "7  z through W_O: what the head gives back": "7  z에 W_O를 곱함: 헤드의 출력",
    "W_O, the head's part": "W_O 중 이 헤드의 부분",
    "{n} of {n} keys, of {} together, not drawn": "키 {1}개 중 {0}개는 그리지 않음(모두 합해 {2})",
    "{n} of {n} keys may not be looked at": "키 {1}개 중 {0}개는 볼 수 없음",
    "the sink, which is no token, takes {}": "토큰이 아닌 싱크가 {}를 차지함",
    "{}'s share of what the layer's {n} heads give together: {}, as far as it goes the same way": (
        "층의 헤드 {1}개가 함께 내는 출력에서 {0}의 몫: {2}, 같은 방향으로 향한 만큼"
    ),
    "all shares make 100%)": "모두 더하면 100%)",
    "check: {} as drawn agrees with the {}'s own within {}": (
        "확인: 그림의 {0}는 모델이 계산한 {0}와 {2} 이내로 일치"
    ),
    "colours, in each panel by itself:": "색(패널마다 따로):",
    "− largest": "− 최대",
    "+ largest": "+ 최대",
    "3  Q Kᵀ: each query times each key": "3  Q Kᵀ: 쿼리마다 모든 키와 내적",
    "4, 5  scaled, through softmax": "4, 5  스케일링, 소프트맥스",
    "6  weights times V: Z": "6  가중치 × V: Z",
    "weights": "가중치",
    "the first {n} of {n} tokens are drawn": "토큰 {1}개 중 앞의 {0}개를 그림",
    "shapes are those of all": "모양은 전체 기준",
    "colours, in each matrix by itself: orange above 0, blue below, stronger further from it": (
        "색(행렬마다 따로): 주황은 0보다 큰 값, 파랑은 작은 값, 0에서 멀수록 진함"
    ),
    "weights: darker is more, and each row sums to 1": "가중치: 진할수록 크고 행의 합은 1",
    # a layer, step by step
    "one layer of the encoder, for one token": "인코더의 층 하나, 토큰 하나",
    "one layer of the decoder, for one token": "디코더의 층 하나, 토큰 하나",
    "from x to y, step by step": "x에서 y까지 단계별로",
    "the numbers, and their length": "벡터의 값과 길이",
    "what y is the sum of": "y를 이루는 부분",
    '{}, "{}", from layer {n}': '{}, "{}", {n}번 층의 출력',
    '{}, "{}", word and place': '{}, "{}", 단어와 위치의 벡터',
    "{} side by side": "{} 이어 붙임",
    "{}, what the heads found": "{}, 헤드들의 결과",
    "{}, the heads mixed": "{}, 헤드들을 섞은 결과",
    "{}, residual connection": "{}, 잔차 연결",
    "{}, norm": "{}, 정규화",
    "{}, norm before": "{}, 앞쪽 정규화",
    "{}, d_ff numbers": "{}, d_ff차원",
    "{}, feed-forward network": "{}, 피드포워드 신경망",
    "{}, self-attention": "{}, 셀프 어텐션",
    "{}, cross-attention": "{}, 교차 어텐션",
    "{}, layer {n}'s x": "{}, {n}번 층의 x",
    "{}, last layer's output": "{}, 마지막 층의 출력",
    "attention": "어텐션",
    "self-attention": "셀프 어텐션",
    "cross-attention": "교차 어텐션",
    "feed-forward": "피드포워드",
    "biases": "편향",
    "share": "몫",
    "length": "길이",
    SHARES: (
        "몫은 각 부분이 출력의 방향으로 얼마나 뻗는지를 나타냄(부분 · y / y · y). 몫을 모두 더하면 "
        "100%이고, 다른 부분과 반대로 작용하는 부분의 몫은 0보다 작음. 정규화는 모든 부분을 같은 "
        "수로 나눔 (Kobayashi et al. 2021)."
    ),
    "Colours: orange above 0, blue below, in each row by itself.": (
        "색(행마다 따로): 주황은 0보다 큰 값, 파랑은 작은 값."
    ),
    "{n} of {n} heads, those with the smallest shares, are not drawn.": (
        "헤드 {1}개 중 몫이 가장 작은 {0}개는 그리지 않음."
    ),
    "Check: y agrees with the {}'s own output within {}.": (
        "확인: y는 모델이 계산한 출력과 {1} 이내로 일치."
    ),
    "Check: the {}'s own output is not known, so there is nothing to hold y to.": (
        "확인: 모델이 계산한 출력을 알 수 없어 y와 비교하지 못함."
    ),
    # a score, split
    "parts of the query: {}": "쿼리의 구성 요소: {}",
    "parts of the key: {}": "키의 구성 요소: {}",
    "term": "항",
    "excess over the other keys": "다른 키보다 큰 만큼",
    "summed by layer": "층별 합",
    "score: {}": "점수: {}",
    "weight: {}": "가중치: {}",
    "score of the other keys on average: {}": "다른 키의 평균 점수: {}",
    "each cell: a part of the query times a part of the key, scaled; they sum to the score": (
        "칸: 쿼리의 구성 요소와 키의 구성 요소를 곱해 스케일링한 값, 모두 더하면 점수"
    ),
    "each cell: a part of the query times a part of the key, less the other keys'": (
        "칸: 쿼리의 구성 요소와 키의 구성 요소를 곱한 값에서 다른 키의 평균을 뺀 값"
    ),
    "norms held at their values; the sum is exact, and no experiment": (
        "정규화의 평균과 크기는 고정: 합은 정확하지만 실험으로 확인한 것은 아님"
    ),
    "one part of {n} is labelled": "구성 요소 {n}개마다 하나씩 표시",
    "position bias, beside the cells: {}": "칸 밖의 위치 편향: {}",
    "token": "토큰",
    "position": "위치",
    "type": "세그먼트",
    "embeddings": "임베딩",
    "constants": "상수",
    "embeddings shift": "임베딩 정규화 편향",
    "embeddings bias": "임베딩 편향",
    "L{n} feed-forward": "L{n} 피드포워드",
    "L{n} attention shift": "L{n} 어텐션 정규화 편향",
    "L{n} feed-forward shift": "L{n} 피드포워드 정규화 편향",
    # what a model says
    "what stands at each mask": "마스크마다 들어갈 단어",
    "what comes next": "다음에 올 토큰",
    "what it writes, the likeliest piece each time": "모델이 쓰는 글, 매번 확률이 가장 높은 조각",
    "what it calls the text": "텍스트의 레이블",
    "what it calls each word": "단어마다의 레이블",
    "what it calls each piece": "조각마다의 레이블",
    "where the second text answers the first": "둘째 텍스트에서 찾은 첫째 텍스트의 답",
    "how similar the two texts are to it": "두 텍스트의 유사도",
    "probability: softmax of a score for each start, times that for each end": (
        "확률: 시작 위치 점수의 소프트맥스 × 끝 위치 점수의 소프트맥스"
    ),
    "cosine of their vectors": "두 벡터의 코사인",
    "cosine": "코사인",
    "score: a number of its own, no probability": "점수: 모델이 낸 값, 확률이 아님",
    "probability: sigmoid of each score by itself": "확률: 점수마다 따로 시그모이드",
    "probability: softmax of the scores": "확률: 점수들의 소프트맥스",
    "probability": "확률",
    "score": "점수",
    "guess": "예측",
    MODEL_IS_SURE: (
        "확률은 모델이 얼마나 확신하는지를 나타내며, 얼마나 자주 맞는지를 나타내지 않음."
    ),
    BY_ITSELF: "모델은 마스크를 하나씩 따로 채움: 두 마스크의 단어가 서로 어울리지 않을 수 있음.",
    "{n} more {}: --top {n} shows all.": "레이블이 {0}개 더 있음: --top {2}로 모두 표시.",
    # two texts
    "words of A": "A의 단어",
    "words of B": "B의 단어",
    "part of the cosine": "코사인에서 차지하는 부분",
    "cosine {}": "코사인 {}",
    "pooling: {}": "풀링: {}",
    "pooling: mean": "풀링: 평균",
    "pooling: mean, normalized": "풀링: 평균, 정규화",
    "pooling: first token": "풀링: 첫 토큰",
    "pooling: first token, normalized": "풀링: 첫 토큰, 정규화",
    "assumed)": "가정)",
    "each cell: a_i": "칸: a_i",
    "special tokens left out: they give {}": "특수 토큰 제외: 모두 합해 {}",
    "a word gives what its pieces give together; --pieces takes them apart": (
        "단어의 값은 그 조각들의 합이며, --pieces 옵션으로 조각마다 볼 수 있음"
    ),
    "output of each head alone set to zero in both texts: how the cosine changes": (
        "두 텍스트에서 헤드 하나씩 출력을 0으로: 코사인의 변화"
    ),
    "output of each head alone set to its mean over each text: how the cosine changes": (
        "두 텍스트에서 헤드 하나씩 출력을 텍스트 평균으로: 코사인의 변화"
    ),
    "orange: rises without the head": "주황: 헤드가 없으면 커짐",
    "blue: falls": "파랑: 작아짐",
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
    places = {r"\{\}": "(.+?)", r"\{n\}": r"(\d[\d,]*)\w*"}
    found = []
    for english in sorted(KOREAN, key=len, reverse=True):
        pattern = re.escape(english)
        for place, group in places.items():
            pattern = pattern.replace(place, group)
        if pattern != re.escape(english):
            found.append((re.compile(pattern, re.DOTALL), KOREAN[english].replace("{n}", "{}")))
    return found
