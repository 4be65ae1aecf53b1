"""How each published program is built and asked.

The programs' own modules do the work.
"""

import importlib
import json
import sys
import types

import torch
from torch import nn
from torch.nn import functional as F
from writing import Parts


def to_numpy(tensors):
    return {name: t.detach().numpy() for name, t in tensors.items()}


class Program:
    """One published program.

    `share` is for `coarse_weights`, `low` the least value of an image.
    """

    share = 0.3
    low = -1.0
    file_name = "last.ckpt"

    def read(self, folder):
        """Returns the module of a case, and its configuration."""
        config = json.loads((folder / "config.json").read_text())
        module = self.build(config)
        saved = torch.load(folder / self.file_name, weights_only=True)
        module.load_state_dict(saved["state_dict"])
        return module.eval(), config

    def files(self, module):
        return {self.file_name: {"state_dict": module.state_dict()}}

    def image_size(self, config):
        return config["ddconfig"]["resolution"]

    def fit_codebook(self, module, config, image, full_case):
        """Puts the codes where the latents are, so that many are used."""
        with torch.no_grad():
            z = module.quant_conv(module.encoder(image))
            table = module.quantize.embedding.weight
            rows = z.movedim(1, -1).reshape(-1, z.shape[1])
            chosen = rows[torch.randperm(len(rows))[: len(table)]]
            table.copy_(chosen + rows.std() * torch.randn(table.shape) / 2)
            if config.get("force_emb_len_1"):
                table.copy_(F.normalize(table, dim=1))


class Taming(Program):
    """VQGAN and Gumbel VQGAN."""

    def build(self, config):
        model = importlib.import_module("taming.modules.diffusionmodules.model")
        sizes, dim = config["ddconfig"], config["embed_dim"]
        z = sizes["z_channels"]
        quantize = self.quantize(config)
        width = z if config.get("kind") == "gumbel" else dim
        return Parts(
            encoder=model.Encoder(**sizes),
            decoder=model.Decoder(**sizes),
            quantize=quantize,
            quant_conv=nn.Conv2d(z, width, 1),
            post_quant_conv=nn.Conv2d(dim, z, 1),
        )

    def quantize(self, config):
        module = importlib.import_module("taming.modules.vqvae.quantize")
        sizes = config["n_embed"], config["embed_dim"]
        if config["kind"] == "gumbel":
            return module.GumbelQuantize(
                config["ddconfig"]["z_channels"],
                sizes[1],
                n_embed=sizes[0],
                kl_weight=config["kl_weight"],
            )
        return module.VectorQuantizer2(*sizes, config["beta"])

    def fit_codebook(self, module, config, image, full_case):
        if config["kind"] != "gumbel":
            super().fit_codebook(module, config, image, full_case)

    @torch.no_grad()
    def answers(self, module, config, image):
        z = module.quant_conv(module.encoder(image))
        found = {"latent": z}
        if config["kind"] == "gumbel":
            # Without the noise: evaluation takes the likeliest code.
            logits = module.quantize.proj(z)
            indices = logits.argmax(1)
            quantized = module.quantize.embed(indices).movedim(-1, 1)
            _, found["kl_loss"], _ = module.quantize(z)
            found["logits"] = logits
        else:
            quantized, found["vq_loss"], (*_, indices) = module.quantize(z)
            indices = indices.reshape(len(image), *z.shape[2:])
        found |= {"indices": indices, "quantized": quantized}
        found["reconstruction"] = module.decoder(
            module.post_quant_conv(quantized)
        )
        return to_numpy(found)


