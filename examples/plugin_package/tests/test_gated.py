"""The laws of projectors."""

from acme_gated.gated import GatedConfig

from vlkit.testing import check_projector


def test_laws() -> None:
    """The projector keeps them all."""
    check_projector(GatedConfig())
