"""Laws of decoders without a cache: causal, padded on the left without effect, and refusing what does not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from vlkit.decoders.base import Decoder, DecoderOutput
from vlkit.errors import ContextLengthError, InputError, ShapeError
from vlkit.testing.comparing import ROTATED, difference, normal, require_near
from vlkit.testing.gradient_laws import gradients
from vlkit.testing.law import Broken, law, told

if TYPE_CHECKING:
    from vlkit.testing.decoder import DecoderSubject


@law()
def shapes(subject: DecoderSubject) -> None:
    """Embeddings, hidden states and logits have the declared width and vocabulary."""
    decoder, config, ids = subject.decoder(), subject.config, subject.ids()
    batch, length = ids.shape
    embeds_BTD = decoder.embed(ids)
    out = decoder(embeds_BTD)
    if not isinstance(out, DecoderOutput):
        raise Broken(
            f"forward gives a {type(out).__name__}",
            likely="forward returns a tensor or another library's output",
            remedy="return a DecoderOutput",
        )
    logits = decoder.logits(out.x_BTD)
    found = {"embed": embeds_BTD, "forward": out.x_BTD, "logits": logits}
    for name, width in {"embed": config.dim, "forward": config.dim, "logits": config.vocabulary}.items():
        if tuple(found[name].shape) != (batch, length, width):
            raise Broken(
                f"for ids of shape {[batch, length]} {name} gives {list(found[name].shape)}, declared is "
                f"{[batch, length, width]}",
                likely=f"the config's {'vocabulary' if name == 'logits' else 'dim'} is not that of the layer",
            )
    if any(not 0 <= token < config.vocabulary for token in config.stop_ids):
        raise Broken(f"stop_ids are {config.stop_ids}, the vocabulary has {config.vocabulary} ids")


@law()
def causality(subject: DecoderSubject) -> None:
    """Later positions do not change earlier results, and earlier ones do change later results."""
    decoder, x = subject.decoder(), subject.x()
    for position in range(1, subject.length):
        changed = x.clone()
        changed[:, position:] = normal(7, *changed[:, position:].shape, dtype=x.dtype)
        before, after = (subject.output(decoder, each)[:, :position] for each in (x, changed))
        require_near(
            after,
            before,
            f"positions from {position} on change the results before them",
            likely="attention has no causal mask, or one that is off by one position",
            remedy="let position t see positions up to t",
        )
    changed = x.clone()
    changed[:, 0] = normal(8, *changed[:, 0].shape, dtype=x.dtype)
    before, after = (subject.output(decoder, each)[:, -1] for each in (x, changed))
    if subject.length > 1 and torch.equal(before, after):
        raise Broken(
            "the first position does not change the last result",
            likely="attention sees only its own position: the mask is the wrong way round",
        )


@law()
def hidden_states(subject: DecoderSubject) -> None:
    """Asked for hidden states, forward gives each layer's input and its own result, which stays the same."""
    decoder, x, layers = subject.decoder(), subject.x(), subject.config.num_layers
    plain, asked = decoder(x), decoder(x, output_hidden_states=True)
    require_near(asked.x_BTD, plain.x_BTD, "asking for hidden states changes the result", likely="another path", near=0)
    if plain.hidden_states:
        raise Broken("hidden states are given though nobody asked", likely="output_hidden_states is ignored")
    if len(asked.hidden_states) != layers + 1:
        raise Broken(
            f"{len(asked.hidden_states)} hidden states for {layers} layers",
            likely="the embeddings, or the result after the last norm, are missing",
            remedy="give the input of each layer, then the result",
        )
    if not (torch.equal(asked.hidden_states[0], x) and torch.equal(asked.hidden_states[-1], asked.x_BTD)):
        raise Broken(
            "the hidden states do not begin with the embeddings and end with the result",
            likely="each layer's output is kept instead of its input",
        )


@law()
def padding(subject: DecoderSubject) -> str | None:
    """A sample padded on the left is that sample alone, and what stands at its padding does not matter."""
    decoder, x, mask_BT = subject.decoder(), subject.x(samples=3), subject.left_padded()
    counted_BT = (mask_BT.cumsum(dim=1) - 1).clamp(min=0)
    try:
        batch = subject.logits(decoder, x, attention_mask=mask_BT, position_ids=counted_BT)
        how: dict[str, Any] = {"attention_mask": mask_BT, "position_ids": counted_BT}
    except InputError:
        how = {"attention_mask": mask_BT}
        batch = subject.logits(decoder, x, **how)
    likely = "padding is attended to, or the mask is applied to queries instead of keys"
    for row, mask_T in enumerate(mask_BT):
        require_near(
            batch[row, mask_T],
            _alone(subject, decoder, x, row, mask_T),
            f"with {int((~mask_T).sum())} positions of padding on its left a sample gives another result",
            likely=likely,
            remedy="mask keys where attention_mask is False; take positions from position_ids where they are given",
            near=None if "position_ids" in how else ROTATED,
        )
    noise = torch.where(mask_BT[..., None], x, 100 * normal(6, *x.shape, dtype=x.dtype))
    require_near(
        subject.logits(decoder, noise, **how)[mask_BT],
        batch[mask_BT],
        "what stands at positions of padding changes the results",
        likely=likely,
    )
    counted_from_the_edge = subject.logits(decoder, x, attention_mask=mask_BT)
    for row, mask_T in enumerate(mask_BT):
        if difference(counted_from_the_edge[row, mask_T], _alone(subject, decoder, x, row, mask_T)) > ROTATED:
            return "its positions are absolute: batches with padding need position_ids"
    return None


def _alone(subject: DecoderSubject, decoder: Decoder, x: Tensor, row: int, mask_T: Tensor) -> Tensor:
    return subject.logits(decoder, x[row : row + 1, mask_T])[0]


@law(weights=False)
def context_limit(subject: DecoderSubject) -> None:
    """More positions than the decoder has are refused with a ContextLengthError, before anything is computed."""
    limit = subject.config.max_positions
    if limit is None:
        return
    with torch.device("meta"), torch.no_grad():
        decoder = subject.build().eval()
        x = torch.zeros(1, 1, subject.config.dim).expand(1, limit + 1, -1)
        try:
            decoder(x)
        except ContextLengthError:
            return
        except Exception as error:
            seen = f"end in a {type(error).__name__}: {told(error)}"
        else:
            seen = "are taken"
    raise Broken(
        f"{limit + 1} positions {seen}, though max_positions is {limit}",
        likely="forward does not look at the number of positions",
        remedy="begin forward with self.require_context(past + new)",
    )


@law()
def wrong_mask(subject: DecoderSubject) -> None:
    """A mask that does not fit the embeddings is refused with a ShapeError."""
    decoder, x = subject.decoder(), subject.x()
    for shape in ((2, subject.length + 1), (1, subject.length), (2, subject.length - 1)):
        try:
            decoder(x, attention_mask=torch.ones(shape, dtype=torch.bool))
        except ShapeError:
            continue
        except Exception as error:
            seen = f"ends in a {type(error).__name__}: {told(error)}"
        else:
            seen = "is taken"
        raise Broken(
            f"a mask of shape {list(shape)} for embeddings of shape {list(x.shape)} {seen}",
            likely="forward does not look at the mask's shape, or broadcasts it",
            remedy="compare it with the embeddings; KVCache.extend_mask does so where there is a cache",
        )


DECODER_LAWS = (shapes, causality, hidden_states, padding, context_limit, wrong_mask, gradients)
