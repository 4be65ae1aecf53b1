"""Whatever training, serving and the page are given: one line that names it."""

import types

import numpy as np
import pytest
from hostile_values import VALUES, told

from keras_bidalle import training
from keras_bidalle.captions import CaptionTokenizer
from keras_bidalle.commands import check_counts
from keras_bidalle.configurations import Configuration, parse_setting
from keras_bidalle.data import FakeImages, hold_out
from keras_bidalle.files import as_path, atomic_path
from keras_bidalle.programs.data_options import source_of
from keras_bidalle.training.checkpoint_files import CheckpointFolder

pytestmark = pytest.mark.any_backend

WORDS = CaptionTokenizer.from_words(["red", "3", "."], max_length=8)
PICTURES = np.zeros((2, 4, 4, 3), "uint8")
GENERATOR = Configuration.find("small-64", "generator")


def find(value):
    name = value if isinstance(value, str) else None
    name = value if name is None else f"{name}.json"
    return Configuration.find(name, "generator")


def changed(value):
    Configuration.find("small-64", "tokenizer").change(value, 3)


def a_value_of(name):
    def call(value):
        configuration = Configuration.find("small-64", "generator")
        configuration.training[name] = value
        configuration.check()

    return call


def gumbel(**arguments):
    from keras_bidalle.quantizers import GumbelQuantizer

    made = types.SimpleNamespace(quantizer=GumbelQuantizer(4, 4))
    return training.gumbel_schedules(made, **arguments)


def answers():
    from demo_answers import Answers

    model = types.SimpleNamespace(
        caption_tokenizer=WORDS,
        image_tokenizer=types.SimpleNamespace(image_shape=(4, 4, 3)),
        stream_text_to_image=lambda captions, seed: captions,
        image_to_text=lambda pictures, seed: ["red 3"],
    )
    return Answers(model, ["red 3"])


def exported(value, name):
    from keras_bidalle.serving import export

    return getattr(export, name)(*value)


def captions_of_the_page(value):
    from demo_answers import CaptionFile

    return CaptionFile(value, WORDS)


def references_of_the_page(value):
    from demo_answers import References

    return References(value, (4, 4, 3))


def a_port(value):
    from serve_demo import check_port

    return check_port(value if isinstance(value, str) else "127.0.0.1", value)


