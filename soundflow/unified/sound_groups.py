"""The sounds that the small model is told of: groups of AudioSet's classes, one number each.

Their order is that of the small tower's columns, so a trained checkpoint depends on it. First come
those that call for help, then common ones that do not, some of them because they are alike.
"""

from collections.abc import Mapping

from soundflow.cascade.sound_classes import between

SOUND_GROUPS: Mapping[str, tuple[str, ...]] = {
    "a smoke alarm": ("Smoke detector, smoke alarm", "Fire alarm"),
    "an explosion": ("Explosion", "Gunshot, gunfire", "Machine gun", "Artillery fire"),
    "fire crackling": ("Fire", "Crackle"),
    "glass breaking": ("Shatter", "Breaking"),
    "tyres squealing": ("Skidding", "Tire squeal"),
    "a siren": (*between("Emergency vehicle", "Fire engine, fire truck (siren)"), "Siren"),
    "a warning siren": ("Civil defense siren",),
    "coughing": ("Cough", "Throat clearing"),
    "gasping": ("Gasp", "Wheeze"),
    "screaming": ("Screaming",),
    "a baby crying": ("Baby cry, infant cry",),
    "crying": ("Crying, sobbing", "Whimper", "Wail, moan"),
    "thunder": ("Thunder", "Thunderstorm"),
    "speech": between("Speech", "Speech synthesizer"),
    "music": between("Music", "Scary music"),
    "laughter": between("Laughter", "Chuckle, chortle"),
    "a dog": ("Dog", "Bark", "Yip", "Howl", "Bow-wow", "Growling", "Whimper (dog)"),
    "birds": (*between("Fowl", "Honk"), *between("Bird", "Bird flight, flapping wings")),
    "another animal": (
        *between("Cat", "Sheep"),
        "Roaring cats (lions, tigers)",
        "Roar",
        *("Insect", "Cricket", "Frog", "Croak"),
    ),
    "an engine": (
        *("Car", "Car passing by", "Truck", "Bus", "Motorcycle", "Traffic noise, roadway noise"),
        *("Train", "Aircraft", "Helicopter", "Engine", "Idling", "Accelerating, revving, vroom"),
    ),
    "a horn or whistle": (
        *("Vehicle horn, car horn, honking", "Toot", "Air horn, truck horn", "Foghorn"),
        *("Train whistle", "Train horn", "Steam whistle", "Whistle"),
    ),
    "a door": ("Door", "Sliding door", "Slam", "Knock", "Tap", "Creak"),
    "clapping": ("Clapping", "Applause", "Cheering", "Finger snapping"),
    "a telephone": between("Telephone", "Busy signal"),
    "a bell": (*between("Bell", "Chime"), "Ding", "Jingle, tinkle", "Doorbell", "Ding-dong"),
    "beeping": ("Beep, bleep", "Ping", "Alarm clock", "Buzzer", "Reversing beeps", "Car alarm"),
    "glass clinking": ("Glass", "Chink, clink", "Dishes, pots, and pans", "Coin (dropping)"),
    "water": (
        *between("Water", "Ocean"),
        *("Splash, splatter", "Drip", "Pour", "Toilet flush"),
    ),
    "a thud or bang": (
        *("Thump, thud", "Thunk", "Bang", "Burst, pop", "Cap gun", "Smash, crash", "Hammer"),
        *("Slap, smack", "Fireworks", "Firecracker"),
    ),
}
