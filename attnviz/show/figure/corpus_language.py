"""What the labels of pictures about corpora are in Korean."""

CORPUS: dict[str, str] = {
    # what was read
    "{} texts, {} words: {}": "텍스트 {}개, 단어 {}개: {}",
    "{} text, {} words: {}": "텍스트 {}개, 단어 {}개: {}",
    "{} text, {} word: {}": "텍스트 {}개, 단어 {}개: {}",
    "{n} head": "헤드 {n}개",
    "{n} files": "파일 {n}개",
    "{} left out": "{}개 제외",
    "lines: 95% intervals, bootstrap over texts": "선: 95% 신뢰구간, 텍스트 단위 부트스트랩",
    "no intervals: they need at least 6 texts": "신뢰구간 없음: 텍스트가 6개 이상 필요",
    "no intervals and no tests: they need at least 6 texts": (
        "신뢰구간과 검정 없음: 텍스트가 6개 이상 필요"
    ),
    "the encoder's own attention": "인코더의 셀프 어텐션",
    "the decoder's own attention": "디코더의 셀프 어텐션",
    # the panels of a survey
    "the role with the largest share of each head's attention": (
        "헤드마다 어텐션에서 가장 큰 비중을 차지하는 역할"
    ),
    "the role with the largest share of each head's attention, and its share in %": (
        "헤드마다 어텐션에서 가장 큰 비중을 차지하는 역할과 그 비중(%)"
    ),
    "share of all attention": "전체 어텐션에서 차지하는 비중",
    "entropy of each head, and the mean of the layer": "헤드별 엔트로피와 층 평균",
    "red)": "빨간색)",
    "entropy, bits": "엔트로피 (비트)",
    "shares by layer, means over its heads": "층별 비중, 헤드 평균",
    "mean share": "평균 비중",
    "the tree of heads: mean Jensen-Shannon distance, over {} rows": (
        "헤드 덴드로그램: 젠슨-섀넌 거리의 평균, 행 {}개 기준"
    ),
    "the tree of heads: mean Jensen-Shannon distance, over {} row": (
        "헤드 덴드로그램: 젠슨-섀넌 거리의 평균, 행 {}개 기준"
    ),
    "grey: clusters below {} bits": "회색: {}비트 미만의 군집",
    "distance, bits": "거리 (비트)",
    # where attention goes
    "to itself": "자기 자신으로",
    "to the previous": "앞 단어로",
    "to the next": "다음 단어로",
    "to the first word": "첫 단어로",
    "to [CLS]": "[CLS]로",
    "to separators": "구분 토큰으로",
    "to the sink": "싱크로",
    "to punctuation": "문장 부호로",
    "to the same word": "같은 단어로",
    # roles
    "delimiter": "구분자",
    "no-op": "무동작",
    "broadcast": "일괄 전달",
    "positional": "위치 기반",
    "itself": "자기 자신",
    "previous": "앞 단어",
    "next": "다음 단어",
    "same word": "같은 단어",
    "syntactic": "구문",
    "punctuation": "문장 부호",
    "local": "주변",
    "block": "같은 문장",
    "broad": "넓게 분산",
    "unknown": "알 수 없음",
    # the panels of a probe
    "what the best head finds of each relation": "관계마다 가장 좋은 헤드가 찾아낸 비율",
    "bold: surely more than baselines": "굵은 글씨: 기준선보다 확실히 높음",
    "each head, in the direction that suits it": "헤드별 비율, 두 방향 중 높은 쪽",
    "the best head of each layer": "층마다 가장 좋은 헤드",
    "the {} most frequent of {} relations": "관계 {1}개 중 가장 많은 {0}개",
    "share found": "찾아낸 비율",
    "{} documents, {} words, in both models": "문서 {}개, 단어 {}개, 두 모델 모두",
    "{} document, {} words, in both models": "문서 {}개, 단어 {}개, 두 모델 모두",
    "{} document, {} word, in both models": "문서 {}개, 단어 {}개, 두 모델 모두",
    "→ head": "→ 지배소",
    "→ dependent": "→ 의존소",
    "best fixed offset": "가장 좋은 고정 거리",
    "same key": "같은 키",
    "nearest word": "가장 가까운 단어",
    "same head word": "중심어가 같은 멘션",
    "diagonal": "대각선",
    "nearest of the right part of speech": "정답과 품사가 같은 가장 가까운 단어",
    "random": "무작위",
    "best head": "가장 좋은 헤드",
    "heads chosen on the other half": "다른 절반에서 고른 헤드",
}
"""See `language.KOREAN`, which has these too."""
