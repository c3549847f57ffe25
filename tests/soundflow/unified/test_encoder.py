import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from soundflow.audio import CHUNK_SAMPLES, Chunk
from soundflow.encoder import HEARD_NOTHING, encode_carried
from soundflow.frontend import Array
from soundflow.unified.audio_tower import CHUNK_POSITIONS, AudioTower, EncoderConfig
from soundflow.unified.encoder import UnifiedEncoder, features_live, features_whole
from soundflow.unified.small_tower import SmallTower
from soundflow.unified.towers import Tower
from tests import golden
from tests.golden import published
from tests.soundflow.unified.small import small_tower

TINY = EncoderConfig(mels=80, width=16, layers=2, heads=2, ffn=32, output_width=12)


@pytest.fixture(scope="module")
def encoder() -> UnifiedEncoder:
    return UnifiedEncoder(published.tower())


def audio_tower(context_chunks: int) -> AudioTower:
    torch.manual_seed(1)
    tower = AudioTower(replace(TINY, context_chunks=context_chunks))
    tower.eval()
    return tower


TOWERS: dict[str, Tower] = {
    "no context": audio_tower(0),
    "context": audio_tower(3),
    "small": small_tower(1),
}


@pytest.fixture(scope="module", params=TOWERS)
def tower(request: pytest.FixtureRequest) -> Tower:
    return TOWERS[request.param]


def chunks(seed: int, count: int = 6) -> list[Chunk]:
    """Noise whose loudness changes from chunk to chunk."""
    random = np.random.default_rng(seed)
    loudness = 10 ** random.uniform(-3, -0.5, (count, 1))
    pcm = (loudness * random.normal(0, 0.3, (count, CHUNK_SAMPLES))).astype(np.float32)
    return [Chunk(f"call-{seed}", index, piece) for index, piece in enumerate(pcm)]


def loud_first(heard: list[Chunk]) -> list[Chunk]:
    """Raise the first chunk to full scale, so that no later one moves the floor of all."""
    heard[0].pcm[:] /= np.abs(heard[0].pcm).max()
    return heard


def stream(encoder: UnifiedEncoder, heard: list[Chunk]) -> Array:
    state, made = encoder.initial(), []
    for chunk in heard:
        [(features, state)] = encoder.encode([(chunk, state)])
        made.append(features.tensors["frames"])
    return np.stack(made)


def interleave(encoder: UnifiedEncoder, sessions: list[list[Chunk]], seed: int) -> list[Array]:
    """Encode all sessions, at each step some of them, in any order."""
    random = np.random.default_rng(seed)
    states = [encoder.initial() for _ in sessions]
    made: list[list[Array]] = [[] for _ in sessions]
    while unfinished := [i for i, heard in enumerate(sessions) if len(made[i]) < len(heard)]:
        chosen = random.permutation(unfinished)[: random.integers(1, len(unfinished) + 1)]
        batch = [(sessions[i][len(made[i])], states[i]) for i in chosen]
        for i, (chunk, _), (features, state) in zip(
            chosen, batch, encoder.encode(batch), strict=True
        ):
            assert (features.session_id, features.index) == (chunk.session_id, chunk.index)
            made[i].append(features.tensors["frames"])
            states[i] = state
    return [np.stack(frames) for frames in made]


