from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.autograd import backward
from torch.nn import functional

from soundflow.unified.audio_tower import AudioTower
from soundflow.unified.ears import front_of
from tests.training.tiny import CONTROL, Noise, collate, network
from training.learning.batch import Batch, Targets
from training.learning.example import Example
from training.learning.network import Network
from training.loss import losses


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def batch_of(*numbers: int) -> Batch:
    noise = Noise()
    return collate()([noise[number] for number in numbers])


def gradients(model: Network, pieces: list[Batch], stream_weight: float = 1.0) -> torch.Tensor:
    model.zero_grad()
    whole = sum((piece.targets for piece in pieces), Targets(0, 0))
    for piece in pieces:
        backward(losses(model(piece), piece, whole).total(stream_weight))
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


def test_the_two_means_are_each_over_their_own_targets() -> None:
    model, batch = network(), batch_of(0, 1, 2)
    found = losses(model(batch), batch, batch.targets)

    by_kind: dict[str, list[torch.Tensor]] = {"text": [], "stream": []}
    for number in (0, 1, 2):  # each example alone, each target by hand
        one = Noise()[number]
        logits = model.decoder(model._embedded(collate()([one])))[0]
        for kind, mask in (("text", one.text_T), ("stream", one.stream_T)):
            for place in np.flatnonzero(mask):
                token = torch.tensor(one.tokens_T[place])
                by_kind[kind].append(functional.cross_entropy(logits[place - 1], token))

    assert batch.targets == Targets(len(by_kind["text"]), len(by_kind["stream"]))
    torch.testing.assert_close(found.text, torch.stack(by_kind["text"]).mean())
    torch.testing.assert_close(found.stream, torch.stack(by_kind["stream"]).mean())
    expected = found.text + 0.5 * found.stream
    torch.testing.assert_close(found.total(0.5), expected)


def test_a_batch_in_pieces_gives_the_gradient_of_the_whole() -> None:
    model = network().double()  # so that nothing but rounding can hide a difference
    whole = [double(batch_of(0, 1, 2, 3, 4))]
    pieces = [double(batch_of(0, 1)), double(batch_of(2)), double(batch_of(3, 4))]
    # The pieces' targets differ in number, so a mean of means would not do.
    assert len({piece.targets.text for piece in pieces}) > 1
    torch.testing.assert_close(
        gradients(model, pieces), gradients(model, whole), rtol=1e-9, atol=1e-12
    )


def test_every_half_learns_and_nothing_before_a_target_is_told_of_it() -> None:
    model, batch = network(), batch_of(0, 1)
    backward(losses(model(batch), batch, batch.targets).total(1.0))
    unused = {"encoder.audio_bos_eos_token.weight"}  # nothing that streams uses it
    for name, parameter in model.named_parameters():
        assert (parameter.grad is None) == (name in unused), name

    # The last target's logits see all before it, but not itself.
    last = replace(batch, tokens_BT=batch.tokens_BT.clone())
    wanted = torch.nonzero(last.text_BT | last.stream_BT)
    row, place = wanted[-1].tolist()
    last.tokens_BT[row, place] = (last.tokens_BT[row, place] + 1) % 300
    torch.testing.assert_close(model(last), model(batch))


def test_what_was_heard_before_is_as_good_as_samples() -> None:
    model, one = network().eval(), Noise()[1]
    assert one.pcm_S is not None
    assert isinstance(model.encoder, AudioTower)
    windows = front_of(model.encoder).live(one.pcm_S)
    made = replace(one, pcm_S=None, heard_NPW=model.encoder.hear(windows).detach().numpy())
    torch.testing.assert_close(model(collate()([made])), model(collate()([one])))


def test_text_alone_teaches_and_goes_through_the_tower_for_nothing() -> None:
    words = np.array([CONTROL.offline, 5, 6, CONTROL.assistant, CONTROL.text_begin, 7, 8])
    is_text = np.array([False] * 5 + [True] * 2)
    one = Example(words, is_text, np.zeros(7, bool), np.empty(0, np.int64))
    model, batch = network(), collate()([one])
    backward(losses(model(batch), batch, batch.targets).total(1.0))
    parameters = dict(model.named_parameters())
    heard = parameters["encoder.proj.weight"].grad
    assert heard is not None
    assert not heard.any()
    head = parameters["decoder.head.weight"].grad
    assert head is not None
    assert head.any()


def test_an_example_whose_blocks_and_pads_differ_is_named() -> None:
    one = Noise()[0]
    with pytest.raises(ValueError, match="noise 0: 1 blocks, but 20 PADs"):
        collate()([replace(one, blocks_N=one.blocks_N[:1])])


def test_blocks_hear_the_chunks_that_they_name() -> None:
    model, one = network(), Noise()[1]
    assert one.pcm_S is not None
    swapped = replace(one, blocks_N=one.blocks_N[::-1].copy())
    straight, turned = collate()([one]).windows_NMF, collate()([swapped]).windows_NMF
    assert straight is not None
    assert turned is not None
    torch.testing.assert_close(turned, straight.flip(0))
    assert not torch.equal(model(collate()([swapped])), model(collate()([one])))


def double(batch: Batch) -> Batch:
    assert batch.windows_NMF is not None
    return replace(batch, windows_NMF=batch.windows_NMF.double())
