"""Train a model of `multivae` on request; run by its own environment's Python, see `_runner`."""

from __future__ import annotations

import torch
from _generative import serve_models
from multivae.data.datasets.base import MultimodalBaseDataset
from multivae.models import (
    JMVAE,
    MVAE,
    JMVAEConfig,
    MMVAEPlus,
    MMVAEPlusConfig,
    MoPoE,
    MoPoEConfig,
    MVAEConfig,
)
from multivae.models.base import BaseAEConfig
from multivae.models.nn.base_architectures import BaseMultilatentEncoder
from multivae.models.nn.default_architectures import MultipleHeadJointEncoder
from multivae.trainers import BaseTrainer, BaseTrainerConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn.base_architectures import BaseDecoder, BaseEncoder
from torch import nn
from torch.distributions import Normal

MODELS = {
    "JMVAE": (JMVAE, JMVAEConfig),
    "MVAE": (MVAE, MVAEConfig),
    "MoPoE": (MoPoE, MoPoEConfig),
    "MMVAE+": (MMVAEPlus, MMVAEPlusConfig),
}


def hidden_layers(n_inputs, width):
    """Return two hidden layers, as deep as ours are."""
    return nn.Sequential(nn.Linear(n_inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())


class Encoder(BaseEncoder):
    """Two hidden layers to mean and log variance."""

    def __init__(self, n_inputs, n_components, width):
        super().__init__()
        self.latent_dim = n_components
        self.hidden = hidden_layers(n_inputs, width)
        self.heads = nn.Linear(width, 2 * n_components)

    def forward(self, x):
        """Return what the models of `multivae` read."""
        mean, log_variance = self.heads(self.hidden(x)).chunk(2, -1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class EncoderOfTwo(BaseMultilatentEncoder):
    """The same, for a shared and a private part of the code."""

    def __init__(self, n_inputs, n_shared, n_private, width):
        super().__init__()
        self.latent_dim, self.style_dim = n_shared, n_private
        self.hidden = hidden_layers(n_inputs, width)
        self.heads = nn.Linear(width, 2 * (n_shared + n_private))
        self.sizes = [n_shared, n_shared, n_private, n_private]

    def forward(self, x):
        """Return what the models of `multivae` read."""
        shared, log_shared, private, log_private = self.heads(self.hidden(x)).split(self.sizes, -1)
        return ModelOutput(
            embedding=shared,
            log_covariance=log_shared,
            style_embedding=private,
            style_log_covariance=log_private,
        )


class Decoder(BaseDecoder):
    """Two hidden layers to the rows."""

    def __init__(self, n_components, n_outputs, width):
        super().__init__()
        self.layers = nn.Sequential(hidden_layers(n_components, width), nn.Linear(width, n_outputs))

    def forward(self, z):
        """Return what the models of `multivae` read."""
        return ModelOutput(reconstruction=self.layers(z))


def build(request, rows):
    """Make a model with its networks."""
    torch.manual_seed(request["seed"])
    kind, configure = MODELS[request["model"]]
    k, width = request["n_components"], request["width"]
    sizes = {name: values.shape[1] for name, values in rows.items()}
    settings = {
        "n_modalities": len(sizes),
        "latent_dim": k,
        "input_dims": {name: (size,) for name, size in sizes.items()},
    }
    if request["scale"] is not None:
        settings["decoder_dist_params"] = {name: {"scale": request["scale"]} for name in sizes}
    if request["model"] == "MMVAE+":
        shared, private = k // 2, k // 2 // len(sizes)
        settings |= {"latent_dim": shared, "modalities_specific_dim": private}
        encoders = nn.ModuleDict(
            {name: EncoderOfTwo(size, shared, private, width) for name, size in sizes.items()}
        )
        k = shared + private
    decoders = nn.ModuleDict({name: Decoder(k, size, width) for name, size in sizes.items()})
    if request["model"] == "MMVAE+":
        return kind(configure(**settings), encoders, decoders)
    encoders = nn.ModuleDict({name: Encoder(size, k, width) for name, size in sizes.items()})
    more = {}
    if request["model"] == "JMVAE":
        more["joint_encoder"] = MultipleHeadJointEncoder(
            encoders, BaseAEConfig(latent_dim=k), hidden_dim=width, n_hidden_layers=1
        )
    return kind(configure(**settings), encoders, decoders, **more)


def make_trainer(request, model, rows, folder):
    """Return the peer's trainer."""
    config = BaseTrainerConfig(
        output_dir=folder,
        num_epochs=request["max_epochs"],
        per_device_train_batch_size=request["batch_size"],
        learning_rate=request["lr"],
        seed=request["seed"],
        no_cuda=True,
    )
    return BaseTrainer(model, MultimodalBaseDataset(data=rows), training_config=config)


def fit(request, rows, folder):
    """Train for all epochs; the model is the one that the trainer keeps, of the least loss."""
    trainer = make_trainer(request, build(request, rows), rows, folder)
    trainer.train()
    return Fitted(trainer._best_model.eval(), request)


def time(request, rows, folder, turn):
    """Train an epoch a turn: the trainer's steps, without its copies of the best model."""
    trainer = make_trainer(request, build(request, rows), rows, folder)
    for epoch in range(1, request["max_epochs"] + 1):
        trainer.prepare_train_step(epoch, 1e12, 1e12)
        turn.begin()
        trainer.train_step(epoch)
        turn.end()


class Fitted:
    """A trained model, asked as `_generative.answers` does."""

    def __init__(self, model, request):
        self.model, self.kind = model, request["model"]

    def code(self, rows):
        """Return the means of the joint code, the private parts after the shared one."""
        code = self.model.encode(MultimodalBaseDataset(data=rows), return_mean=True)
        return torch.cat([code.z, *getattr(code, "modalities_z", {}).values()], -1)

    def translate(self, rows, shown):
        """Return the decoded mean of every modality, from those shown."""
        return self.model.predict(
            MultimodalBaseDataset(data=rows), cond_mod=shown, gen_mod="all", return_mean=True
        )

    def posterior(self, rows):
        """Return the experts of the joint posterior."""
        model, data = self.model, MultimodalBaseDataset(data=rows)
        if self.kind == "MMVAE+":
            coded = {name: model.encoders[name](values) for name, values in rows.items()}
            private = [code.style_embedding for code in coded.values()]
            spread = [model._log_var_to_std(c.style_log_covariance) for c in coded.values()]
            return model.post_dist(
                torch.stack([torch.cat([c.embedding, *private], -1) for c in coded.values()]),
                torch.stack(
                    [
                        torch.cat([model._log_var_to_std(c.log_covariance), *spread], -1)
                        for c in coded.values()
                    ]
                ),
            )
        if self.kind == "MoPoE":
            latents = model.inference(data)
            return Normal(latents["mus"], (latents["logvars"] / 2).exp())
        if self.kind == "JMVAE":
            code = model.joint_encoder(rows)
            mean, log_variance = code.embedding, code.log_covariance
        else:
            mean, log_variance = model.compute_mu_log_var_subset(data, list(rows))
        return Normal(mean[None], (log_variance / 2).exp()[None])

    def log_joint(self, z, rows):
        """Return log p(rows, z) for z of shape (draw, row, component)."""
        model = self.model
        codes = dict.fromkeys(rows, z)
        total = Normal(0, 1).log_prob(z).sum(-1)
        if self.kind == "MMVAE+":
            shared, *private = z.split([model.latent_dim, *model.style_dims.values()], -1)
            codes = {
                name: torch.cat([shared, part], -1)
                for name, part in zip(model.style_dims, private, strict=True)
            }
            prior = model.prior_dist(*(part[0] for part in model.pz_params))
            mean, scale = (
                torch.cat([part[: model.latent_dim], *[part[model.latent_dim :]] * len(private)])
                for part in (prior.mean, prior.scale)
            )
            total = model.prior_dist(mean, scale).log_prob(z).sum(-1)
        for name, values in rows.items():
            outputs = model.decoders[name](codes[name]).reconstruction
            total = total + model.recon_log_probs[name](outputs, values).sum(-1)
        return total


if __name__ == "__main__":
    import sys

    serve_models(sys.modules[__name__])
