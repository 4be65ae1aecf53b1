"""RQ-Transformers against what the published program gave."""

import numpy as np
import pytest
from keras import ops

from keras_bidalle import converters

CASES = ("per_depth_class", "per_depth_text", "shared_class", "shared_text")


@pytest.fixture(params=CASES)
def case(request, golden_dir):
    name = request.param
    tokenizer = golden_dir / "rq_vae" / name.rpartition("_")[0]
    folder = golden_dir / "rq_transformer" / name
    generator = converters.convert(folder, tokenizer=tokenizer)
    return generator, dict(np.load(folder / "io.npz"))


def rows(golden):
    count = len(golden["codes"])
    return {
        "text": golden["cond"],
        "codes": golden["codes"],
        "text_to_image": np.ones(count, bool),
    }


def close(ours, golden):
    ours = ops.convert_to_numpy(ours)
    np.testing.assert_allclose(
        ours.reshape(golden.shape), golden, rtol=1e-4, atol=1e-5
    )


def test_logits_loss_and_greedy_codes(case):
    generator, golden = case
    inputs = rows(golden)
    outputs = generator(inputs)
    close(outputs["image_logits"], golden["logits"])
    close(ops.mean(generator.head.losses_of(inputs, outputs)), golden["loss"])
    if "cond_logits" in golden:
        close(outputs["text_logits"], golden["cond_logits"])
    else:
        # A class has no loss of its own.
        close(generator.compute_loss(x=inputs, y_pred=outputs), golden["loss"])
    greedy = generator.generate_codes(golden["cond"], top_k=1)
    np.testing.assert_array_equal(greedy, golden["greedy_codes"])
