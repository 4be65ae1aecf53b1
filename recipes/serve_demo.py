"""A web page on which captions become images and images captions.

    pip install "keras_bidalle[demo]"
    python recipes/serve_demo.py            # at localhost:7860
    python recipes/serve_demo.py runs/small --port 8000
    python recipes/serve_demo.py --pictures emoji --captions names.txt

The model is what `recipes/export_serving.py` takes; without one it is the
shipped preset that `keras-bidalle draw` takes. Images are drawn row by row,
and images of any size that are read are scaled as in training. The same
inputs with the same seed give the same answer. Pictures of visitors are
deleted after ten minutes.
"""

import socket
import sys

import wiring  # isort: split

from demo_answers import MAX_UPLOAD, Answers, CaptionFile, References

from keras_bidalle.commands.generation import default_preset
from keras_bidalle.messages import one_line

# How many visitors may wait for their turn.
MAX_WAITING = 32


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    add = parser.add_argument
    add(
        "model",
        nargs="?",
        default=default_preset(),
        help="a preset, or the folder of a run (default: %(default)s)",
    )
    add("--host", default="127.0.0.1", help="default: this machine alone")
    add("--port", type=int, default=7860)
    add("--example", action="append", help="a caption to offer on the page")
    add(
        "--captions",
        metavar="FILE",
        help="what a picture may show, a caption a line: odds are told of "
        "these (default: of what the model writes)",
    )
    add(
        "--pictures",
        metavar="FOLDER",
        help="captioned pictures that drawn ones are compared with",
    )
    add(
        "--picture-captions",
        metavar="FILE",
        help="which file of captions of --pictures, where there are several",
    )
    return parser.parse_args(arguments)


def run(options):
    check_port(options.host, options.port)
    # Not at the top: it tells what to install where Gradio is missing.
    from demo_page import make_page

    model = wiring.text_image_model(options.model)
    candidates = references = None
    if options.picture_captions and not options.pictures:
        raise ValueError("--picture-captions needs --pictures FOLDER.")
    if options.captions:
        candidates = CaptionFile(options.captions, model.caption_tokenizer)
    if options.pictures:
        shape = model.image_tokenizer.image_shape
        references = References(
            options.pictures, shape, options.picture_captions
        )
    page = make_page(Answers(model, options.example, candidates, references))
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
    # A name with letters that none has is a `UnicodeError`.
    except (OSError, OverflowError, UnicodeError) as error:
        raise ValueError(
            one_line(
                f"No page can be served at {host}:{port}, give another --host "
                f"or --port: {error}"
            )
        ) from error


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
