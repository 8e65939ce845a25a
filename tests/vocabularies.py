"""Small tokenizers of each kind, made on the spot: what a model's tokenizer.json may hold."""

from collections.abc import Callable, Sequence

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = [
    "The animal didn't cross the street because it was too tired.",
    "나는 학생이다. 동물은 길을 건너지 않았다",
    "我是学生。 foo_bar 3.14 U.S.A. שלום עולם naïve",
] * 10

SPECIALS = ["[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTAS = ["<unk>", "<s>", "</s>", "<mask>", "<pad>"]
"""BERT's special tokens, and RoBERTa's in the same order."""


def wordpiece() -> Tokenizer:
    """BERT's kind, cased and keeping accents: pieces go on with `##`."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=SPECIALS, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tokenizer


def byte_level(trim_offsets: bool, specials: Sequence[str] = SPECIALS) -> Tokenizer:
    """RoBERTa's kind (offsets without the space in front) or GPT-2's (with it)."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=trim_offsets, trim_offsets=trim_offsets
    )
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(specials),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(
        (specials[2], 2), (specials[1], 1), trim_offsets, add_prefix_space=trim_offsets
    )
    return tokenizer


def unigram(specials: Sequence[str] = SPECIALS) -> Tokenizer:
    """SentencePiece's kind: `▁` for the space, NFKC before cutting."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=150,
        unk_token=specials[0],
        special_tokens=list(specials),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    cls, sep = specials[1:3]
    tokenizer.post_processor = processors.TemplateProcessing(
        f"{cls} $A {sep}", f"{cls} $A {sep} $B:1 {sep}:1", [(cls, 1), (sep, 2)]
    )
    return tokenizer


def byte_fallback() -> Tokenizer:
    """Llama's kind: no cutting beforehand, and bytes for what the vocabulary lacks."""
    pieces = [*SPECIALS, *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [*"▁abcdefghijklmnopqrstuvwxyz동물은", "▁t", "▁▁", "th"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    merges = [("▁", "t"), ("▁", "▁"), ("t", "h")]
    model = models.BPE(vocabulary, merges, byte_fallback=True, unk_token="[UNK]", fuse_unk=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A", "[CLS] $A [CLS] $B:1", [("[CLS]", 1)]
    )
    return tokenizer


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "wordpiece": wordpiece,
    "byte_level_trimmed": lambda: byte_level(True),
    "byte_level": lambda: byte_level(False),
    "unigram": unigram,
    "byte_fallback": byte_fallback,
}
