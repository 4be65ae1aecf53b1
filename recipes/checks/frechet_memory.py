r"""How much memory a Frechet distance of very many pictures takes.

    KERAS_BACKEND=torch python recipes/checks/frechet_memory.py

Pictures are made, go through a small network to as many features as FID has,
and are forgotten. What counts is the largest memory of this process less
that before the first picture, when the network was there: the sums, the
covariances and their eigenvalues. The same features in two replicas, whose
sums are merged, must give the same distance to 1e-6. Prints both, and exits
with 1 where the memory is above `--most`.
"""

import pathlib
import sys

# The programs' own modules lie a folder higher, and beside.
sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "benchmarks"))

import wiring  # isort: split

import keras
import measuring
import numpy as np

from keras_bidalle.metrics import FeatureStatistics, frechet_distance
from keras_bidalle.metrics.extractors import Extractor

SIDE = 16


def parse(arguments):
    parser = wiring.make_parser(__doc__)
    add = parser.add_argument
    add("--count", type=int, default=50_000, help="pictures a set (50000)")
    add("--dimensions", type=int, default=2048, help="features (2048)")
    add("--batch-size", type=int, default=250, help="at once (default: 250)")
    add("--most", type=float, default=1024, help="MiB (default: 1024)")
    return parser.parse_args(arguments)


def small_network(dimensions):
    """An extractor of one convolution."""
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(dimensions, SIDE // 2, strides=SIDE // 2)(image)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.ReLU()(x))
    network = keras.Model(image, x)
    return Extractor("small", network, [network], dimensions, SIDE)


def pictures(count, size, contrast):
    """Batches of noise, the same each time."""
    rng = np.random.default_rng(0)
    for first in range(0, count, size):
        shape = (min(size, count - first), SIDE, SIDE, 3)
        yield (
            (128 + contrast * rng.standard_normal(shape))
            .clip(0, 255)
            .astype("uint8")
        )


def run(options):
    wiring.check_counts(count=options.count, batch_size=options.batch_size)
    keras.utils.set_random_seed(0)
    extractor = small_network(options.dimensions)
    # What is loaded at the first call belongs to the model.
    extractor(np.zeros((options.batch_size, SIDE, SIDE, 3), "uint8"))
    before = measuring.resident_memory()
    sets = []
    replicas = [FeatureStatistics(), FeatureStatistics()]
    for contrast in (40, 50):
        statistics = FeatureStatistics()
        batches = pictures(options.count, options.batch_size, contrast)
        for number, batch in enumerate(batches):
            features = extractor(batch, options.batch_size).features
            statistics.update(features)
            if contrast == 50:
                replicas[number % 2].update(features)
        sets.append(statistics)
    distance = frechet_distance(*sets)
    merged = frechet_distance(sets[0], replicas[0].merge(replicas[1]))
    used = (measuring.memory.peak() - before) / 2**20
    apart = abs(merged - distance) / distance
    measuring.tell(
        pictures=options.count,
        dimensions=options.dimensions,
        frechet=round(distance, 6),
        of_two_replicas=round(merged, 6),
        relative_difference=float(f"{apart:.2g}"),
        memory_mib=round(used),
        most_mib=options.most,
        backend=keras.config.backend(),
    )
    return int(used > options.most or apart > 1e-6)


main = wiring.program(run, parse)

if __name__ == "__main__":
    sys.exit(main())
