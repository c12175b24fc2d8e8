"""Train a model of `multiviewae` on request; run by its own environment's Python, see `_runner`.

The pinned pytorch-lightning 1.5.10 makes names of attributes by formatting members of a str Enum.
Python 3.11 formats these by name, no longer by value, so that `fit` raises AttributeError until
`__format__` is put back, as it is here.
"""

from __future__ import annotations

import warnings
from math import log
from pathlib import Path

import torch
from _generative import serve_models
from multiviewae import models
from omegaconf import OmegaConf
from pytorch_lightning.utilities.enums import LightningEnum
from torch.distributions import Normal

LightningEnum.__format__ = lambda self, spec: format(self.value, spec)
warnings.filterwarnings("ignore")


def build(request, rows, folder):
    """Make a model; its configuration is read from a file."""
    torch.manual_seed(request["seed"])
    k = request["n_components"]
    nets = {"hidden_layer_dim": [request["width"]] * 2, "non_linear": True}
    decoder = dict(nets)
    if request["scale"] is not None:
        decoder["init_logvar"] = 2 * log(request["scale"])
    config = {
        "out_dir": folder,
        "model": {"learning_rate": request["lr"], "seed": request["seed"]},
        "datamodule": {"batch_size": request["batch_size"], "is_validate": False},
        "encoder": {"default": nets},
        "decoder": {"default": decoder},
        "trainer": {"log_every_n_steps": 50},  # as Lightning has it; the peer logs every 2 steps
    }
    if request["model"] == "mmVAEPlus":
        shared, private = k // 2, k // 2 // len(rows)
        config["model"] |= {"u_dim": shared, "w_dim": private}
        k = shared + private
    path = Path(folder) / "config.yaml"
    OmegaConf.save(config, path)
    kind = getattr(models, request["model"])
    model = kind(cfg=str(path), input_dim=[v.shape[1] for v in rows.values()], z_dim=k)
    model.on_train_end = lambda: None  # would write the model to two files
    return model


def train(request, model, rows):
    """Run the peer's own training, on all rows."""
    model.fit(*(values.numpy() for values in rows.values()), max_epochs=request["max_epochs"])


def fit(request, rows, folder):
    """Train for all epochs."""
    model = build(request, rows, folder)
    train(request, model, rows)
    model._training = False
    return FITTED[request["model"]](model.eval(), list(rows))


def time(request, rows, folder, turn):
    """Train an epoch a turn."""
    model = build(request, rows, folder)
    model.on_train_epoch_start, model.on_train_epoch_end = turn.begin, turn.end
    train(request, model, rows)


class Fitted:
    """A trained model with a code for any subset of views, asked as `_generative.answers` does."""

    def __init__(self, model, names):
        self.model, self.names = model, names

    def among(self, shown):
        """Return the numbers of the views shown."""
        return [self.names.index(name) for name in shown]

    def encode(self, rows, shown):
        """Return the code's distribution."""
        return self.model.encode_subset(list(rows.values()), self.among(shown))[0]

    def code(self, rows):
        """Return the means of the joint code."""
        return self.encode(rows, self.names).loc

    def translate(self, rows, shown):
        """Return the decoded mean of every modality, from those shown."""
        code = self.encode(rows, shown).loc
        return {n: decode(code).loc for n, decode in self.decoders().items()}

    def decoders(self):
        """Return each view's decoder."""
        return dict(zip(self.names, self.model.decoders, strict=True))

    def posterior(self, rows):
        """Return the experts of the joint posterior."""
        code = self.encode(rows, self.names)
        return Normal(code.loc[None], code.scale[None])

    def log_joint(self, z, rows):
        """Return log p(rows, z) for z of shape (draw, row, component)."""
        codes = self.parts(z)
        total = Normal(0, 1).log_prob(z).sum(-1)
        for name, decode in self.decoders().items():
            total = total + decode(codes[name]).log_likelihood(rows[name]).sum(-1)
        return total

    def parts(self, z):
        """Return what each decoder reads of a code."""
        return dict.fromkeys(self.names, z)


class FittedJMVAE(Fitted):
    """Of two views: the joint encoder for both, an encoder of its own for each alone."""

    def encode(self, rows, shown):
        """Return the code's distribution."""
        views, among = list(rows.values()), self.among(shown)
        if len(among) == 2:
            return self.model.encode(views)[0]
        return self.model.encode_separate(views)[among[0]]


class FittedMoPoE(Fitted):
    """A mixture of a product for each subset."""

    def posterior(self, rows):
        """Return the experts of the joint posterior."""
        subsets = [[self.names[i] for i in subset] for subset in self.model.subsets]
        codes = [self.encode(rows, subset) for subset in subsets]
        return Normal(torch.stack([c.loc for c in codes]), torch.stack([c.scale for c in codes]))


class FittedMMVAEPlus(Fitted):
    """A shared code from a mixture of experts, and a private one for each view."""

    def encode_each(self, rows, shown):
        """Return mean and log variance of shared and private codes of each view shown."""
        views = list(rows.values())
        return {self.names[i]: self.model.encoders[i](views[i]) for i in self.among(shown)}

    def means(self, rows, shown):
        """Return the mean shared code, and a private one for each view, 0 where not shown."""
        coded = self.encode_each(rows, shown)
        shared = torch.stack([mean for mean, *_ in coded.values()]).mean(0)
        nothing = shared.new_zeros(len(shared), self.model.w_dim)
        return shared, [coded[n][2] if n in coded else nothing for n in self.names]

    def code(self, rows):
        """Return the means of the joint code, the private parts after the shared one."""
        shared, private = self.means(rows, self.names)
        return torch.cat([shared, *private], -1)

    def translate(self, rows, shown):
        """Return the decoded mean of every modality, from those shown."""
        codes = self.parts(torch.cat([(m := self.means(rows, shown))[0], *m[1]], -1))
        return {n: decode(codes[n]).loc for n, decode in self.decoders().items()}

    def posterior(self, rows):
        """Return the experts of the joint posterior: they differ in the shared part."""
        coded = self.encode_each(rows, self.names).values()
        mean = [torch.cat([c[0], *(other[2] for other in coded)], -1) for c in coded]
        scale = [torch.cat([c[1], *(other[3] for other in coded)], -1) for c in coded]
        return Normal(torch.stack(mean), (torch.stack(scale) / 2).exp())

    def parts(self, z):
        """Return what each decoder reads of a code."""
        sizes = [self.model.u_dim] + [self.model.w_dim] * len(self.names)
        shared, *private = z.split(sizes, -1)
        return {
            name: torch.cat([shared, part], -1)
            for name, part in zip(self.names, private, strict=True)
        }


class FittedAE:
    """A code for each view, each decoded to all views: the joint code is their mean."""

    def __init__(self, model, names):
        self.model, self.names = model, names

    def code(self, rows, shown=None):
        """Return the mean over the codes of the views shown."""
        codes = dict(zip(self.names, self.model.encode(list(rows.values())), strict=True))
        return torch.stack([codes[name] for name in shown or self.names]).mean(0)

    def translate(self, rows, shown):
        """Return the decoded mean code."""
        code = self.code(rows, shown)
        decoded = (decode(code).x for decode in self.model.decoders)
        return dict(zip(self.names, decoded, strict=True))


FITTED = {
    "AE": FittedAE,
    "JMVAE": FittedJMVAE,
    "mVAE": Fitted,
    "MoPoEVAE": FittedMoPoE,
    "mmVAEPlus": FittedMMVAEPlus,
}


if __name__ == "__main__":
    import sys

    serve_models(sys.modules[__name__])
