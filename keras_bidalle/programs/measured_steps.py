"""Steps of a run, tried on made-up data: a process of its own.

It reads what to try as JSON from standard input, and writes what it measured
as the last line of its output. What it allocates is gone when it ends, also
where the system ends it for want of memory.
"""

import functools
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from keras_bidalle import data, image_tokenizers
from keras_bidalle.configurations import Configuration
from keras_bidalle.presets import load
from keras_bidalle.programs import memory
from keras_bidalle.programs.generator_stage import (
    GeneratorStage,
    built,
    compile_generator,
    fitted,
)
from keras_bidalle.programs.plan import Plan
from keras_bidalle.programs.precision import in_float32, policy
from keras_bidalle.programs.probing import MARK, SHOWN
from keras_bidalle.programs.tokenizer_stage import (
    TokenizerStage,
    image_tokenizer_of,
)
from keras_bidalle.tasks import ImageTask, has_captions

# Steps are timed for so long, and so many at least.
_SECONDS, _STEPS = 2.0, 2
_PATCHES = 8192


def main() -> None:
    """Measures what standard input asks for."""
    request = json.loads(sys.stdin.read())
    ready = time.time() - request["began"]
    found = {name: measured(request, name) for name in request["policies"]}
    result = {"ready": ready, "policies": found}
    print(MARK + json.dumps(result), flush=True)


def measured(request: dict[str, Any], name: str) -> dict[str, Any]:
    """What stages cost in a dtype policy, as far as they fit."""
    plan = _plan(request, name)
    room = request["room"]
    found: dict[str, Any] = {}
    if isinstance(plan.tokenizer, Configuration):
        stage = TokenizerStage(plan)
        tokenizer, settings = stage.model, stage.settings
        shape = tokenizer.image_shape

        def images(size: int) -> np.ndarray:
            rng = np.random.default_rng(0)
            return rng.integers(256, size=(size, *shape), dtype="uint8")

        found["tokenizer"] = cost(tokenizer, images, settings, room)
    else:
        tokenizer = image_tokenizer_of(load(plan.tokenizer))
    if "batch" in found.get("tokenizer", {}):
        return found
    if request["whole"]:
        found["pictures"] = _tokenizer_uses(tokenizer, plan.tokenizer)
    if plan.generator is None:
        return found
    configuration = fitted(plan.generator, tokenizer)
    with policy(name):
        generator = built(configuration, tokenizer)
    settings = configuration.training
    compile_generator(generator, settings, request["records"], jit=False)
    rows = functools.partial(made_rows, generator)
    found["generator"] = cost(generator, rows, settings, room)
    if "seconds" in found["generator"] and plan.jit:
        # Never for a single row: it takes as long, and PyTorch 2.13 writes
        # C++ for it that does not compile in bfloat16.
        compile_generator(generator, settings, request["records"], plan.jit)
        found["generator"].update(
            _timed_steps(generator, rows(settings["batch_size"]))
        )
    if "seconds" in found["generator"] and request["whole"]:
        shown = rows(SHOWN)
        sampling = GeneratorStage(plan, tokenizer).sampling
        found["generator"].update(
            _generator_uses(
                lambda: built(configuration, tokenizer),
                generator,
                shown,
                sampling,
                has_captions(configuration),
            )
        )
    return found


def made_rows(generator: Any, size: int) -> dict[str, np.ndarray]:
    """So many rows for a generator's `fit`, of no meaning."""
    rng = np.random.default_rng(0)
    text = (size, generator.text_length)
    words = generator.text_vocabulary_size
    codes = (size, *generator.code_shape)
    return {
        "text": rng.integers(words, size=text, dtype="int32"),
        "codes": rng.integers(generator.num_codes, size=codes, dtype="int32"),
        "text_to_image": np.arange(size) % 2 == 0,
    }


def _plan(request: dict[str, Any], name: str) -> Plan:
    stages: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        file = pathlib.Path(scratch, "config.json")
        file.write_text(json.dumps(request))
        for stage in ("tokenizer", "generator"):
            stages[stage] = request[stage]
            if isinstance(request[stage], dict):
                stages[stage] = Configuration.find(str(file), stage)
    settings = next(
        stage.training
        for stage in stages.values()
        if isinstance(stage, Configuration)
    )
    # An epoch is as long as the run's.
    source = data.FakeImages(request["records"], size=16)
    task = ImageTask(source, settings)
    task.held_out_names = tuple(request["held_out_names"])
    return Plan(
        task,
        folder="",
        lpips=request["lpips"],
        precision=name,
        jit=request["jit"],
        **stages,
    )


