"""What the labels of pictures are in Korean, in one place."""

from attnviz.show.forms import STYLE

KOREAN: dict[str, str] = {}


def say(text: str) -> str:
    """A label in the language of the picture; as it is where the list does not have it."""
    return text if STYLE.get().language == "en" else KOREAN.get(text, text)
