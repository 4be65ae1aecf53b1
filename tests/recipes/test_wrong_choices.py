"""What the programs refuse, in one line, and their help."""

import generate
import mnist64_bidirectional
import mnist64_systems
import pytest
import reconstruct
import train_generator
import train_tokenizer

pytestmark = pytest.mark.any_backend


@pytest.mark.parametrize(
    "program,options,message",
    [
        (train_tokenizer, "vqgan --fake-data", "Known image tokenizers"),
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
            "warmup_steps=288, steps=20",
        ),
        (
            train_tokenizer,
            "te-vqgan-mnist64 --fake-data --tiny --start-from bidalle-mnist",
            "`--start-from` must hold a tokenizer of the same",
        ),
        (
            train_generator,
            "rq-transformer-ffhq-355m --fake-data --tokenizer x "
            "--set text_length=2",
            "text_length=32",
        ),
        (
            train_generator,
            "bidalle-mnist64 --images . --tokenizer te-vqgan-mnist",
            "needs captions",
        ),
        (
            train_generator,
            "bidalle-mnist64 --fake-data --tiny --tokenizer x",
            "'x'",
        ),
        (
            train_generator,
            "bidalle-mnist64 --fake-data --tiny --tokenizer te-vqgan-mnist "
            "--set width=wide",
            "`width` must be a positive integer",
        ),
        (
            train_generator,
            "bidalle-mnist64 --fake-data --tokenizer te-vqgan-mnist "
            "--set text_to_image_share=2",
            "`text_to_image_share` must be a number from 0 to 1",
        ),
        *(
            (
                train_generator,
                "bidalle-mnist64 --fake-data --tokenizer te-vqgan-mnist "
                f"--tiny --set sampling={given}",
                message,
            )
            for given, message in (
                ('{"temperature":-1}', "`temperature`"),
                ('{"hotness":1}', "hotness"),
            )
        ),
        *(
            (
                mnist64_bidirectional,
                f"--preset smoke --data-dir {{digits}} {given}",
                message,
            )
            for given, message in (
                ("--text-length 5", "max_length of at least"),
                ("--evaluation-pictures 0", "`evaluation_pictures`"),
                ("--layout-mix 1 2", "`layout_mix` must be five"),
            )
        ),
    ],
)
def test_wrong_choices_are_one_error_and_leave_nothing(
    program, options, message, tmp_path, monkeypatch, capsys, digits
):
    monkeypatch.chdir(tmp_path)
    options = options.replace("{digits}", str(digits))
    # Else a step is measured first, in a process of its own.
    options += " --precision float32"
    assert program.main(options.split()) == 1
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1 and message in told[0]
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "program",
    [
        *(train_tokenizer, train_generator, reconstruct, generate),
        *(mnist64_bidirectional, mnist64_systems),
    ],
)
def test_help_is_there(program, capsys):
    with pytest.raises(SystemExit) as stopped:
        program.main(["--help"])
    assert stopped.value.code == 0
    assert "python recipes/" in capsys.readouterr().out
