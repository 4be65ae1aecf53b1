"""Captions to words as the captioning benchmarks have it.

The benchmarks tokenize with a Java program and drop punctuation. These rules
give the same words on plain English captions.
"""

import re

# Of the program's own table; what follows is kept apart.
_CONTRACTIONS = re.compile(r"(?<=\w)(n't|'(?:s|m|d|re|ve|ll))(?!\w)")
_SPLIT_WORDS = {
    words.replace(" ", ""): words
    for words in ("can not", "gim me", "gon na", "got ta", "lem me", "wan na")
}
# Titles and the like keep their dot.
_SHORT = "dr|etc|jr|mr|mrs|ms|mt|prof|rev|sr|st|vs"
# A number with its decimals or thousands; a contraction's end, a decade;
# letters with dots; words joined by hyphens and the like; marks that stay.
_WORDS = re.compile(
    r"\d+(?:[.,:/]\d+)+(?:-?\w+)*"
    r"|n't(?!\w)|'(?:s|m|d|re|ve|ll)(?!\w)|'\d0s|'n'"
    r"|(?:[a-z]\.)+[a-z](?!\w)\.?"
    rf"|(?:{_SHORT})\.|no\.(?= ?\d)"
    r"|\w+(?:[-&'_@/.]\w+)*"
    r"|[!?]{2,}|[()\[\]{}%$#&+=*/\\~^|<>@]"
)
_BRACKETS = {
    "(": "-lrb-",
    ")": "-rrb-",
    "[": "-lsb-",
    "]": "-rsb-",
    "{": "-lcb-",
    "}": "-rcb-",
}


def caption_words(caption: str) -> list[str]:
    """The words that the captioning benchmarks compare.

    Lower case; punctuation (. ? ! , : ; - -- ... and quotes) is dropped;
    hyphenated words and numbers such as 3.5 stay whole; "don't" becomes "do
    n't", "dog's" "dog 's", "cannot" "can not".

    Args:
        caption: str.

    Returns:
        list of str, empty for a caption without a word.

    Reference:
        Chen et al., arXiv 1504.00325, section 3.
    """
    text = caption.lower().replace("\u2019", "'")
    text = _CONTRACTIONS.sub(r" \1", text)
    words = []
    for word in _WORDS.findall(text):
        words += _SPLIT_WORDS.get(word, _BRACKETS.get(word, word)).split()
    return words
