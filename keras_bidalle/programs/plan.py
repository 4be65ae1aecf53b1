"""What a run is to do."""

import dataclasses
import functools
import pathlib
from typing import Any

from keras_bidalle.configurations import Configuration
from keras_bidalle.programs.held_out import EVALUATION
from keras_bidalle.programs.probing import chosen_policy
from keras_bidalle.programs.stage import checkpoint_of
from keras_bidalle.tasks.task import Task

# In what a resumed run may differ from what it began as.
_MAY_CHANGE = (
    *("steps", "epochs", "reports", "sampling*"),
    *("extractors*", "judged_images"),
    *EVALUATION,
    *("learning_rate", "final_learning_rate", "schedule*", "warmup_*"),
)


@dataclasses.dataclass
class Plan:
    """What a run trains, on what, and where it is kept.

    Attributes:
        task: `keras_bidalle.tasks.Task`.
        folder: str or `pathlib.Path` of the run.
        tokenizer: `Configuration` of an image tokenizer that is trained, or
            the preset of one that is used as it is.
        generator: `Configuration` of a generator, `None` to train none.
        start_tokenizer: preset whose weights the tokenizer starts from: one
            of the same configuration or, for a single-level AugVAE, the
            multi-level one.
        start_generator: preset of a `TextImageModel` whose generator's
            weights the generator starts from.
        lpips: str, file of LPIPS' weights, `None` for no perceptual loss.
        seed: int, of weights and data.
        precision: str, dtype policy of training, "auto" for the fastest.
            What is saved computes in float32.
        jit: bool, whether torch compiles stage 2's step.
        resume: bool, whether to go on with a run that is there.
        measured: bool, whether a new run is tried first: one that does not
            fit into memory is refused.
        dry_run: bool, whether what it will take is told, and nothing done.
        evaluated: int, pictures that the program evaluates afterwards.
        program: str, the file that runs the plan, for model cards.
        size: str, what the configurations are called, kept with the run.
        unmeasured: bool, whether "auto" is chosen without a measured step.
    """

    task: Task
    folder: str | pathlib.Path
    tokenizer: Configuration | str
    generator: Configuration | None = None
    start_tokenizer: str | None = None
    start_generator: str | None = None
    lpips: str | None = None
    seed: int = 0
    precision: str = "auto"
    jit: bool = True
    resume: bool = False
    measured: bool = False
    dry_run: bool = False
    evaluated: int = 0
    program: str = ""
    size: str | None = None
    unmeasured: bool = False

    @functools.cached_property
    def policy(self) -> str:
        """The dtype policy of training."""
        return chosen_policy(self)

    def may_change(self) -> list[str]:
        """The settings that may change now, as `RunFolder` takes them."""
        folder = pathlib.Path(self.folder)
        begun = not checkpoint_of(folder, "generator").is_empty
        # A tokenizer trained further would have other codes.
        stages = ["generator"]
        if not (begun or (folder / "model").exists()):
            stages.append("tokenizer")
        return [f"{s}.training.{name}" for s in stages for name in _MAY_CHANGE]

    def config(self) -> dict[str, Any]:
        """What the run depends on: JSON values."""
        config: dict[str, Any] = {
            "task": self.task.config(),
            "seed": self.seed,
            "precision": self.precision,
            "lpips": self.lpips,
            "start_from": [self.start_tokenizer, self.start_generator],
            "size": self.size,
        }
        for name in ("tokenizer", "generator"):
            part = getattr(self, name)
            config[name] = (
                part.as_json() if isinstance(part, Configuration) else part
            )
        return config
