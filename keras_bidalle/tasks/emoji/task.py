"""Emoji as the training program takes them."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_bidalle import data, training
from keras_bidalle.configurations import Configuration
from keras_bidalle.image_tokenizers import PatchVQGAN, start_from_patches
from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.tasks.emoji.accuracy import attribute_accuracy
from keras_bidalle.tasks.emoji.attributes import KnownEmoji, attributes_of
from keras_bidalle.tasks.emoji.captions import (
    EmojiCaptions,
    check_captions,
    vocabulary_lines,
)
from keras_bidalle.tasks.emoji.cards import cards
from keras_bidalle.tasks.emoji.classifier import (
    HEADS,
    EmojiClassifier,
    train_classifier,
)
from keras_bidalle.tasks.emoji.pictures import SPLITS, load_emoji
from keras_bidalle.tasks.emoji.report import EmojiJudge, tokenizer_report
from keras_bidalle.tasks.emoji.views import altered
from keras_bidalle.tasks.judge import JudgedTask
from keras_bidalle.tasks.task import Figures
from keras_bidalle.tasks.vocabulary import kept_vocabulary

SHOWN = 12


class EmojiTask(JudgedTask):
    """Emoji and their names, and what a model has understood of them.

    Args:
        data_dir: str, folder that `load_emoji` reads.
        seed: int, chooses the pictures that are shown.
        patch_start: bool, whether a `PatchVQGAN` starts from k-means of
            patches, as `start_from_patches` does it.
        views: int, how many altered pictures (`altered`) of each are read
            beside itself while a generator learns.
        siblings: bool, whether a generator's batches have pictures of the
            same vendor and concept side by side, as `EmojiCaptions`.
        classifier_steps: int, training steps of the judge.
        evaluation_pictures: int, how many of each split are drawn and read;
            0 for all.
        ranked_pictures: int, of how many all names are ranked.
    """

    def __init__(
        self,
        data_dir: str,
        seed: int = 0,
        patch_start: bool = True,
        views: int = 0,
        siblings: bool = False,
        classifier_steps: int = 3000,
        evaluation_pictures: int = 0,
        ranked_pictures: int = 32,
    ) -> None:
        self.splits = load_emoji(data_dir)
        self.seed = seed
        self.patch_start = patch_start
        self.views = views
        self.siblings = siblings
        self.classifier_steps = classifier_steps
        self.evaluation_pictures = evaluation_pictures
        self.ranked_pictures = ranked_pictures
        train = self.splits["train"]
        digest = hashlib.sha256(train.images.tobytes()).hexdigest()[:12]
        self.description = f"{len(train)} emoji ({digest})"

    def __len__(self) -> int:
        return len(self.splits["train"])

    def config(self) -> dict[str, Any]:
        names = ("description", "patch_start", "classifier_steps")
        more = ("views", "siblings", "evaluation_pictures", "ranked_pictures")
        return {name: getattr(self, name) for name in (*names, *more)}

    def _shown(self, split):
        """A few pictures of a split, the same ones each time."""
        pictures = self.splits[split]
        rng = np.random.default_rng((self.seed, 9))
        places = rng.permutation(len(pictures))[:SHOWN]
        return pictures.images[places], [pictures.rows[i] for i in places]

    def examples(self, image_shape: tuple[int, ...]) -> np.ndarray:
        return self._shown("held_vendor")[0]

    def trained_judge(self) -> EmojiClassifier:
        train = self.splits["train"]
        return train_classifier(
            train.images,
            [attributes_of(row) for row in train.rows],
            seed=1,
            steps=self.classifier_steps,
            callbacks=[training.RunProgress("classifier", batch_size=64)],
        )

    def judge_figures(self) -> Figures:
        every = [row for own in self.splits.values() for row in own.rows]
        known = KnownEmoji(every)
        figures = {}
        for split in SPLITS[1:]:
            own = self.splits[split]
            figures[split] = attribute_accuracy(
                self.classifier.classify(own.images),
                [attributes_of(row) for row in own.rows],
                known,
                names=HEADS,
            )
        return figures

    def start_tokenizer(self, tokenizer: Any) -> None:
        if self.patch_start and isinstance(tokenizer, PatchVQGAN):
            print("the tokenizer starts from k-means of patches")
            start_from_patches(
                tokenizer, self.splits["train"].images, seed=self.seed
            )

    def tokenizer_batches(
        self, tokenizer: Any, settings: dict[str, Any], seed: int
    ) -> Callable[[int], np.ndarray]:
        size = settings["batch_size"]
        data.rows_per_process(size)
        images = self.splits["train"].images

        # Not mirrored: left and right, flags and clocks are words.
        def make_batch(number: int) -> np.ndarray:
            rng = np.random.default_rng((seed, 1, number))
            return images[rng.integers(len(images), size=size)]

        return data.own_rows(make_batch)

    def held_out(self, image_shape: tuple[int, ...]) -> np.ndarray:
        """Known names, drawn by a vendor that they were not seen from."""
        return self.splits["held_vendor"].images

    def held_out_codes(
        self,
        folder: Any,
        image_tokenizer: Any,
        configuration: Configuration,
        rows: Any,
    ) -> CaptionedCodes:
        split = "held_combination"
        own = self.splits[split]
        images, shown = self._shown(split)
        return EmojiCaptions(
            rows.caption_tokenizer,
            own.rows,
            image_tokenizer.encode(own.images),
            [row.name for row in shown],
            images,
        )

    def read_captions(
        self,
        folder: Any,
        image_shape: tuple[int, ...],
        configuration: Configuration,
    ) -> None:
        words = self._words(folder, configuration)
        for split in ("train", "held_combination"):
            check_captions(words, self.splits[split].rows)

    def _words(self, folder: Any, configuration: Configuration) -> Any:
        return kept_vocabulary(
            folder,
            vocabulary_lines(self.splits["train"].rows),
            configuration.arguments["text_vocabulary_size"],
            configuration.arguments["text_length"],
        )

    def captioned_codes(
        self, folder: Any, image_tokenizer: Any, configuration: Configuration
    ) -> CaptionedCodes:
        train = self.splits["train"]

        def view(number: int) -> np.ndarray:
            kind, place = divmod(number, len(train))
            if not kind:
                return train.images[place]
            rng = np.random.default_rng((self.seed, 3, number))
            return altered(train.images[place], rng)

        count = len(train) * (1 + self.views)
        codes = data.cached_codes(
            folder / "codes.npz",
            image_tokenizer,
            lambda first, last: np.stack(
                [view(number) for number in range(first, last)]
            ),
            count,
            source=f"{self.description}, views of seed {self.seed}"
            if self.views
            else self.description,
            progress=keras.utils.Progbar(count, unit_name="picture").update,
        )
        codes = codes.reshape(-1, len(train), *codes.shape[1:])
        tokenizer = self._words(folder, configuration)
        images, rows = self._shown("held_combination")
        return EmojiCaptions(
            tokenizer,
            train.rows,
            codes[0],
            [row.name for row in rows],
            images,
            views=codes[1:],
            siblings=self.siblings,
        )

    def tokenizer_report(self, tokenizer: Any) -> Figures:
        return {
            split: tokenizer_report(tokenizer, self.splits[split])
            for split in SPLITS[1:]
        }

    def reports(
        self, model: Any, sampling: dict[str, Any]
    ) -> dict[str, Callable[[], Figures]]:
        judge = EmojiJudge(
            self.splits,
            self.classifier,
            self.evaluation_pictures,
            self.ranked_pictures,
        )

        def told(what: str, done: int, count: int) -> None:
            print(f"{what}: {done}/{count}", flush=True)

        return {
            split: functools.partial(
                judge.report, model, split, sampling, progress=told
            )
            for split in SPLITS[1:]
        }

    def cards(self, folder: Any, plan: Any, tokenizer: Any) -> dict[str, str]:
        return cards(folder, plan, tokenizer)
