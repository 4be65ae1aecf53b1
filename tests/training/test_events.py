import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)

from keras_bidalle.training import SummaryWriter

pytestmark = pytest.mark.any_backend


def read(folder):
    events = EventAccumulator(str(folder), size_guidance={"images": 0})
    events.Reload()
    return events


def test_tensorboard_reads_scalars_pictures_and_text(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), "uint8")
    with SummaryWriter(tmp_path) as writer:
        writer.scalar("loss", 0.5, step=1)
        writer.scalar("loss", np.float32(0.25), step=2)
        writer.image("picture", image, step=2)
        writer.text("caption", "red 3 – centre", step=2)
    events = read(tmp_path)
    found = [(e.step, e.value) for e in events.Scalars("loss")]
    assert found == [(1, 0.5), (2, 0.25)]
    (picture,) = events.Images("picture")
    decoded = Image.open(io.BytesIO(picture.encoded_image_string))
    np.testing.assert_array_equal(np.asarray(decoded), image)
    assert (picture.width, picture.height, picture.step) == (7, 5, 2)
    (text,) = events.Tensors("caption")
    assert text.tensor_proto.string_val[0].decode() == "red 3 – centre"
    metadata = events.SummaryMetadata("caption")
    assert metadata.plugin_data.plugin_name == "text"


def test_events_are_readable_before_the_writer_closes(tmp_path):
    writer = SummaryWriter(tmp_path)
    writer.scalar("loss", 1.0, step=3)
    assert read(tmp_path).Scalars("loss")[0].step == 3
    writer.close()
    writer.close()


def test_a_resumed_writer_drops_what_the_cut_run_logged_later(tmp_path):
    with SummaryWriter(tmp_path) as writer:
        for step in (10, 20, 30):
            writer.scalar("loss", step, step)
    with SummaryWriter(tmp_path, resumed_at=20) as writer:
        writer.scalar("loss", 25, 25)
    found = [e.step for e in read(tmp_path).Scalars("loss")]
    assert found == [10, 20, 25]


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4, 3), "float32"),
        np.zeros((4, 4), "uint8"),
        np.zeros((4, 4, 1), "uint8"),
    ],
)
def test_pictures_that_are_not_uint8_rgb_are_refused(tmp_path, image):
    with SummaryWriter(tmp_path) as writer:
        with pytest.raises(ValueError, match="`image` must be uint8"):
            writer.image("picture", image, step=0)


def test_it_needs_neither_tensorflow_nor_torch():
    program = (
        "import sys, importlib.util as u\n"
        "from keras_bidalle.files import atomic_path\n"
        "spec = u.find_spec('keras_bidalle')\n"
        "path = spec.submodule_search_locations[0] + '/training/events.py'\n"
        "spec = u.spec_from_file_location('events', path)\n"
        "module = u.module_from_spec(spec)\n"
        "before = set(sys.modules)\n"
        "spec.loader.exec_module(module)\n"
        "new = set(sys.modules) - before\n"
        "assert not {'tensorflow', 'torch'} & new, new\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
