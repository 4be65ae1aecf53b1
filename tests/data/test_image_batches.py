import keras
import numpy as np
import pytest
from PIL import Image

from keras_bidalle.data import (
    CenterCrop,
    FakeImages,
    ImageBatches,
    ImageError,
    ImageFolder,
    ImageReader,
    ImageSource,
    RandomCrop,
    Record,
    as_dataset,
)
from keras_bidalle.data.image_batches import block_shuffled


class Numbers(ImageSource):
    """Images of one value each, with two captions; some are damaged."""

    def __init__(self, count, damaged=(), size=4):
        self.count = count
        self.damaged = damaged
        self.size = size
        self.description = f"{count} numbers"

    def __len__(self):
        return self.count

    def name(self, index):
        return f"number {index}"

    def read(self, index):
        if index in self.damaged:
            if index % 2:
                raise OSError("the disk is gone")
            return Record(b"no image", [])
        pixels = np.full((self.size, 2 * self.size, 3), index, "uint8")
        pixels[:, :, 1] = np.arange(2 * self.size)
        return Record(pixels, [f"number {index}", f"{index}"])


def make(count=24, batch_size=4, crop=None, damaged=(), size=4, **options):
    reader = ImageReader(Numbers(count, damaged, size), crop or CenterCrop(4))
    return ImageBatches(reader, batch_size, **options)


def values(batches, numbers):
    return np.concatenate([batches(n)[:, 0, 0, 0] for n in numbers]).tolist()


def test_an_epoch_has_every_record_once_in_another_order():
    batches = make(24, 4, shard=(0, 1))
    epochs = [values(batches, range(6 * e, 6 * e + 6)) for e in range(3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(24))
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    pixels = batches(0)
    assert pixels.shape == (4, 4, 4, 3) and pixels.dtype == np.uint8


def test_a_batch_may_lie_in_several_epochs():
    batches = make(5, 4, shard=(0, 1))
    flat = values(batches, range(5))
    for epoch in range(4):
        assert sorted(flat[5 * epoch : 5 * epoch + 5]) == list(range(5))
    assert len(make(3, 8, shard=(0, 1))(0)) == 8


@pytest.mark.parametrize("replicas", [2, 3])
def test_replicas_share_an_epoch_without_overlap(replicas):
    shards = [make(24, 4, shard=(k, replicas), seed=5) for k in range(replicas)]
    steps = range(24 // (4 * replicas))
    seen = [values(batches, steps) for batches in shards]
    assert sorted(sum(seen, [])) == list(range(24))


def test_what_cannot_be_shared_evenly_is_left_over_in_turn():
    shards = [make(10, 3, shard=(k, 3)) for k in range(3)]
    missing = set()
    for epoch in range(12):
        seen = sum((values(batches, [epoch]) for batches in shards), [])
        assert len(set(seen)) == 9
        missing |= set(range(10)) - set(seen)
    assert len(missing) > 3


def test_replicas_see_together_what_one_would():
    options = {"crop": RandomCrop(4, flip=True), "size": 9, "seed": 3}
    alone = make(24, 8, shard=(0, 1), **options)
    shards = [make(24, 4, shard=(k, 2), **options) for k in range(2)]
    for number in range(3):
        pixels, captions = alone.pairs(number)
        parts = [batches.pairs(number) for batches in shards]
        for k, (part, texts) in enumerate(parts):
            np.testing.assert_array_equal(part, pixels[k::2])
            assert texts == captions[k::2]


def test_batches_depend_on_the_seed_and_their_number_alone():
    options = {"crop": RandomCrop(4, flip=True), "size": 9}
    batches = make(seed=1, **options)
    first = [batches.pairs(i) for i in range(9)]
    # Anew, from the middle, on one thread.
    again = make(seed=1, workers=1, **options)
    for number in (8, 5, 0):
        pixels, captions = again.pairs(number)
        np.testing.assert_array_equal(pixels, first[number][0])
        assert captions == first[number][1]
    other = make(seed=2, **options)
    assert any(not np.array_equal(other(i), first[i][0]) for i in range(3))


def test_a_resumed_stream_goes_on_where_it_was():
    def take(start, count):
        batches = make(seed=4, crop=RandomCrop(4, flip=True), size=9)
        stream = iter(as_dataset(batches, start=start))
        return [np.asarray(next(stream)) for _ in range(count)]

    whole = take(0, 7)
    for batch, resumed in zip(whole[4:], take(4, 3), strict=True):
        assert batch.dtype == np.uint8
        np.testing.assert_array_equal(batch, resumed)


def test_in_training_one_of_the_captions_is_drawn():
    batches = make(2, 2)
    drawn = set()
    for number in range(20):
        pixels, captions = batches.pairs(number)
        for image, caption in zip(pixels, captions, strict=True):
            assert caption.split()[-1] == str(image[0, 0, 0])
        drawn |= set(captions)
    assert drawn == {"number 0", "0", "number 1", "1"}


def test_in_evaluation_the_first_caption_and_the_middle_are_seen():
    reader = ImageReader(Numbers(3), RandomCrop(4, flip=True))
    for _ in range(3):
        pixels, caption = reader.read(2)
        assert caption == "number 2"
        assert pixels[0, :, 1].tolist() == [2, 3, 4, 5]


def test_damaged_images_are_skipped_and_counted():
    batches = make(12, 4, damaged=(3, 8), shard=(0, 1))
    epochs = [values(batches, range(3 * e, 3 * e + 3)) for e in range(2)]
    for epoch in epochs:
        assert set(epoch) == set(range(12)) - {3, 8}
    assert batches.reader.skipped == {
        "number 3": "the disk is gone",
        "number 8": "not an image of a known format",
    }
    assert batches.reader.report() == (
        "skipped 2 images:\n"
        "  number 3: the disk is gone\n"
        "  number 8: not an image of a known format"
    )


def test_a_data_set_of_nothing_but_damage_is_an_error():
    batches = make(4, 2, damaged=range(4))
    with pytest.raises(ImageError, match="No image of 4 numbers can be"):
        batches(0)


def test_every_kind_of_image_makes_a_batch(tmp_path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 24, 3), "uint8")
    image = Image.fromarray(pixels)
    image.save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "truncated.png").write_bytes(content[:300])
    (tmp_path / "empty.jpg").write_bytes(b"")
    image.convert("CMYK").save(tmp_path / "cmyk.jpg")
    Image.fromarray(pixels[..., 0].astype("uint16") * 257).save(
        tmp_path / "deep.png"
    )
    image.save(
        tmp_path / "moving.gif", save_all=True, append_images=[image.rotate(9)]
    )
    image.quantize(8).save(tmp_path / "palette.png", transparency=bytes(8))
    image.convert("L").save(tmp_path / "gray.jpg")
    Image.new("RGB", (1, 1)).save(tmp_path / "point.png")
    Image.new("RGB", (10000, 10)).save(tmp_path / "long.png")
    reader = ImageReader(ImageFolder(tmp_path), RandomCrop(16, flip=True))
    batches = ImageBatches(reader, 10, shard=(0, 1))
    assert batches(0).shape == (10, 16, 16, 3)
    assert sorted(reader.skipped) == [
        str(tmp_path / "empty.jpg"),
        str(tmp_path / "truncated.png"),
    ]