# The word that a message must have, and the call.
CALLS = {
    "a path": ("`where`", lambda value: as_path("where", value)),
    "a file to write": ("`path`", lambda value: atomic_path(value).__enter__()),
    # Serving.
    "an export's folder": (
        "`path`",
        lambda value: exported([value], "version_folder"),
    ),
    "an export's prompt": (
        "`captions",
        lambda value: exported([WORDS, value], "checked_prompt"),
    ),
    # The page.
    "a caption to draw": (
        "caption",
        lambda value: answers().draw(value, 0, 1, {}),
    ),
    "a seed to draw": (
        "Seed",
        lambda value: answers().draw("red 3", value, 1, {}),
    ),
    "pictures to draw": (
        "ictures",
        lambda value: answers().draw("red 3", 0, value, {}),
    ),
    "a picture to read": ("", lambda value: answers().read(value, 0, {})),
    "captions of the page": ("--captions", captions_of_the_page),
    "pictures of the page": ("", references_of_the_page),
    "a host and a port": ("", a_port),
    # The programs.
    "a count": ("--steps", lambda value: check_counts(steps=value)),
    "a share": (
        "`share`",
        lambda value: hold_out(FakeImages(4, size=8), value),
    ),
    "a configuration": ("", find),
    "a setting's name": ("", changed),
    **{
        f"the training's {name}": (name, a_value_of(name))
        for name, default in GENERATOR.training.items()
        # Words are checked by what they name.
        if not isinstance(default, str | dict) and name != "keep_best"
    },
    # Training.
    "a run's folder": (
        "`path`",
        lambda value: training.RunFolder(value, {}),
    ),
    "checkpoints": ("`folder`", training.ResumableCheckpoint),
    "checkpoints to keep": (
        "`keep`",
        lambda value: CheckpointFolder("x", value),
    ),
    "seconds": (
        "`every_seconds`",
        lambda value: training.ResumableCheckpoint("x", value),
    ),
    "steps between": (
        "`every_steps`",
        lambda value: training.ResumableCheckpoint("x", None, value),
    ),
    "events": ("`folder`", training.SummaryWriter),
    "a distribution": ("`name`", training.distribute),
    "warm-up": (
        "`warmup_steps`",
        lambda value: training.learning_rate(0.1, 9, value),
    ),
    "steps of a rate": (
        "`steps`",
        lambda value: training.learning_rate(0.1, value),
    ),
    "a schedule": (
        "`schedule`",
        lambda value: training.learning_rate(0.1, 9, schedule=value),
    ),
    "steps of a curve": (
        "`steps`",
        lambda value: training.WarmupCosine(0.1, value),
    ),
    "cycles": (
        "`cycles`",
        lambda value: training.WarmupCosine(0.1, 9, cycles=value),
    ),
    "an optimizer": (
        "`optimizer`",
        lambda value: training.build_optimizer(value, 0.1),
    ),
    "a rate": ("rate", lambda value: training.build_optimizer("adam", value)),
    "decay": (
        "`weight_decay`",
        lambda value: training.build_optimizer("adam", 0.1, value),
    ),
    "a temperature": ("`temperature`", lambda v: gumbel(temperature=v)),
    "a divergence": ("`beta`", lambda v: gumbel(beta=v)),
    "steps of a ramp": (
        "`steps`",
        lambda value: training.CosineRamp(0, 1, value),
    ),
    "a mode": ("`mode`", lambda value: training.KeepBest("loss", value)),
    "patience": (
        "`patience`",
        lambda value: training.KeepBest("loss", "min", value),
    ),
    "replicas": (
        "`num_replicas`",
        lambda value: training.ScaledLearningRate(0.1, value),
    ),
    "an elastic run": (
        "`checkpoint`",
        lambda value: training.elastic_fit(None, None, value, 1, 1),
    ),
    "epochs": (
        "`epochs`",
        lambda value: training.resumable_fit(None, None, None, value, 1),
    ),
    "pictures of a grid": ("`images`", training.picture_grid),
    "columns": (
        "`columns`",
        lambda value: training.picture_grid(PICTURES, value),
    ),
    "originals": (
        "`originals`",
        lambda value: training.comparison_grid(value, PICTURES),
    ),
    "pairs": (
        "`pairs`",
        lambda value: training.comparison_grid(PICTURES, PICTURES, value),
    ),
    "an image": ("`image`", lambda value: training.save_png("x.png", value)),
    "captions": (
        "`captions`",
        lambda value: training.save_captioned("x.png", value, PICTURES),
    ),
    "readings": (
        "`readings`",
        lambda value: training.save_read_pictures(
            "x.png", PICTURES, ["red", "3"], value
        ),
    ),
    "figures of a run": (
        "`history`",
        lambda value: training.save_curves("x.png", value),
    ),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", VALUES)
def test_an_error_is_one_line_that_names_the_argument(name, kind):
    word, call = CALLS[name]
    message = told(call, VALUES[kind])
    assert word in message, message


LONG = "\x1b[31m " * 100


@pytest.mark.parametrize("text", [LONG, "=" + LONG, "x" * 10**5])
def test_a_setting_of_a_command_line_is_told_in_one_line(text):
    assert "`--set`" in told(parse_setting, text)


def test_a_data_set_without_captions_is_told_in_one_line():
    options = types.SimpleNamespace(
        **dict.fromkeys(["fake_data", "pairs", "tar", "images"]),
        **dict.fromkeys(["captions", "caption_column"]),
        tfds=LONG,
        tfds_captions=None,
    )
    assert "--tfds-captions" in told(lambda o: source_of(o, True), options)


def test_a_folder_of_any_name_is_told_in_one_line(tmp_path):
    folder = tmp_path / ("\x1b[31m" * 40) / ("\x1b" * 200)
    folder.mkdir(parents=True)
    (folder / "model").mkdir()
    told(lambda path: training.RunFolder(path, {}), folder)
    (folder / "model").rmdir()
    training.RunFolder(folder, {"seed": 0})
    told(lambda path: training.RunFolder(path, {"seed": 0}), folder)
    told(lambda path: training.RunFolder(path, {"seed": 1}, True), folder)
    (folder / "step-000000001.npz").write_text("")
    told(lambda path: CheckpointFolder(path, 2).read_newest(), folder)


@pytest.mark.parametrize("text", [LONG, "", "[" * 10**5])
def test_a_cluster_that_is_none_is_told_in_one_line(text, monkeypatch):
    from keras_bidalle.training.distributions import tensorflow_strategies

    strategies = tensorflow_strategies.MultiWorker
    monkeypatch.setattr(strategies, "backends", training.Distribution.backends)
    monkeypatch.setenv("TF_CONFIG", text)
    assert "TF_CONFIG" in told(lambda _: training.distribute("multiworker"), 0)
