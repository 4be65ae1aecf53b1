"""A web page on which captions become images and images captions.

    pip install "keras_bidalle[demo]"
    python recipes/serve_demo.py            # bidalle-mnist at localhost:7860
    python recipes/serve_demo.py runs/small --port 8000

The model is what `recipes/export_serving.py` takes. Images of any size are
scaled as in training. The same inputs with the same seed give the same
answer. Pictures of visitors are deleted after ten minutes.
"""

import os
import socket
import sys

import wiring  # isort: split

from PIL import Image

from keras_bidalle import data
from keras_bidalle.sampling.settings import (
    IMAGE_TO_TEXT,
    SETTINGS,
    TEXT_TO_IMAGE,
    without_neutral,
)

# Images are shown enlarged, pixel by pixel, to about this side.
SHOWN = 256
# What one visitor may ask for, and how many may wait for their turn.
MAX_PICTURES, MAX_CAPTION, MAX_UPLOAD, MAX_WAITING = 8, 1000, 16 * 2**20, 32
# Seconds: files of visitors are looked for so often, and kept so long.
DELETED = 60, 600


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        default="bidalle-mnist",
        help="a preset, or the folder of a run (default: bidalle-mnist)",
    )
    add("--host", default="127.0.0.1", help="default: this machine alone")
    add("--port", type=int, default=7860)
    add("--example", action="append", help="a caption to offer on the page")
    return parser.parse_args(arguments)


def run(options):
    check_port(options.host, options.port)
    model = wiring.text_image_model(options.model)
    page = make_page(model, options.example or examples_for(model))
    page.queue(max_size=MAX_WAITING).launch(
        server_name=options.host,
        server_port=options.port,
        show_error=True,
        max_file_size=MAX_UPLOAD,
    )


def check_port(host, port):
    """Raises where no page can be served, before anything is loaded."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        socket.create_server((host, port), family=family).close()
    except (OSError, OverflowError) as error:
        raise ValueError(
            f"No page can be served at {host}:{port}, give another --host or "
            f"--port: {error}"
        ) from error


def examples_for(model):
    """Captions of the shipped preset's task that the model knows."""
    known = []
    for caption in (
        "red 3 on the upper left .",
        "the number is green 7 .",
        "blue 5 on the lower right , and white 2 on the upper left .",
    ):
        try:
            model.caption_tokenizer.encode([caption])
        except ValueError:
            continue
        known.append(caption)
    return known


def draw(model, caption, seed, samples, settings, progress):
    """Draws images of a caption, one after the other."""
    samples = int(samples)
    if not 1 <= samples <= MAX_PICTURES:
        raise ValueError(f"At most {MAX_PICTURES} pictures at once, please.")
    if len(caption) > MAX_CAPTION:
        raise ValueError(f"At most {MAX_CAPTION} characters, please.")
    progress(0, samples)
    pictures = model.text_to_image(
        caption,
        seed=int(seed),
        num_samples=samples,
        batch_size=1,
        progress=lambda done: progress(done, samples),
        **without_neutral(settings),
    )
    height, width = pictures.shape[-3:-1]
    factor = max(1, SHOWN // max(height, width))
    return [
        Image.fromarray(picture).resize(
            (width * factor, height * factor), Image.Resampling.NEAREST
        )
        for picture in pictures.reshape(-1, *pictures.shape[-3:])
    ]


def read(model, picture, seed, settings, progress):
    """Writes the caption of an image."""
    if picture is None:
        raise ValueError("Upload a picture first.")
    if os.path.getsize(picture) > MAX_UPLOAD:
        raise ValueError(f"At most {MAX_UPLOAD // 2**20} MiB, please.")
    progress(0, 1)
    crop = data.CenterCrop(tuple(model.image_tokenizer.image_shape[:2]))
    pixels = crop(data.open_image(picture))
    return model.image_to_text(
        pixels[None],
        seed=int(seed),
        progress=lambda done: progress(done, 1),
        **without_neutral(settings),
    )[0]


def offered_settings(model, direction):
    """What the page offers: dict from name to `Setting`."""

    def offered(setting):
        if setting.needs is None:
            return True
        # Guidance is twice the work, and captions do well without it.
        drawn = direction == TEXT_TO_IMAGE
        return drawn and bool(getattr(model.generator, setting.needs))

    return {name: each for name, each in SETTINGS.items() if offered(each)}


def slider(setting, direction, own):
    """What `gradio.Slider` takes for a setting, given a model's defaults."""
    value = setting.default(direction, own)
    step = 1 if setting.kind is int else 0.05
    low = setting.low + step if setting.excludes_low else setting.low
    if setting.neutral is not None:
        low = min(low, setting.neutral)
    return {
        "minimum": low,
        "maximum": max(setting.examples),
        "value": setting.examples[0] if value is None else value,
        "step": step,
        "label": setting.name.replace("_", " ").capitalize(),
        "info": setting.meaning,
    }


def make_page(model, examples):
    """The page: `gradio.Blocks`."""
    try:
        import gradio as gr
    except ImportError as error:
        raise ImportError(
            'The page needs Gradio: pip install "keras_bidalle[demo]"'
        ) from error

    def shown(function, doing, progress, *inputs):
        def report(done, of):
            progress((done, of), desc=doing, unit="pictures")

        try:
            return function(model, *inputs, report)
        except ValueError as error:
            # It names an argument; here there is one caption.
            message = str(error).replace("`captions[0]`", "The caption")
            raise gr.Error(message, print_exception=False) from error

    # Gradio fills in what has this default.
    bar = gr.Progress()

    def chosen(direction, values):
        return dict(
            zip(offered_settings(model, direction), values, strict=True)
        )

    def on_draw(caption, seed, samples, progress=bar, *values):
        settings = chosen(TEXT_TO_IMAGE, values)
        return shown(
            draw, "drawing", progress, caption, seed, samples, settings
        )

    def on_read(picture, seed, progress=bar, *values):
        settings = chosen(IMAGE_TO_TEXT, values)
        return shown(read, "reading", progress, picture, seed, settings)

    def seed():
        return gr.Number(0, label="Seed", precision=0, minimum=0)

    def controls(direction):
        return [
            gr.Slider(**slider(setting, direction, model.sampling_defaults))
            for setting in offered_settings(model, direction).values()
        ]

    with gr.Blocks(title="keras_bidalle", delete_cache=DELETED) as page:
        gr.Markdown("# Captions to pictures and back")
        with gr.Tab("Caption to picture"):
            caption = gr.Textbox(
                label="Caption",
                value=examples[0] if examples else "",
                max_length=MAX_CAPTION,
            )
            with gr.Row():
                settings = [
                    seed(),
                    gr.Slider(1, MAX_PICTURES, 4, step=1, label="Pictures"),
                    *controls(TEXT_TO_IMAGE),
                ]
            button = gr.Button("Draw", variant="primary", elem_id="draw")
            gallery = gr.Gallery(label="Pictures", columns=4, elem_id="drawn")
            if examples:
                gr.Examples([[text] for text in examples], [caption])
            button.click(
                on_draw, [caption, *settings], gallery, api_name="draw"
            )
        with gr.Tab("Picture to caption"):
            picture = gr.Image(
                label="Picture", type="filepath", elem_id="upload"
            )
            with gr.Row():
                settings = [seed(), *controls(IMAGE_TO_TEXT)]
            button = gr.Button("Read", variant="primary", elem_id="read")
            text = gr.Textbox(label="Caption", elem_id="caption")
            button.click(on_read, [picture, *settings], text, api_name="read")
    return page


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
