"""The networks of text: key words as a distribution, sentences token by token."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...nn._blocks import Seeded, decoder, drawn, encoder, layer
from ...nn._modality import ModalityNetwork
from ...nn._sparse import SparseView

__all__ = ["KeyWordsNetwork", "SentenceNetwork", "TextNetwork"]

RARE = 0.01  # added to a word's share, so that a rare one cannot start with a huge slope
MANY_WORDS = 512  # and other features: from there on ...
NARROW = 64  # ... so many numbers stand between them and the hidden units, both ways
ALL_DECODED = 1024  # words, in every step; of more of them ...
SAMPLED = 1 / 8  # ... those of the batch, and this share of the others
VIEW_UNIT = 8.0  # what the view is then multiplied by: as it is, those would learn too slowly
LEAST_SHARE = 0.1  # of the likeliest word's probability: what a key word needs
CELLS = 3  # of a row that a text counts as, where rows are private: measured, see docs/privacy.md
USUAL = 0.01  # nats of lift for every word, so that usual words win where none stands out


class TextNetwork(ModalityNetwork):
    """What both networks of text share: the view, its noise, encoder and linear path.

    A row arrives as a list of ``weights`` and of their columns in the view, ``weights_at``,
    padded with weight 0. So does the view, a `SparseView`: as a tensor it would be far too large.

    Parameters
    ----------
    mean : Tensor of shape (n_view,)
        Of the weights. The first columns of the view are words.
    null_logits : Tensor of shape (words or tokens,)
        Logits of the best constant prediction.
    null_deviance : float
        Its mean deviance in nats.
    word_of : Tensor of shape (words or tokens,), int64
        The column of the view that counts each of them, or -1.
    n_words : int
        How many of the view's columns are words.
    n_more : int
        Outputs beside the logits.
    n_components, width : int
    dropout : float
    """

    has_link = True
    n_scales = 0

    def __init__(
        self,
        mean,
        null_logits,
        null_deviance,
        word_of,
        n_words,
        n_more,
        n_components,
        width,
        dropout,
    ):
        n_logits = len(null_logits)
        super().__init__(len(mean), n_logits + n_more)
        self.n_logits, self.n_words, self.null_deviance = n_logits, n_words, null_deviance
        self.register_buffer("mean", mean)
        self.register_buffer("word_of", word_of)
        self.null_outputs[:n_logits] = null_logits
        # Thousands of words by hundreds of hidden units would be nearly all of a fit's work.
        narrow = min(NARROW, width) if self.n_view > MANY_WORDS else None
        self.unit = VIEW_UNIT if narrow else 1.0
        self.encoder = encoder(self.n_view, width, dropout, first=narrow)
        self.decoder = decoder(n_components, width, self.n_outputs, last=narrow)

    @property
    def n_cells(self) -> int:
        """How many cells a text counts as."""
        return CELLS

    def view(self, tensors: dict[str, Tensor]) -> SparseView:
        """Return the centred weights of all features."""
        present = tensors.get("present")
        return SparseView(tensors["weights_at"], tensors["weights"], self.mean, present)

    def encode(self, view):
        """Return the features of a view, which the layers see larger than it is."""
        first, *others = self.encoder
        encoded = self.unit * first(view)
        for layer_ in others:
            encoded = layer_(encoded)
        return encoded

    def corrupt(self, view: SparseView, noise: float, generator: torch.Generator) -> SparseView:
        """Return the view with a share `noise` of the words and other features dropped."""
        dropped = drawn(view.weights.shape, min(noise, 1.0), generator, view.device)
        return replace(view, weights=torch.where(dropped, 0, view.weights))

    def scale_of_view(self):
        """Return no noise scale: words have probabilities."""
        return torch.zeros(self.n_view, dtype=torch.int64)

    def start(self, weight):
        """Set the linear path: the logit of a word by the slope of log p at the mean.

        A word's share of a row is about its weight in the view over the sum of all words'
        weights, so that ``d log p = d view / (mean + RARE * sum of the means)``.
        """
        with torch.no_grad():
            self.decoder.linear.weight[: self.n_logits] = self._logits(weight.T).T
            self.decoder.linear.bias.copy_(self.null_outputs)

    def _logits(self, view: Tensor) -> Tensor:
        """Return what a view adds to the logits, (..., n_view) to (..., logits)."""
        mean = self.mean[: self.n_words]
        slope = view[..., : self.n_words] / (mean + RARE * mean.sum())
        known = self.word_of >= 0
        return self.gain * torch.where(known, slope[..., self.word_of.clamp_min(0)], 0)


class KeyWordsNetwork(Seeded, TextNetwork):
    """A row's words as one distribution; deviance is the Kullback-Leibler divergence from it.

    Of many words, a step decodes those that any row of its batch has, and a sample of the others,
    each of which stands for several in the sum that probabilities are divided by [1]_.

    Parameters
    ----------
    mean, null_logits, null_deviance, n_components, width, dropout
        As in `TextNetwork`; logits are those of the words.
    n_key_words : int
        The most words that `predict` returns.

    References
    ----------
    .. [1] Jean, Cho, Memisevic & Bengio (2015), "On using very large target vocabulary for neural
       machine translation", ACL.
    """

    def __init__(self, mean, null_logits, null_deviance, n_key_words, n_components, width, dropout):
        n_words = len(null_logits)
        super().__init__(
            mean,
            null_logits,
            null_deviance,
            torch.arange(n_words),
            n_words,
            0,
            n_components,
            width,
            dropout,
        )
        self.n_key_words = min(n_key_words, n_words)

    def _words(self, tensors):
        """Return the words of each row and the share of it that each has, 0 of other features."""
        features = tensors["weights_at"].long()
        is_word = features < self.n_words
        shares = torch.where(is_word, tensors["weights"], 0)
        total = shares.sum(1, keepdim=True)
        return torch.where(is_word, features, 0), shares / torch.where(total > 0, total, 1)

    def _shares(self, outputs, tensors):
        """Return each word's share of its row and log probability, 0 for other features."""
        words, shares = self._words(tensors)
        words = words.expand(*outputs.shape[:-1], -1)
        return shares, F.log_softmax(outputs, -1).gather(-1, words)

    def link(self, view: Tensor) -> Tensor:
        """Return the logits of words, by the slope of log p at the mean."""
        return self.null_outputs + self._logits(view)

    def deviance(self, outputs, tensors):
        """Return KL(shares of the row || softmax of outputs); 0 for rows without a known word."""
        return self._divergence(*self._shares(outputs, tensors))

    def _divergence(self, shares, log_p):
        return (torch.xlogy(shares, shares) - shares * log_p).sum(-1) / self.null_deviance

    def decoded_deviance(self, code, tensors):
        """Return the deviance of what is decoded; while training, by a sample of the words."""
        # Elsewhere the program would wait for the device to hear how many there are.
        on_host = code.device.type == "cpu"
        if not (self.training and self.may_estimate and self.n_words > ALL_DECODED and on_host):
            return super().decoded_deviance(code, tensors)
        words, shares = self._words(tensors)
        listed = torch.zeros(self.n_words, dtype=torch.bool)
        listed[words[shares > 0]] = True
        chosen = listed | drawn(listed.shape, SAMPLED, self.generator, listed.device)
        outputs = self.decoder.some(code, chosen.nonzero()[:, 0])
        place = (chosen.cumsum(0) - 1).clamp_min(0)[words].expand(*outputs.shape[:-1], -1)
        stand_for = torch.where(listed[chosen], 0.0, -math.log(SAMPLED))
        total = (outputs + stand_for).logsumexp(-1, keepdim=True)
        return self._divergence(shares, outputs.gather(-1, place) - total)

    def log_likelihood(self, outputs, tensors, log_scale):
        """Return the log probability of as many words as a row has, each counted by its share."""
        shares, log_p = self._shares(outputs, tensors)
        return (shares * log_p).sum(-1) * (shares > 0).sum(-1)

    def predict(self, outputs):
        """Return the most telling words of each row, (rows, n_key_words) int64, -1 for none.

        Of the words at least a tenth as likely as the likeliest, those that add most to the
        divergence from the average row; the most usual ones where a row is the average.
        """
        log_p = F.log_softmax(outputs, -1)
        lift = log_p - F.log_softmax(self.null_outputs, -1)
        p = log_p.exp()
        likely = p >= LEAST_SHARE * p.amax(-1, keepdim=True)
        telling = torch.where(likely, p * (lift + USUAL), -torch.inf)
        telling, words = telling.sort(dim=-1, descending=True, stable=True)
        words = torch.where(telling.isfinite(), words, -1)
        return words[:, : self.n_key_words]

    def probabilities(self, outputs):
        """Return the distribution over the words of each row, (rows, words)."""
        return outputs.softmax(-1)


