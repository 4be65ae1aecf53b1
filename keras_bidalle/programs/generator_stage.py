"""Stage 2: a generator on the codes of an image tokenizer."""

import dataclasses
import types
from typing import Any

import keras
import numpy as np

from keras_bidalle import data, training
from keras_bidalle.arguments import accepted_arguments
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.configurations import Configuration
from keras_bidalle.image_tokenizers import ImageTokenizer
from keras_bidalle.messages import one_line, shown
from keras_bidalle.programs.carrying_over import carry_over_generator
from keras_bidalle.programs.held_out import (
    check_keep_best,
    held_out_rows,
    is_asked_for,
)
from keras_bidalle.programs.held_out_figures import (
    CAPTION_FIGURES,
    distance_names,
    generator_figures,
    opened_extractors,
)
from keras_bidalle.programs.plan import Plan
from keras_bidalle.programs.precision import (
    compiled_step,
    in_float32,
    policy,
)
from keras_bidalle.programs.stage import fit_stage, optimizer_of
from keras_bidalle.programs.starting import load_start, tokenizer_beside
from keras_bidalle.programs.unfinished import KeepUnfinished
from keras_bidalle.sampling.settings import TEXT_TO_IMAGE, checked_defaults

# What `Generator` tracks; it is not made yet when this is asked.
_LOSSES = ("loss", "image_loss", "text_loss")


class GeneratorStage:
    """Checks the generator of a plan, and trains it.

    Args:
        plan: `Plan` with a `generator`.
        image_tokenizer: `ImageTokenizer`, trained or not.

    Raises:
        ValueError: if the settings do not fit together.
    """

    def __init__(self, plan: Plan, image_tokenizer: ImageTokenizer) -> None:
        assert plan.generator is not None
        self.plan = plan
        self.configuration = plan.generator
        self.settings = self.configuration.training
        self.configuration.check()
        # Made without its weights, to see at once whether it can be.
        whole = fitted(self.configuration, image_tokenizer)
        whole.count_params()
        self._check_sampling(whole.arguments)
        self.extractors = opened_extractors(self.settings)
        check_keep_best(
            self.settings,
            [
                *_LOSSES,
                *(CAPTION_FIGURES if self.settings["caption_figures"] else ()),
                *distance_names(self.extractors),
            ],
        )
        plan.task.check(self.configuration)
        self.earlier = None
        if plan.start_generator:
            self.earlier = self._started(plan.start_generator)
        # How many captions fit is not known yet.
        optimizer_of(self.settings, len(plan.task))
        data.rows_per_process(self.settings["batch_size"])

    def _started(self, preset: str) -> Any:
        """The model to start from, a generator or a whole one."""
        earlier = load_start(preset)
        found = getattr(earlier, "generator", earlier)
        if not isinstance(found, self.configuration.cls):
            raise ValueError(
                "`--start-from` must hold a generator of the same class, "
                f"{self.configuration.cls.__name__}. Received: "
                f"{shown(preset)}, a {type(found).__name__}"
            )
        widths = found.arguments(), self.configuration.arguments
        before, now = (arguments.get("width") for arguments in widths)
        if before != now:
            raise ValueError(
                "`--start-from` must hold a generator of the same width, "
                f"{shown(now)}. Received: {shown(preset)}, of {shown(before)}"
            )
        return earlier

    def _check_sampling(self, arguments: dict[str, Any]) -> None:
        stack = arguments.get("patch_size", 1) ** 2
        stack *= len(arguments.get("code_digits", (1,)))
        for depth in arguments["code_shape"][2:]:
            stack *= depth
        known = types.SimpleNamespace(
            codes_per_position=stack,
            sampling_defaults={},
            condition_dropout=arguments.get("condition_dropout", 0.0),
        )
        try:
            checked_defaults({TEXT_TO_IMAGE: self.sampling}, known)
        except TypeError as error:
            raise ValueError(
                one_line(f"The training's `sampling`: {error}")
            ) from error

    @property
    def sampling(self) -> dict[str, Any]:
        """Arguments of `text_to_image` for images that are shown."""
        given = self.settings["sampling"]
        sampling = {k: v for k, v in given.items() if v is not None}
        if not self.configuration.arguments.get("condition_dropout"):
            sampling.pop("guidance_scale", None)
        return sampling

    def fit(
        self, folder: training.RunFolder, image_tokenizer: ImageTokenizer
    ) -> Any:
        """Trains; gives the whole model, which computes in float32."""
        plan, settings = self.plan, self.settings
        rows = plan.task.captioned_codes(
            folder, image_tokenizer, self.configuration
        )
        configuration = fitted(
            self.configuration, image_tokenizer, rows.caption_tokenizer
        )

        def build() -> Any:
            return built(configuration, image_tokenizer)

        def whole(generator: Any) -> Any:
            model = rows.model(image_tokenizer, generator)
            model.sampling_defaults = {TEXT_TO_IMAGE: self.sampling}
            return model

        # What came before, stage 1 among it, is not done again by a run that
        # was cut since; its first weights are the same all the same.
        keras.utils.set_random_seed(plan.seed)
        with policy(plan.policy):
            generator = build()
        if self.earlier is not None:
            told = carry_over_generator(
                self.earlier,
                generator,
                image_tokenizer,
                rows.caption_tokenizer,
                tokenizer_beside(str(plan.start_generator)),
            )
            print(f"{plan.start_generator}: {told}")
            self.earlier = None
        model = whole(generator)
        print(f"generator: {generator.count_params():,} parameters")
        compile_generator(generator, settings, len(rows), plan.jit)

        held_out = None
        measure = None
        if is_asked_for(settings):
            held_out = plan.task.held_out_codes(
                folder, image_tokenizer, self.configuration, rows
            )
        if held_out is not None and hasattr(held_out, "lines"):
            images = None
            if self.extractors:
                images = plan.task.held_out(image_tokenizer.image_shape)
            measure = generator_figures(
                model,
                held_out,
                self.extractors,
                images,
                settings,
                self.sampling,
            )

        @data.own_rows
        def make_batch(step: int) -> dict[str, np.ndarray]:
            return rows.batch(
                settings["batch_size"],
                (plan.seed, 3, step),
                settings["text_to_image_share"],
            )

        def drawn() -> Any:
            seeds = range(len(rows.captions))
            return model.text_to_image(
                rows.captions, seed=seeds, **self.sampling
            )

        def read() -> Any:
            return model.image_to_text(rows.images)

        shown = [("image", "text_to_image", drawn)]
        if rows.reads:
            shown.append(("text", "image_to_text", read))
        fit_stage(
            folder,
            "generator",
            generator,
            make_batch,
            settings,
            len(rows),
            shown,
            [
                KeepUnfinished(
                    folder, lambda: whole(in_float32(build, generator))
                )
            ],
            held_out=held_out_rows(held_out, settings, plan.seed, measure),
        )
        model = whole(in_float32(build, generator))
        plan.task.save_pictures(folder, model, rows, **self.sampling)
        return model