class TEVQGAN(Taming):
    """TE-VQGAN, which is a VQGAN with another encoder and quantizer."""

    def quantize(self, config):
        module = importlib.import_module("taming.modules.vqvae.quantize")
        names = ("n_embed", "embed_dim", "beta", "ortho_reg_coef")
        return module.VectorQuantizer(
            *(config[name] for name in names),
            config["force_emb_len_1"],
            config["distance_measure"],
        )

    def build(self, config):
        module = super().build(config)
        losses = importlib.import_module("taming.modules.losses.vqperceptual")
        losses.LPIPS = nn.Identity  # Its weight is 0.
        options = config["disc"]
        module.loss = losses.VQLPIPSWithDiscriminator(
            disc_start=0,
            disc_num_layers=options["num_layers"],
            disc_ndf=options["ndf"],
            disc_weight=options["disc_weight"],
            perceptual_weight=options["perceptual_weight"],
            disc_loss=options["loss"],
        )
        return module

    def fit_codebook(self, module, config, image, full_case):
        Program.fit_codebook(self, module, config, image, full_case)

    def answers(self, module, config, image):
        codebook = module.quantize.embedding.weight
        z = module.quant_conv(module.encoder(image))
        latent = z.detach().requires_grad_()
        _, (vq_loss, ortho_loss), _ = module.quantize(latent)
        gradients = torch.autograd.grad(vq_loss, [latent, codebook])
        (ortho_gradient,) = torch.autograd.grad(ortho_loss, [codebook])
        quantized, terms, (perplexity, _, indices) = module.quantize(z)
        output = module.decoder(module.post_quant_conv(quantized))
        players = [
            module.loss(
                *(sum(terms), image, output, player, 1),
                last_layer=module.decoder.conv_out.weight,
            )
            for player in (0, 1)
        ]
        return to_numpy(
            {
                "latent": z,
                "indices": indices.reshape(len(image), *z.shape[2:]),
                "quantized": quantized,
                "reconstruction": output,
                "vq_loss": vq_loss,
                "ortho_loss": ortho_loss,
                "perplexity": perplexity,
                "grad_vq_latent": gradients[0],
                "grad_vq_codebook": gradients[1],
                "grad_ortho_codebook": ortho_gradient,
                "disc_logits": module.loss.discriminator(image),
                "generator_loss": players[0][0],
                "adaptive_weight": players[0][1]["train/d_weight"],
                "discriminator_loss": players[1][0],
            }
        )


class RQVAE(Program):
    file_name = "model.pt"

    def build(self, config):
        # The package itself would import the generators' requirements.
        package = importlib.import_module("rqvae")
        models = types.ModuleType("rqvae.models")
        models.__path__ = [f"{package.__path__[0]}/models"]
        sys.modules.setdefault("rqvae.models", models)
        module = importlib.import_module("rqvae.models.rqvae.rqvae")
        return module.RQVAE(**config["hparams"], ddconfig=config["ddconfig"])

    def fit_codebook(self, module, config, image, full_case):
        """The full case's codebooks, which RQ-Transformers refer to."""
        full, _ = self.read(full_case)
        module.quantizer.load_state_dict(full.quantizer.state_dict())
        with torch.no_grad():
            scale = 1.5 * module.quantizer.codebooks[0].weight.std()
            factor = scale / module.encode(image).std()
            module.quant_conv.weight.mul_(factor)
            module.quant_conv.bias.mul_(factor)

    @torch.no_grad()
    def answers(self, module, config, image):
        z = module.encode(image)
        quantized, loss, codes = module.quantizer(z)
        soft, _ = module.quantizer.get_soft_codes(z, temp=0.5)
        found = {
            "latent": z,
            "codes": codes,
            "quantized": quantized,
            "commitment_loss": loss,
            "reconstruction": module.decode(quantized),
            "soft_codes_t05": soft,
        }
        after = self.build(config).quantizer
        after.load_state_dict(module.quantizer.state_dict())
        for codebook in after.codebooks:
            codebook.restart_unused_codes = False
        after.train()(z)
        count = 1 if config["hparams"]["shared_codebook"] else None
        for number, codebook in enumerate(list(after.codebooks)[:count]):
            for name in ("weight", "cluster_size_ema", "embed_ema"):
                found[f"after_{number}_{name}"] = getattr(codebook, name)
        return to_numpy(found)