class SentenceNetwork(TextNetwork):
    """A text token by token: a recurrent network conditioned on the embedding.

    Outputs are logits of the tokens, the same at every place, then a condition: the recurrent
    network begins from it, sees it at every step, and adds to the logits. Its last layer starts
    at zero, so that the whole begins as the linear path.

    Parameters
    ----------
    mean, null_logits, null_deviance, word_of, n_words, n_components, width, dropout
        As in `TextNetwork`; logits are those of the tokens, token 0 ends a text.
    length : int
        The most tokens of a text.
    """

    def __init__(
        self,
        mean,
        null_logits,
        null_deviance,
        word_of,
        n_words,
        length,
        n_components,
        width,
        dropout,
    ):
        super().__init__(
            mean,
            null_logits,
            null_deviance,
            word_of,
            n_words,
            width,
            n_components,
            width,
            dropout,
        )
        self.length = length
        self.embedding = layer(nn.Embedding, self.n_logits, width)
        self.recurrent = layer(nn.GRU, width, width, batch_first=True)
        self.head = layer(nn.Linear, width, self.n_logits)
        self.head.starts_at_zero = True

    @property
    def largest(self):
        """Logits of all tokens of a text."""
        return max(self.n_view, self.length * self.n_logits)

    def _nats(self, outputs, tensors):
        """Return the summed cross-entropy of a row's tokens, and how many they are."""
        tokens = tensors["tokens"].long().expand(*outputs.shape[:-1], -1)
        flat = tokens.reshape(-1, self.length)
        logits, condition = self._split(outputs.reshape(-1, self.n_outputs))
        before = F.pad(flat[:, :-1], (1, 0)).clamp_min(0)
        steps, _ = self._steps(before, condition, condition[None])
        nats = F.cross_entropy(
            (steps + logits[:, None]).flatten(0, 1),
            flat.flatten(),
            ignore_index=-1,
            reduction="none",
        )
        written = (flat >= 0).sum(1)
        shape = outputs.shape[:-1]
        return nats.view(flat.shape).sum(1).view(shape), written.view(shape)

    def deviance(self, outputs, tensors):
        """Return the mean cross-entropy of a row's tokens, each given those before it."""
        nats, written = self._nats(outputs, tensors)
        return nats / written.clamp_min(1) / self.null_deviance

    def log_likelihood(self, outputs, tensors, log_scale):
        """Return the log probability of a row's tokens."""
        return -self._nats(outputs, tensors)[0]

    @torch.no_grad()
    def predict(self, outputs):
        """Return the likeliest token at each step, (rows, length) int64, 0 from the end on."""
        logits, condition = self._split(outputs)
        tokens = outputs.new_zeros(len(outputs), self.length, dtype=torch.long)
        before, state = tokens[:, :1], condition[None]
        ended = torch.zeros_like(before[:, 0], dtype=torch.bool)
        for place in range(self.length):
            steps, state = self._steps(before, condition, state)
            best = (steps[:, 0] + logits).argmax(-1)
            ended = ended | (best == 0)
            tokens[:, place] = torch.where(ended, 0, best)
            before = tokens[:, place : place + 1]
            if ended.all():
                break
        return tokens

    def _split(self, outputs):
        return outputs.split([self.n_logits, self.n_outputs - self.n_logits], -1)

    def _steps(self, before, condition, state):
        """Return logits after each token of `before`, (rows, places, tokens), and the new state."""
        inputs = self.embedding(before) + condition[:, None]
        hidden, state = self.recurrent(inputs, state.contiguous())
        return self.head(hidden), state
