"""Writes figures.json: what published packages compute of `inputs.py`.

    pip install pycocoevalcap==1.2 prdc==0.2 torch-fidelity==0.4.0 \
        pytorch-fid==0.3.0 torchmetrics==1.9.0 clean-fid==0.1.35
    PYTHONPATH=. python tests/metrics/reference/make.py

in an environment beside the library's (with torch, torchvision and, for the
tokenizer of captions, Java). The tests need none of them.
"""

import json
import pathlib
import sys
import tempfile

import numpy as np
import torch

PAGE = pathlib.Path(__file__).with_name("figures.json")
sys.path.insert(0, str(PAGE.parent))

import inputs  # noqa: E402


def captions():
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    def words(rows):
        rows = [[row] if isinstance(row, str) else row for row in rows]
        return PTBTokenizer().tokenize(
            {i: [{"caption": c} for c in row] for i, row in enumerate(rows)}
        )

    found, truth = words(inputs.CANDIDATES), words(inputs.REFERENCES)
    spoken = json.loads(PAGE.with_name("captions.json").read_text())
    return {
        "bleu": Bleu(4).compute_score(truth, found)[0],
        "rouge_l": Rouge().compute_score(truth, found)[1].tolist(),
        "cider_d": Cider().compute_score(truth, found)[1].tolist(),
        "words": dict(
            zip(spoken, (w for (w,) in words(spoken).values()), strict=True)
        ),
    }


def distances():
    from prdc import compute_prdc
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    real, fake = inputs.features(0, 300), inputs.features(1, 200, shift=0.1)
    few = real[:16]

    def statistics(x):
        return x.astype("float64").mean(0), np.cov(x, rowvar=False)

    kid = kid_features_to_metric(
        torch.tensor(real[:200].astype("float64")),
        torch.tensor(fake.astype("float64")),
        kid_subsets=1,
        kid_subset_size=200,
        rng_seed=0,
        verbose=False,
    )
    isc = isc_features_to_metric(
        torch.tensor(inputs.logits()), splits=4, shuffle=False
    )
    return {
        "frechet": calculate_frechet_distance(
            *statistics(real), *statistics(fake)
        ),
        "frechet_few": calculate_frechet_distance(
            *statistics(few), *statistics(fake)
        ),
        "kernel": kid["kernel_inception_distance_mean"],
        "inception_score": list(isc.values()),
        "prdc": {k: float(v) for k, v in compute_prdc(real, fake, 5).items()},
    }


def images():
    from cleanfid.resize import build_resizer
    from torch_fidelity.feature_extractor_inceptionv3 import (
        FeatureExtractorInceptionV3,
    )
    from torch_fidelity.interpolate_compat_tensorflow import (
        interpolate_bilinear_2d_like_tensorflow1x,
    )
    from torchmetrics.functional.image import (
        structural_similarity_index_measure,
    )

    pictures = inputs.pictures()
    x = torch.tensor(pictures.transpose(0, 3, 1, 2))
    shuffled = x.flip(0).float() / 255
    similarity = structural_similarity_index_measure(
        x.float() / 255, shuffled, data_range=1.0, reduction="none"
    )
    resized = {
        "tf1": interpolate_bilinear_2d_like_tensorflow1x(
            x.float(), size=(299, 299), align_corners=False
        ).numpy(),
        "torch": torch.nn.functional.interpolate(
            x.float(), (299, 299), mode="bilinear", align_corners=False
        ).numpy(),
        "clean": build_resizer("clean")(pictures[0]).transpose(2, 0, 1)[None],
    }
    network = FeatureExtractorInceptionV3
    original = torch.hub.load_state_dict_from_url
    shapes = {}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "weights.pth")
        # Its own initial weights tell the shapes.
        plain = network.__init__.__globals__
        plain["load_state_dict_from_url"] = lambda *a, **k: {}
        load = network.load_state_dict
        network.load_state_dict = lambda self, *a, **k: None
        empty = network("inception-v3-compat", ["2048"])
        network.load_state_dict = load
        plain["load_state_dict_from_url"] = original
        for name, value in empty.state_dict().items():
            if name.endswith(".conv.weight"):
                shapes[name.removesuffix(".conv.weight")] = list(value.shape)
        state = inputs.inception_state_dict(shapes)
        torch.save({k: torch.tensor(v) for k, v in state.items()}, path)
        extractor = network(
            "inception-v3-compat",
            ["2048", "logits"],
            feature_extractor_weights_path=str(path),
        )
    with torch.no_grad():
        features, logits = extractor(x)
    return {
        "ssim": similarity.tolist(),
        # A few places of each.
        "resized": {
            k: v[0, :, 7::71, 3::59].tolist() for k, v in resized.items()
        },
        "shapes": shapes,
        "inception_features": features.numpy()[:, ::37].tolist(),
        "inception_logits": logits.numpy()[:, ::37].tolist(),
    }


if __name__ == "__main__":
    figures = {**captions(), **distances(), **images()}
    rows = (f" {json.dumps(k)}: {json.dumps(v)}" for k, v in figures.items())
    PAGE.write_text("{\n" + ",\n".join(rows) + "\n}\n")
