"""Everyday prose, written by the small language model that the platform has anyway (Apache-2.0)."""

from collections.abc import Iterator
from dataclasses import dataclass

import ctranslate2
import numpy as np
from tokenizers import Tokenizer

from soundflow.cascade.chat.local import MODEL, TURN_END
from soundflow.checkpoint import locate

BATCH = 64
MOST_TOKENS = 160
# At a temperature of 1.0 it makes words up.
TEMPERATURE, TOP_K = 0.8, 50

FORMS = (
    "Write a short story about {}.",
    "Write an ordinary conversation about {}.",
    "Write what a customer says on the telephone about {}.",
    "Write a letter to a friend about {}.",
    "Explain in simple words what one should know about {}.",
    "Describe a day that had much to do with {}.",
    "Write the questions that somebody might ask about {}.",
    "Tell the news of today about {}.",
    "Give friendly advice about {}.",
    "Write a page of a diary about {}.",
)
TOPICS = (
    *("a lost dog", "a delayed train", "the weather", "a bank account", "cooking dinner"),
    *("a broken window", "a football match", "a school exam", "the garden in spring"),
    *("a new job", "a visit to the doctor", "buying a used car", "a birthday party"),
    *("a long flight", "a fire", "moving house", "an old piano", "the price of bread"),
    *("a noisy neighbour", "fishing", "a wrong telephone bill", "the night sky"),
    *("learning to swim", "a wedding", "a thunderstorm", "a hospital", "the harbour"),
    *("a camping trip", "a stolen bicycle", "an election", "winter", "a small bakery"),
    *("grandparents", "a parking ticket", "the zoo", "a hotel room", "painting"),
    *("a computer that does not start", "a farm", "a museum", "the fire brigade"),
    *("a hiking trail", "a late parcel", "a power cut", "dentists", "a chess game"),
    *("the history of a town", "bees", "a job interview", "losing weight", "a choir", "the sea"),
    *("a meeting at the office", "horses", "a leaking roof", "a concert", "saving money"),
    *("a bus driver", "the police", "a flood", "a recipe for soup", "a science lesson"),
    *("space travel", "a lawyer", "shoes", "an accident", "a holiday in the mountains"),
    *("the library", "a sick cat", "trees", "a marathon", "a factory", "an insurance claim"),
    *("a bridge", "music lessons", "a court case", "coffee", "a baby", "the stock market"),
    *("a strange noise at night", "a road through the desert", "a ship", "rice"),
    *("a film that was too long", "a broken heart", "a carpenter", "the kitchen", "a market"),
    *("ice",),
)


@dataclass(frozen=True, slots=True)
class Writer:
    """The model at work, in batches; the same seed asks for the same things."""

    generator: ctranslate2.Generator
    tokenizer: Tokenizer

    @classmethod
    def loaded(cls, threads: int = 1) -> "Writer":
        """Load the model from the models' cache. CheckpointError."""
        folder = locate(MODEL)
        generator = ctranslate2.Generator(str(folder), compute_type="int8", intra_threads=threads)
        return cls(generator, Tokenizer.from_file(str(folder / "tokenizer.json")))

    def texts(self, seed: int) -> Iterator[str]:
        """Yield texts without end, a form and a topic drawn for each."""
        rng = np.random.default_rng(seed)
        ctranslate2.set_random_seed(seed)
        while True:
            asked = [
                FORMS[int(rng.integers(len(FORMS)))].format(TOPICS[int(rng.integers(len(TOPICS)))])
                for _ in range(BATCH)
            ]
            yield from self._answers(asked)

    def _answers(self, asked: list[str]) -> Iterator[str]:
        prompts = [
            self.tokenizer.encode(
                f"<|im_start|>user\n{each}{TURN_END}\n<|im_start|>assistant\n",
                add_special_tokens=False,
            ).tokens
            for each in asked
        ]
        results = self.generator.generate_batch(
            prompts,
            max_length=MOST_TOKENS,
            include_prompt_in_result=False,
            end_token=TURN_END,
            sampling_topk=TOP_K,
            sampling_temperature=TEMPERATURE,
        )
        for result in results:
            yield self.tokenizer.decode(result.sequences_ids[0])
