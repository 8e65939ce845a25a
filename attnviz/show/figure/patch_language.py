"""What the labels of pictures about patches are in Korean."""

from itertools import product

_WHICH = {
    "each head of A alone in B": "A의 헤드 하나씩 B에 삽입",
    "this head of A in B": "A의 이 헤드를 B에 삽입",
    "these heads of A in B": "A의 이 헤드들을 B에 삽입",
}
_WHAT = {
    "the result z": "출력 z",
    "the queries q": "쿼리 q",
    "the keys k": "키 k",
    "only the values v, what is brought": "값 v만",
    "only the weights, where it looks": "어텐션 가중치만",
}
_UNITS = {"probability": "확률", "logit": "로짓"}
_NUMBERS = [
    (f"the {unit} of {english}", korean.replace("U", _UNITS[unit]))
    for unit in _UNITS
    for english, korean in (
        ("{}", "{0}의 U"),
        ("{} less that of {}", "{0}의 U에서 {1}의 값을 뺀 것"),
        ("{} at {}", "{1} 자리에서 {0}의 U"),
        ("{} less that of {} at {}", "{2} 자리에서 {0}의 U에서 {1}의 값을 뺀 것"),
        ("{} after {}", "{1} 다음 {0}의 U"),
        ("{} less that of {} after {}", "{2} 다음 {0}의 U에서 {1}의 값을 뺀 것"),
    )
]
_DISTANCES = (
    ("the cosine with {}", "{0}와의 코사인"),
    (
        'how far the final state of "{}" is from A\'s, 1 − cos',
        '"{0}"의 마지막 은닉 상태가 A와 떨어진 거리, 1 − 코사인',
    ),
    (
        "how far final states of shared words are from A's, 1 − cos",
        "공통 단어의 마지막 은닉 상태가 A와 떨어진 거리, 1 − 코사인",
    ),
    (
        "how far the query's final state is from A's, 1 − cos",
        "쿼리의 마지막 은닉 상태가 A와 떨어진 거리, 1 − 코사인",
    ),
)
"""What is measured; with what it is in A and B, or, over many twins, without."""

PATCHES: dict[str, str] = {
    **{
        f"{which}: {what}": f"{_WHICH[which]}: {_WHAT[what]}"
        for which, what in product(_WHICH, _WHAT)
    },
    'how far the final state of "{}" is from A\'s, 1 − cos: {}': (
        '"{}"의 마지막 은닉 상태가 A와 떨어진 거리, 1 − 코사인: {}'
    ),
    "how far final states of shared words are from A's, 1 − cos: {}": (
        "공통 단어의 마지막 은닉 상태가 A와 떨어진 거리, 1 − 코사인: {}"
    ),
    "how far the query's final state is from A's, 1 − cos": (
        "쿼리의 마지막 은닉 상태가 A와 떨어진 거리, 1 − 코사인"
    ),
    **{
        f"{english}{more}": korean + more.replace("{}", f"{{{english.count('{}')}}}")
        for english, korean in (*_NUMBERS, *_DISTANCES)
        for more in ("", ": {}")
    },
    "the {} of each pair's own words": "쌍마다 정한 단어의 {}",
    "restored = (patched − B) / (A − B): 0 nothing, 1 all": (
        "복원율 = (패치한 값 − B) / (A − B): 0은 변화 없음, 1은 완전 복원"
    ),
    "A and B differ by less than {} in what is measured, so no share is told": (
        "측정값에서 A와 B의 차이가 {}보다 작아 복원율을 표시하지 않음"
    ),
    "A and B are the same, so there is no difference to restore": (
        "A와 B가 같아 복원할 차이가 없음"
    ),
    "orange: toward A": "주황: A 쪽으로",
    "blue: away from A": "파랑: A 반대쪽으로",
    "of {} alone": "{} 단어만",
    "{} more words restore less": "복원율이 더 낮은 단어 {}개",
    "{} pairs of twins": "문장 쌍 {}개",
    "{} pair of twins": "문장 쌍 {}개",
    "{} more hardly differ": "차이가 거의 없는 쌍 {}개 더",
    "mean of |A − B|: {}": "|A − B|의 평균: {}",
    "too few twins for a 95% interval": "쌍이 적어 95% 신뢰구간 없음",
    "share restored": "복원율",
    "mean share restored": "평균 복원율",
    "change of B": "B의 변화",
    "restored": "복원율",
    "B then": "그때의 B",
    "says": "1순위",
    "toward A": "A 쪽으로",
    "all words": "모든 단어",
    "B with A's": "A를 넣은 B",
}
"""See `language.KOREAN`, which has these too."""
