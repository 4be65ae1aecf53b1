"""From digits to both directions: the main program of keras_bidalle.

Makes the MNIST64 task, trains a TE-VQGAN, trains a bidirectional generator
on its codes, generates pictures from captions and captions from pictures,
measures both, and leaves everything a person would want to look at in
`runs/<name>/`. See `--help`.
"""

import dataclasses
import os
import sys
import time

# First: it chooses Keras' backend.
import wiring
from wiring import fit_stage, in_float32, jit, policy, resolved  # isort: split

import keras
import numpy as np
from mnist64_cards import tokenizer_kind, write_cards
from mnist64_models import (
    build_generator,
    build_tokenizer,
    compile_tokenizer,
    cooling,
    cosine,
)
from mnist64_settings import parse

from keras_bidalle import (
    TextImageModel,
    data,
    load,
    training,
)
from keras_bidalle.files import atomic_path
from keras_bidalle.tasks import mnist64
from keras_bidalle.validation import as_uint8_images


class Program:
    """One run, stage by stage; each stage is skipped when it is done."""

    RESULTS = ("classifier.keras", "tokenizer", "model")

    def __init__(self, settings, options):
        self.settings = s = settings
        self.precision = resolved(settings.precision)
        self.began = time.monotonic()
        config = dataclasses.asdict(settings)
        self.folder = training.RunFolder(
            os.path.join(options.output, options.name or options.preset),
            config,
            resume=options.resume,
        )
        # Now: the processes of a run decide alike, whoever is ahead.
        self.there = {
            name for name in self.RESULTS if (self.folder / name).exists()
        }
        for size in (s.tokenizer_batch_size, s.generator_batch_size):
            wiring.per_process(size)
        keras.utils.set_random_seed(settings.seed)
        self.items = mnist64.load_items(
            {"fashion": "fashion_mnist"}.get(
                settings.dataset, settings.dataset
            ),
            options.data_dir,
        )
        print(
            f"{keras.config.backend()}, {self.precision}; items: "
            f"{self.items.source}; run: {self.folder.path}"
        )
        self.tasks = {
            split: mnist64.MNIST64(self.items, split)
            for split in ("train", "unseen_instances", "unseen_combinations")
        }
        self.grammar = self.tasks["train"].grammar
        self.caption_tokenizer = mnist64.grammar_tokenizer(self.grammar)
        self.table = mnist64.CaptionTable(self.grammar, self.caption_tokenizer)
        self.shown = self.tasks["unseen_instances"].sample(
            16, seed=(settings.seed, 99)
        )

    def run(self):
        classifier = self.classifier()
        tokenizer = self.tokenizer(classifier)
        if self.settings.stages == "both":
            codes = self.codes(tokenizer)
            model = self.generator(tokenizer, codes)
            self.measure(model, classifier)
            self.pictures(model)
        write_cards(
            self.folder,
            self.settings,
            self.kind(),
            os.path.basename(sys.argv[0]),
            self.precision,
            keras.config.backend(),
        )
        seconds = time.monotonic() - self.began
        print(f"done in {seconds / 60:.1f} minutes; see {self.folder.path}")

    def kind(self):
        """What the image tokenizer is called, and how it is made."""
        return tokenizer_kind(self.settings)

    def classifier(self):
        """The judge of generated pictures, at least 99% right on test items."""
        path = self.folder / "classifier.keras"
        if path.name in self.there:
            return keras.saving.load_model(path)
        classifier = mnist64.train_item_classifier(
            self.items,
            seed=1,
            steps=self.settings.classifier_steps,
            callbacks=[training.RunProgress("classifier", batch_size=128)],
        )
        accuracy = mnist64.item_classifier_accuracy(classifier, self.items)
        print("classifier on test items:", shown(accuracy))
        self.folder.update_metrics(classifier=accuracy)
        with atomic_path(path) as temporary:
            classifier.save(temporary)
        return classifier

    def fit(
        self,
        stage,
        model,
        make_batch,
        steps,
        batch_size,
        summaries,
        callbacks=(),
    ):
        epochs = self.settings.epochs
        fit_stage(
            self.folder,
            stage,
            model,
            make_batch,
            epochs,
            max(1, steps // epochs),
            batch_size,
            summaries,
            callbacks,
        )

    def tokenizer(self, classifier):
        """Stage 1: the image tokenizer, as a preset in the run's folder."""
        s = self.settings
        path = self.folder / "tokenizer"
        if path.name in self.there:
            return load(path)
        if s.start_from:
            tokenizer = load(os.path.join(s.start_from, "tokenizer"))
            return self.measured(tokenizer, classifier)
        tokenizer = self.trained_tokenizer(
            "tokenizer",
            lambda: build_tokenizer(s),
            crops=s.crops and s.tokenizer == "patch",
        )
        return self.measured(tokenizer, classifier)

    def trained_tokenizer(self, stage, build, crops):
        """Trains what `build` makes; gives a twin that computes in float32."""
        s = self.settings
        with policy(self.precision):
            tokenizer = build()
        compile_tokenizer(tokenizer, s)
        task, seed = self.tasks["train"], s.seed

        @data.own_rows
        def make_batch(number):
            if crops:
                return task.crops(s.tokenizer_batch_size, (seed, 1, number))
            return task.sample(s.tokenizer_batch_size, (seed, 1, number)).images

        def reconstructions():
            return training.comparison_grid(
                self.shown.images,
                as_uint8_images(tokenizer.reconstruct(self.shown.images)),
            )

        self.fit(
            stage,
            tokenizer,
            make_batch,
            s.tokenizer_steps,
            s.tokenizer_batch_size,
            [("image", "reconstructions", reconstructions)],
            cooling(s, tokenizer),
        )
        tokenizer = in_float32(build, tokenizer)
        training.save_png(
            self.folder / "reconstructions.png", reconstructions(), scale=2
        )
        return tokenizer

    def figures(self, tokenizer, classifier):
        """What is measured of a tokenizer, and the shape of its codes."""
        report = mnist64.tokenizer_report(
            tokenizer,
            self.tasks["unseen_instances"],
            classifier,
            count=10 * self.settings.evaluation_pictures,
        )
        print("tokenizer on unseen items:", shown(report))
        return report | {"code_shape": list(tokenizer.code_shape)}

    def measured(self, tokenizer, classifier):
        """Measures the tokenizer and keeps it as a preset."""
        self.folder.update_metrics(
            tokenizer=self.figures(tokenizer, classifier)
        )
        tokenizer.save_to_preset(self.folder / "tokenizer")
        return tokenizer

    def codes(self, tokenizer):
        """Codes of the training pictures, and what the pictures show."""
        s = self.settings
        chunk = 500

        # Chunks of one layout each, in the proportions asked for.
        layouts = np.repeat(np.arange(5), s.layout_mix)

        def sample(number):
            return self.tasks["train"].sample(
                chunk,
                (s.seed, 2, number),
                layout=int(layouts[number % len(layouts)]),
            )

        def make_images(first, last):
            return sample(first // chunk).images[: last - first]

        count = s.train_pictures
        progress = keras.utils.Progbar(count, unit_name="picture")
        codes = data.cached_codes(
            self.folder / "codes.npz",
            tokenizer,
            make_images,
            count,
            source=f"{s.dataset} train, seed {s.seed}, mix {s.layout_mix}",
            batch_size=chunk,
            progress=progress.update,
        )
        clauses = [
            sample(number).clauses for number in range(-(-count // chunk))
        ]
        return codes, np.concatenate(clauses)[:count]

    def generator(self, tokenizer, codes):
        """Stage 2: the generator, and the whole model as a preset."""
        s = self.settings
        path = self.folder / "model"
        if path.name in self.there:
            return load(path)
        codes, clauses = codes
        with policy(self.precision):
            generator = build_generator(s, self.caption_tokenizer, tokenizer)
        if s.start_from:
            earlier = load(os.path.join(s.start_from, "model"))
            generator.set_weights(earlier.generator.get_weights())
        model = TextImageModel(tokenizer, self.caption_tokenizer, generator)
        if s.optimizer == "muon":
            optimizer = cosine(
                training.Muon,
                s.generator_learning_rate,
                s.generator_steps,
                adam_lr_ratio=0.4,
                adam_beta_2=0.95,
                global_clipnorm=1.0,
                weight_decay=0.01,
                adam_weight_decay=0.01,
            )
        else:
            optimizer = cosine(
                keras.optimizers.Adam,
                s.generator_learning_rate,
                s.generator_steps,
                global_clipnorm=1.0,
            )
        generator.compile(optimizer, jit_compile=jit(s.jit))
        optimizer.build(generator.trainable_variables)

        rows = s.generator_batch_size
        forward = np.arange(rows) < round(s.text_to_image_share * rows)

        @data.own_rows
        def make_batch(number):
            rng = np.random.default_rng((s.seed, 3, number))
            chosen = rng.integers(len(codes), size=rows)
            phrases = self.grammar.sample_phrases(clauses[chosen], rng)
            return {
                "text": self.table(clauses[chosen], phrases),
                "codes": codes[chosen].astype("int32"),
                "text_to_image": forward,
            }

        self.fit(
            "generator",
            generator,
            make_batch,
            s.generator_steps,
            rows,
            [
                ("image", "text_to_image", lambda: self.drawn(model)),
                (
                    "text",
                    "image_to_text",
                    lambda: model.image_to_text(self.shown.images),
                ),
            ],
        )
        generator = in_float32(
            lambda: build_generator(s, self.caption_tokenizer, tokenizer),
            generator,
        )
        model = TextImageModel(tokenizer, self.caption_tokenizer, generator)
        model.save_to_preset(path)
        return model

    def sampling(self):
        s = self.settings
        chosen = {"temperature": s.temperature}
        if s.top_k:
            chosen["top_k"] = s.top_k
        if s.condition_dropout and s.guidance_scale != 1.0:
            chosen["guidance_scale"] = s.guidance_scale
        return chosen

    def drawn(self, model, **kwargs):
        return model.text_to_image(
            self.shown.captions,
            seed=range(len(self.shown)),
            **self.sampling(),
            **kwargs,
        )

    def measure(self, model, classifier):
        """Measures both directions on what was never trained on."""
        count = 5 * self.settings.evaluation_pictures
        done = self.folder.read("metrics.json")
        for split in ("unseen_instances", "unseen_combinations"):
            if split in done:
                continue

            def told(direction, done, split=split):
                print(f"{direction}, {split}: {done}/{count}", flush=True)

            report = mnist64.both_directions_report(
                model,
                self.tasks[split],
                classifier,
                per_layout=self.settings.evaluation_pictures,
                sampling=self.sampling(),
                batch_size=128,
                progress=told,
            )
            for direction, figures in report.items():
                print(f"{direction}, {split}:")
                for layout, row in figures.items():
                    print(f"  {layout:8}", shown(row))
            self.folder.update_metrics(**{split: report})
        if "sampling" not in done:
            self.folder.update_metrics(
                sampling=self.sampling(),
                minutes=(time.monotonic() - self.began) / 60,
            )

    def pictures(self, model):
        """What people would rather look at than read."""
        if (self.folder / "image_to_text.png").is_file():
            return
        training.save_captioned(
            self.folder / "text_to_image.png",
            self.shown.captions,
            self.drawn(model, num_samples=4),
        )
        readings = []
        written = model.image_to_text(self.shown.images)
        for text, clauses in zip(written, self.shown.clauses, strict=True):
            truth = {tuple(c) for c in clauses.tolist()}
            readings.append(
                [
                    (self.grammar.clause(c, 0), c in truth)
                    for c in self.grammar.parse(text)
                ]
                or [(text or "(nothing)", False)]
            )
        training.save_read_pictures(
            self.folder / "image_to_text.png",
            self.shown.images,
            self.shown.captions,
            readings,
        )


def shown(figures):
    return ", ".join(
        f"{name} {shown(value) if isinstance(value, dict) else round(value, 4)}"
        for name, value in figures.items()
    )


def main(program=Program):
    settings, options = parse()
    try:
        with wiring.distributed(options):
            program(settings, options).run()
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
