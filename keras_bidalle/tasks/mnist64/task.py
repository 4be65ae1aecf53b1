"""MNIST64 as the training program takes it."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from keras_bidalle import data, training
from keras_bidalle.arguments import kept_arguments
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.configurations import Configuration
from keras_bidalle.image_tokenizers import PatchVQGAN
from keras_bidalle.tasks.captioned_codes import CaptionedCodes
from keras_bidalle.tasks.judge import JudgedTask
from keras_bidalle.tasks.mnist64.caption_table import CaptionTable
from keras_bidalle.tasks.mnist64.cards import cards
from keras_bidalle.tasks.mnist64.digits import load_items
from keras_bidalle.tasks.mnist64.grammar import DATASETS
from keras_bidalle.tasks.mnist64.item_classifier import (
    ItemClassifier,
    item_classifier_accuracy,
    train_item_classifier,
)
from keras_bidalle.tasks.mnist64.pictures import MNIST64, SPLITS, MNIST64Batch
from keras_bidalle.tasks.mnist64.report import (
    both_directions_report,
    equivariance_report,
    tokenizer_report,
)
from keras_bidalle.tasks.task import Figures
from keras_bidalle.validation import check_positive, refused

# Images that are made and encoded at once.
CHUNK = 500
# And those that people are shown.
SHOWN = 16


class MNIST64Task(JudgedTask):
    """Colored items at five places, with captions and a judge.

    Args:
        dataset: "mnist" or "fashion".
        data_dir: str, as in `load_items`.
        seed: int.
        train_pictures: int, how many are made into codes.
        layout_mix: tuple of 5 int, how often the layouts come among them.
            Images of many items teach more for the same cost.
        crops: bool, whether a tokenizer whose every layer is local is trained
            on 32x32 single-item crops.
        evaluation_pictures: int, images a layout in each split.
        classifier_steps: int, training steps of the judge.
    """

    def __init__(
        self,
        dataset: str = "mnist",
        data_dir: str | None = None,
        seed: int = 0,
        train_pictures: int = 60_000,
        layout_mix: tuple[int, ...] = (1, 1, 1, 2, 3),
        crops: bool = True,
        evaluation_pictures: int = 100,
        classifier_steps: int = 1500,
    ) -> None:
        check_positive(
            train_pictures=train_pictures,
            evaluation_pictures=evaluation_pictures,
            classifier_steps=classifier_steps,
        )
        shares = np.asarray(layout_mix)
        if (
            shares.shape != (5,)
            or shares.dtype.kind != "i"
            or ((shares < 0).any() or not shares.any())
        ):
            raise refused("be five integers, not all 0", layout_mix=layout_mix)
        self.dataset = dataset
        self.data_dir = data_dir
        self.seed = seed
        self.train_pictures = train_pictures
        self.layout_mix = tuple(layout_mix)
        self.crops = crops
        self.evaluation_pictures = evaluation_pictures
        self.classifier_steps = classifier_steps
        self.items = load_items(DATASETS.get(dataset, dataset), data_dir)
        self.description = f"{dataset} items, {self.items.source}"
        self.splits = {split: MNIST64(self.items, split) for split in SPLITS}
        self.grammar = self.splits["train"].grammar

    def __len__(self) -> int:
        return self.train_pictures

    def config(self) -> dict[str, Any]:
        arguments = kept_arguments(self)
        # Where the data lie may change, and the seed is the run's.
        del arguments["data_dir"], arguments["seed"]
        return arguments

    @functools.cached_property
    def batch_shown(self) -> MNIST64Batch:
        """The images that are shown, made of test items."""
        return self.splits["unseen_instances"].sample(SHOWN, (self.seed, 99))

    def examples(self, image_shape: tuple[int, ...]) -> np.ndarray:
        return self.batch_shown.images

    def trained_judge(self) -> ItemClassifier:
        """At least 99% right on test items."""
        return train_item_classifier(
            self.items,
            seed=1,
            steps=self.classifier_steps,
            callbacks=[training.RunProgress("classifier", batch_size=128)],
        )

    def judge_figures(self) -> Figures:
        return item_classifier_accuracy(self.classifier, self.items)

    def tokenizer_batches(
        self, tokenizer: Any, settings: dict[str, Any], seed: int
    ) -> Callable[[int], np.ndarray]:
        size = settings["batch_size"]
        data.rows_per_process(size)
        train = self.splits["train"]
        crops = self.crops and isinstance(tokenizer, PatchVQGAN)

        def make_batch(number: int) -> np.ndarray:
            if crops:
                return train.crops(size, (seed, 1, number))
            return train.sample(size, (seed, 1, number)).images

        return data.own_rows(make_batch)

    held_out_names = (
        "translation_equivariance",
        "foreground_translation_equivariance",
    )

    @functools.cached_property
    def _batch_held_out(self) -> MNIST64Batch:
        split = self.splits["unseen_instances"]
        return split.sample(5 * self.evaluation_pictures, (self.seed, 98))

    def held_out(self, image_shape: tuple[int, ...]) -> np.ndarray:
        """Images of test items."""
        return self._batch_held_out.images

    def held_out_figures(self, tokenizer: Any) -> dict[str, float]:
        """Translation equivariance on test items, where codes have places."""
        if len(tokenizer.code_shape) == 1:
            return {}
        return equivariance_report(
            tokenizer,
            self.splits["unseen_instances"],
            self.evaluation_pictures,
        )

    def held_out_codes(
        self,
        folder: Any,
        image_tokenizer: Any,
        configuration: Configuration,
        rows: Any,
    ) -> CaptionedCodes:
        batch = self._batch_held_out
        codes = image_tokenizer.encode(batch.images)
        return _GrammarCaptions(
            rows.table, batch.clauses, codes, self.batch_shown
        )

    def captioned_codes(
        self, folder: Any, image_tokenizer: Any, configuration: Configuration
    ) -> CaptionedCodes:
        # Chunks of one layout each, in the proportions asked for.
        layouts = np.repeat(np.arange(5), self.layout_mix)

        def sample(number: int) -> MNIST64Batch:
            layout = int(layouts[number % len(layouts)])
            seed = (self.seed, 2, number)
            return self.splits["train"].sample(CHUNK, seed, layout=layout)

        def make_images(first: int, last: int) -> np.ndarray:
            return sample(first // CHUNK).images[: last - first]

        count = self.train_pictures
        codes = data.cached_codes(
            folder / "codes.npz",
            image_tokenizer,
            make_images,
            count,
            source=f"{self.dataset} train, seed {self.seed}, "
            f"mix {self.layout_mix}",
            batch_size=CHUNK,
            progress=keras.utils.Progbar(count, unit_name="picture").update,
        )
        clauses = [sample(i).clauses for i in range(-(-count // CHUNK))]
        return _GrammarCaptions(
            self._caption_table(configuration),
            np.concatenate(clauses)[:count],
            codes,
            self.batch_shown,
        )

    def check(self, configuration: Configuration) -> None:
        self._caption_table(configuration)

    def _caption_table(self, configuration: Configuration) -> CaptionTable:
        tokenizer = CaptionTokenizer.from_words(
            self.grammar.words, configuration.arguments["text_length"]
        )
        return CaptionTable(self.grammar, tokenizer)

    def tokenizer_report(self, tokenizer: Any) -> Figures:
        return tokenizer_report(
            tokenizer,
            self.splits["unseen_instances"],
            self.classifier,
            count=10 * self.evaluation_pictures,
        )

    def reports(
        self, model: Any, sampling: dict[str, Any]
    ) -> dict[str, Callable[[], Figures]]:
        count = 5 * self.evaluation_pictures

        def report(split: str) -> Figures:
            def told(direction: str, done: int) -> None:
                print(f"{direction}, {split}: {done}/{count}", flush=True)

            return both_directions_report(
                model,
                self.splits[split],
                self.classifier,
                per_layout=self.evaluation_pictures,
                sampling=sampling,
                batch_size=128,
                progress=told,
            )

        return {split: functools.partial(report, split) for split in SPLITS[1:]}

    def save_pictures(
        self, folder: Any, model: Any, rows: CaptionedCodes, **sampling: Any
    ) -> None:
        """Images drawn, and images read beside what they show."""
        super().save_pictures(folder, model, rows, **sampling)
        shown = self.batch_shown
        readings = []
        written = model.image_to_text(shown.images)
        for text, clauses in zip(written, shown.clauses, strict=True):
            truth = {tuple(clause) for clause in clauses.tolist()}
            readings.append(
                [
                    (self.grammar.clause(clause, 0), clause in truth)
                    for clause in self.grammar.parse(text)
                ]
                or [(text or "(nothing)", False)]
            )
        file = folder / "image_to_text.png"
        training.save_read_pictures(
            file, shown.images, shown.captions, readings
        )

    def cards(self, folder: Any, plan: Any, tokenizer: Any) -> dict[str, str]:
        return cards(folder, plan, tokenizer)


class _GrammarCaptions(CaptionedCodes):
    """Codes of images whose captions are drawn anew for every batch."""

    def __init__(
        self,
        table: CaptionTable,
        clauses: np.ndarray,
        codes: np.ndarray,
        shown: MNIST64Batch,
    ) -> None:
        super().__init__(table.tokenizer, codes, shown.captions, shown.images)
        self.table = table
        self.clauses = clauses

    def caption_tokens(
        self, chosen: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        clauses = self.clauses[chosen]
        return self.table(
            clauses, self.table.grammar.sample_phrases(clauses, rng)
        )
