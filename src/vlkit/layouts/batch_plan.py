"""The plan of a batch: which feature stands at which place, and where the separators stand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple, Self

import torch
from torch import Tensor


class BatchPlan(NamedTuple):
    """Plan of one or more images, on the host. Separators are few, so their places are kept apart."""

    feature_L: Tensor
    """int32[L], address of each token's feature among all of the batch; any address where a separator stands."""
    place_S: Tensor
    """int64[S], tokens that are separators."""
    separator_S: Tensor
    """int64[S], which of the layout's learned vectors each of them is."""
    features: int
    """Number of features that it addresses."""

    @classmethod
    def of_image(cls, plan_L: Tensor, features: int) -> Self:
        """Plan int64[L] of one image, in which addresses from `features` on are separators."""
        place_S = (plan_L >= features).nonzero().flatten()
        return cls(plan_L.clamp(max=features - 1).int(), place_S, plan_L[place_S] - features, features)

    @classmethod
    def join(cls, images: Sequence[BatchPlan]) -> Self:
        """Plan of images one after the other, whose features stand one after the other as well."""
        images = images or [cls.of_image(torch.empty(0, dtype=torch.long, device="cpu"), 0)]
        tokens = [image.feature_L.numel() for image in images]
        separators = [image.place_S.numel() for image in images]
        first_feature_L = _repeated_starts([image.features for image in images], tokens, torch.int32)
        first_token_S = _repeated_starts(tokens, separators, torch.int64)
        return cls(
            torch.cat([image.feature_L for image in images]).add_(first_feature_L),
            torch.cat([image.place_S for image in images]).add_(first_token_S),
            torch.cat([image.separator_S for image in images]),
            sum(image.features for image in images),
        )


def _repeated_starts(lengths: Sequence[int], times: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Where each of the pieces begins, as often as is said."""
    starts = torch.tensor([0, *accumulate(lengths[:-1])], dtype=dtype, device="cpu")
    return starts.repeat_interleave(torch.tensor(times, device="cpu"), output_size=sum(times))
