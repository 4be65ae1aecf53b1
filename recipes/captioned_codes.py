"""Captions and codes of a data set: what a generator is trained on."""

import concurrent.futures
import hashlib
import json

import keras
import numpy as np

from keras_bidalle import captions, data


class CaptionedCodes:
    """The readable pictures of a data set as codes, with their captions.

    Both are made once and kept in the run's folder.

    Args:
        folder: `keras_bidalle.training.RunFolder`.
        reader: `keras_bidalle.data.ImageReader`.
        image_tokenizer: `keras_bidalle.image_tokenizers.ImageTokenizer`.
        vocabulary_size: int, at most so many caption tokens.
        text_length: int, tokens a caption. Longer captions are left out, and
            so are pictures that have no other.
    """

    def __init__(
        self, folder, reader, image_tokenizer, vocabulary_size, text_length
    ):
        records = folder.read("captions.json")
        if records is None:
            records = _readable(reader)
            folder.write("captions.json", records)
            if reader.skipped:
                print(reader.report())
        texts = (text for _, lines in records for text in lines)
        self.caption_tokenizer = captions.CaptionTokenizer.from_captions(
            texts, vocabulary_size, text_length
        )
        kept = [
            (index, [line for line in lines if self._fits(line)])
            for index, lines in records
        ]
        kept = [(index, lines) for index, lines in kept if lines]
        total = sum(len(lines) for _, lines in records)
        fitting = sum(len(lines) for _, lines in kept)
        if fitting < total:
            print(
                f"{total - fitting} of {total} captions are longer than "
                f"text_length={text_length} tokens and left out"
            )
        if not kept:
            raise ValueError(
                "No caption of the data set fits into "
                f"text_length={text_length} tokens; --set text_length=..."
            )
        self.captions = [lines for _, lines in kept]
        self.codes = self._encoded(
            folder, reader, image_tokenizer, [index for index, _ in kept]
        )

    def __len__(self):
        return len(self.captions)

    def _fits(self, caption):
        ids = self.caption_tokenizer.tokens_of(caption)
        return 0 < len(ids) <= self.caption_tokenizer.max_length - 2

    def _encoded(self, folder, reader, image_tokenizer, indices):
        def make_images(first, last):
            rows = _in_threads(reader.read, indices[first:last])
            if any(row is None for row in rows):
                raise data.ImageError(
                    "A picture cannot be read any more. " + reader.report()
                )
            return np.stack([pixels for pixels, _ in rows])

        # What was cut out, and which pictures: those decide the codes too.
        what = json.dumps([vars(reader.crop), indices], default=str)
        return data.cached_codes(
            folder / "codes.npz",
            image_tokenizer,
            make_images,
            len(indices),
            source=f"{reader.source.description} "
            + hashlib.sha256(what.encode()).hexdigest(),
            progress=keras.utils.Progbar(
                len(indices), unit_name="picture"
            ).update,
        )

    def batch(self, size, seed, text_to_image_share, bpe_dropout):
        """Draws a batch for a generator's `fit`.

        Args:
            size: int, rows.
            seed: sequence of ints.
            text_to_image_share: float, the share of rows that begin with
                the caption.
            bpe_dropout: float, see `CaptionTokenizer.encode`.
        """
        rng = np.random.default_rng(seed)
        chosen = rng.integers(len(self), size=size)
        lines = [
            self.captions[i][rng.integers(len(self.captions[i]))]
            for i in chosen
        ]
        return {
            "text": self.caption_tokenizer.encode(
                lines, dropout=bpe_dropout, seed=int(rng.integers(2**31))
            ),
            "codes": self.codes[chosen].astype("int32"),
            "text_to_image": np.arange(size)
            < round(text_to_image_share * size),
        }


def _readable(reader):
    """[index, captions] of each record whose picture can be opened."""

    def captions_of(index):
        # Opened here and once more for its codes: what is skipped is then
        # known before anything is trained.
        if reader.read(index) is None:
            return None
        return [index, reader.source.read(index).captions]

    rows = _in_threads(captions_of, range(len(reader.source)))
    rows = [row for row in rows if row is not None and row[1]]
    if not rows:
        raise data.ImageError(
            f"No picture with a caption of {reader.source.description} can "
            f"be read. {reader.report()}"
        )
    return rows


def _in_threads(function, items):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(function, items))
