from collections import Counter

import pytest

from soundflow.cascade.sound_classes import CLASS_NAMES, between, places
from soundflow.cascade.vocabulary import VOCABULARY, resolve_sound


def test_every_class_is_of_audioset_and_in_one_group_at_most() -> None:
    named = Counter(name for group in VOCABULARY for name in group.classes)
    assert named.keys() <= set(CLASS_NAMES)
    assert [name for name, times in named.items() if times > 1] == []


def test_labels_are_unique() -> None:
    assert len({group.label for group in VOCABULARY}) == len(VOCABULARY)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("dog barks", "a dog barking"),
        ("the dog barks", "a dog barking"),
        ("how often the dog barked", "a dog barking"),
        ("barking", "a dog barking"),
        ("knocks", "knocking"),
        ("knocks on the door", "knocking"),
        ("Coughs", "coughing"),
        ("bells", "a bell ringing"),
        ("church bells", "a bell ringing"),
        ("doorbell rings", "a doorbell"),
        ("baby cries", "a baby crying"),
        ("car horns", "a horn"),
        ("phone rings", "a telephone ringing"),
        ("glass breaking", "glass breaking"),
        ("sneezes", "sneezing"),
        ("claps", "clapping"),
        ("clock ticks", "a clock ticking"),
        ("gun shots", "gunshots"),
        ("mouse clicks", "clicking"),
        ("roosters", "a rooster crowing"),
        ("train whistles", "a train whistle"),
        ("cows", "a cow mooing"),
        ("snorts", "snort"),
    ],
)
def test_peoples_words_find_the_sound(text: str, label: str) -> None:
    group = resolve_sound(text)
    assert group is not None
    assert group.label == label


@pytest.mark.parametrize("text", ["", "unicorns", "the words", "12", "of the"])
def test_what_is_no_sound_is_not_found(text: str) -> None:
    assert resolve_sound(text) is None


def test_a_bark_is_short_and_rain_lasts() -> None:
    bark, rain = resolve_sound("barks"), resolve_sound("rain")
    assert bark is not None
    assert rain is not None
    assert bark.is_short
    assert not rain.is_short


def test_kin_stand_together() -> None:
    assert between("Dog", "Bow-wow") == ("Dog", "Bark", "Yip", "Howl", "Bow-wow")
    assert places(["Speech", "Silence"]).tolist() == [0, 494]


def test_an_unknown_class_is_an_error() -> None:
    with pytest.raises(KeyError):
        places(["Unicorn"])
