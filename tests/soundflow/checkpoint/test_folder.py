"""Whole checkpoints: each kind of folder is read, and gives the numbers that were written."""

from pathlib import Path

import pytest
import torch

from soundflow.checkpoint import own
from soundflow.checkpoint.convert import convert
from soundflow.checkpoint.errors import ModelMissing
from soundflow.checkpoint.folder import Kind, open_checkpoint
from soundflow.unified.audio_tower import AudioTower, EncoderConfig
from soundflow.unified.config import DecoderConfig
from soundflow.unified.encoder import features_whole
from soundflow.unified.tokens import ControlTokens
from soundflow.unified.transformer import LanguageModel
from tests import golden
from tests.soundflow.checkpoint.folders import write_published, write_stock


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_published(tmp_path_factory.mktemp("legacy"), shards=1, legacy=True)


def test_the_published_configuration_is_understood(published: Path) -> None:
    checkpoint = open_checkpoint(published)
    assert checkpoint.kind is Kind.PUBLISHED
    assert checkpoint.control == ControlTokens()
    assert checkpoint.encoder_config == EncoderConfig(128, 64, 2, 4, 128, 64, 1500)
    assert checkpoint.decoder_config == DecoderConfig(
        layers=2,
        width=64,
        heads=4,
        kv_heads=2,
        head_width=16,
        ffn=96,
        vocabulary=151_936,
        rope_base=1e6,
        norm_eps=1e-6,
        max_positions=4096,
        qkv_bias=True,
    )
    checkpoint.verify()


def test_the_published_encoder_makes_the_published_features(published: Path) -> None:
    tower = open_checkpoint(published).make_encoder()
    assert isinstance(tower, AudioTower)
    features = features_whole(tower, golden.pcm())
    expected = torch.from_numpy(golden.features_whole())
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-4)


def test_every_published_number_arrives(published: Path) -> None:
    model = open_checkpoint(published).make_decoder()
    weights = golden.decoder_weights()
    assert_holds(model, "blocks.1.attention.qkv.weight", weights["transformer.h.1.attn.qkv.weight"])
    assert_holds(model, "blocks.0.mlp.gate.weight", weights["transformer.h.0.mlp.fc_1.weight"])
    assert_holds(model, "blocks.0.mlp.up.weight", weights["transformer.h.0.mlp.fc_2.weight"])
    assert_holds(model, "blocks.1.mlp_norm.weight", weights["transformer.h.1.norm_2.weight"])
    assert_holds(model, "head.weight", weights["lm_head.weight"])
    assert_holds(model, "embedding.weight", weights["transformer.wte.weight"])


def test_interleaved_queries_keys_and_values_are_put_in_order(
    published: Path, legacy: Path
) -> None:
    assert_equal(open_checkpoint(legacy).make_decoder(), open_checkpoint(published).make_decoder())


def test_a_model_that_is_in_memory_already_is_filled(published: Path) -> None:
    checkpoint = open_checkpoint(published)
    model = LanguageModel(checkpoint.decoder_config).to(torch.bfloat16)
    head = model.get_parameter("head.weight")
    checkpoint.load_decoder(model)
    assert model.get_parameter("head.weight") is head
    assert model.dtype is torch.bfloat16
    expected = torch.from_numpy(golden.decoder_weights()["lm_head.weight"]).to(torch.bfloat16)
    assert torch.equal(head, expected)


def test_a_model_can_be_made_in_another_type(published: Path) -> None:
    checkpoint = open_checkpoint(published)
    assert checkpoint.make_decoder(torch.bfloat16).dtype is torch.bfloat16
    tower = checkpoint.make_encoder(torch.bfloat16)
    assert {one.dtype for one in (*tower.parameters(), *tower.buffers())} == {torch.bfloat16}
    assert all(not one.is_meta for one in tower.buffers())


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("tied", [True, False])
def test_a_stock_qwen_is_read(tmp_path: Path, whole: bool, tied: bool) -> None:
    weights = write_stock(tmp_path, whole=whole, tied=tied)
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.kind is Kind.STOCK
    assert checkpoint.encoder_config == EncoderConfig(128, 16, 1, 2, 24, 32, 1500)
    assert checkpoint.decoder_config.head_width == 8
    checkpoint.verify()
    model, tower = checkpoint.make_decoder(), checkpoint.make_encoder()
    prefix = "thinker." if whole else ""
    attention = f"{prefix}model.layers.1.self_attn."
    stacked = torch.cat([weights[f"{attention}{part}_proj.weight"] for part in "qkv"])
    assert_holds(model, "blocks.1.attention.qkv.weight", stacked)
    biases = torch.cat([weights[f"{attention}{part}_proj.bias"] for part in "qkv"])
    assert_holds(model, "blocks.1.attention.qkv.bias", biases)
    assert_holds(
        model, "blocks.0.mlp.up.weight", weights[f"{prefix}model.layers.0.mlp.up_proj.weight"]
    )
    head = "model.embed_tokens" if tied else "lm_head"
    assert_holds(model, "head.weight", weights[f"{prefix}{head}.weight"])
    assert isinstance(tower, AudioTower)
    assert torch.equal(tower.proj.weight, weights[f"{prefix}audio_tower.proj.weight"])


@pytest.mark.parametrize("kind", ["published", "stock"])
def test_what_is_converted_is_the_same_model(tmp_path: Path, published: Path, kind: str) -> None:
    if kind == "stock":
        write_stock(tmp_path / "stock")
    source = open_checkpoint(published if kind == "published" else tmp_path / "stock")
    convert(source, tmp_path / "own", shard_bytes=20_000_000)
    made = open_checkpoint(tmp_path / "own")
    assert made.kind is Kind.OWN
    assert len(list(made.path.glob("*.safetensors"))) > 1
    assert made.encoder_config == source.encoder_config
    assert made.decoder_config == source.decoder_config
    assert made.control == source.control
    made.verify()
    assert_equal(made.make_decoder(), source.make_decoder())
    assert_equal(made.make_encoder(), source.make_encoder())
    text = "hello the world"
    assert made.read_tokenizer().encode(text) == source.read_tokenizer().encode(text)


def test_a_small_vocabulary_with_its_own_control_tokens(tmp_path: Path) -> None:
    write_published(tmp_path / "published", shards=1)
    source = open_checkpoint(tmp_path / "published")
    convert(source, tmp_path / "own")
    control = ControlTokens(pad=9, silence=10, text_begin=11, system=11)
    own.write_fields(tmp_path / "own", source.encoder_config, source.decoder_config, control)
    assert open_checkpoint(tmp_path / "own").control == control


def test_a_folder_that_holds_nothing_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"soundflow\.json, model_config\.yaml, config\.json"):
        open_checkpoint(tmp_path)
    with pytest.raises(ModelMissing, match="nowhere is not a folder"):
        open_checkpoint(tmp_path / "nowhere")


def assert_holds(model: torch.nn.Module, name: str, expected: object) -> None:
    assert torch.equal(model.state_dict()[name], torch.as_tensor(expected))


def assert_equal(one: torch.nn.Module, other: torch.nn.Module) -> None:
    expected = other.state_dict()
    assert one.state_dict().keys() == expected.keys()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, expected[name]), name