def test_fit_takes_the_batches():
    class Mean(keras.Model):
        def __init__(self):
            super().__init__()
            self.total = self.add_weight(initializer="zeros", trainable=False)
            self.scale = self.add_weight(initializer="ones")

        def call(self, inputs, training=None):
            mean = keras.ops.mean(keras.ops.cast(inputs, "float32"))
            if training:
                self.total.assign_add(mean)
            return self.scale * mean

        def compute_loss(self, x, y, y_pred, sample_weight, training=True):
            return keras.ops.mean(y_pred)

    batches = make(8, 4, shard=(0, 1))
    model = Mean()
    model.compile("sgd")
    model.fit(as_dataset(batches), steps_per_epoch=2, verbose=0, shuffle=False)
    expected = sum(batches(i).mean() for i in range(2))
    np.testing.assert_allclose(float(model.total), expected, rtol=1e-5)


@pytest.mark.parametrize("block_size", [1, 3, 4, 100])
def test_shuffling_by_blocks_is_a_permutation(block_size):
    order = block_shuffled(30, block_size, 0, window=2)
    assert sorted(order.tolist()) == list(range(30))
    assert order.tolist() != sorted(order.tolist())
    again = block_shuffled(30, block_size, 0, window=2)
    np.testing.assert_array_equal(order, again)
    if block_size == 3:
        # What is read together lies in as many blocks as are mixed.
        for at in range(0, 30, 6):
            assert len(set(order[at : at + 6] // 3)) == 2


def test_made_up_images_are_their_number_s_alone():
    source = FakeImages(20, size=16, seed=3)
    again = FakeImages(50, size=16, seed=3)
    for index in (0, 19):
        one, two = source.read(index), again.read(index)
        np.testing.assert_array_equal(one.image, two.image)
        assert one.captions == two.captions and len(one.captions) == 2
    assert source.read(0).image.shape == (16, 16, 3)
    batches = ImageBatches(ImageReader(source, CenterCrop(8)), 4)
    assert batches(0).shape == (4, 8, 8, 3)


def test_wrong_arguments_are_refused():
    for options, why in (
        ({"batch_size": 0}, "`batch_size` must be"),
        ({"shard": (2, 2)}, "`shard` must be"),
        ({"seed": -1}, "`seed` must be"),
        ({"count": 2, "shard": (0, 3)}, "3 replicas cannot share 2"),
    ):
        with pytest.raises(ValueError, match=why):
            make(**options)
    with pytest.raises(ValueError, match="`num_images` must be"):
        FakeImages(0)
