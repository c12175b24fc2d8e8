"""What the runners of both peers share: requests from stdin, timed epochs, likelihoods.

A runner is a process in the peer's own environment. It reads one request a line from stdin, as
JSON, and answers each by one line on stdout. A request to "fit" names an .npz of rows, trains a
model, and writes its predictions to another .npz; a request to "time" trains one epoch for every
further line, and answers each by its CPU seconds, so that the caller can let several sides take
turns.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time

import numpy as np
import torch

BLOCK = 25  # rows whose draws are decoded at once


def serve(peer):
    """Answer requests until stdin ends; `peer` has `fit`, `time` and the methods `answers` uses."""
    replies, sys.stdout = sys.stdout, sys.stderr  # what the peer prints is no reply
    torch.set_num_threads(1)

    def reply(content):
        print(json.dumps(content), file=replies, flush=True)

    class Turn:
        """One epoch: begins when the caller says so, ends with a reply of its CPU seconds."""

        def begin(self):
            sys.stdin.readline()
            self.start = time.process_time()

        def end(self):
            reply(time.process_time() - self.start)

    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        with np.load(request["data"]) as data, tempfile.TemporaryDirectory() as folder:
            train, test = (
                {name: torch.tensor(data[f"{part}/{name}"]) for name in request["modalities"]}
                for part in ("train", "test")
            )
            if request["task"] == "time":
                peer.time(request, train, folder, Turn())
                continue
            model = peer.fit(request, train, folder)
            generator = torch.Generator().manual_seed(request["seed"])
            with torch.inference_mode():
                answer = answers(model, train, test, request["n_draws"], generator)
            np.savez(request["out"] + ".part.npz", **answer)
            os.replace(request["out"] + ".part.npz", request["out"])  # whole, or not there
            reply("done")


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
    if hasattr(model, "log_joint"):
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
