r"""Measures a model as papers do, and writes a report.

    python recipes/evaluate.py bidalle-mnist --task mnist64 --data-dir DIGITS
    python recipes/evaluate.py runs/mine/model --pairs photos --count 1000
    keras-bidalle evaluate te-vqgan-mnist --images photos

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

import keras

from keras_bidalle import data, programs, training
from keras_bidalle.evaluation.adm import export_adm_npz
from keras_bidalle.evaluation.directions import Subject, drawn
from keras_bidalle.evaluation.evaluate import PART, evaluate
from keras_bidalle.evaluation.examples import Examples
from keras_bidalle.evaluation.opening import EXTRACTORS, open_extractor
from keras_bidalle.evaluation.parts import Parts
from keras_bidalle.evaluation.protocol import DIRECTIONS, Protocol
from keras_bidalle.files import atomic_path
from keras_bidalle.losses import LPIPS
from keras_bidalle.metrics.extractors import CLIP, RESIZES
from keras_bidalle.metrics.frechet import FeatureStatistics
from keras_bidalle.presets import load
from keras_bidalle.text_image_model import TextImageModel

# MNIST64 has five layouts, of which as many pictures each are made.
_MNIST64_PICTURES = 500


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of a command line."""
    parser = argparse.ArgumentParser(
        "evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", help="a name or folder that `keras_bidalle.load` opens")
    kinds = programs.add_source(parser)
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
    add("--directions", nargs="+", choices=DIRECTIONS, help="(default: all)")
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
        choices=EXTRACTORS,
        help="networks of the Frechet and kernel distances (default: "
        "efficientnet_lite0)",
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
    for name in ("count", "best_of", "replicates", "batch_size"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ValueError(
                f"--{name.replace('_', '-')} must be at least 1. "
                f"Received: {value}"
            )
    model = load(options.model)
    tokenizer = programs.image_tokenizer_of(model)
    whole = model if isinstance(model, TextImageModel) else None
    source, judge = _source(options, whole)
    examples = Examples(
        source, tokenizer.image_shape, options.count, options.seed
    )
    protocol = Protocol(
        directions=_directions(options, whole, source),
        count=options.count,
        seed=options.seed,
        resize=options.resize,
        blurs=tuple(options.blurs),
        best_of=options.best_of,
        replicates=options.replicates,
        sampling=programs.sampling_of(options),
    )
    # Whatever is missing is told before anything is computed.
    weights = {
        "efficientnet_lite0": options.lite0_weights,
        "fid": options.fid_weights,
    }
    extractors = [
        open_extractor(name, weights.get(name), options.resize, tokenizer)
        for name in options.extractors
    ]
    lpips = LPIPS(options.lpips, dtype="float32") if options.lpips else None
    clip = CLIP.from_preset(options.clip) if options.clip else None
    reference = None
    if options.reference:
        reference = FeatureStatistics.load(options.reference)
    name = pathlib.Path(options.model).resolve().name
    about: dict[str, Any] = {
        "model": {
            "name": options.model,
            "path": options.model,
            "class": type(model).__name__,
            "weights": data.fingerprint(model)[:16],
        },
        "data": {"source": source.description, "size": len(source)},
        "reference": options.reference,
        "sampling_defaults": whole.sampling_defaults if whole else {},
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
    subject = Subject(
        tokenizer,
        whole,
        examples,
        extractors,
        protocol,
        lpips,
        clip,
        judge and judge(folder),
        options.batch_size,
    )
    result = evaluate(subject, folder, about, reference)
    for direction, figures in result["figures"].items():
        for label, row in figures.items():
            print(
                f"{direction}: {label} {row['value']:.5g} "
                f"± {row['spread']:.2g} (of {row['count']})"
            )
    for name, why in examples.skipped.items():
        print(f"skipped {name}: {why}")
    _exports(options, subject, folder)
    print(f"see {folder / 'report.html'}")


def _directions(
    options: argparse.Namespace, whole: Any, source: data.ImageSource
) -> tuple[str, ...]:
    captioned = whole is not None and bool(_captions(source))
    if options.directions is None:
        return DIRECTIONS if captioned else DIRECTIONS[:1]
    for name in options.directions:
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


def _captions(source: data.ImageSource) -> list[str]:
    """The captions of the first record that can be read."""
    for index in range(len(source)):
        try:
            return list(source.read(index).captions)
        except (OSError, data.ImageError):
            continue
    return []


def _source(options: argparse.Namespace, whole: Any) -> tuple[Any, Any]:
    """The data, and what makes its judge in a run's folder, or `None`."""
    if options.task is None:
        asked = set(options.directions or DIRECTIONS) - {"reconstruction"}
        captions = bool(whole and asked and (options.pairs or options.tar))
        captions |= bool(options.tfds_captions or options.fake_data)
        try:
            return programs.source_of(options, captions), None
        except FileNotFoundError:
            # A tar without captions will do where none were asked for.
            if options.directions or not (captions and options.tar):
                raise
            return programs.source_of(options, False), None
    from keras_bidalle.tasks import mnist64

    dataset = "fashion_mnist" if "fashion" in options.task else "mnist"
    items = mnist64.load_items(dataset, options.data_dir)
    task = mnist64.MNIST64(items, options.split)
    count = options.count or _MNIST64_PICTURES
    source = mnist64.MNIST64Images(
        task, -(-count // 5), options.seed, options.listed
    )

    def judge(folder: Any) -> Any:
        name = options.judge or "item classifier, 1500 steps, seed 1"
        classifier = folder and _classifier(options.judge, items, folder)
        return mnist64.MNIST64Judge(source, classifier, task.grammar, name)

    return source, judge


def _classifier(judge: str | None, items: Any, folder: Any) -> Any:
    """The judge's classifier, trained once for a run where it has none."""
    from keras_bidalle.tasks import mnist64

    dense = judge == "dense"
    path = pathlib.Path(folder / "classifier.keras")
    if judge and not dense:
        path = pathlib.Path(judge)
    elif not path.is_file():
        kind = mnist64.DenseItemClassifier if dense else mnist64.ItemClassifier
        classifier = mnist64.train_item_classifier(
            items,
            seed=1,
            callbacks=[training.RunProgress("judge", batch_size=128)],
            kind=kind,
        )
        with atomic_path(path) as temporary:
            classifier.save(temporary)
    return keras.saving.load_model(path)


def _exports(
    options: argparse.Namespace, subject: Subject, folder: Any
) -> None:
    """The data's statistics and the samples, where they are asked for."""
    if options.save_reference:
        (extractor, *_) = subject.extractors
        count = len(subject.examples)
        bounds = [(i, min(i + PART, count)) for i in range(0, count, PART)]
        originals = Parts(folder / "parts" / "originals", bounds)
        statistics = FeatureStatistics()
        for features in originals.each(f"features/{extractor.name}"):
            statistics.update(features)
        statistics.save(options.save_reference)
    if options.save_samples:
        rows = subject.examples.read(range(len(subject.examples)))
        captions = [lines[0] for lines in rows.captions]
        export_adm_npz(
            options.save_samples, drawn(subject, captions, rows.indices)
        )
