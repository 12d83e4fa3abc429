"""The checks: every law of a kind on one part."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Unpack

from vlkit.cache.base import CachePolicy, CachePolicyConfig
from vlkit.decoders.base import Decoder, DecoderConfig
from vlkit.encoders.base import Encoder, EncoderConfig
from vlkit.errors import InputError, did_you_mean
from vlkit.layouts.base import Layout, LayoutConfig
from vlkit.projectors.base import Projector, ProjectorConfig
from vlkit.testing.cache_policy import CachePolicySubject
from vlkit.testing.decoder import DecoderSubject
from vlkit.testing.encoder import EncoderSubject
from vlkit.testing.layout import LayoutSubject
from vlkit.testing.projector import ProjectorSubject
from vlkit.testing.report import Report
from vlkit.testing.running import run
from vlkit.testing.subject import Options, Subject

SUBJECTS: dict[str, type[Subject]] = {
    "encoders": EncoderSubject,
    "projectors": ProjectorSubject,
    "layouts": LayoutSubject,
    "decoders": DecoderSubject,
    "cache_policies": CachePolicySubject,
}
"""The five kinds of part, by the names of their registries."""


def check_encoder(
    part: str | type[EncoderConfig] | EncoderConfig | Encoder,
    *,
    sizes: Sequence[tuple[int, int]] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Check every law of encoders.

    Args:
        part: a tag, a config class whose fields all have defaults, a config, or a built encoder.
        sizes: widths and heights of tiles to run it on besides its own; None: some that `check_size` allows.
        options: as in `vlkit.testing.Options`.

    Returns:
        What came of each law. Laws are skipped, with a warning, if the part has more than `max_parameters`.

    Raises:
        LawError: if a law is broken, naming the value seen, the likely mistake and the remedy.
        InputError, RegistryError, ConfigError: if `part` is none of these.
    """
    return _checked(EncoderSubject(part, options, sizes=sizes))


def check_projector(
    part: str | type[ProjectorConfig] | ProjectorConfig | Projector,
    *,
    in_dim: int | None = None,
    out_dim: int | None = None,
    grids: Sequence[tuple[int, int]] | None = None,
    **options: Unpack[Options],
) -> Report:
    """Check every law of projectors.

    Args:
        part: a tag, a config class whose fields all have defaults, a config, or a built projector.
        in_dim: width W of the encoder's features; None: a small one that the config allows.
        out_dim: width D of the decoder, likewise.
        grids: rows and columns to run it on; None: small ones that `check_grid` allows.
        options: as in `vlkit.testing.Options`.

    Returns, Raises: as `check_encoder`.
    """
    return _checked(ProjectorSubject(part, options, in_dim=in_dim, out_dim=out_dim, grids=grids))


def check_layout(
    part: str | type[LayoutConfig] | LayoutConfig | Layout, *, dim: int | None = None, **options: Unpack[Options]
) -> Report:
    """Check every law of layouts.

    Args:
        part: a tag, a config class whose fields all have defaults, a config, or a built layout.
        dim: width D of the features; None: 8.
        options: as in `vlkit.testing.Options`.

    Returns, Raises: as `check_encoder`.
    """
    return _checked(LayoutSubject(part, options, dim=dim))


def check_decoder(part: str | type[DecoderConfig] | DecoderConfig | Decoder, **options: Unpack[Options]) -> Report:
    """Check every law of decoders.

    Args:
        part: a tag, a config class whose fields all have defaults, a config, or a built decoder.
        options: as in `vlkit.testing.Options`.

    Returns, Raises: as `check_encoder`.
    """
    return _checked(DecoderSubject(part, options))


def check_cache_policy(
    part: str | type[CachePolicyConfig] | CachePolicyConfig | CachePolicy,
    *,
    near: float | None = None,
    **options: Unpack[Options],
) -> Report:
    """Check every law of cache policies.

    Args:
        part: a tag, a config class whose fields all have defaults, a config, or a policy.
        near: largest relative change of a logit; None: none, bit for bit, unless the config is not `lossless`.
        options: as in `vlkit.testing.Options`.

    Returns, Raises: as `check_encoder`.
    """
    return _checked(CachePolicySubject(part, options, near=near))


def check_part(part: Any, **options: Any) -> Report:
    """Check every law of a part whose kind is found from its base class; options as those of the kind's own check.

    Raises:
        LawError: if a law is broken.
        InputError: if it is no part, or a tag without its kind.
    """
    return _checked(subject_of(part, **options))


def examine(part: Any, **options: Any) -> Report:
    """What came of each law of a part; nothing is raised for a broken one. Arguments as those of `check_part`."""
    return run(subject_of(part, **options))


def subject_of(part: Any, **options: Any) -> Subject:
    """Subject for a part of any kind.

    Args:
        part: a config class, a config, a part, or `kind:tag` such as "projectors:linear".
        options: those of the kind's own check.

    Raises:
        InputError: if it is no part.
    """
    if isinstance(part, str):
        kind, _, tag = part.partition(":")
        if kind not in SUBJECTS or not tag:
            raise InputError(
                f"{part!r:.80} names no part; {did_you_mean(kind, SUBJECTS)}",
                rule="a part is named by its kind and its tag",
                remedy='for instance "projectors:linear"',
            )
        return _with_options(SUBJECTS[kind], tag, options)
    for subject in SUBJECTS.values():
        bases = (subject.registry.base, subject.contract)
        if isinstance(part, bases) or (isinstance(part, type) and issubclass(part, bases)):
            return _with_options(subject, part, options)
    shown = part.__name__ if isinstance(part, type) else type(part).__name__
    raise InputError(
        f"{shown} is no part",
        rule=f"the kinds are {', '.join(SUBJECTS)}; each has a config class and a class to derive from",
        remedy="derive its config from EncoderConfig, ProjectorConfig, LayoutConfig, DecoderConfig or "
        "CachePolicyConfig",
    )


def _with_options(subject: type[Subject], part: Any, options: dict[str, Any]) -> Subject:
    common: Any = {name: options.pop(name) for name in Options.__annotations__ if name in options}
    return subject(part, common, **options)


def _checked(subject: Subject) -> Report:
    report = run(subject)
    report.raise_if_broken()
    if subject.too_large:
        left = [outcome.law for outcome in report.of("skipped")]
        warnings.warn(
            f"{subject.name} has {subject.parameters:,} parameters, so {len(left)} laws were skipped "
            f"({', '.join(left)}); check a smaller config, or raise max_parameters",
            stacklevel=3,
        )
    return report
