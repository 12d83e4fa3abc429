"""Small parts of every kind, drawn by hypothesis."""

from hypothesis import strategies as st

from vlkit.decoders import DeepseekV2Config, MHAConfig, MLAConfig, MoEConfig
from vlkit.encoders import SigLIPConfig
from vlkit.projectors import (
    DownsampleMlpGeluConfig,
    IdentityConfig,
    LinearConfig,
    MlpGeluConfig,
)

ATTENTIONS = st.one_of(
    st.builds(
        MHAConfig,
        num_attention_heads=st.sampled_from([2, 4]),
        num_key_value_heads=st.sampled_from([None, 1, 2]),
        head_dim=st.sampled_from([None, 8]),
        attention_bias=st.booleans(),
    ),
    st.builds(
        MLAConfig,
        num_attention_heads=st.sampled_from([1, 3]),
        q_lora_rank=st.sampled_from([None, 5]),
        kv_lora_rank=st.sampled_from([4, 24]),
        qk_nope_head_dim=st.sampled_from([4, 6]),
        qk_rope_head_dim=st.sampled_from([2, 4]),
        v_head_dim=st.sampled_from([4, 7]),
        attention_bias=st.booleans(),
        mode=st.sampled_from(["auto", "expand", "absorb"]),
    ),
)


EXPERTS = st.builds(
    MoEConfig,
    n_routed_experts=st.integers(4, 6),
    num_experts_per_tok=st.integers(1, 4),
    moe_intermediate_size=st.integers(1, 9),
    n_shared_experts=st.sampled_from([None, 1, 2]),
    first_k_dense_replace=st.integers(0, 2),
    moe_layer_freq=st.integers(1, 2),
    topk_method=st.sampled_from(["greedy", "noaux_tc"]),
    compute=st.sampled_from(["grouped", "loop"]),
)


DECODERS = st.builds(
    DeepseekV2Config,
    vocab_size=st.integers(3, 20),
    hidden_size=st.sampled_from([16, 24]),
    num_hidden_layers=st.integers(1, 3),
    intermediate_size=st.integers(1, 20),
    attention=ATTENTIONS,
    moe=st.none() | EXPERTS,
    tie_word_embeddings=st.booleans(),
)


@st.composite
def siglips(draw: st.DrawFn) -> SigLIPConfig:
    layers, class_token = draw(st.integers(1, 3)), draw(st.booleans())
    stem = draw(st.sampled_from([(), (5,), (6, 5)]))
    return SigLIPConfig(
        image_size=draw(st.sampled_from([6, (4, 8)] if stem else [14, (12, 18)])),
        patch_size=2 if stem else draw(st.sampled_from([4, 5])),
        stem=stem,
        width=12,
        layers=layers,
        heads=2,
        mlp_ratio=draw(st.sampled_from([1.0, 3.7])),
        class_token=class_token,
        pool=draw(st.sampled_from(["map", "avg", "none", *(["token"] if class_token else [])])),
        select_layer=draw(st.none() | st.integers(-layers, layers - 1)),
    )


PROJECTORS = st.one_of(
    st.builds(IdentityConfig, token_pooling=st.booleans()),
    st.builds(LinearConfig, token_pooling=st.booleans(), use_bias=st.booleans()),
    st.builds(MlpGeluConfig, depth=st.integers(1, 3), token_pooling=st.booleans()),
    st.builds(
        DownsampleMlpGeluConfig,
        depth=st.integers(1, 3),
        mlp_ratio=st.integers(1, 2),
        downsample_ratio=st.integers(1, 3),
        use_bias=st.booleans(),
    ),
)
