"""Small projectors of every kind, drawn by hypothesis, and widths that they take."""

from hypothesis import strategies as st

from vlkit.errors import ConfigError
from vlkit.notation import Grid
from vlkit.projectors import (
    AveragePoolConfig,
    ConvAbstractorConfig,
    ConvFusionConfig,
    DownsampleMlpGeluConfig,
    HybridSplitFeatureMlpGeluConfig,
    IdentityConfig,
    LinearConfig,
    LowHighHybridSplitMlpGeluConfig,
    LowHighSplitMlpGeluConfig,
    MlpGeluConfig,
    PixelShuffleConfig,
    ProjectorConfig,
    ResamplerConfig,
)

IN_DIM = 4

depths = st.integers(1, 3)
sides = st.tuples(st.integers(1, 2), st.integers(1, 2))
pooling = st.fixed_dictionaries({"token_pooling": st.booleans(), "use_bias": st.booleans()})
downsampling = st.fixed_dictionaries(
    {
        "depth": depths,
        "mlp_ratio": st.integers(1, 2),
        "downsample_ratio": st.integers(1, 4),
        "use_bias": st.booleans(),
        "norm": st.booleans(),
    }
)
fused = st.one_of(
    st.builds(lambda bias: LinearConfig(use_bias=bias), st.booleans()),
    st.builds(lambda bias, depth: MlpGeluConfig(use_bias=bias, depth=depth), st.booleans(), depths),
    st.builds(lambda fields: DownsampleMlpGeluConfig(**fields), downsampling),
)

LOCAL: st.SearchStrategy[ProjectorConfig] = st.one_of(
    st.builds(lambda fields: IdentityConfig(**fields), pooling),
    st.builds(lambda fields: LinearConfig(**fields), pooling),
    st.builds(lambda fields, depth: MlpGeluConfig(**fields, depth=depth), pooling, depths),
    st.builds(lambda fields, first: DownsampleMlpGeluConfig(**fields, pool_first=first), downsampling, st.booleans()),
    st.builds(
        PixelShuffleConfig,
        scale_factor=st.integers(1, 3),
        order=st.sampled_from(["place", "channel"]),
        norm=st.booleans(),
        depth=depths,
        use_bias=st.booleans(),
    ),
    st.builds(LowHighHybridSplitMlpGeluConfig, depth=depths, use_bias=st.booleans()),
    st.builds(
        HybridSplitFeatureMlpGeluConfig,
        high_width=st.integers(1, IN_DIM - 1),
        channel_div=st.sampled_from([0.3, 0.5, 0.75]),
        depth=depths,
        use_bias=st.booleans(),
    ),
    st.builds(LowHighSplitMlpGeluConfig, depth=depths, use_bias=st.booleans()),
    fused.map(lambda inner: ConvFusionConfig(projector=inner, use_bias=inner.use_bias)),
)
"""Projectors whose tokens depend on one block of features each."""

GLOBAL: st.SearchStrategy[ProjectorConfig] = st.one_of(
    st.builds(
        AveragePoolConfig,
        grid=sides,
        norm=st.sampled_from(["rms", "layer", "none"]),
        depth=depths,
        use_bias=st.booleans(),
    ),
    st.builds(
        ConvAbstractorConfig,
        grid=sides,
        positions=st.none() | sides,
        width=st.sampled_from([3, 4]),
        blocks=st.integers(1, 2),
        depth=depths,
        use_bias=st.booleans(),
    ),
    st.builds(
        ResamplerConfig,
        queries=st.integers(1, 3) | sides,
        depth=st.integers(1, 2),
        heads=st.just(4),
        kv_heads=st.sampled_from([1, 2, 4]),
        head_width=st.sampled_from([2, 3]),
        mlp_ratio=st.integers(1, 2),
        input_width=st.sampled_from([None, 5]),
        use_bias=st.booleans(),
    ),
)
"""Projectors with a grid of their own, whose tokens depend on many features."""

ANY = LOCAL | GLOBAL

PICKY: st.SearchStrategy[ProjectorConfig] = st.one_of(
    st.builds(PixelShuffleConfig, scale_factor=st.integers(2, 3)),
    st.builds(AveragePoolConfig, grid=st.tuples(st.integers(2, 4), st.integers(2, 4))),
    st.builds(ConvAbstractorConfig, grid=st.tuples(st.integers(2, 4), st.integers(2, 4)), width=st.just(3)),
)
"""Projectors that do not take every grid."""


def widths(config: ProjectorConfig) -> dict[str, int]:
    """Widths that the projector takes; both differ if they can."""
    same = isinstance(config, IdentityConfig | LowHighSplitMlpGeluConfig)
    return {"in_dim": IN_DIM, "out_dim": IN_DIM if same else 6}


def without_biases(config: ProjectorConfig) -> ProjectorConfig:
    """The same with no biases in any linear layer."""
    if isinstance(config, ConvFusionConfig):
        return ConvFusionConfig(projector=config.projector.replace(use_bias=False), use_bias=False)
    return config.replace(use_bias=False)


def fits(config: ProjectorConfig, grid: Grid) -> bool:
    """Whether the projector takes the grid."""
    try:
        config.check_grid(grid)
    except ConfigError:
        return False
    return True
