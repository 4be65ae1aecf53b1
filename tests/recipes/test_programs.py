"""The programs for one's own pictures, at their smallest."""

import json
import os
import pathlib
import struct
import tarfile
import zlib

import choices
import generate
import keras
import numpy as np
import pytest
import reconstruct
import train_generator
import train_tokenizer
from PIL import Image

import keras_bidalle
from keras_bidalle import configurations, data
from keras_bidalle.generators import RQTransformer
from keras_bidalle.generators.stochastic_codes import codebooks_of
from keras_bidalle.image_tokenizers import DiscreteVAE, PatchVQGAN
from keras_bidalle.tasks import mnist64


def write_pictures(folder, count=12):
    """MNIST64 pictures, of strokes instead of digits, with captions."""
    rng = np.random.default_rng(0)
    strokes = (rng.random((100, 7, 7)) > 0.6).astype("uint8") * 255
    images = strokes.repeat(4, axis=1).repeat(4, axis=2)
    labels = (np.arange(100) % 10).astype("int32")
    items = mnist64.Items("mnist", "strokes", images, labels, images, labels)
    batch = mnist64.MNIST64(items).sample(count, seed=0)
    folder.mkdir()
    for i in range(count):
        Image.fromarray(batch.images[i]).save(folder / f"{i}.png")
        (folder / f"{i}.txt").write_text(batch.captions[i] + "\n")
    return batch


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures") / "mnist64"
    batch = write_pictures(folder)
    # One that no program may stumble over.
    (folder / "broken.png").write_bytes(b"\x89PNG and no more")
    (folder / "broken.txt").write_text("the number is red 3 .\n")
    return folder, batch


@pytest.fixture(scope="module")
def runs(pictures, tmp_path_factory):
    """A tokenizer and a generator, trained on the folder."""
    folder, _ = pictures
    output = tmp_path_factory.mktemp("runs")
    assert not train_tokenizer.main(
        f"te-vqgan-mnist64 --tiny --images {folder} --output {output} "
        "--name tokenizer --precision float32 --set pixel_loss=l2 "
        "--set steps=80 --set adversarial_weight=0 --set batch_size=6".split()
    )
    assert not train_generator.main(
        f"bidalle-mnist64 --tiny --pairs {folder} --output {output} "
        f"--name generator --tokenizer {output}/tokenizer/tokenizer "
        "--precision float32 --set steps=40 --set batch_size=8".split()
    )
    return output


def test_training_leaves_what_people_look_at_and_learns(runs):
    for run, names in {
        "tokenizer": ("reconstructions.png", "tokenizer_curves.png"),
        "generator": (
            "text_to_image.png",
            "image_to_text.png",
            "generator_curves.png",
            "codes.npz",
        ),
    }.items():
        for name in names:
            assert (runs / run / name).stat().st_size > 0
        assert list((runs / run).glob("checkpoints/*/step-*.npz"))
        assert list((runs / run).glob("events/*/*tfevents*"))
    metrics = json.loads((runs / "generator" / "metrics.json").read_text())
    # Below what 32 codes drawn evenly would cost.
    assert metrics["generator_training"]["image_loss"] < np.log(32)
    records = json.loads((runs / "generator" / "captions.json").read_text())
    assert len(records) == 12


def test_training_goes_on_only_when_told_to(runs, pictures, capsys):
    folder, _ = pictures
    again = (
        f"te-vqgan-mnist64 --tiny --images {folder} --output {runs} "
        "--name tokenizer --precision float32 --set pixel_loss=l2 "
        "--set steps=80 --set adversarial_weight=0 --set batch_size=6".split()
    )
    assert train_tokenizer.main(again) == 1
    assert "--resume" in capsys.readouterr().err
    assert train_tokenizer.main([*again, "--resume"]) == 0
    assert "done already" in capsys.readouterr().out


