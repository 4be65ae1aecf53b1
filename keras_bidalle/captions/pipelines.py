"""From a text to pieces that tokens are made of, and back.

Texts are brought into Unicode's form NFKC (one form of what is composed or
decomposed, wide or narrow, raised or not) and lower case. What keyboards type
differently becomes what the captions have: in each of these groups, a
character that no caption has becomes the one that most captions have.

| group | characters |
|---|---|
| apostrophe | ' ’ ‘ ‛ ʼ ′ ` ´ |
| quote | " “ ” „ ‟ ″ |
| dash | - ‐ ‑ ‒ – — ― − |

Where captions have “ or ”, a typed " is “ before a word and ” elsewhere.
"""

import collections
import json
from collections.abc import Iterable, Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, trainers
from tokenizers.normalizers import NFKC, Lowercase, Replace
from tokenizers.normalizers import Sequence as Steps
from tokenizers.pre_tokenizers import Whitespace

from keras_bidalle.messages import shown

SPECIAL_TOKENS = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]")
# In NFKC; what is left of the groups has a form of its own there.
GROUPS = ("'’‘‛ʼ′`", '"“”„‟', "-‐‒–—―−")
BEFORE = {"´": "'", "″": '"'}
OPENING = r'"(?=\w)'
# Written on the sides of punctuation that have no space, as OpenNMT does:
# "man's hat" is `man ￭'￭ s hat`. No text has it: in NFKC it is another.
JOINER = "\uffed"
JOINERS = (f" {JOINER}", f"{JOINER} ", JOINER)
JOINED = r"(?<=\w)(?=[^\w\s])|(?<=[^\w\s])(?=\w)"
END = "</w>"


def word_pipeline(words: Sequence[str]) -> str:
    """The JSON of a tokenizer with one token a word, special tokens first."""
    if isinstance(words, str):
        # Its letters would be the words.
        raise ValueError(
            f"`words` must be a list of str. Received: {shown(words)}"
        )
    steps = Steps(_steps(words))
    words = [*SPECIAL_TOKENS, *map(steps.normalize_str, words)]
    tokens = {token: i for i, token in enumerate(words)}
    if len(tokens) < len(words):
        twice = collections.Counter(words).most_common(1)[0][0]
        raise ValueError(
            f"`words` must be distinct. Received: {shown(twice)} more than once"
        )
    tokenizer = Tokenizer(models.WordLevel(tokens, unk_token="[UNK]"))
    tokenizer.normalizer = steps
    tokenizer.pre_tokenizer = Whitespace()
    return tokenizer.to_str()


def pair_pipeline(captions: Iterable[str], vocabulary_size: int) -> str:
    """The JSON of a byte pair encoding of captions, the same each time.

    Raises:
        ValueError: if the vocabulary cannot hold the characters.
    """
    captions = list(captions)
    steps = _steps(captions)
    joins = Replace(Regex(JOINED), JOINER)
    plain, joined = Steps(steps), Steps([*steps, joins])
    texts = [joined.normalize_str(caption) for caption in captions]
    # Captions that have spaces around all punctuation need no joiners.
    if not any(JOINER in text for text in texts):
        joined, texts = plain, [plain.normalize_str(c) for c in captions]
    else:
        texts.append(JOINER)  # It may stand first and last in a piece.
    split = Whitespace().pre_tokenize_str
    words = {word for text in set(texts) for word, _ in split(text)}
    # The trainer gives the last characters of words their ids in an order of
    # chance, which decides between merges alike: here they come first.
    lasts = sorted({word[-1] + END for word in words})
    letters = {character for word in words for character in word}
    least = len(SPECIAL_TOKENS) + len(lasts) + len(letters)
    if vocabulary_size < least:
        raise ValueError(
            "`vocabulary_size` must be at least "
            f"{least}, to hold the characters of the captions, within words "
            f"and at their end. Received: vocabulary_size={vocabulary_size}"
        )
    # A new caption may end a word where these do not ("high" after "chicken"):
    # spelled wherever there is more room for merges than for letters.
    anywhere = sorted({*lasts, *(letter + END for letter in letters)})
    spelled = len(SPECIAL_TOKENS) + len(anywhere) + len(letters)
    if 2 * spelled <= vocabulary_size:
        lasts = anywhere
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]", end_of_word_suffix=END))
    tokenizer.normalizer = joined
    tokenizer.pre_tokenizer = Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[*SPECIAL_TOKENS, *lasts],
        initial_alphabet=sorted(letters),
        end_of_word_suffix=END,
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    tokenizer.decoder = decoders.BPEDecoder(suffix=END)
    if joined is not plain:
        tokenizer.decoder = decoders.Sequence(
            [
                *(tokenizer.decoder, decoders.Fuse()),
                *(decoders.Replace(joiner, "") for joiner in JOINERS),
            ]
        )
    config: dict[str, Any] = json.loads(tokenizer.to_str())
    # Those that are not special are no words that a text may write out.
    config["added_tokens"] = config["added_tokens"][: len(SPECIAL_TOKENS)]
    return json.dumps(config, ensure_ascii=False)


def _steps(captions: Sequence[str]) -> list[Any]:
    """What brings a text into the form of these captions."""
    before = [Replace(typed, own) for typed, own in BEFORE.items()]
    steps = [*before, NFKC(), Lowercase()]
    form = Steps(steps)
    counts: collections.Counter[str] = collections.Counter()
    for caption in captions:
        counts.update(form.normalize_str(caption))
    for group in GROUPS:
        own = max(group, key=lambda character: counts[character])
        others = "".join(c for c in group if not counts[c] and c != own)
        if own in "“”" and '"' in others:
            steps += [Replace(Regex(OPENING), "“"), Replace('"', "”")]
            others = others.replace('"', "")
        if others:
            others = others.replace("-", r"\-")
            steps.append(Replace(Regex(f"[{others}]"), own))
    return steps


def joint_decoders() -> list[dict[str, Any]]:
    """The JSON of the decoders behind that of byte pairs: no joiner is left."""
    return [
        {"type": "Fuse"},
        *(
            {"type": "Replace", "pattern": {"String": joiner}, "content": ""}
            for joiner in JOINERS
        ),
    ]
