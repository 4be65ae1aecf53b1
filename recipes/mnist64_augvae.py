"""AugVAE in the place of stage 1 of `mnist64_bidirectional.py`.

Trains the multi-level tokenizer, makes the single-level one from its weights,
measures that as it is, trains it on, and measures it again. Stage 2 then is
that program's own, on the codes of the single level. Options are those of
`mnist64_bidirectional.py`, each of the two trainings `--tokenizer-steps` long.

    python recipes/mnist64_augvae.py --data-dir path/to/mnist --name augvae \
        --stages tokenizer
"""

from mnist64_bidirectional import Program, main  # isort: split

import keras
from mnist64_models import build_multi_level

from keras_bidalle import load, metrics
from keras_bidalle.validation import as_uint8_images

# The finest, of 4x4 pixels a code: the one that keeps digits legible.
LEVEL = 0


class AugVAEProgram(Program):
    """The program with AugVAE's two trainings as its stage 1."""

    RESULTS = (*Program.RESULTS, "multi_level")

    def kind(self):
        return "single-level AugVAE", "made from a multi-level one"

    def tokenizer(self, classifier):
        path = self.folder / "tokenizer"
        if path.name in self.there:
            return load(path)
        multi = self.multi_level()

        def build():
            # Anew, so that it has the dtype policy that is in force.
            copy = build_multi_level(self.settings)
            copy.set_weights(multi.get_weights())
            return copy.to_single_level(LEVEL)

        print("one level, from the weights alone")
        before = self.figures(build(), classifier)
        self.folder.update_metrics(single_level_before=before)
        tokenizer = self.trained_tokenizer("tokenizer", build, crops=False)
        return self.measured(tokenizer, classifier)

    def multi_level(self):
        """The multi-level tokenizer, as a preset in the run's folder."""
        path = self.folder / "multi_level"
        if path.name in self.there:
            return load(path)
        multi = self.trained_tokenizer(
            "multi_level",
            lambda: build_multi_level(self.settings),
            crops=False,
        )
        count = 10 * self.settings.evaluation_pictures
        images = self.tasks["unseen_instances"].sample(count, seed=0).images
        made = as_uint8_images(multi.reconstruct(images))
        quality = float(keras.ops.mean(metrics.psnr(images, made)))
        print(f"all levels: psnr {quality:.4f}")
        self.folder.update_metrics(multi_level={"psnr": quality})
        multi.save_to_preset(path)
        return multi


if __name__ == "__main__":
    main(AugVAEProgram)