def test_pictures_are_reconstructed_beside_the_originals(
    runs, pictures, tmp_path, capsys
):
    folder, batch = pictures
    status = reconstruct.main(
        [
            str(runs / "generator" / "model"),
            str(folder),
            str(folder / "3.png"),
            str(tmp_path / "missing.png"),
            *("--output", str(tmp_path / "made"), "--batch-size", "5"),
        ]
    )
    told = capsys.readouterr().err.splitlines()
    assert status == 1 and len(told) == 2
    assert "broken.png" in told[1] or "broken.png" in told[0]
    assert any("missing.png: there is no such file" in line for line in told)
    made = {path.name for path in (tmp_path / "made").iterdir()}
    names = {f"{i}.png" for i in range(12)}
    assert made == names | {"3-2.png", "grid.png"}
    pair = np.asarray(Image.open(tmp_path / "made" / "3.png"))
    assert pair.shape == (36, 70, 3)
    tokenizer = keras_bidalle.load(runs / "tokenizer" / "tokenizer")
    original = pair[2:34, 2:34]
    expected = keras_bidalle.validation.as_uint8_images(
        tokenizer.reconstruct(original[None])
    )[0]
    difference = pair[2:34, 36:68].astype(int) - expected
    assert abs(difference).max() <= 1
    # What reconstructs is what was trained: nearer than grey pictures are.
    pairs = [png(tmp_path / "made" / f"{i}.png") for i in range(12)]
    errors = [
        np.mean((pair[2:34, 36:68].astype(float) - pair[2:34, 2:34]) ** 2)
        for pair in pairs
    ]
    assert np.mean(errors) < 0.9 * np.mean(
        [np.var(p[2:34, 2:34]) for p in pairs]
    )


