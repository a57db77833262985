"""Small configurations of any model class: sizes by the names that fields have."""

import re
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

VOCABULARY, WIDTH, HEADS, PATCH, IMAGE, MELS = 99, 32, 4, 8, 32, 16
RATE = 0.2
SPREAD = 0.3
"""The standard deviation of weights: with the usual 0.02, layers so narrow say hardly anything."""
_FIRST_SPECIAL = 70

SIZES: dict[str, int] = {
    r"num_kv_shared_layers": 0,
    r".*vocab_size|n_words|vocab_size_.*": VOCABULARY,
    r"type_vocab_size": 2,
    r"hidden_size|d_model|n_embd|n_embed|dim|embed_dim|emb_dim|hidden_dim|.*_hidden_size"
    r"|embedding_size|embedding_dim|d_embed|.*projection_dim|out_hidden_size|output_dim"
    r"|.*_hidden_dim|.*_embed_dim|width|lru_width|.*proj_size|hidden_channels"
    r"|encoder_dim|latent_dim|projector_dim|out_dim|hidden_dims?|proj_dim|d_inner": WIDTH,
    r".*intermediate_size|.*ffn_dim|d_ff|ffn_hidden_size|n_inner|inner_dim|mlp_dim"
    r"|.*intermediate_dim|feed_forward_dim|ffn_size": 48,
    r"num_hidden_layers|num_layers|n_layers?|.*_layers|depth|.*_depth|num_blocks|n_blocks"
    r"|num_encoder_blocks": 2,
    r"num_attention_heads|num_heads|n_heads?|.*attention_heads|.*num_heads|.*_n_heads": HEADS,
    r".*num_key_value_heads|num_kv_heads|n_kv_heads": 2,
    r".*head_dim|d_kv|d_head|head_size|kv_channels": WIDTH // HEADS,
    r".*image_size|.*img_size|input_size|pretrain_image_size": IMAGE,
    r"patch_size|patch_stride|encoder_stride|patch_embed_size": PATCH,
    r"num_mel_bins|input_feat_per_channel|feature_size|n_mels|num_mels|input_dim": MELS,
    r"max_position_embeddings|n_positions|max_.*positions?|max_seq_len.*|context_length"
    r"|max_sequence_length": 64,
    r"num_experts|num_local_experts|n_routed_experts|moe_num_experts|num_routed_experts": 4,
    r"num_experts_per_tok(en)?|moe_topk|moe_k|num_experts_per_token|top_k_experts": 2,
    r"hidden_size_per_layer_input": 8,
    r"feature_projection_input_dim": MELS,
    r"n_group|topk_group|n_groups|first_k_dense_replace|n_shared_experts"
    r"|mamba_n_groups": 1,
    r"q_lora_rank|kv_lora_rank|.*_lora_rank|qk_lora_dim": 16,
    r"state_size|mamba_d_state|ssm_state_size|d_state": 4,
    r"time_step_rank|mamba_dt_rank": 2,
    r"mamba_n_heads|mamba_num_heads|linear_num_.*_heads": 4,
    r"num_queries|num_query_tokens|num_frames|num_latents|resampler_n_latents": 4,
    r"image_seq_length|num_image_tokens|mm_tokens_per_image": (IMAGE // PATCH) ** 2,
    r"temporal_patch_size|tubelet_size|window_size": 2,
    r"spatial_merge_size": 2,
    r"num_conv_pos_embeddings": 4,
    r"num_conv_pos_embedding_groups": 2,
    r"codevector_dim|proj_codevector_dim": 16,
    r"num_codevectors_per_group": 4,
    r"codebook_size": 16,
    r"upsample_initial_channel": 16,
}
"""What a field that holds a number is set to, by its name."""
_DROPS = re.compile(r".*(dropout|pdrop|drop_prob|drop_rate)(_rate|_prob|_p)?|drop|.*_drop")
_SKIPS = re.compile(
    r".*layerdrop|.*drop_path.*|stochastic_depth.*|mask_time_prob|mask_feature_prob|.*jitter.*"
)
_SPECIAL = re.compile(r".*(token_id|token_index|token_idx)")
Shrink = Callable[[str, Any], Any]


def small(config_class: Any, *, skips: bool, **more: Any) -> Any:
    """A small configuration with dropout at `RATE`.

    Args:
        config_class: of transformers.
        skips: whether noise that is no dropout (skipped layers and branches, masked spectra,
            jitter of routers) is on as well.
        more: fields to set besides.
    """
    config = config_class(**{"num_labels": 3} | _values(config_class, skips) | more)
    if config.is_encoder_decoder and getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = 2
    _shorten_rotations(config)
    return config


def _values(config_class: Any, skips: bool) -> dict[str, Any]:
    parts = getattr(config_class, "sub_configs_defaults", {})
    values: dict[str, Any] = {}
    for index, field in enumerate(fields(config_class)):
        if field.name in parts:
            if (part := _part(parts[field.name], skips)) is not None:
                values[field.name] = part
            continue
        value = _default(field)
        if (less := _shrunk(field.name, value, skips, index)) is not None and less != value:
            values[field.name] = less
    if "kv_lora_rank" in values and "num_key_value_heads" in values:
        values["num_key_value_heads"] = HEADS
    values |= _layer_types(config_class, values)
    if "depths" in values and "image_size" in values:
        values |= {"image_size": 2 * IMAGE, "patch_size": PATCH // 2}
    return values | OVERRIDES.get(config_class.__name__, {})


def _layer_types(config_class: Any, values: dict[str, Any]) -> dict[str, Any]:
    """One layer of each type that the configuration has by default, where it has several."""
    names = {field.name for field in fields(config_class)}
    if not {"layer_types", "num_hidden_layers"} <= names or getattr(
        config_class, "sub_configs_defaults", {}
    ):
        return {}
    try:
        types = list(dict.fromkeys(config_class().layer_types or []))
    except Exception:  # some cannot be made without arguments
        return {}
    return {"layer_types": types, "num_hidden_layers": len(types)} if len(types) > 1 else {}


def _default(field: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else None


def _part(spec: Any, skips: bool) -> Any:
    kind = spec.config_class
    if not hasattr(kind, "sub_configs_defaults") or not hasattr(kind, "from_dict"):
        kind = spec.get_config_class(spec.model_type)
    if kind.__name__ in _IN_PROGRESS:
        return None
    _IN_PROGRESS.append(kind.__name__)
    try:
        given = {k: v for k, v in spec.init_kwargs.items() if k != "model_type"}
        return kind(**given | _values(kind, skips))
    finally:
        _IN_PROGRESS.pop()


_IN_PROGRESS: list[str] = []


def _shrunk(name: str, value: Any, skips: bool, index: int) -> Any:
    """What to set a field to, or None to leave it."""
    if isinstance(value, bool):
        if name == "apply_spec_augment":
            return skips
        return True if name == "output_router_logits" else None
    if _SKIPS.fullmatch(name):
        return (RATE if skips else 0.0) if isinstance(value, int | float) else None
    if _DROPS.fullmatch(name):
        return RATE if isinstance(value, int | float) or value is None else None
    if re.fullmatch(r"initializer_range|init_std", name):
        return SPREAD
    if re.fullmatch(r"layer_?scale_.*", name) and isinstance(value, float) and value:
        return 1.0  # with 1e-6, as some have it, no branch says anything
    if _SPECIAL.fullmatch(name):
        return _special(name, value, index)
    if value is None and name in ("vocab_size", "n_routed_experts", "num_experts_per_tok"):
        value = 0
    if isinstance(value, int):
        return next((size for key, size in SIZES.items() if re.fullmatch(key, name)), None)
    if isinstance(value, list | tuple) and value:
        return _shrunk_list(name, value)
    return None


def _special(name: str, value: Any, index: int) -> Any:
    if name in ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"):
        number = {"pad": 1, "bos": 0, "eos": 2, "decoder": 2}[name.split("_")[0]]
        return number if value is None or not isinstance(value, int) or value >= 5 else None
    if isinstance(value, int) and not 0 <= value < _FIRST_SPECIAL:
        return _FIRST_SPECIAL + index % (VOCABULARY - _FIRST_SPECIAL)
    return None


_LISTS: dict[str, Callable[[int], int]] = {
    r"depths|num_block_repeats|layers_per_.*|stage_num.*|encoder_depths": lambda i: 1,
    r"hidden_sizes|embed_dim|embed_dims|neck_hidden_sizes|hidden_dims": lambda i: 16 * 2**i,
    r"num_heads|num_attention_heads|decoder_num_heads": lambda i: 2**i,
    r"conv_dim": lambda i: WIDTH,
    r"tdnn_dim": lambda i: WIDTH,
}


def _shrunk_list(name: str, value: Any) -> Any:
    if re.fullmatch(r"conv_dim|conv_kernel|conv_stride", name) and len(value) > 3:
        value = value[:3]
    for key, size in _LISTS.items():
        if re.fullmatch(key, name) and all(isinstance(v, int) for v in value):
            return [min(size(i), v) for i, v in enumerate(value)]
    if re.fullmatch(r".*image_size|.*img_size|input_size", name):
        return [IMAGE] * len(value)
    return list(value) if name.startswith("conv_") else None


def _shorten_rotations(config: Any) -> None:
    """Rotary sections of several axes have to fill half of a head."""
    names = getattr(config, "sub_configs_defaults", {})
    parts = [config, *(getattr(config, name, None) for name in names)]
    seeing = any(name in names for name in ("vision_config", "thinker_config"))
    for part in parts:
        rotation = getattr(part, "rope_parameters", None)
        if isinstance(rotation, dict) and (seeing or "mrope_section" in rotation):
            rotation["mrope_section"] = [2, 1, 1]


OVERRIDES: dict[str, dict[str, Any]] = {
    "CodeGenConfig": {"rotary_dim": 4},
    "DiffLlamaConfig": {"attention_dropout": 0.0},
    "GPTJConfig": {"rotary_dim": 4},
    "GPTNeoConfig": {"attention_types": [[["global", "local"], 1]]},
    "Qwen2_5_VLVisionConfig": {"window_size": 32},
    "Exaone4_5_VisionConfig": {"window_size": 32},
    "Mamba2Config": {"num_heads": 8},
    "ZayaConfig": {"num_experts_per_tok": 1},
    "DeepseekV2Config": {"topk_method": "greedy", "num_experts_per_tok": 2},
}
"""Fields by configuration class, where their names do not say enough."""