class AugVAE(Program):
    share = 0.04

    def image_size(self, config):
        return config["resolution"]

    def read(self, folder):
        (path,) = folder.glob("*.ckpt")
        self.file_name = path.name
        return super().read(folder)

    def build(self, config):
        models = importlib.import_module("latent_verse.models.vqvae")
        models.VectorQuantizer = models.EMAVectorQuantizer
        models.VQVAE.save_hyperparameters = lambda self, *names: None
        models.VQVAE.hparams = types.SimpleNamespace()
        args = types.SimpleNamespace(**config)
        args.finetune, args.learning_rate, args.batch_size = False, 0.0, 1
        module = models.VQVAE(args, 1, 0.0)
        if config["finetune"]:
            module.setup_finetune(config["ft_attn_resolutions"], "mse", args)
        return module

    def fit_codebook(self, module, config, image, full_case):
        """All levels share their codebook and what stands about it."""
        for name in ("pre_quants", "quantizers", "post_quants"):
            levels = getattr(module, name)
            setattr(module, name, nn.ModuleList([levels[0]] * len(levels)))
        with torch.no_grad():
            rows, z = [], image
            for encoder in module.encoders:
                z = encoder(z)
                latent = module.pre_quants[0](z).movedim(1, -1)
                rows.append(latent.reshape(-1, latent.shape[-1])[:48])
            rows = torch.cat(rows)
            table = module.quantizers[0].embedding
            chosen = rows[torch.randperm(len(rows))[: len(table.weight)]]
            noise = rows.std() * torch.randn(chosen.shape) / 2
            table.weight.copy_(chosen + noise)
            table.embed_avg.copy_(table.weight)
            table.cluster_size.fill_(1)

    @torch.no_grad()
    def answers(self, module, config, image):
        output, loss, perplexity = module(image)
        found = {
            "loss": loss,
            "reconstruction": output,
            "token_sequence": module.get_codebook_indices(image),
        }
        if not config["finetune"]:
            found["perplexity"] = perplexity
            _, _, (_, _, indices) = module.encode(image)
            for level, codes in enumerate(indices):
                found[f"indices_{level}"] = codes
        return to_numpy(found)


class DALLE(Program):
    low = 0.0

    def build(self, config):
        import attr

        # The program refuses sizes as small as these.
        attr.validators.set_disabled(True)
        dall_e = importlib.import_module("dall_e")
        halves = {
            half: {k: v for k, v in config[half].items() if k != "group_count"}
            for half in ("encoder", "decoder")
        }
        return Parts(
            encoder=dall_e.Encoder(**halves["encoder"]),
            decoder=dall_e.Decoder(**halves["decoder"]),
        )

    def read(self, folder):
        config = json.loads((folder / "config.json").read_text())
        module = self.build(config)
        for half in ("encoder", "decoder"):
            path = folder / f"{half}.pkl"
            saved = torch.load(path, weights_only=False)
            getattr(module, half).load_state_dict(saved.state_dict())
        return module.eval(), config

    def files(self, module):
        return {
            "encoder.pkl": module.encoder,
            "decoder.pkl": module.decoder,
        }

    def image_size(self, config):
        return 32

    def fit_codebook(self, module, config, image, full_case):
        pass

    @torch.no_grad()
    def answers(self, module, config, image):
        dall_e = importlib.import_module("dall_e")
        logits = module.encoder(dall_e.map_pixels(image))
        indices = logits.argmax(1)
        one_hot = F.one_hot(indices, logits.shape[1]).movedim(-1, 1).float()
        statistics = module.decoder(one_hot)
        return to_numpy(
            {
                "logits": logits,
                "indices": indices,
                "decoder_stats": statistics,
                "reconstruction": dall_e.unmap_pixels(
                    torch.sigmoid(statistics[:, :3])
                ),
            }
        )


PROGRAMS = {
    "te_vqgan": TEVQGAN,
    "taming": Taming,
    "rq_vae": RQVAE,
    "augvae": AugVAE,
    "dall_e": DALLE,
}