def built(configuration: Configuration, image_tokenizer: Any) -> Any:
    """A new generator, with its tokenizer's codebooks where it uses them."""
    generator = configuration.build()
    if configuration.arguments.get("code_dim") is not None:
        generator.use_codebooks(image_tokenizer)
    return generator


def compile_generator(
    generator: Any, settings: dict[str, Any], records: int, jit: bool
) -> None:
    """Makes a generator ready for `fit`, with its optimizer's state."""
    optimizer = optimizer_of(settings, records)
    generator.compile(optimizer, jit_compile=compiled_step(jit))
    optimizer.build(generator.trainable_variables)


def fitted(
    configuration: Configuration,
    image_tokenizer: ImageTokenizer,
    caption_tokenizer: CaptionTokenizer | None = None,
) -> Configuration:
    """A generator's configuration, made to fit its tokenizers."""
    arguments = {
        **configuration.arguments,
        "num_codes": image_tokenizer.num_codes,
        "code_shape": image_tokenizer.code_shape,
    }
    if caption_tokenizer is not None:
        arguments.update(
            text_vocabulary_size=caption_tokenizer.vocabulary_size,
            text_length=caption_tokenizer.max_length,
            start_id=caption_tokenizer.start_id,
            end_id=caption_tokenizer.end_id,
        )
        # `None` says that pads are tokens like any other.
        if arguments.get("pad_id", 0) is not None:
            arguments["pad_id"] = caption_tokenizer.pad_id
    quantizer = image_tokenizer.quantizer
    if "codebook_sizes" in accepted_arguments(configuration.cls):
        sizes = quantizer.codebook_sizes
        arguments["codebook_sizes"] = None if isinstance(sizes, int) else sizes
    if arguments.get("code_dim") is not None:
        arguments["code_dim"] = quantizer.code_dim
        arguments["shared_codebook"] = getattr(
            quantizer, "has_one_codebook", True
        )
    return dataclasses.replace(configuration, arguments=arguments)
