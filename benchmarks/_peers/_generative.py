"""What the runners of `multivae` and `multiviewae` share: tensors, predictions, likelihoods."""

from __future__ import annotations

import numpy as np
import torch
from _runner import serve, timed

BLOCK = 25  # rows whose draws are decoded at once


def serve_models(peer):
    """Answer requests until stdin ends; `peer` has `fit`, `time` and what `answers` asks for."""
    torch.set_num_threads(1)

    def tensors(rows):
        return {name: torch.tensor(values) for name, values in rows.items()}

    def answer(request, train, test, folder):
        train, test = tensors(train), tensors(test)
        model, seconds = timed(peer.fit, request, train, folder)
        generator = torch.Generator().manual_seed(request["seed"])
        with torch.inference_mode():
            return answers(model, train, test, request["n_draws"], generator), seconds

    def train_in_turns(request, train, folder, turn):
        peer.time(request, tensors(train), folder, turn)

    serve(answer, train_in_turns)


def answers(model, train, test, n_draws, generator):
    """Return codes, predictions and likelihoods of a trained model, by name.

    The model has `code(rows)`, `translate(rows, shown)` (a prediction of every modality from those
    named in `shown`) and, if it has a likelihood, `posterior(rows)` and `log_joint(z, rows)`.
    """
    found = {"codes/train": model.code(train), "codes/test": model.code(test)}
    for name, values in model.translate(test, list(test)).items():
        found[f"joint/{name}"] = values
    for name in test:
        others = [other for other in test if other != name]
        found[f"crossed/{name}"] = model.translate(test, others)[name]
    if n_draws and hasattr(model, "log_joint"):
        found["likelihood"] = log_likelihood(model, test, n_draws, generator)
    return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


def log_likelihood(model, rows, n_draws, generator):
    """Estimate log p(x) of each row, in nats, by importance sampling.

    Draws come from an equal mixture of the model's own posteriors: those that `posterior` returns
    for a block of rows, as distributions over (expert, row, component). Each expert gives the same
    number, and every draw is weighted by the density of the whole mixture.
    """
    n_rows = len(next(iter(rows.values())))
    found = []
    for start in range(0, n_rows, BLOCK):
        block = {name: values[start : start + BLOCK] for name, values in rows.items()}
        mixture = model.posterior(block)
        n_experts = mixture.batch_shape[0]
        n_each = -(-n_draws // n_experts)
        z = sample(mixture, n_each, generator)  # (draw, expert, row, component)
        z = z.flatten(0, 1)
        densities = torch.stack(
            [
                type(mixture)(mean, scale).log_prob(z).sum(-1)
                for mean, scale in zip(mixture.mean, mixture.scale, strict=True)
            ]
        )
        density = densities.logsumexp(0) - np.log(n_experts)
        weight = model.log_joint(z, block) - density
        found.append(weight.logsumexp(0) - np.log(len(z)))
    return torch.cat(found)


def sample(distribution, n, generator):
    """Draw n times from a Normal or Laplace, from a generator of one's own."""
    shape = (n, *distribution.batch_shape)
    if isinstance(distribution, torch.distributions.Laplace):
        uniform = torch.rand(shape, generator=generator).clamp(1e-7, 1 - 1e-7) - 0.5
        noise = -uniform.sign() * torch.log1p(-2 * uniform.abs())
    else:
        noise = torch.randn(shape, generator=generator)
    return distribution.mean + distribution.scale * noise
