"""The network: a pretrained encoder, a tag a token, and a head that reads one trigger in its sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoModel

from models.arguments import ROLES
from models.classifier import MODE_LABELS, REALIS
from models.encoder import BATCH_TOKENS, Encoded, Floats, Heads, Ints, Network, pad, runs
from models.ontology import TYPES


class TagEncoder(nn.Module):
    """Word embeddings (B, T, H) and mask (B, T) to hidden states (B, T, H), tag logits (B, T, 3) and event logits (B,).

    The event logit says whether the sentence holds an event at all; of the small coder it is the gate. After `probe` layers,
    if it is given, the network learns to say so as well, for `models.training.early` to find it there.
    """

    def __init__(self, pretrained: Path, probe: int | None = None) -> None:
        super().__init__()
        self.encoder = AutoModel.from_pretrained(pretrained, attn_implementation="eager", add_pooling_layer=False)
        # The vectors of rare words would only be learned by heart, and a third of the memory's traffic is saved.
        self.words: nn.Embedding = self.encoder.embeddings.word_embeddings
        self.words.requires_grad_(False)
        size = self.encoder.config.hidden_size
        self.tag = nn.Linear(size, 3)
        self.event = nn.Linear(2 * size, 1)
        self.probe = probe
        self.early = nn.Linear(3 * size, 1) if probe else None

    def read(self, embeddings: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """What `forward` answers, and the event logits (B,) after `probe` layers, None without it."""
        states = self.encoder(inputs_embeds=embeddings, attention_mask=mask, output_hidden_states=True).hidden_states
        hidden = states[-1]
        outside = (1.0 - mask[..., None].to(hidden.dtype)) * -1e4
        summary = torch.cat([hidden[:, 0], (hidden + outside).amax(dim=1)], dim=-1)
        early = None
        if self.early is not None and self.probe is not None:
            seen = states[self.probe]
            inside = mask[..., None].to(seen.dtype)
            mean = (seen * inside).sum(dim=1) / inside.sum(dim=1)
            early = self.early(torch.cat([seen[:, 0], (seen + outside).amax(dim=1), mean], dim=-1))[:, 0]
        return hidden, self.tag(hidden), self.event(summary)[:, 0], early

    def forward(self, embeddings: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.read(embeddings, mask)[:3]


class Head(nn.Module):
    """One more transformer layer over the sentence with the trigger marked, then a linear answer to each question.

    A layer costs a twelfth of the large encoder for each candidate, and lets arguments, modes and realis be read with the
    trigger in view.
    """

    def __init__(self, size: int, heads: int = 12, dropout: float = 0.1) -> None:
        super().__init__()
        self.trigger = nn.Linear(size, size)
        self.mark = nn.Parameter(torch.zeros(size))
        self.norm = nn.LayerNorm(size)
        self.size, self.heads = size, heads
        self.qkv = nn.Linear(size, 3 * size)
        self.attended = nn.Linear(size, size)
        self.norm_attention = nn.LayerNorm(size)
        self.wide = nn.Linear(size, 2 * size)
        self.narrow = nn.Linear(2 * size, size)
        self.norm_out = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.types = nn.Linear(3 * size, 1 + len(TYPES))
        self.modes = nn.Linear(3 * size, len(MODE_LABELS))
        self.realis = nn.Linear(3 * size, len(REALIS))
        self.roles = nn.Linear(size, 3 * len(ROLES))

    def forward(self, hidden: Tensor, mask: Tensor, trigger: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        rows, length, size = hidden.shape
        weight = trigger / trigger.sum(dim=1, keepdim=True)
        vector = torch.einsum("nt,nth->nh", weight, hidden)
        x = self.norm(hidden + self.trigger(vector)[:, None] + trigger[..., None] * self.mark)
        query, key, value = (
            part.view(rows, length, self.heads, size // self.heads).transpose(1, 2)
            for part in self.qkv(x).split(self.size, dim=-1)
        )
        scores = query @ key.transpose(-1, -2) / (size // self.heads) ** 0.5
        scores = scores + (1.0 - mask[:, None, None, :].to(scores.dtype)) * -1e4
        mixed = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(rows, length, size)
        x = self.norm_attention(x + self.dropout(self.attended(mixed)))
        x = self.norm_out(x + self.dropout(self.narrow(nn.functional.gelu(self.wide(x)))))
        after = torch.einsum("nt,nth->nh", weight, x)
        summary = self.dropout(torch.cat([vector, after, x[:, 0]], dim=-1))
        roles = self.roles(self.dropout(x)).view(rows, length, len(ROLES), 3)
        return self.types(summary), self.modes(summary), self.realis(summary), roles


class EventNetwork(nn.Module, Network):
    """Encoder and head together; also a `models.encoder.Network`, so that the coder itself scores it while it trains."""

    def __init__(self, pretrained: Path, probe: int | None = None) -> None:
        super().__init__()
        self.encoder = TagEncoder(pretrained, probe)
        self.head = Head(self.encoder.encoder.config.hidden_size)

    @property
    def device(self) -> torch.device:
        """Where its numbers lie."""
        return self.head.mark.device

    def read(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Token ids and mask (B, T) through the encoder, as `TagEncoder.read`."""
        return self.encoder.read(self.encoder.words(ids), mask)

    @torch.inference_mode()
    def encode(
        self, sentences: Sequence[Ints], early: bool = False, batch_tokens: int = BATCH_TOKENS
    ) -> Iterator[Encoded]:
        for rows in runs([len(sentence) for sentence in sentences], batch_tokens):
            ids, mask = pad([sentences[row] for row in rows])
            given, inside = (torch.from_numpy(array).to(self.device) for array in (ids, mask))
            answers = self.encoder(self.encoder.words(given), inside)
            yield Encoded(rows, mask, *(answer.float().cpu().numpy() for answer in answers))

    @torch.inference_mode()
    def heads(self, hidden: Floats, mask: Ints, trigger: Floats) -> Heads:
        arrays = (torch.from_numpy(np.ascontiguousarray(array)).to(self.device) for array in (hidden, mask, trigger))
        return Heads(*(answer.float().cpu().numpy() for answer in self.head(*arrays)))
