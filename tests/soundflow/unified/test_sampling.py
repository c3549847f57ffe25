import math
from collections import Counter

import pytest
import torch

from soundflow.unified.sampling import GREEDY, Sampler, Sampling, choose

LOGITS = torch.tensor([0.3, 2.0, -1.0, 1.5, 1.9, -3.0])


def test_nothing_is_left_to_chance_by_default() -> None:
    logits = torch.stack([LOGITS, LOGITS.flip(0), LOGITS])
    assert choose(logits, [None, Sampler(), Sampler(GREEDY)]) == [1, 4, 1]


def test_the_control_token_is_the_most_likely_one_in_a_session_that_draws() -> None:
    sampler = Sampler(Sampling(temperature=5.0))
    assert [choose(LOGITS[None], [None]) for _ in range(20)] == [[1]] * 20
    assert sampler.drawn == 0


@pytest.mark.parametrize("top_k", [2, 3, 0, 100])
def test_tokens_come_as_often_as_the_settings_say(top_k: int) -> None:
    temperature, draws = 0.7, 3000
    sampler = Sampler(Sampling(temperature, top_k, seed=11))
    seen = Counter(choose(LOGITS[None], [sampler])[0] for _ in range(draws))
    likeliest = sorted(range(6), key=lambda token: -LOGITS[token].item())[: top_k or 6]
    weights = {token: math.exp(LOGITS[token].item() / temperature) for token in likeliest}
    assert set(seen) <= set(likeliest)
    for token, weight in weights.items():
        share = weight / sum(weights.values())
        spread = math.sqrt(draws * share * (1 - share))
        assert abs(seen[token] - draws * share) < 4 * spread


def test_a_session_draws_the_same_whoever_shares_the_batch() -> None:
    logits = torch.randn(50, 40, generator=torch.Generator().manual_seed(1))
    settings = Sampling(temperature=1.0, top_k=5, seed=3)
    alone, among = Sampler(settings), Sampler(settings)
    others = [Sampler(Sampling(2.0, 0, seed=9)), None, Sampler(Sampling(0.5, 2, seed=1)), None]
    got_alone = [choose(row[None], [alone])[0] for row in logits]
    got_among = [
        choose(torch.stack([row, row, row, -row, row * 3]), [*others[:2], among, *others[2:]])[2]
        for row in logits
    ]
    assert got_alone == got_among
    assert len(set(got_alone)) > 10


def test_a_sampler_goes_on_where_one_with_its_settings_was() -> None:
    settings = Sampling(temperature=2.0, seed=5)
    first = Sampler(settings)
    before = [choose(LOGITS[None], [first]) for _ in range(30)]
    later = Sampler(settings, drawn=10)
    assert [choose(LOGITS[None], [later]) for _ in range(20)] == before[10:]
    other = Sampler(Sampling(temperature=2.0, seed=6))
    assert [choose(LOGITS[None], [other]) for _ in range(30)] != before


def test_any_logits_give_a_token() -> None:
    sampler = Sampler(Sampling(temperature=1e-9, top_k=3))
    for hostile in (torch.nan, torch.inf, -torch.inf, 3e38):
        one = LOGITS.clone()
        one[3] = hostile
        for row in (one, torch.full((6,), hostile)):
            assert choose(row[None], [sampler])[0] in range(6)
    assert choose(LOGITS[None], [sampler]) == [1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1.0},
        {"temperature": math.nan},
        {"top_k": -1},
        {"seed": -1},
        {"seed": 2**64},
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="settings"):
        Sampling(**wrong)  # type: ignore[arg-type]


def test_the_largest_seed_is_one() -> None:
    assert choose(LOGITS[None], [Sampler(Sampling(1.0, 1, seed=2**64 - 1))]) == [1]
    assert 0 <= Sampler(Sampling(1.0, seed=2**64 - 1), drawn=10**9).draw() < 1
