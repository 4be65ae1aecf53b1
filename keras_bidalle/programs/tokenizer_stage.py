"""Stage 1: an image tokenizer."""

from typing import Any

import keras

from keras_bidalle import losses, training
from keras_bidalle.configurations import Configuration
from keras_bidalle.image_tokenizers import (
    AugVAE,
    ImageTokenizer,
    SingleLevelAugVAE,
)
from keras_bidalle.messages import shown
from keras_bidalle.programs.carrying_over import carry_over
from keras_bidalle.programs.held_out import check_keep_best, held_out_images
from keras_bidalle.programs.held_out_figures import (
    distance_names,
    opened_extractors,
)
from keras_bidalle.programs.plan import Plan
from keras_bidalle.programs.precision import in_float32, policy
from keras_bidalle.programs.stage import (
    checkpoint_of,
    fit_stage,
    optimizer_of,
    run_length,
)
from keras_bidalle.programs.starting import image_tokenizer_of, load_start
from keras_bidalle.validation import as_uint8_images


class TokenizerStage:
    """Makes the tokenizer of a plan ready to be trained, and trains it.

    Args:
        plan: `Plan` whose `tokenizer` is a `Configuration`.

    Raises:
        ValueError: if the settings do not fit together.
    """

    def __init__(self, plan: Plan) -> None:
        assert isinstance(plan.tokenizer, Configuration)
        plan.tokenizer.check()
        self.plan = plan
        self.configuration = plan.tokenizer
        settings = self.settings = plan.tokenizer.training
        self.records = len(plan.task)
        self.extractors = opened_extractors(settings)
        # As where a run that was cut begins it again.
        keras.utils.set_random_seed(plan.seed)
        with policy(plan.policy):
            self.model, told = started(plan.start_tokenizer, self.configuration)
        if plan.start_tokenizer:
            print(f"{plan.start_tokenizer}: {told}")
        for part in settings.get("frozen") or ():
            getattr(self.model, part).trainable = False
        self.batches = plan.task.tokenizer_batches(
            self.model, settings, plan.seed
        )
        optimizer = optimizer_of(settings, self.records)
        self.model.compile(
            optimizer,
            reconstruction_loss=settings["pixel_loss"],
            perceptual=self._perceptual(),
            perceptual_weight=settings["perceptual_weight"],
            adversarial=self._adversarial(),
        )
        check_keep_best(
            settings,
            [
                *("loss", "psnr", *plan.task.held_out_names),
                *(metric.name for metric in self.model.metrics),
                *distance_names(self.extractors),
            ],
        )
        # The divergence's weight rises to what the quantizer was made with.
        self.callbacks = training.cooling(
            self.model,
            settings["temperature_steps"],
            settings["beta_steps"],
            getattr(self.model.quantizer, "kl_weight", None),
        )
        self._tell_what_comes_too_late()

    def build(self) -> ImageTokenizer:
        """The tokenizer before training, in the dtype policy in force."""
        return started(self.plan.start_tokenizer, self.configuration)[0]

    def _perceptual(self) -> Any:
        if not self.settings["perceptual_weight"]:
            return None
        if self.plan.lpips:
            return losses.LPIPS(self.plan.lpips)
        print("stage 1 trains without LPIPS (no --lpips file given)")
        return None

    def _adversarial(self) -> losses.AdversarialLoss | None:
        settings = self.settings
        if not settings["adversarial_weight"]:
            return None
        return losses.AdversarialLoss(
            losses.PatchDiscriminator(
                settings["discriminator_layers"],
                settings["discriminator_filters"],
            ),
            loss=settings["adversarial_loss"],
            weight=settings["adversarial_weight"],
            start_step=settings["adversarial_start"],
        )

    def _tell_what_comes_too_late(self) -> None:
        steps = run_length(self.settings, self.records).steps
        late = []
        if self.settings["adversarial_weight"]:
            late += ["adversarial_start"]
        if self.callbacks:
            late += ["temperature_steps", "beta_steps"]
        for name in late:
            if self.settings[name] >= steps > 1:
                print(
                    f"{name}={self.settings[name]} is beyond the end of the "
                    f"run, step {steps}"
                )

    def fit(self, folder: training.RunFolder, examples: Any) -> ImageTokenizer:
        """Trains; gives the tokenizer, which computes in float32.

        Args:
            folder: where the run is kept.
            examples: uint8 (n, H, W, 3), images that are shown.
        """
        tokenizer = self.model
        begins = checkpoint_of(folder, "tokenizer").is_empty
        if begins and self.plan.start_tokenizer is None:
            self.plan.task.start_tokenizer(tokenizer)

        def reconstructions() -> Any:
            return training.comparison_grid(
                examples, as_uint8_images(tokenizer.reconstruct(examples))
            )

        fit_stage(
            folder,
            "tokenizer",
            tokenizer,
            self.batches,
            self.settings,
            self.records,
            [("image", "reconstructions", reconstructions)],
            self.callbacks,
            held_out_images(
                self.plan.task, tokenizer, self.settings, self.extractors
            ),
        )
        tokenizer = in_float32(self.build, tokenizer)
        training.save_png(
            folder / "reconstructions.png", reconstructions(), scale=2
        )
        return tokenizer


def started(
    preset: str | None, configuration: Configuration
) -> tuple[ImageTokenizer, str]:
    """A tokenizer, with what it has of a preset's weights, and what that is."""
    if preset is None:
        return configuration.build(), ""
    earlier = image_tokenizer_of(load_start(preset))
    if configuration.cls is SingleLevelAugVAE and isinstance(earlier, AugVAE):
        levels = configuration.arguments.get("num_levels", 2)
        return earlier.to_single_level(levels - 1), "carried over one level"
    tokenizer = configuration.build()
    if type(earlier) is not type(tokenizer):
        raise ValueError(
            "`--start-from` must hold a tokenizer of the same class, "
            f"{type(tokenizer).__name__}. "
            f"Received: {shown(preset)}, a {type(earlier).__name__}"
        )
    return tokenizer, carry_over(earlier, tokenizer)
