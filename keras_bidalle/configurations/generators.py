"""The published generators, as arguments of ours."""

from keras_bidalle.generators import BidirectionalTransformer, RQTransformer

# Of minDALL-E and the RQ-Transformer, whose programs share their origin.
LIKE_MINGPT = {
    "image_positions": "learned_places",
    "segment_embeddings": False,
    # To these programs a pad is a token like any other.
    "pad_id": None,
    "pad_tokens": False,
    "mask_padding": False,
    "qkv_bias": True,
}


def _bidalle(words):
    # arXiv 2112.00384, the released program and its scripts: 8 layers on
    # MNIST64, codes of a 16x16 grid and 128 kinds.
    return {
        "text_vocabulary_size": words,
        "text_length": 50,
        "num_codes": 128,
        "code_shape": (16, 16),
        "width": 256,
        "depth": 8,
        "num_heads": 8,
        "head_dim": 64,
        "attention": ("full", "axial_row", "axial_column", "conv_like"),
        "kernel_size": 5,
        "image_positions": "fixed",
        "segment_embeddings": False,
        "pads_see_themselves": False,
        "sparse_captioning_sees_pads": True,
        "predict_start": True,
        "activation": "geglu",
        "layer_scale": 0.1,
    }


def _dalle_attention(depth):
    # arXiv 2102.12092, appendix B.1: of layers 1 to 63, column where
    # (i - 2) mod 4 is 0 and row elsewhere; the last is convolutional.
    kinds = [
        "axial_column" if i % 4 == 2 else "raster_row" for i in range(1, depth)
    ]
    return (*kinds, "raster_conv")


def _rq_transformer(
    width,
    depth,
    head_depth=4,
    num_codes=16384,
    text_vocabulary_size=1,
    text_length=1,
    dropout=0.1,
):
    # arXiv 2203.01941, table of models in its appendix, and the released
    # configurations: heads of 64, codes embedded by the tokenizer's
    # codebook, one classifier. Without captions the condition is a class, of
    # which there is one where there are none.
    return (
        RQTransformer,
        {
            "text_vocabulary_size": text_vocabulary_size,
            "text_length": text_length,
            "num_codes": num_codes,
            "code_shape": (8, 8, 4),
            "width": width,
            "depth": depth,
            "num_heads": width // 64,
            "head_depth": head_depth,
            "body_embedding": "codebook",
            "head_embedding": "codebook",
            "code_dim": 256,
            **LIKE_MINGPT,
            "dropout": dropout,
            "target_weight": 9.0,
        },
    )


GENERATORS = {
    # DALL-E, arXiv 2102.12092, sections 2.2 and B.1: 62 heads of 64, row and
    # column embeddings, a pad token for each of 256 caption positions, an
    # 11x11 window.
    "dalle-12b": (
        BidirectionalTransformer,
        {
            "text_vocabulary_size": 16384,
            "text_length": 256,
            "num_codes": 8192,
            "code_shape": (32, 32),
            "width": 3968,
            "depth": 64,
            "num_heads": 62,
            "head_dim": 64,
            "attention": _dalle_attention(64),
            "kernel_size": 11,
            "image_positions": "learned",
            "segment_embeddings": False,
            "mask_padding": False,
        },
    ),
    # minDALL-E, https://github.com/kakaobrain/mindall-e, dalle-1.3B.yaml.
    "mindalle-1.3b": (
        BidirectionalTransformer,
        {
            "text_vocabulary_size": 16384,
            "text_length": 64,
            "num_codes": 16384,
            "code_shape": (16, 16),
            "width": 1536,
            "depth": 42,
            "num_heads": 24,
            **LIKE_MINGPT,
            "head_bias": False,
        },
    ),
    "bidalle-mnist64": (BidirectionalTransformer, _bidalle(78)),
    "bidalle-fashion64": (BidirectionalTransformer, _bidalle(103)),
    # L-Verse, arXiv 2111.11133: dense attention over 64 tokens of CLIP's
    # vocabulary and AugVAE-SL's codes, segments REF and GEN, about 500
    # million weights. Depth and width, which no public source tells, are
    # chosen here to give that many.
    "biart-500m": (
        BidirectionalTransformer,
        {
            "text_vocabulary_size": 49408,
            "text_length": 64,
            "num_codes": 8192,
            "code_shape": (32, 32),
            "width": 1024,
            "depth": 30,
            "num_heads": 16,
            "image_positions": "learned_places",
            "qkv_bias": True,
            "head_bias": False,
            "start_id": 49406,
            "end_id": 49407,
        },
    ),
    # RQ-Transformer, arXiv 2203.01941: faces and churches, cats and
    # bedrooms (one model each), classes of ImageNet, captions.
    "rq-transformer-ffhq-355m": _rq_transformer(1024, 24, num_codes=2048),
    "rq-transformer-church-370m": _rq_transformer(1024, 24),
    "rq-transformer-lsun-612m": _rq_transformer(1280, 26),
    "rq-transformer-imagenet-480m": _rq_transformer(
        1536, 12, text_vocabulary_size=1000
    ),
    "rq-transformer-imagenet-821m": _rq_transformer(
        1536, 24, text_vocabulary_size=1000
    ),
    "rq-transformer-imagenet-1.4b": _rq_transformer(
        1536, 42, head_depth=6, text_vocabulary_size=1000
    ),
    "rq-transformer-imagenet-3.8b": _rq_transformer(
        2560, 42, head_depth=6, text_vocabulary_size=1000, dropout=0.3
    ),
    "rq-transformer-cc3m-654m": _rq_transformer(
        1280, 26, text_vocabulary_size=16384, text_length=32
    ),
}
