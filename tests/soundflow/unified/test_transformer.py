import random
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from soundflow.unified.pages import CacheFull, Lane, PagedCache
from soundflow.unified.transformer import LanguageModel
from soundflow.unified.weightless import without_weights
from tests.soundflow.unified import tiny


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with tiny.threads(1):
        yield


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return tiny.model(tiny.weights())


def same(got: Tensor, expected: Tensor) -> None:
    """Check that only the order of float32 sums differs, of logits that are around 1."""
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def random_sequence(length: int, seed: int) -> Tensor:
    return torch.randn(length, tiny.CONFIG.width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("step", [1, 5, 60])
@pytest.mark.parametrize("page_positions", [1, 7, 64])
def test_any_cut_gives_what_the_whole_sequence_gives(
    lm: LanguageModel, step: int, page_positions: int
) -> None:
    sequence = random_sequence(60, seed=1)
    whole = lm(sequence[None])[0]
    cache = PagedCache(tiny.CONFIG, pages=60, page_positions=page_positions)
    pieces = tiny.stepwise(lm, cache, sequence, step=step)
    same(pieces, whole[step - 1 :: step])


@pytest.mark.parametrize("seed", range(4))
def test_any_batch_gives_each_lane_what_it_gets_alone(lm: LanguageModel, seed: int) -> None:
    chance = random.Random(seed)
    page_positions = chance.choice([1, 3, 16])
    cache = PagedCache(tiny.CONFIG, pages=4000 // page_positions, page_positions=page_positions)
    sequences = [random_sequence(chance.choice([30, 90, 300]), seed=i) for i in range(9)]
    wholes = [lm(sequence[None])[0] for sequence in sequences]
    lanes = [cache.lane() for _ in sequences]
    while unfinished := [i for i, lane in enumerate(lanes) if lane.length < len(sequences[i])]:
        chosen = [i for i in unfinished if chance.random() < 0.7] or unfinished
        pieces = {i: chance.choice([1, 1, 13, 13, 47]) for i in chosen}
        batch = [(lanes[i], sequences[i][lanes[i].length :][:count]) for i, count in pieces.items()]
        logits = lm.extend(batch)
        for i, got in zip(pieces, logits, strict=True):
            same(got, wholes[i][lanes[i].length - 1])
            if chance.random() < 0.2:
                lanes[i].truncate(chance.randint(0, lanes[i].length))


@pytest.mark.parametrize("marker", [torch.nan, torch.inf, 3e38])
def test_what_freed_pages_hold_reaches_nobody(lm: LanguageModel, marker: float) -> None:
    cache = PagedCache(tiny.CONFIG, pages=40, page_positions=16)
    gone = cache.lane()
    lm.extend([(gone, random_sequence(40 * 16, seed=3)[:600])])
    gone.release()
    everywhere = torch.arange(cache.pages * cache.page_positions)
    huge = torch.full((len(everywhere), tiny.CONFIG.kv_heads, tiny.CONFIG.head_width), marker)
    for layer in range(tiny.CONFIG.layers):
        cache.pool.write(layer, everywhere, huge, huge)
    sequences = [random_sequence(length, seed=length) for length in (50, 21, 37)]
    lanes = [cache.lane() for _ in sequences]
    for begin, end in ((0, 20), (20, 21), (21, 33), (33, 50)):
        batch = [
            (lane, sequence[begin:end])
            for lane, sequence in zip(lanes, sequences, strict=True)
            if len(sequence) > begin
        ]
        for (lane, _), got in zip(batch, lm.extend(batch), strict=True):
            alone = lm(sequences[lanes.index(lane)][None])[0]
            same(got, alone[lane.length - 1])


@pytest.mark.parametrize("poison", [torch.nan, torch.inf, 3e38])
def test_a_session_that_is_fed_nonsense_spoils_no_other(lm: LanguageModel, poison: float) -> None:
    cache = PagedCache(tiny.CONFIG, pages=40, page_positions=16)
    sequence = random_sequence(52, seed=5)
    expected = lm(sequence[None])[0]
    good, bad = cache.lane(), cache.lane()
    nonsense = torch.full((13, tiny.CONFIG.width), poison)
    for piece in torch.split(sequence, 13):
        logits = lm.extend([(bad, nonsense), (good, piece)])
        same(logits[1], expected[good.length - 1])
    bad.release()
    reused = cache.lane()
    got = lm.extend([(reused, sequence), (good, sequence[:1])])[0]
    same(got, expected[-1])


def test_a_full_cache_leaves_lanes_as_they_were(lm: LanguageModel) -> None:
    cache = PagedCache(tiny.CONFIG, pages=4, page_positions=16)
    sequence = random_sequence(45, seed=6)
    lane, other = cache.lane(), cache.lane()
    lm.extend([(lane, sequence[:33]), (other, sequence[:10])])
    with pytest.raises(CacheFull):
        lm.extend([(other, sequence[10:20]), (lane, sequence[33:])])
    assert (lane.length, other.length, cache.free_pages) == (33, 10, 0)
    other.release()
    got = lm.extend([(lane, sequence[33:])])[0]
    same(got, lm(sequence[None])[0, -1])


def test_an_error_in_the_middle_leaves_lanes_as_they_were(
    lm: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = PagedCache(tiny.CONFIG, pages=8, page_positions=4)
    sequence = random_sequence(20, seed=7)
    lane = cache.lane()
    lm.extend([(lane, sequence[:6])])
    with monkeypatch.context() as broken:
        broken.setattr(lm.blocks[1].mlp, "forward", _out_of_memory)
        with pytest.raises(MemoryError):
            lm.extend([(lane, sequence[6:])])
    assert (lane.length, cache.free_pages) == (6, 6)
    same(lm.extend([(lane, sequence[6:])])[0], lm(sequence[None])[0, -1])


def _out_of_memory(_: Tensor) -> Tensor:
    raise MemoryError


def test_what_was_cut_off_is_forgotten(lm: LanguageModel) -> None:
    cache = PagedCache(tiny.CONFIG, pages=20, page_positions=7)
    kept, tried, then = (random_sequence(n, seed=n) for n in (30, 14, 15))
    lane: Lane = cache.lane()
    lm.extend([(lane, kept)])
    lm.extend([(lane, tried)])
    lane.truncate(30)
    got = lm.extend([(lane, then)])[0]
    same(got, lm(torch.cat([kept, then])[None])[0, -1])


def test_it_is_made_without_memory_and_loaded_piece_by_piece(lm: LanguageModel) -> None:
    with without_weights():
        made = LanguageModel(tiny.CONFIG)
    assert all(parameter.is_meta for parameter in made.parameters())
    for name, weight in tiny.weights().items():
        made.load_state_dict({name: weight}, strict=False, assign=True)
    sequence = random_sequence(20, seed=8)
    torch.testing.assert_close(made(sequence[None]), lm(sequence[None]))


def test_nothing_cannot_be_extended(lm: LanguageModel) -> None:
    with pytest.raises(ValueError, match="at least one lane"):
        lm.extend([])


def test_activations_as_large_as_half_precision_has_stay_finite() -> None:
    lm = tiny.model(tiny.weights(), dtype=torch.float16)
    cache = PagedCache(tiny.CONFIG, pages=2, dtype=torch.float16)
    loud = 3e4 * torch.sign(random_sequence(13, seed=9))
    assert lm.extend([(cache.lane(), loud)]).isfinite().all()


def test_a_model_that_has_been_listening_can_be_trained_on() -> None:
    made = LanguageModel(tiny.CONFIG)
    made.load_state_dict(tiny.weights())
    cache = PagedCache(tiny.CONFIG, pages=2)
    made.extend([(cache.lane(), random_sequence(13, seed=9))])
    ids = torch.tensor([[1, 5, 9, 2], [3, 3, 0, 96]])
    logits = made(made.embedding(ids))
    torch.autograd.backward(torch.nn.functional.cross_entropy(logits.mT, ids))
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all()
        assert parameter.grad.any(), name


def test_embeddings_are_the_rows_of_the_table(lm: LanguageModel) -> None:
    assert torch.equal(lm.embed([3, 96, 3]), lm.embedding.weight[[3, 96, 3]])