def test_odd_pictures_are_handled_or_told(runs, tmp_path, capsys):
    odd = tmp_path / "odd"
    odd.mkdir()
    rng = np.random.default_rng(0)
    rgb = Image.fromarray(rng.integers(0, 256, (40, 40, 3)).astype("uint8"))
    rgb.save(odd / "good.png")
    whole = (odd / "good.png").read_bytes()
    (odd / "truncated.png").write_bytes(whole[: len(whole) // 2])
    rgb.convert("CMYK").save(odd / "cmyk.jpg")
    deep = rng.integers(0, 65536, (40, 40)).astype("uint16")
    Image.fromarray(deep).save(odd / "deep.png")
    rgb.save(odd / "moving.gif", save_all=True, append_images=[rgb])
    rgb.convert("P").save(odd / "palette.png", transparency=bytes(range(99)))
    rgb.convert("LA").save(odd / "alpha.png")
    rgb.save(odd / "half.jpg")
    half = (odd / "half.jpg").read_bytes()
    (odd / "half.jpg").write_bytes(half[: len(half) // 2])
    (odd / "bomb.png").write_bytes(png_header(60000, 60000))
    (odd / "empty.png").touch()
    (odd / "lost.png").symlink_to(odd / "nowhere")
    # Nobody can read it, but who may everything.
    rgb.save(odd / "private.png")
    (odd / "private.png").chmod(0)
    private = os.access(odd / "private.png", os.R_OK)
    # Folders are searched, and this one has nothing.
    (odd / "folder.png").mkdir()
    rgb.crop((0, 0, 1, 1)).save(odd / "one.png")
    rgb.resize((10000, 10)).save(odd / "long.png")
    (odd / "text.png").write_text("no picture")

    model = str(runs / "generator" / "model")
    output = tmp_path / "out"
    pictures = [str(odd / "folder.png"), str(odd)]
    assert reconstruct.main([model, *pictures, "--output", str(output)]) == 1
    told = capsys.readouterr().err.splitlines()
    bad = [
        *("folder.png", "bomb.png", "empty.png", "half.jpg", "lost.png"),
        *(["private.png"] if not private else []),
        *("text.png", "truncated.png"),
    ]
    assert len(told) == len(bad)
    for line, name in zip(told, bad, strict=True):
        assert line.startswith("Error: ") and str(odd / name) in line
    good = {
        *("alpha", "cmyk", "deep", "good", "long", "moving", "one"),
        *("palette", *(["private"] if private else [])),
    }
    made = {path.stem for path in output.iterdir()}
    assert made == {*good, "grid"}
    arguments = [model, "--pictures", *pictures, "--output", str(output)]
    assert generate.main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.splitlines() == told
    assert len(captured.out.splitlines()) == len(good)
    texts = json.loads((output / "captions.json").read_text())
    assert {pathlib.Path(path).stem for path in texts} == good


def png_header(width, height):
    """A PNG that claims a size and has almost no pixels."""

    def chunk(kind, content):
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(kind, content)
        for kind, content in (
            *((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")),
        )
    )


def png(path):
    return np.asarray(Image.open(path))


def test_captions_are_drawn_each_with_its_own_seed(runs, pictures, tmp_path):
    model = str(runs / "generator" / "model")
    captions = pictures[1].captions[:2]
    first, second = tmp_path / "first", tmp_path / "second"
    arguments = [model, "--samples", "2", "--seed", "5"]
    assert not generate.main(
        [*arguments, "--captions", *captions, "--output", str(first)]
    )
    names = {"000-0.png", "000-1.png", "001-0.png", "001-1.png", "grid.png"}
    assert {path.name for path in first.iterdir()} == names
    # Caption 1 alone, with its seed.
    file = tmp_path / "captions.txt"
    file.write_text(captions[1] + "\n\n")
    arguments = [model, "--samples", "2", "--seed", "6"]
    assert not generate.main(
        [*arguments, "--captions-file", str(file), "--output", str(second)]
    )
    for sample in range(2):
        np.testing.assert_array_equal(
            png(first / f"001-{sample}.png"), png(second / f"000-{sample}.png")
        )


def test_the_scorer_chooses_among_candidates(
    runs, pictures, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "scorers.py").write_text(
        "def bright(captions, images):\n"
        "    return images.mean(axis=(1, 2, 3))\n"
    )
    model = str(runs / "generator" / "model")
    caption = pictures[1].captions[0]
    common = [model, "--captions", caption, "--seed", "3"]
    every, best = tmp_path / "every", tmp_path / "best"
    generate.main([*common, "--samples", "4", "--output", str(every)])
    status = generate.main(
        [
            *common,
            *("--best-of", "4", "--samples", "2"),
            *("--scorer", "scorers:bright", "--output", str(best)),
        ]
    )
    assert status == 0
    scores = sorted(png(every / f"000-{i}.png").mean() for i in range(4))
    kept = [png(best / f"000-{i}.png").mean() for i in range(2)]
    np.testing.assert_allclose(kept, scores[:-3:-1])
    # Without a scorer the model chooses itself.
    generate.main([*common, "--best-of", "4", "--output", str(best)])
    (chosen,) = keras_bidalle.load(model).text_to_image(
        [caption], seed=3, best_of=4
    )
    np.testing.assert_array_equal(png(best / "000-0.png"), chosen)


def test_pictures_are_read_and_unknown_words_told(
    runs, pictures, tmp_path, capsys
):
    folder, batch = pictures
    model = str(runs / "generator" / "model")
    status = generate.main(
        [
            *(model, "--pictures", str(folder), "--output", str(tmp_path)),
            *("--captions", "the cat €", batch.captions[0], ""),
        ]
    )
    captured = capsys.readouterr()
    told = captured.err.splitlines()
    assert status == 1 and len(told) == 3
    assert "€" in told[0] and "empty" in told[1] and "broken" in told[2]
    assert (tmp_path / "001-0.png").is_file()
    assert not (tmp_path / "000-0.png").exists()
    texts = json.loads((tmp_path / "captions.json").read_text())
    expected = keras_bidalle.load(model).image_to_text(
        np.stack([data.CenterCrop(32)(data.open_image(folder / "7.png"))])
    )
    assert texts[str(folder / "7.png")] == expected


@pytest.mark.parametrize(
    "options,message",
    [
        (["--best-of", "2", "--scorer", "nothing:here"], "module:function"),
        (["--top-p", "3"], "top_p"),
    ],
)
def test_settings_that_cannot_be_are_one_error(
    options, message, runs, pictures, tmp_path, capsys
):
    model, caption = str(runs / "generator" / "model"), pictures[1].captions[0]
    arguments = [model, "--captions", caption, "--output", str(tmp_path)]
    assert generate.main([*arguments, *options]) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and message in told[0]


def test_made_up_data_trains_residual_codes_to_a_model(tmp_path):
    """RQ-VAE with its discriminator, and RQ-Transformer on its codebook."""
    common = "--tiny --fake-data --precision float32 --set batch_size=4 "
    common += f"--output {tmp_path} "
    assert not train_tokenizer.main(
        f"rq-vae-ffhq {common} --set steps=4 --set adversarial_start=2".split()
    )
    tokenizer = tmp_path / "rq-vae-ffhq" / "tokenizer"
    assert not train_generator.main(
        f"rq-transformer-cc3m-654m {common} --tokenizer {tokenizer} "
        "--set steps=4".split()
    )
    model = keras_bidalle.load(tmp_path / "rq-transformer-cc3m-654m" / "model")
    assert isinstance(model.generator, RQTransformer)
    (codebook,) = codebooks_of(model.image_tokenizer)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(model.generator.codebooks)[0], codebook
    )
    assert model.text_to_image("a red disc on the upper left").shape == (
        *(1, 32, 32, 3),
    )
    # A run's own settings are a configuration.
    cls, arguments, training = configurations.read_configuration(
        tmp_path / "rq-vae-ffhq" / "config.json"
    )
    assert arguments["image_shape"] == (32, 32, 3)
    assert training["steps"] == 4


def test_gumbel_schedules_run_where_a_configuration_has_them(tmp_path):
    assert not train_tokenizer.main(
        f"dall-e-dvae --tiny --fake-data --precision float32 --name cold "
        f"--output {tmp_path} --set steps=4 --set temperature_steps=2 "
        "--set batch_size=4 --set average_momentum=0.5".split()
    )
    tokenizer = keras_bidalle.load(tmp_path / "cold" / "tokenizer")
    assert isinstance(tokenizer, DiscreteVAE)
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(tokenizer.quantizer.temperature),
        1 / 16,
        rtol=1e-5,
    )


def test_every_kind_of_data_set_is_found(pictures, tmp_path):
    folder, batch = pictures
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name)
    records = [{"file": f"{i}.png", "caption": f"a {i}"} for i in range(12)]
    (tmp_path / "captions.json").write_text(json.dumps(records))
    for data_set, number, caption in (
        (["--fake-data"], 256, None),
        (["--images", str(folder)], 13, None),
        (["--pairs", str(folder)], 13, batch.captions[0]),
        (
            [
                *("--pairs", str(folder)),
                *("--captions", str(tmp_path / "captions.json")),
            ],
            *(12, "a 0"),
        ),
        (["--tar", str(tmp_path / "*.tar")], 13, batch.captions[0]),
    ):
        options = choices.parser("", []).parse_args(["x", *data_set])
        captions = "--images" not in data_set
        source = choices.source(options, captions=captions)
        assert len(source) == number
        if caption is not None:
            assert source.read(0).captions == [caption]


def test_a_data_set_of_tensorflow_datasets_is_found(shared_dir):
    pytest.importorskip("tensorflow_datasets")
    folder = shared_dir / "data" / "tfds"
    if not folder.is_dir():
        pytest.skip(f"no prepared data set: {folder}")
    options = choices.parser("", []).parse_args(
        f"x --tfds mnist --tfds-split test[:20] --tfds-captions label "
        f"--data-dir {folder}".split()
    )
    source = choices.source(options, captions=True)
    assert len(source) == 20
    (caption,) = source.read(0).captions
    assert caption in set("0123456789")
    assert not choices.source(options, captions=False).read(0).captions


def test_learning_rates_are_those_of_the_settings():
    settings = configurations.tokenizer_training()
    settings.update(learning_rate=0.5, warmup_epochs=2, batch_size=5, steps=100)

    def rate(step, **changed):
        optimizer = choices.optimizer({**settings, **changed}, 100, records=25)
        optimizer.iterations.assign(step)
        return float(optimizer.learning_rate)

    # Two epochs are ten steps.
    assert rate(5) == pytest.approx(0.25) and rate(60) == pytest.approx(0.5)
    assert rate(5, warmup_epochs=None) == pytest.approx(0.5)
    cosine = {"schedule": "cosine", "final_learning_rate": 0.1}
    assert rate(100, **cosine) == pytest.approx(0.1)
    assert rate(55, **cosine) == pytest.approx(0.3)
    assert rate(40, **cosine, schedule_steps=40) == pytest.approx(0.1)
    assert rate(55, **cosine, schedule_cycles=2) == pytest.approx(0.5)


def test_a_run_starts_from_an_earlier_tokenizer(tmp_path):
    cls, arguments = configurations.tokenizer("augvae-ml")
    several = configurations.build(cls, choices.tiny(cls, arguments))
    several.save_to_preset(tmp_path / "several")
    again = train_tokenizer.started(
        tmp_path / "several", cls, choices.tiny(cls, arguments)
    )
    for ours, theirs in zip(again.weights, several.weights, strict=True):
        np.testing.assert_array_equal(
            *map(keras.ops.convert_to_numpy, (ours, theirs))
        )
    single = configurations.tokenizer("augvae-sl")
    one = train_tokenizer.started(
        tmp_path / "several", single[0], choices.tiny(*single)
    )
    assert type(one) is single[0]
    np.testing.assert_array_equal(
        *(
            keras.ops.convert_to_numpy(model.codebook.codebook)
            for model in (one, several)
        )
    )


def test_a_file_of_ones_own_names_any_class(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(
        json.dumps(
            {
                "class": "PatchVQGAN",
                "arguments": {
                    "quantizer": {
                        "class": "VectorQuantizer",
                        "arguments": {"num_codes": 12, "code_dim": 8},
                    },
                    "image_shape": [16, 16, 3],
                },
                "training": {"steps": 2, "batch_size": 2},
            }
        )
    )
    assert not train_tokenizer.main(
        [
            *(str(path), "--fake-data", "--precision", "float32"),
            *("--output", str(tmp_path), "--set", "channels=8"),
            *("--set", "hidden_channels=8", "--set", "num_blocks=1"),
            *("--set", "quantizer.num_codes=14"),
        ]
    )
    tokenizer = keras_bidalle.load(tmp_path / "mine" / "tokenizer")
    assert isinstance(tokenizer, PatchVQGAN)
    assert (tokenizer.num_codes, tokenizer.image_shape) == (14, (16, 16, 3))


@pytest.mark.parametrize("name", configurations.tokenizer_names())
def test_every_tokenizer_shrinks(name):
    cls, arguments = configurations.tokenizer(name)
    small = choices.tiny(cls, arguments)
    assert configurations.count_params(cls, small) < 400_000
    # What was given is as it was.
    assert arguments == configurations.tokenizer(name)[1]


@pytest.mark.parametrize("name", configurations.names())
def test_every_generator_shrinks(name):
    cls, arguments = configurations.generator(name)
    small = choices.tiny(cls, arguments)
    code_shape = (8, 8, *arguments["code_shape"][2:])
    count = configurations.count_params(
        cls, {**small, "code_shape": code_shape}
    )
    assert count < 400_000


@pytest.mark.parametrize(
    "program,options,message",
    [
        (train_tokenizer, "vqgan --fake-data", "Published image tokenizers"),
        (train_tokenizer, "no.json --fake-data", "no.json"),
        (train_tokenizer, "rq-vae-ffhq --images nowhere --tiny", "nowhere"),
        (
            train_tokenizer,
            "rq-vae-ffhq --fake-data --tiny --set chanels=3",
            "'chanels' is neither",
        ),
        (
            train_tokenizer,
            "rq-vae-ffhq --fake-data --tiny --set channels.x=3",
            "no 'channels' with",
        ),
        (train_tokenizer, "rq-vae-ffhq --fake-data --set steps", "NAME=VALUE"),
        (
            train_tokenizer,
            "rq-vae-ffhq --fake-data --tiny --set crop=Round",
            "`crop` must be one of",
        ),
        (
            train_tokenizer,
            'rq-vae-ffhq --fake-data --tiny --set crop_arguments={"x":1}',
            "`crop_arguments` must be those of RandomResizedCrop",
        ),
        (
            train_tokenizer,
            "rq-vae-ffhq --fake-data --tiny --set steps=many",
            "`steps` must be an integer of at least 0",
        ),
        (
            train_tokenizer,
            "rq-vae-ffhq --fake-data --tiny --set batch_size=0",
            "`batch_size` must be an integer of at least 1",
        ),
        (
            train_tokenizer,
            "rq-vae-ffhq --fake-data --tiny --set steps=null",
            "One of `steps` and `epochs`",
        ),
        (
            train_tokenizer,
            "rq-vae-ffhq --fake-data --tiny --set warmup_epochs=9",
            "would rise for 288 steps",
        ),
        (
            train_tokenizer,
            "te-vqgan-mnist64 --fake-data --tiny --start-from bidalle-mnist",
            "`--start-from` must hold a tokenizer of the same",
        ),
        (
            train_generator,
            "rq-transformer-ffhq-355m --fake-data --tokenizer x",
            "text_length=32",
        ),
        (
            train_generator,
            "bidalle-mnist64 --images . --tokenizer te-vqgan-mnist",
            "needs captions",
        ),
        (train_generator, "bidalle-mnist64 --fake-data --tokenizer x", "'x'"),
        (
            train_generator,
            "bidalle-mnist64 --fake-data --tokenizer te-vqgan-mnist "
            "--set width=wide",
            "`width` must be a positive integer",
        ),
        (
            train_generator,
            "bidalle-mnist64 --fake-data --tokenizer te-vqgan-mnist "
            "--set text_to_image_share=2",
            "`text_to_image_share` must be a number from 0 to 1",
        ),
    ],
)
def test_wrong_choices_are_one_error_and_leave_nothing(
    program, options, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    assert program.main(options.split()) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and message in told[0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "program", [train_tokenizer, train_generator, reconstruct, generate]
)
def test_help_is_there(program, capsys):
    with pytest.raises(SystemExit) as stopped:
        program.main(["--help"])
    assert stopped.value.code == 0
    assert "python recipes/" in capsys.readouterr().out