def test_a_live_session_gets_what_the_published_server_makes(encoder: UnifiedEncoder) -> None:
    made = stream(encoder, golden.chunks())
    np.testing.assert_allclose(made, golden.features_prefix(), atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_so_it_does_among_seven_others(encoder: UnifiedEncoder, seed: int) -> None:
    others = [chunks(number, count=20) for number in range(7)]
    mine, *_ = interleave(encoder, [golden.chunks(), *others], seed)
    np.testing.assert_allclose(mine, golden.features_prefix(), atol=1e-4)


def test_a_clip_given_whole_is_what_the_published_code_makes() -> None:
    made = features_whole(published.tower(), golden.pcm())
    np.testing.assert_allclose(made.numpy(), golden.features_whole(), atol=1e-4)


def test_streamed_equals_live_features_of_the_clip(tower: Tower) -> None:
    heard = chunks(seed=1)
    pcm = np.concatenate([chunk.pcm for chunk in heard])
    whole = features_live(tower, pcm).numpy(force=True)
    np.testing.assert_allclose(stream(UnifiedEncoder(tower), heard), whole, atol=1e-5)


@pytest.mark.parametrize("context_chunks", [0, 3])
def test_streamed_equals_whole_where_the_loudest_came_first(context_chunks: int) -> None:
    tower = audio_tower(context_chunks)
    heard = loud_first(chunks(seed=2))
    for chunk in heard:
        chunk.pcm[-200:] = 0.0  # mirrored or followed, a chunk's end is the same
        chunk.pcm[:40] = 0.0
    pcm = np.concatenate([chunk.pcm for chunk in heard])
    whole = features_whole(tower, pcm).numpy(force=True)
    np.testing.assert_allclose(stream(UnifiedEncoder(tower), heard), whole, atol=1e-4)


def reach_chunks(tower: Tower) -> int:
    """How many chunks before its own a chunk's frames depend on."""
    if isinstance(tower, SmallTower):
        return tower.config.context_chunks + -(-tower.adapter.before // CHUNK_POSITIONS)
    return tower.config.context_chunks


def test_a_chunk_sees_as_many_before_it_as_the_tower_was_built_for(tower: Tower) -> None:
    encoder, reach = UnifiedEncoder(tower), reach_chunks(tower)
    heard = loud_first(chunks(seed=3, count=9))
    other = [replace(chunk, pcm=chunk.pcm.copy()) for chunk in heard]
    other[1].pcm[3000:3400] = -other[1].pcm[3000:3400][::-1]
    change = np.abs(stream(encoder, heard) - stream(encoder, other)).max(axis=(1, 2))
    assert [bool(one > 0) for one in change] == [1 <= n <= 1 + reach for n in range(9)]


def test_a_state_that_moved_goes_on_with_the_same_numbers(tower: Tower) -> None:
    encoder = UnifiedEncoder(tower)
    stayed, moved = encoder.initial(), HEARD_NOTHING
    for chunk in chunks(seed=4):
        [(here, stayed)] = encoder.encode([(chunk, stayed)])
        [there] = encode_carried(encoder, [(chunk, moved)])
        assert not isinstance(there, Exception)
        np.testing.assert_array_equal(here.tensors["frames"], there[0].tensors["frames"])
        moved = there[1]
        assert moved == encoder.dump(stayed)


def test_a_state_stays_small(tower: Tower) -> None:
    encoder = UnifiedEncoder(tower)
    sizes = []
    state = encoder.initial()
    for chunk in chunks(seed=5, count=8):
        [(_, state)] = encoder.encode([(chunk, state)])
        sizes.append(len(encoder.dump(state)))
    assert len(set(sizes)) == 1
    own = 4 * (56 * 64 + 32 * 16) if isinstance(tower, SmallTower) else 0
    assert sizes[0] < 2_000 + 40 * 80 * 4 * tower.config.context_chunks + own


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38, -1e30])
def test_what_is_no_audio_harms_neither_others_nor_what_follows(
    encoder: UnifiedEncoder, bad: float
) -> None:
    good, spoilt = chunks(seed=6), chunks(seed=7)
    spoilt[2].pcm[100:3000] = bad
    alone = stream(encoder, good)
    mine, theirs = interleave(encoder, [good, spoilt], seed=0)
    np.testing.assert_allclose(mine, alone, atol=1e-5)
    assert np.isfinite(theirs).all()
    # What follows is heard as behind any sound at full scale, and still told apart.
    assert np.abs(np.diff(theirs[3:], axis=0)).max() > 1e-3


def test_features_are_each_their_own(encoder: UnifiedEncoder) -> None:
    batch = [(chunks(seed)[0], encoder.initial()) for seed in range(3)]
    for features, _ in encoder.encode(batch):
        assert features.tensors["frames"].base is None
        assert features.tensors["frames"].dtype == np.float32
    assert encoder.encode([]) == []


def test_a_tower_of_lower_precision_still_gives_float32() -> None:
    tower = AudioTower(TINY)
    made = stream(UnifiedEncoder(tower.bfloat16()), chunks(seed=8))
    exact = stream(UnifiedEncoder(tower.float()), chunks(seed=8))
    assert made.dtype == np.float32
    np.testing.assert_allclose(made, exact, atol=0.1)


def foreign(encoder: UnifiedEncoder) -> dict[str, bytes]:
    mine = encoder.dump(encoder.encode([(chunks(seed=9)[0], encoder.initial())])[0][1])
    wider = UnifiedEncoder(AudioTower(replace(TINY, context_chunks=1)))
    small = UnifiedEncoder(TOWERS["small"])
    return {
        "a small tower's": small.dump(small.initial()),
        "empty": b"",
        "garbage": b"something else",
        "cut": mine[:-4],
        "odd": mine[:-1],
        "longer": mine + bytes(4),
        "another tower's": wider.dump(wider.initial()),
        "peak": mine[:20] + struct.pack("<f", np.nan) + mine[24:],
        "no number": mine[:-4] + struct.pack("<f", np.inf),
        "tail": mine[:12] + struct.pack("<I", 7) + mine[16:],
    }


def test_foreign_bytes_are_not_a_state(encoder: UnifiedEncoder) -> None:
    for name, data in foreign(encoder).items():
        with pytest.raises(ValueError, match="state"):
            encoder.load(data)
            pytest.fail(name)


def test_an_initial_state_can_travel_too(encoder: UnifiedEncoder) -> None:
    loaded = encoder.load(encoder.dump(encoder.initial()))
    [(features, _)] = encoder.encode([(golden.chunks()[0], loaded)])
    np.testing.assert_allclose(features.tensors["frames"], golden.features_prefix()[0], atol=1e-4)


def test_a_later_chunk_costs_what_the_first_did(tower: Tower) -> None:
    encoder = UnifiedEncoder(tower)
    state, costs = encoder.initial(), []
    for chunk in chunks(seed=10, count=20):
        with FlopCounterMode(display=False) as counter:
            [(_, state)] = encoder.encode([(chunk, state)])
        costs.append(counter.get_total_flops())
    assert costs[0] > 0
    assert set(costs) == {costs[0]}