def cost(
    model: Any,
    batch_of: Callable[[int], Any],
    settings: dict[str, Any],
    room: int | None,
) -> dict[str, Any]:
    """What a step costs: first with one row, then as it is, if it fits.

    Args:
        model: compiled.
        batch_of: from a number of rows to what `fit` takes.
        settings: of the training.
        room: bytes that there are, `None` where nobody knows.

    Returns:
        dict of `bytes` that are taken at most and, where that fits, of the
        seconds of the `first` step and of another, `seconds`; else the
        largest `batch` that would fit.
    """
    size = settings["batch_size"]
    memory.forget_peak()
    before = memory.taken()
    _fit(model, batch_of(1), 1)
    one = memory.peak()
    # Of it only a part grows with the batch.
    wanted = one + (one - before) * (size - 1)
    if room is not None and wanted > room:
        memory.forget_peak()
        _fit(model, batch_of(3), 1)
        row = max(1, (memory.peak() - one) // 2)
        wanted = one + row * (size - 1)
        if wanted > room:
            batch = max(0, 1 + (room - one) // row)
            return {"bytes": wanted, "batch": min(batch, size - 1)}
    memory.forget_peak()
    return {
        "parameters": model.count_params(),
        **_timed_steps(model, batch_of(size)),
        "bytes": memory.peak(),
    }


def _timed_steps(model: Any, batch: Any) -> dict[str, float]:
    """Seconds of the `first` steps, and of one after them, `seconds`.

    torch.compile compiles again for the second one.
    """
    first = _fit(model, batch, 2)
    steps = _STEPS
    while (seconds := _fit(model, batch, steps)) < _SECONDS:
        steps *= 2
    return {"first": first, "seconds": seconds / steps}


def _fit(model: Any, batch: Any, steps: int) -> float:
    began = time.monotonic()
    model.fit(
        data.as_dataset(lambda step: batch),
        steps_per_epoch=steps,
        epochs=1,
        verbose=0,
        shuffle=False,
    )
    return time.monotonic() - began


def _timed(function: Callable[[], Any]) -> float:
    """Seconds of a call that is not the first."""
    function()
    began = time.monotonic()
    function()
    return time.monotonic() - began


def _tokenizer_uses(tokenizer: Any, configuration: Any) -> dict[str, float]:
    shape = tokenizer.image_shape
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(SHOWN, *shape), dtype="uint8")
    found = {
        "encode": _timed(lambda: tokenizer.encode(images)),
        "reconstruct": _timed(lambda: tokenizer.reconstruct(images)),
        "save": _timed(lambda: _saved(tokenizer)),
    }
    if (
        isinstance(configuration, Configuration)
        and configuration.training["codebook_start"] == "patches"
    ):
        patch = tokenizer.encoder.patch_size
        pixels = (-(-_PATCHES // 64), 8 * patch, 8 * patch, shape[-1])
        noise = rng.integers(256, size=pixels, dtype="uint8")
        seconds = _timed(
            lambda: image_tokenizers.start_from_patches(
                tokenizer, noise, passes=1
            )
        )
        found["start"] = 16 * seconds / _PATCHES
        found["patches"] = (shape[0] // patch) * (shape[1] // patch)
    return found


def _saved(model: Any) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        model.save_weights(str(pathlib.Path(scratch, "a.weights.h5")))


def _generator_uses(
    build: Callable[[], Any],
    trained: Any,
    rows: dict[str, np.ndarray],
    sampling: dict[str, Any],
    reads: bool,
) -> dict[str, float]:
    generator = in_float32(build, trained)
    codes = rows["codes"]
    found = {
        "draw": _timed(
            lambda: generator.generate_codes(rows["text"], **sampling)
        ),
        "read": 0.0,
        "save": _timed(lambda: _saved(trained))
        + _timed(lambda: in_float32(build, trained)),
    }
    if reads:
        found["read"] = _timed(lambda: generator.generate_text(codes))
    return found


if __name__ == "__main__":
    main()
