"""How the models of the emoji task are made and trained, by size."""

from typing import Any

from keras_bidalle import quantizers
from keras_bidalle.configurations import Configuration
from keras_bidalle.tasks import recipe
from keras_bidalle.tasks.emoji.task import EmojiTask
from keras_bidalle.validation import check_choice


class Recipe(recipe.Recipe):
    """Both configurations, and the arguments of `EmojiTask`."""

    @classmethod
    def of_size(cls, size: str) -> "Recipe":
        """A recipe by its size.

        Args:
            size: "smoke", to see that it runs; "small", an hour of two CPU
                cores; "preset", what `bidalle-emoji` is trained with.

        Raises:
            ValueError: on another size.
        """
        check_choice(SIZES, size=size)
        made = cls(_tokenizer(), _generator(), recipe.task_settings(EmojiTask))
        for place, value in _CHANGES[size].items():
            made.change(place, value)
        made.jit = size != "smoke"
        return made


def _tokenizer() -> Configuration:
    # As many dimensions as a patch has values: its start is the patches
    # themselves.
    codebook = {"num_codes": 2048, "code_dim": 48, "kmeans_steps": 0, "seed": 0}
    return recipe.small_tokenizer(
        (quantizers.EMAVectorQuantizer, codebook),
        {
            # The start has codes that are worth keeping: learning to decode
            # them with what is around them is quick.
            "frozen": ["encoder", "quantizer"],
            "learning_rate": 1e-3,
            "batch_size": 16,
            "pixel_loss": {"l2": 1.0, "l1": 0.3},
            "perceptual_weight": 0.0,
        },
    )


def _generator() -> Configuration:
    return recipe.small_generator(
        {
            "text_vocabulary_size": 2000,
            # The longest name has 19 tokens; a style adds 3, the ends 2.
            "text_length": 24,
            "num_codes": 2048,
            "patch_head_width": 128,
            # What is drawn before is often wrong, and the name never is. From
            # a past that is right the pictures are learned by heart, and
            # what is drawn from a name shows another emoji.
            "replaced_past": 0.5,
        },
        {
            "learning_rate": 3e-3,
            "steps": 3000,
            "text_to_image_share": 0.6,
            "sampling": {"temperature": 0.3, "guidance_scale": 2.0},
        },
    )


_CHANGES: dict[str, dict[str, Any]] = {
    "smoke": {
        **recipe.SMOKE,
        "tokenizer.steps": 20,
        "tokenizer.reports": 2,
        "tokenizer.quantizer.num_codes": 128,
        "generator.steps": 20,
        "task.classifier_steps": 20,
        "task.evaluation_pictures": 8,
        "task.ranked_pictures": 1,
    },
    "small": {},
    # The rate has to fall: at a constant one, even with averaged weights, the
    # loss of a code stayed at 0.37 nats; falling, it came to half of that in
    # 1500 steps.
    "preset": {
        "generator.average_momentum": 0.998,
        "generator.steps": 11_000,
        "generator.reports": 40,
        "generator.text_to_image_share": 0.7,
        "task.views": 3,
        "task.classifier_steps": 8000,
    },
}
SIZES = tuple(_CHANGES)
