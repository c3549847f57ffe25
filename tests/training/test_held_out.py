import pytest
import torch

from tests.training.tiny import Noise, collate, network
from training.learning.held_out import HeldOut
from training.learning.order import Order
from training.learning.processes import Processes
from training.learning.steps import Sizes, Steps
from training.loss import losses

CPU = torch.device("cpu")


def test_what_is_held_out_is_measured_the_same_however_it_is_cut() -> None:
    model, examples = network().train(), [Noise()[number] for number in range(6)]
    whole = collate()(examples)
    cut = [collate()(examples[:4]), collate()(examples[4:])]
    found = HeldOut(cut, bf16=False).measure(model, CPU)
    assert found == pytest.approx(HeldOut([whole], bf16=False).measure(model, CPU), rel=1e-5)
    expected = losses(model(whole), whole, whole.targets)
    assert found["held_out_text"] == pytest.approx(expected.text.item(), rel=1e-5)
    assert found["held_out_stream"] == pytest.approx(expected.stream.item(), rel=1e-5)
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_is_likeliest_counts_as_right() -> None:
    model, batch = network(), collate()([Noise()[1]])
    wanted = batch.text_BT | batch.stream_BT
    model.decoder.forward = lambda *_: torch.eye(320)[batch.tokens_BT[wanted]]  # type: ignore[method-assign]
    found = HeldOut([batch], bf16=False).measure(model, CPU)
    assert (found["text_right"], found["stream_right"]) == (1.0, 1.0)


def test_examples_of_like_length_are_in_one_piece() -> None:
    steps = Steps(Order({"base": Noise()}, {}, 0), collate(), Sizes(12, 4), Processes(0, 1, CPU))
    lengths = [piece.tokens_BT.shape[1] for piece in steps[0]]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) > 1
    assert sum(len(piece.tokens_BT) for piece in steps[0]) == 12
