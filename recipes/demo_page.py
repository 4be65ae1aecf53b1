"""The page of the demo: what stands where, and what a click does."""

import contextlib
import random

from demo_answers import (
    MAX_CAPTION,
    MAX_PICTURES,
    SHOWN_CAPTIONS,
    offered_settings,
    seeds,
    slider,
)
from PIL import Image

from keras_bidalle.sampling.settings import IMAGE_TO_TEXT, TEXT_TO_IMAGE

try:
    import gradio as gr
except ImportError as error:
    raise ImportError(
        'The page needs Gradio: pip install "keras_bidalle[demo]"'
    ) from error

# Images are shown enlarged, pixel by pixel, to about this side.
SHOWN = 256
# Seconds: files of visitors are looked for so often, and kept so long.
DELETED = 60, 600
# A surprise has a seed below this: few enough digits to be typed again.
SEEDS = 10**6
ANY_STYLE = "any"
# Gradio has a fixed number of columns, which a phone has no room for, and
# a height, which few pictures leave empty and many do not fit.
GRID = """<style>
.pictures .grid-container {
grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)) !important; }
.pictures .grid-wrap { min-height: 0 !important; max-height: none !important; }
</style>"""


def make_page(answers):
    """The page: `gradio.Blocks`.

    Args:
        answers: `demo_answers.Answers`.
    """
    with gr.Blocks(title="keras_bidalle", delete_cache=DELETED) as page:
        gr.Markdown("# Captions to pictures and back")
        with gr.Tab("Caption to picture"):
            _drawing(answers)
        with gr.Tab("Picture to caption"):
            _reading(answers)
        gr.HTML(GRID, padding=False)
    return page


def _drawing(answers):
    names = _by_need(answers.model, TEXT_TO_IMAGE)

    def on_draw(caption, style, seed, count, *values):
        settings = dict(zip(names, values, strict=True))
        style = None if style == ANY_STYLE else style
        with _told():
            for pictures in answers.draw(caption, seed, count, settings, style):
                told = [f"seed {s}" for s in seeds(seed, len(pictures))]
                shown = list(zip(map(enlarged, pictures), told, strict=True))
                yield shown, gr.update(visible=False), ""
        if answers.references is not None:
            rows, told = answers.references.nearest(caption, pictures)
            found = [
                (enlarged(picture), f"{psnr:.1f} dB")
                for picture, _, psnr in rows
            ]
            yield shown, gr.update(value=found, visible=True), told

    def on_surprise():
        return random.choice(answers.examples), random.randrange(SEEDS)

    caption = gr.Textbox(
        label="Caption",
        value=answers.examples[0] if answers.examples else "",
        max_length=MAX_CAPTION,
    )
    style = gr.Radio(
        [ANY_STYLE, *answers.styles],
        value=ANY_STYLE,
        label="Style",
        visible=bool(answers.styles),
        elem_id="style",
    )
    with gr.Row():
        draw = gr.Button(
            "Draw", variant="primary", min_width=100, elem_id="draw"
        )
        surprise = gr.Button(
            "Surprise me",
            visible=bool(answers.examples),
            min_width=100,
            elem_id="surprise",
        )
    gallery = _gallery("Pictures", "drawn")
    near = _gallery("Nearest", "nearest", visible=False)
    compared = gr.Markdown(elem_id="compared")
    with gr.Row():
        seed = _seed("Seed of the first picture")
        count = gr.Slider(
            1,
            MAX_PICTURES,
            4,
            step=1,
            label="Pictures",
            info="the seed grows by 1 from each to the next",
        )
    controls = _controls(answers.model, TEXT_TO_IMAGE, names)
    if answers.examples:
        gr.Examples(
            [[text] for text in answers.examples],
            [caption],
            examples_per_page=len(answers.examples),
        )
    asked = [caption, style, seed, count, *controls], [gallery, near, compared]
    draw.click(on_draw, *asked, api_name="draw")
    surprise.click(
        on_surprise, None, [caption, seed], api_name="surprise"
    ).success(on_draw, *asked, api_name=False)


def _reading(answers):
    names = _by_need(answers.model, IMAGE_TO_TEXT)
    # Gradio fills in what has this default.
    bar = gr.Progress()

    def on_read(picture, seed, *values):
        settings = dict(zip(names, values, strict=True))
        with _told():
            return answers.read(picture, seed, settings)

    def on_likeliest(picture, seed, progress=bar):
        def report(done, of):
            progress((done, of), desc="scoring", unit="captions")

        with _told():
            found, told = answers.likeliest(picture, seed, report)
        return [[text, percent(odds)] for text, odds in found], told

    picture = gr.Image(
        label="Picture", type="filepath", elem_id="upload", height=300
    )
    read = gr.Button("Read", variant="primary", elem_id="read")
    text = gr.Textbox(label="Caption", elem_id="caption")
    table = gr.Dataframe(
        headers=["caption", "odds"],
        label=f"The {SHOWN_CAPTIONS} likeliest captions",
        interactive=False,
        wrap=True,
        max_height=1000,
        column_widths=["75%", "25%"],
        elem_id="odds",
    )
    told = gr.Markdown(elem_id="odds-of")
    seed = _seed("Seed")
    controls = _controls(answers.model, IMAGE_TO_TEXT, names)
    read.click(
        on_read, [picture, seed, *controls], text, api_name="read"
    ).success(
        on_likeliest, [picture, seed], [table, told], api_name="likeliest"
    )


@contextlib.contextmanager
def _told():
    """Tells a visitor what a `ValueError` says."""
    try:
        yield
    except ValueError as error:
        # It names an argument; here there is one caption.
        message = str(error).replace("`captions[0]`", "The caption")
        raise gr.Error(message, print_exception=False) from error


def _gallery(label, elem_id, **options):
    # As PNG: what is saved can be read again, and is what was drawn.
    return gr.Gallery(
        label=label,
        format="png",
        height="auto",
        elem_id=elem_id,
        elem_classes=["pictures"],
        **options,
    )


def _seed(label):
    return gr.Number(0, label=label, precision=0, minimum=0)


def _by_need(model, direction):
    """Names of settings, those first that this model alone has: guidance."""
    offered = offered_settings(model, direction)
    return sorted(offered, key=lambda name: offered[name].needs is None)


def _controls(model, direction, names):
    """A slider for each setting; what every model has is folded away."""
    offered = offered_settings(model, direction)

    def sliders(own):
        return [
            gr.Slider(**slider(offered[n], direction, model.sampling_defaults))
            for n in names
            if (offered[n].needs is not None) == own
        ]

    found = sliders(own=True)
    with gr.Accordion("More settings", open=False):
        return [*found, *sliders(own=False)]


def enlarged(picture):
    """A picture, uint8 (H, W, C), large enough to be looked at."""
    height, width, channels = picture.shape
    factor = max(1, SHOWN // max(height, width))
    pixels = picture[..., 0] if channels == 1 else picture
    return Image.fromarray(pixels).resize(
        (width * factor, height * factor), Image.Resampling.NEAREST
    )


def percent(odds):
    """Odds as they are shown: a str."""
    return "< 0.1%" if odds < 0.001 else f"{odds:.1%}"
