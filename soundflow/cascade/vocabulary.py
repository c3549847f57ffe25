"""The sounds that are named and counted: AudioSet's classes gathered under words people use.

A group is one event: "Animal", "Dog" and "Bark" of one bark are told as one dog barking. Classes
of place, of recording and of mere acoustics (echo, noise, rumble…) belong to no group.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from soundflow.cascade.sound_classes import CLASS_NAMES, between


@dataclass(frozen=True, slots=True)
class SoundGroup:
    """One kind of sound.

    label: what it is called when it is described.
    also: other names under which someone may ask for it, beside the label and the classes.
    """

    label: str
    classes: tuple[str, ...]
    also: tuple[str, ...] = ()

    @property
    def is_short(self) -> bool:
        """Whether one occurrence is one burst of sound, so that a series can be told apart."""
        return self.label in _SHORT


VOCABULARY: tuple[SoundGroup, ...] = (
    # people
    SoundGroup("speech", between("Speech", "Speech synthesizer"), ("talking", "voices")),
    SoundGroup("shouting", between("Shout", "Children shouting"), ("yelling",)),
    SoundGroup("screaming", ("Screaming",)),
    SoundGroup("whispering", ("Whispering",)),
    SoundGroup("laughter", between("Laughter", "Chuckle, chortle"), ("laughing", "laughs")),
    SoundGroup("a baby crying", ("Baby cry, infant cry",), ("babies",)),
    SoundGroup("crying", ("Crying, sobbing", "Whimper", "Wail, moan"), ("sobs",)),
    SoundGroup("a sigh", ("Sigh",)),
    SoundGroup("singing", between("Singing", "Rapping"), ("songs",)),
    SoundGroup("humming", ("Humming",)),
    SoundGroup("groaning", ("Groan", "Grunt")),
    SoundGroup("whistling", ("Whistling", "Whistle")),
    SoundGroup("breathing", ("Breathing", "Wheeze", "Gasp", "Pant"), ("breaths",)),
    SoundGroup("snoring", ("Snoring",)),
    SoundGroup("coughing", ("Cough", "Throat clearing")),
    SoundGroup("sneezing", ("Sneeze",)),
    SoundGroup("sniffing", ("Sniff",)),
    SoundGroup("footsteps", ("Run", "Shuffle", "Walk, footsteps"), ("steps",)),
    SoundGroup("chewing", ("Chewing, mastication", "Biting"), ("eating",)),
    SoundGroup("a burp", ("Burping, eructation",)),
    SoundGroup("hiccups", ("Hiccup",)),
    SoundGroup("finger snapping", ("Finger snapping",), ("snaps",)),
    SoundGroup("clapping", ("Clapping",), ("hand claps",)),
    SoundGroup("a heartbeat", ("Heart sounds, heartbeat", "Heart murmur")),
    SoundGroup("cheering", ("Cheering",)),
    SoundGroup("applause", ("Applause",)),
    SoundGroup("a crowd", ("Chatter", "Crowd", "Hubbub, speech noise, speech babble")),
    SoundGroup("children playing", ("Children playing",)),
    # animals
    SoundGroup("a dog barking", ("Dog", "Bark", "Yip", "Bow-wow"), ("woofs", "dog barks")),
    SoundGroup("a dog howling", ("Howl", "Canidae, dogs, wolves"), ("wolf howls",)),
    SoundGroup("a dog growling", ("Growling",)),
    SoundGroup("a dog whimpering", ("Whimper (dog)",)),
    SoundGroup("a cat meowing", ("Cat", "Meow", "Caterwaul"), ("miaows", "mews")),
    SoundGroup("a cat purring", ("Purr",)),
    SoundGroup("a horse", ("Horse", "Clip-clop", "Neigh, whinny"), ("hooves",)),
    SoundGroup("a cow mooing", ("Cattle, bovinae", "Moo"), ("cows",)),
    SoundGroup("a pig grunting", ("Pig", "Oink"), ("pigs",)),
    SoundGroup("a sheep or goat bleating", ("Goat", "Bleat", "Sheep"), ("lambs",)),
    SoundGroup("a chicken", ("Chicken, rooster", "Cluck"), ("hens",)),
    SoundGroup("a rooster crowing", ("Crowing, cock-a-doodle-doo",), ("roosters", "cocks")),
    SoundGroup("a turkey gobbling", ("Turkey", "Gobble")),
    SoundGroup("a duck quacking", ("Duck", "Quack")),
    SoundGroup("a goose honking", ("Goose", "Honk"), ("goose", "geese")),
    SoundGroup("a big cat roaring", ("Roaring cats (lions, tigers)", "Roar"), ("lions", "tigers")),
    SoundGroup("birdsong", between("Bird", "Squawk"), ("birds singing", "bird calls")),
    SoundGroup("a pigeon cooing", ("Pigeon, dove", "Coo")),
    SoundGroup("a crow cawing", ("Crow", "Caw")),
    SoundGroup("an owl hooting", ("Owl", "Hoot")),
    SoundGroup("wings flapping", ("Bird flight, flapping wings", "Flap")),
    SoundGroup("mice or rats", between("Rodents, rats, mice", "Patter"), ("mouse",)),
    SoundGroup("insects", between("Insect", "Bee, wasp, etc.")),
    SoundGroup("frogs croaking", ("Frog", "Croak")),
    SoundGroup("a snake", ("Snake", "Hiss")),
    SoundGroup("a whale", ("Whale vocalization",)),
    # music
    SoundGroup("music", between("Music", "Harp") + between("Harmonica", "Scary music")),
    SoundGroup("a bell ringing", between("Bell", "Change ringing (campanology)"), ("bells",)),
    # weather, water, fire
    SoundGroup("wind", ("Wind", "Wind noise (microphone)", "Rustling leaves")),
    SoundGroup("thunder", ("Thunderstorm", "Thunder"), ("thunderclaps", "thunder claps")),
    SoundGroup("rain", ("Rain", "Raindrop", "Rain on surface")),
    SoundGroup(
        "running water",
        (
            *("Stream", "Waterfall", "Gurgling", "Water tap, faucet", "Fill (with liquid)"),
            *("Sink (filling or washing)", "Bathtub (filling or washing)", "Pour", "Gush"),
        ),
    ),
    SoundGroup("waves", ("Ocean", "Waves, surf"), ("sea",)),
    SoundGroup("splashing", ("Splash, splatter", "Slosh")),
    SoundGroup("dripping", ("Drip", "Plop"), ("drops",)),
    SoundGroup("boiling or steam", ("Boiling", "Steam")),
    SoundGroup("spraying", ("Spray",)),
    SoundGroup("fire crackling", ("Fire", "Crackle"), ("flames",)),
    # traffic
    SoundGroup("a boat", between("Boat, Water vehicle", "Ship")),
    SoundGroup("a car", ("Car", "Car passing by", "Race car, auto racing"), ("cars passing",)),
    SoundGroup("a truck or bus", ("Truck", "Bus", "Air brake"), ("lorries",)),
    SoundGroup("a motorcycle", ("Motorcycle",), ("motorbikes",)),
    SoundGroup("traffic", ("Traffic noise, roadway noise",)),
    SoundGroup(
        "a horn",
        ("Vehicle horn, car horn, honking", "Toot", "Air horn, truck horn", "Foghorn"),
        ("honks", "horns"),
    ),
    SoundGroup("a car alarm", ("Car alarm",)),
    SoundGroup("tyres squealing", ("Skidding", "Tire squeal"), ("tires", "tyres")),
    SoundGroup("reversing beeps", ("Reversing beeps",)),
    SoundGroup(
        "a siren",
        (
            *between("Emergency vehicle", "Fire engine, fire truck (siren)"),
            *between("Siren", "Civil defense siren"),
        ),
        ("sirens", "ambulances"),
    ),
    SoundGroup(
        "a train",
        (
            *between("Rail transport", "Train"),
            *between("Railroad car, train wagon", "Subway, metro, underground"),
        ),
        ("trains",),
    ),
    SoundGroup("a train whistle", ("Train whistle", "Train horn", "Steam whistle")),
    SoundGroup(
        "an aircraft",
        ("Aircraft", "Aircraft engine", "Jet engine", "Fixed-wing aircraft, airplane"),
        ("planes", "airplanes", "aeroplanes", "jets"),
    ),
    SoundGroup("a helicopter", ("Helicopter",)),
    SoundGroup("a skateboard", ("Skateboard",)),
    SoundGroup(
        "an engine",
        (
            *between("Engine", "Light engine (high frequency)"),
            *between("Medium engine (mid frequency)", "Accelerating, revving, vroom"),
        ),
    ),
    # house and work
    SoundGroup("a door", ("Door", "Sliding door", "Slam"), ("doors slamming", "door slams")),
    SoundGroup("a doorbell", ("Doorbell", "Ding-dong")),
    SoundGroup("knocking", ("Knock", "Tap"), ("door knocks",)),
    SoundGroup("creaking", ("Creak", "Squeak", "Squeal")),
    SoundGroup("drawers or cupboards", ("Cupboard open or close", "Drawer open or close")),
    SoundGroup("dishes", ("Dishes, pots, and pans", "Cutlery, silverware"), ("plates",)),
    SoundGroup("chopping", ("Chopping (food)", "Chop")),
    SoundGroup("frying", ("Frying (food)", "Sizzle")),
    SoundGroup("a microwave oven", ("Microwave oven",)),
    SoundGroup("a blender", ("Blender",)),
    SoundGroup("a hair dryer", ("Hair dryer",)),
    SoundGroup("a toilet flushing", ("Toilet flush",)),
    SoundGroup("tooth brushing", ("Toothbrush", "Electric toothbrush")),
    SoundGroup("a vacuum cleaner", ("Vacuum cleaner",), ("hoover",)),
    SoundGroup("a zip", ("Zipper (clothing)",), ("zippers",)),
    SoundGroup("keys jangling", ("Keys jangling",)),
    SoundGroup("coins", ("Coin (dropping)",)),
    SoundGroup("scissors", ("Scissors",)),
    SoundGroup("a shaver", ("Electric shaver, electric razor",)),
    SoundGroup(
        "typing", between("Typing", "Computer keyboard"), ("key presses", "keyboard clicks")
    ),
    SoundGroup("writing", ("Writing",)),
    SoundGroup(
        "an alarm",
        ("Alarm clock", "Buzzer", "Smoke detector, smoke alarm", "Fire alarm"),
        ("alarm", "smoke alarms"),
    ),
    SoundGroup(
        "a telephone ringing",
        ("Telephone", "Telephone bell ringing", "Ringtone"),
        ("phone ringing", "phone rings", "phone calls"),
    ),
    SoundGroup("telephone tones", between("Telephone dialing, DTMF", "Busy signal"), ("dialling",)),
    SoundGroup("a clock ticking", between("Clock", "Tick-tock"), ("ticks",)),
    SoundGroup("a sewing machine", ("Sewing machine",)),
    SoundGroup("a fan", ("Mechanical fan", "Air conditioning")),
    SoundGroup("a cash register", ("Cash register",)),
    SoundGroup("a printer", ("Printer",)),
    SoundGroup("a camera", ("Camera", "Single-lens reflex camera"), ("camera shutters",)),
    SoundGroup("hammering", ("Hammer", "Jackhammer"), ("hammer blows",)),
    SoundGroup("sawing or sanding", between("Sawing", "Sanding")),
    SoundGroup("a power tool", ("Power tool", "Drill", "Dental drill, dentist's drill")),
    SoundGroup("a lawn mower or chainsaw", ("Lawn mower", "Chainsaw")),
    # short and loud
    SoundGroup("an explosion", ("Explosion", "Artillery fire", "Eruption", "Boom"), ("blasts",)),
    SoundGroup("gunshots", ("Gunshot, gunfire", "Machine gun", "Fusillade"), ("shots",)),
    SoundGroup("fireworks", ("Fireworks", "Firecracker")),
    SoundGroup("glass breaking", ("Shatter", "Breaking")),
    SoundGroup("glass clinking", ("Glass", "Chink, clink")),
    SoundGroup("something cracking", ("Crack", "Splinter", "Crushing", "Crunch")),
    SoundGroup("a crash", ("Smash, crash",)),
    SoundGroup("a thud", ("Thump, thud", "Thunk"), ("thumps",)),
    SoundGroup("a bang", ("Bang", "Burst, pop", "Cap gun"), ("pops",)),
    SoundGroup("a slap", ("Slap, smack", "Whack, thwack", "Whip")),
    SoundGroup("bouncing", ("Basketball bounce", "Bouncing")),
    SoundGroup("scraping", ("Scratch", "Scrape", "Rub")),
    SoundGroup("paper", ("Tearing", "Crumpling, crinkling", "Shuffling cards")),
    SoundGroup("beeping", ("Beep, bleep", "Ping"), ("bleeps",)),
    SoundGroup("a chime", ("Ding", "Clang", "Jingle, tinkle"), ("dings",)),
    SoundGroup("clattering", ("Clatter", "Rattle")),
    SoundGroup("clicking", ("Clicking", "Clickety-clack"), ("mouse clicks",)),
)


_SHORT = {
    *("coughing", "sneezing", "hiccups", "a burp", "finger snapping", "clapping", "footsteps"),
    *("a dog barking", "a cat meowing", "a cow mooing", "a pig grunting", "a duck quacking"),
    *("a sheep or goat bleating", "a chicken", "a goose honking", "a crow cawing"),
    *("an owl hooting", "a rooster crowing", "a bell ringing", "dripping", "a horn"),
    *("reversing beeps", "a door", "knocking", "chopping", "a camera", "hammering"),
    *("an explosion", "gunshots", "fireworks", "a thud", "a bang", "a slap", "bouncing"),
    *("beeping", "a chime", "clicking", "screaming", "shouting"),
}


def resolve_sound(text: str) -> SoundGroup | None:
    """Find the kind of sound that someone's words name ("the dog barks"); None where none does.

    The longest name of which every word is in the text wins, endings aside; a class of AudioSet
    that no group has becomes one of its own.
    """
    asked = _stems(text)
    named = [
        (len(stems), -place, group)
        for place, (stems, group) in enumerate(_NAMES)
        if stems and stems <= asked
    ]
    return max(named, key=lambda entry: entry[:2])[2] if named else None


_SMALL_WORDS = {"a", "an", "the", "of", "or", "and", "in", "on", "at", "by", "to", "with", "etc"}


def _stems(text: str) -> frozenset[str]:
    words = re.findall(r"[a-z]+", text.lower())
    return frozenset(_stem(word) for word in words if word not in _SMALL_WORDS)


def _stem(word: str) -> str:
    """Cut off what tells "knocks", "knocking" and "knocked" apart, or "cry" and "cries"."""
    bare = re.sub(r"(?<=[a-z]{3})(ings?|e?s|ed|e)$", "", word)
    return re.sub(r"(.)\1$", r"\1", re.sub(r"y$", "i", bare))


def _names() -> Iterator[tuple[frozenset[str], SoundGroup]]:
    """Yield the stems of each name: first those that people use, then those of AudioSet."""
    for group in VOCABULARY:
        for name in (group.label, *group.also):
            yield _stems(name), group
    owners = {name: group for group in VOCABULARY for name in group.classes}
    for name in CLASS_NAMES:
        group = owners.get(name, SoundGroup(name.lower(), (name,)))
        for part in name.split(","):
            yield _stems(part), group


_NAMES = list(_names())
