r"""Measures a model as papers do, and writes a report.

    python recipes/evaluate.py bidalle-mnist --task mnist64 --data-dir DIGITS
    python recipes/evaluate.py runs/mine/model --pairs photos --count 1000
    keras-bidalle evaluate te-vqgan-mnist --images photos
    keras-bidalle evaluate samples.npz --saved --images photos

Leaves in the run's folder `evaluation.json`, every figure with its spread and
all that it depends on, and `report.html`, one file to look at in a browser.
An evaluation that was cut goes on with --resume and ends with the same
figures.

Directions that the data has no captions for are left out unless they are
asked for. Frechet distances need two pictures at least, and are comparable
only between equal numbers of pictures; of fewer than some thousand, look at
the kernel distance, which is not biased.
"""

import argparse
import pathlib
from typing import Any

import numpy as np

from keras_bidalle import programs, training
from keras_bidalle.commands.inputs import check_counts
from keras_bidalle.evaluation import sources
from keras_bidalle.evaluation.directions import Subject, drawn
from keras_bidalle.evaluation.evaluate import PART, evaluate, parts_of
from keras_bidalle.evaluation.examples import Examples
from keras_bidalle.evaluation.opening import EXTRACTORS, open_extractor
from keras_bidalle.evaluation.protocol import (
    DIRECTIONS,
    RANKINGS,
    SAMPLES,
    Protocol,
)
from keras_bidalle.evaluation.samples import (
    ClassSamples,
    class_probabilities,
    export_adm_npz,
)
from keras_bidalle.losses import LPIPS
from keras_bidalle.metrics.extractors import CLIP, RESIZES
from keras_bidalle.metrics.frechet import FeatureStatistics

_SAMPLES_A_CLASS = 50
# The extractor that the task's judge has.
_JUDGES = "item_classifier"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a command line."""
    parser = programs.make_parser(__doc__, "evaluate")
    add = parser.add_argument
    add("model", help="a name or folder that `keras_bidalle.load` opens")
    kinds = programs.add_source(parser, required=False)
    kinds.add_argument(
        "--task",
        choices=("mnist64", "mnist64-fashion"),
        help="pictures that the task makes of --data-dir, with its judge",
    )
    add("--output", default="runs", help="folder of all runs (default: runs)")
    add("--name", help="of the run (default: the model's, and -evaluation)")
    add("--resume", action="store_true", help="go on with what was cut")
    add("--seed", type=int, default=0, help="of the examples and what is drawn")
    programs.add_sampling(parser)
    add(
        "--directions",
        nargs="+",
        choices=(*DIRECTIONS, *SAMPLES),
        help="(default: all that there are)",
    )
    add(
        "--saved",
        action="store_true",
        help="MODEL is saved samples: a folder of pictures, or an npz as "
        "ADM's evaluator takes it",
    )
    add("--tokenizer", metavar="PRESET", help="of a generator of classes")
    add("--classes", metavar="FILE", help="their names, a JSON list")
    add("--samples", type=int, metavar="N", help="of classes (50 of each)")
    add("--count", type=int, help="examples (default: all)")
    add(
        "--split",
        default="unseen_instances",
        help="of --task (default: unseen_instances)",
    )
    add(
        "--extractors",
        nargs="*",
        default=["efficientnet_lite0"],
        metavar="NAME",
        help="networks of the Frechet and kernel distances, of "
        f"{', '.join(EXTRACTORS)} (default: efficientnet_lite0)",
    )
    add("--lite0-weights", metavar="FILE", help="of efficientnet_lite0")
    add("--fid-weights", metavar="FILE", help="of fid: .pth or .pb")
    add("--lpips", metavar="FILE", help="weights of LPIPS, .npz")
    add("--clip", metavar="PRESET", help="keras-hub's, folder or handle")
    add(
        "--judge",
        metavar="FILE",
        help='of --task: its classifier, .keras; or "dense", a second judge '
        "of another architecture (default: the item classifier, trained)",
    )
    add(
        "--listed",
        action="store_true",
        help="of --task: captions as its grammar never writes them, lists",
    )
    add("--resize", choices=tuple(RESIZES), help="(default: the network's)")
    add("--reference", metavar="FILE", help="statistics, npz with mu, sigma")
    add("--save-reference", metavar="FILE", help="writes those of the data")
    add("--blurs", nargs="+", type=float, default=[], help="radii of FID-k")
    add("--best-of", type=int, metavar="N", help="candidates a caption")
    add(
        "--rank-by",
        choices=RANKINGS,
        help="what chooses among them (default: a classifier for classes, "
        "else --clip, else the model)",
    )
    add("--replicates", type=int, default=20, help="of the bootstrap (20)")
    add("--batch-size", type=int, default=32, help="at once (default: 32)")
    add(
        "--save-samples",
        metavar="FILE",
        help="writes what is drawn as the npz that ADM's evaluator takes",
    )
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Evaluates as the options say."""
    counts = ("count", "best_of", "samples", "replicates", "batch_size")
    check_counts(**{name: getattr(options, name) for name in counts})
    asked = sources.opened(options)
    source, judge = sources.source_and_judge(
        options, bool(asked.whole or (asked.saved and options.clip))
    )
    directions = _directions(options, asked, source)
    examples = source and Examples(
        source, asked.image_shape, options.count, options.seed
    )
    protocol = Protocol(
        directions=directions,
        count=options.count,
        seed=options.seed,
        resize=options.resize,
        blurs=tuple(options.blurs),
        best_of=options.best_of,
        rank_by=options.rank_by,
        samples=options.samples,
        replicates=options.replicates,
        sampling=programs.sampling_of(options),
    )
    sources.check_ranking(options, asked, judge)
    # Whatever is missing is told before anything is computed.
    weights = {
        "efficientnet_lite0": options.lite0_weights,
        "fid": options.fid_weights,
    }
    extractors = [
        open_extractor(name, weights.get(name), options.resize, asked.tokenizer)
        for name in options.extractors
        if name != _JUDGES or judge is None
    ]
    lpips = LPIPS(options.lpips, dtype="float32") if options.lpips else None
    clip = CLIP.from_preset(options.clip) if options.clip else None
    reference = None
    if options.reference:
        reference = FeatureStatistics.load(options.reference)
    samples = _samples(options, asked, source, extractors)
    name = pathlib.Path(options.model).resolve().name
    whole = asked.whole or asked.classes
    about: dict[str, Any] = {
        "model": {
            "name": options.model,
            "path": options.model,
            "class": asked.name,
            "weights": asked.weights,
        },
        "data": source and {"source": source.description, "size": len(source)},
        "reference": options.reference,
        "sampling_defaults": {
            way: dict(own)
            for way, own in (whole.sampling_defaults if whole else {}).items()
        },
    }
    config = {
        **about,
        "protocol": protocol.config(),
        "extractors": [each.describe() for each in extractors],
        "lpips": options.lpips,
        "clip": options.clip,
        "judge": judge and judge(None).name,
        "save_samples": options.save_samples,
    }
    path = pathlib.Path(options.output, options.name or f"{name}-evaluation")
    folder = training.RunFolder(path, config, options.resume)
    judged = judge and judge(folder)
    if judged and _JUDGES in options.extractors:
        extractors.append(
            open_extractor(
                _JUDGES, judged.name, item_classifier=judged.classifier
            )
        )
    subject = Subject(
        asked.tokenizer,
        asked.whole,
        examples,
        extractors,
        protocol,
        lpips,
        clip,
        judged,
        options.batch_size,
        samples,
    )
    result = evaluate(subject, folder, about, reference)
    for direction, figures in result["figures"].items():
        for label, row in figures.items():
            print(
                f"{direction}: {label} {row['value']:.5g} "
                f"± {row['spread']:.2g} (of {row['count']})"
            )
    for each in (examples, samples):
        for name, why in getattr(each, "skipped", {}).items():
            print(f"skipped {name}: {why}")
    _exports(options, subject, folder)
    print(f"see {folder / 'report.html'}")


