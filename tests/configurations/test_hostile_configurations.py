"""Settings that no model can have: one short line, before anything is made."""

import pytest

from keras_bidalle.configurations import Configuration, parse_setting, shrunk

pytestmark = pytest.mark.any_backend

SETTINGS = {
    "generator": (
        *("attention=", "depth=99999999", "layer_scale=x", "kernel_size=-1"),
        *("target_weight=x", "\x1b[31m=1", "block=3", "code_shape=[300,300]"),
    ),
    "tokenizer": (
        *("quantizer=x", "image_shape=[]", "num_blocks=x"),
        'quantizer={"class_name": [], "config": {}}',
        'quantizer={"class_name": "Lambda", "config": {}}',
    ),
}
NAMES = {"generator": "bidalle-mnist64", "tokenizer": "te-vqgan-mnist64"}


@pytest.mark.parametrize(
    "stage,text", [(s, text) for s, texts in SETTINGS.items() for text in texts]
)
def test_a_setting_that_cannot_be_is_told_shortly(stage, text):
    configuration = shrunk(Configuration.find(NAMES[stage], stage))
    with pytest.raises(ValueError) as raised:
        configuration.change(*parse_setting(text))
        configuration.check()
        configuration.count_params()
    message = str(raised.value)
    assert message.isprintable() and len(message) <= 300, message


def test_a_name_that_is_nearly_right_is_told():
    configuration = Configuration.find("bidalle-mnist64", "generator")
    with pytest.raises(ValueError, match="Near to it: learning_rate"):
        configuration.change("lerning_rate", 1e-3)


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"class_name": {"a": 1}, "config": {}}', "\x00"]
)
def test_a_file_that_is_none_is_told_shortly(text, tmp_path):
    path = tmp_path / "c.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="is not a configuration") as raised:
        Configuration.find(str(path), "generator")
    assert len(str(raised.value)) <= 300 + len(str(path))
