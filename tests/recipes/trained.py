"""Small images with captions, and what the programs train on them."""

import numpy as np
from PIL import Image

from keras_bidalle.tasks import mnist64

TOKENIZER_RUN = """te-vqgan-mnist64 --tiny --images {folder}
--output {output} --name tokenizer --precision float32 --set pixel_loss=l2
--set steps=80 --set reports=2 --set adversarial_weight=0 --set batch_size=6"""
GENERATOR_RUN = """bidalle-mnist64 --tiny --pairs {folder} --output {output}
--name generator --tokenizer {output}/tokenizer/tokenizer
--precision float32 --set steps=40 --set reports=2 --set batch_size=8"""
# Of `keras-bidalle train`.
SMALL = """--unmeasured --precision float32 --steps 4 --tokenizer-steps 4
--set tokenizer.reports=1 --set generator.reports=2
--set tokenizer.image_shape=[32,32,3] --set tokenizer.channels=56
--set tokenizer.hidden_channels=8 --set tokenizer.num_blocks=1
--set tokenizer.quantizer.num_codes=16 --set tokenizer.batch_size=4
--set generator.batch_size=4 --set generator.width=32 --set generator.depth=1
--set generator.num_heads=2 --set generator.head_dim=16""".split()


def write_pictures(folder, count=12):
    """MNIST64 images, of strokes instead of digits, with captions."""
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


def png(path):
    return np.asarray(Image.open(path))