def _directions(
    options: argparse.Namespace, asked: sources.Asked, source: Any
) -> tuple[str, ...]:
    alone = asked.classes and SAMPLES[0] or asked.saved and SAMPLES[1]
    if source is None and not (alone and options.reference):
        raise ValueError(
            "There is no data: give --images, --pairs, --tar, --tfds, --task "
            "or --fake-data; samples may do with --reference."
        )
    if alone:
        if options.directions not in (None, [alone]):
            raise ValueError(
                f"--directions of {options.model} must be {alone}. "
                f"Received: {' '.join(options.directions)}"
            )
        return (alone,)
    whole = asked.whole
    captioned = whole is not None and bool(sources.captions_of(source))
    if options.directions is None:
        return DIRECTIONS if captioned else DIRECTIONS[:1]
    for name in options.directions:
        if name in SAMPLES:
            raise ValueError(
                f"--directions {name} needs a generator of classes, or "
                f"--saved samples. Received: {options.model}"
            )
        if name != "reconstruction" and whole is None:
            raise ValueError(
                f"--directions {name} needs a TextImageModel. Received: "
                f"{options.model}, an image tokenizer"
            )
        if name != "reconstruction" and not captioned:
            raise ValueError(
                f"--directions {name} needs captions, and "
                f"{source.description[:120]} has none: give --pairs, --tar "
                "or --tfds-captions."
            )
    return tuple(name for name in DIRECTIONS if name in options.directions)


def _samples(
    options: argparse.Namespace,
    asked: sources.Asked,
    source: Any,
    extractors: list[Any],
) -> Any:
    """What is compared with the data as a set, or `None`."""
    if asked.classes is not None:
        classes = len(asked.classes.classes)
        return ClassSamples(
            asked.classes,
            options.samples or _SAMPLES_A_CLASS * classes,
            options.seed,
            programs.sampling_of(options),
            options.batch_size,
            options.best_of,
            class_probabilities(extractors, classes, options.batch_size),
        )
    if asked.saved is None:
        return None
    if options.clip:
        asked.saved.caption_with(source)
    return Examples(asked.saved, asked.image_shape)


def _exports(
    options: argparse.Namespace, subject: Subject, folder: Any
) -> None:
    """The data's statistics and the samples, where they are asked for."""
    if options.save_reference:
        if subject.examples is None:
            raise ValueError("--save-reference needs data.")
        (extractor, *_) = subject.extractors
        originals = parts_of(folder, "originals", len(subject.examples))
        statistics = FeatureStatistics()
        for features in originals.each(f"features/{extractor.name}"):
            statistics.update(features)
        statistics.save(options.save_reference)
    if options.save_samples:
        export_adm_npz(options.save_samples, _made(subject))


def _made(subject: Subject) -> np.ndarray:
    """The samples, drawn again by the parts that they were measured in."""
    if subject.samples is not None:
        count = len(subject.samples)
        return np.concatenate(
            [
                subject.samples.read(range(i, min(i + PART, count))).images
                for i in range(0, count, PART)
            ]
        )
    rows = subject.examples.read(range(len(subject.examples)))
    captions = [lines[0] for lines in rows.captions]
    return drawn(subject, captions, rows.indices)
