"""What the labels of pictures about edited heads are in Korean."""

from itertools import product

_WHAT = {
    "output": "출력을",
    "q": "q를",
    "k": "k를",
    "v": "v를",
    "weights": "가중치를",
}
_WHOSE = {
    "of this head": "이 헤드의",
    "of these heads": "이 헤드들의",
    "of each head alone": "헤드 하나씩",
}
_BY = {
    "zero": "0으로",
    "its mean over the sentence": "문장 평균으로",
    "noise of seed {n}": "잡음(시드 {n})으로",
    "its mean over {}": "{}의 평균으로",
}
_UNITS = {"probability": "확률", "logit": "로짓"}
_MEASURED = {
    "how far final states move": "마지막 은닉 상태가 움직인 거리",
    "what the model says then": "그때 모델의 출력",
}

EDITS: dict[str, str] = (
    {
        f"{what} {whose} set to {by}: {measured}": (
            f"{_WHOSE[whose]} {_WHAT[what]} {_BY[by]}: {_MEASURED[measured]}"
        )
        for what, whose, by, measured in product(_WHAT, _WHOSE, _BY, _MEASURED)
    }
    | {
        english.format(unit): korean.format(_UNITS[unit])
        for unit in _UNITS
        for english, korean in (
            ("The {} of the label given: {{}} on average", "주어진 레이블의 {}: 평균 {{}}"),
            ("The {} of the likeliest: {{}} on average", "가장 유력한 것의 {}: 평균 {{}}"),
            ("The {} of {{}}: {{}} on average", "{{}}의 {}: 평균 {{}}"),
        )
    }
    | {
        "The cosine with {}: {} on average": "{}와의 코사인: 평균 {}",
        "likeliest in {} of those labelled": "레이블이 있는 문장 중 {}에서 가장 유력",
        "{n} sentences, {n} labelled": "문장 {n}개, 레이블 {n}개",
        "{n} sentences, {n} labelled, {n} left out": "문장 {n}개, 레이블 {n}개, 제외 {n}개",
        "mean change": "평균 변화",
        "in the row of {} alone": "{}의 행에서만",
        # what a head does to an outcome
        "blue: helps, less without the head": "파랑: 도움이 됨, 헤드가 없으면 작아짐",
        "orange: hurts, more without it": "주황: 방해가 됨, 헤드가 없으면 커짐",
        "helps": "도움",
        "hurts": "방해",
        "does not matter": "무관",
        "then": "제거 후",
        "what it does": "헤드의 영향",
        "likeliest then": "제거 후 가장 유력",
        "accuracy": "정확도",
    }
)
"""See `language.KOREAN`, which has these too."""
