"""Stage 2: a generator on the codes of an image tokenizer."""

import dataclasses
from typing import Any

import numpy as np

from keras_bidalle import data, training
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.configurations import Configuration
from keras_bidalle.image_tokenizers import ImageTokenizer
from keras_bidalle.presets import load
from keras_bidalle.programs.plan import Plan
from keras_bidalle.programs.precision import (
    compiled_step,
    in_float32,
    policy,
)
from keras_bidalle.programs.stage import fit_stage, optimizer_of
from keras_bidalle.sampling.settings import TEXT_TO_IMAGE
from keras_bidalle.text_image_model import TextImageModel


def check_captions(configuration: Configuration) -> None:
    """Raises a `ValueError` if a generator's condition is not a caption."""
    arguments = configuration.arguments
    for name in ("text_vocabulary_size", "text_length"):
        if not isinstance(arguments.get(name), int):
            raise ValueError(
                f"The configuration must have an integer `{name}`. "
                f"Received: {name}={arguments.get(name)!r}"
            )
    if arguments["text_length"] < 3:
        raise ValueError(
            "The configuration has no captions, but a class or nothing. "
            "--set text_length=32 gives it captions of 32 tokens."
        )


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
        fitted(self.configuration, image_tokenizer).count_params()
        # How many captions fit is not known yet.
        optimizer_of(self.settings, len(plan.task))
        data.rows_per_process(self.settings["batch_size"])

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
    ) -> TextImageModel:
        """Trains; gives the whole model, which computes in float32."""
        plan, settings = self.plan, self.settings
        rows = plan.task.captioned_codes(
            folder, image_tokenizer, self.configuration
        )
        configuration = fitted(
            self.configuration, image_tokenizer, rows.caption_tokenizer
        )

        def build() -> Any:
            generator = configuration.build()
            if configuration.arguments.get("code_dim") is not None:
                generator.use_codebooks(image_tokenizer)
            return generator

        def whole(generator: Any) -> TextImageModel:
            model = TextImageModel(
                image_tokenizer, rows.caption_tokenizer, generator
            )
            model.sampling_defaults = {TEXT_TO_IMAGE: self.sampling}
            return model

        with policy(plan.policy):
            generator = build()
        if plan.start_generator:
            earlier = load(plan.start_generator)
            generator.set_weights(earlier.generator.get_weights())
        model = whole(generator)
        print(f"generator: {generator.count_params():,} parameters")
        optimizer = optimizer_of(settings, len(rows))
        generator.compile(optimizer, jit_compile=compiled_step(plan.jit))
        optimizer.build(generator.trainable_variables)

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

        fit_stage(
            folder,
            "generator",
            generator,
            make_batch,
            settings,
            len(rows),
            [
                ("image", "text_to_image", drawn),
                ("text", "image_to_text", read),
            ],
        )
        model = whole(in_float32(build, generator))
        plan.task.save_pictures(folder, model, rows, **self.sampling)
        return model


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
    if arguments.get("code_dim") is not None:
        quantizer = image_tokenizer.quantizer
        arguments["code_dim"] = quantizer.code_dim
        arguments["shared_codebook"] = getattr(
            quantizer, "has_one_codebook", True
        )
    return dataclasses.replace(configuration, arguments=arguments)
