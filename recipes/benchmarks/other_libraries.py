"""The programs of other libraries that sampling is timed against.

Each function takes a generator of GPT-2's architecture, a batch size and
sampling settings, and gives a function of a seed that draws one batch with
random weights: the same architecture, prompt, settings and new tokens.
"""

import keras
import numpy as np


def keras_hub_gpt(generator, batch, settings):
    """The same architecture and settings, compiled on the same backend."""
    import keras_hub

    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=generator.num_codes,
        num_layers=generator.transformer.depth,
        num_heads=generator.transformer.num_heads,
        hidden_dim=generator.transformer.width,
        intermediate_dim=4 * generator.transformer.width,
        dropout=0.0,
        max_sequence_length=generator.layout.length,
    )
    model = keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)
    model.compile(
        sampler=keras_hub.samplers.TopKSampler(k=settings["top_k"], seed=0),
        jit_compile=keras.config.backend() != "torch",
    )
    prompt = generator.layout.length - generator.layout.num_positions
    shape = (batch, generator.layout.length)
    mask = np.broadcast_to(np.arange(generator.layout.length) < prompt, shape)
    ids = np.random.default_rng(0).integers(1, generator.num_codes, shape)
    inputs = {"token_ids": ids * mask, "padding_mask": mask.astype("int32")}
    return lambda seed: model.generate(inputs, stop_token_ids=None)


def transformers_gpt(generator, batch, settings):
    """The same architecture and settings, on PyTorch."""
    import torch
    import transformers

    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=generator.num_codes,
            n_positions=generator.layout.length,
            n_embd=generator.transformer.width,
            n_layer=generator.transformer.depth,
            n_head=generator.transformer.num_heads,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    new = generator.layout.num_positions
    shape = (batch, generator.layout.length - new)
    ids = torch.randint(1, generator.num_codes, shape)

    def draw(seed):
        torch.manual_seed(seed)
        return model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=True,
            top_k=settings["top_k"],
            min_new_tokens=new,
            max_new_tokens=new,
            use_cache=True,
            pad_token_id=0,
        )

    return draw


PROGRAMS = {"keras_hub": keras_hub_gpt, "transformers": transformers_gpt}
