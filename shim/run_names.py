"""Names for runs that come without one: adjective-noun-number, as MLflow makes them."""

import random

_ADJECTIVES = """
able agile amber ample apt auspicious awesome bald bold brave bright busy calm capable charming chill clean clever
clumsy crisp curious dapper dazzling delicate eager earnest easy efficient elegant enthused fair fast fearless fine
flawless fluent fresh funny gentle glad graceful grand gregarious handsome hardy honest humble illustrious
industrious intelligent judicious keen kind legendary learned likeable lively loud lucky luminous mellow merciful
mighty modest neat nimble nosy novel omniscient orderly patient peaceful placid polite popular powerful quick quiet
quirky rare rebellious receptive resilient respected righteous rogue rumbling sassy secretive selective serious
shiny silent skillful sleek smart smooth sneaky sparkling spiffy steady stately swift tasteful thoughtful traveling
trusting unique upbeat useful valuable vaunted victorious wise witty youthful zesty
"""
_NOUNS = """
ant ape auk bass bat bear bee bird boar bug calf carp cat chimp cod colt conch cow crab crane crow cub deer doe dog
dolphin donkey dove duck eel elk fawn finch fish flea fly foal fowl fox frog gnat gnu goat goose grouse grub gull
hare hawk hen hog horse hound jay kit kite koi lamb lark loon lynx mare midge mink mole moose moth mouse mule newt
owl ox panda perch pig plover pug quail ram ray robin roo rook seal shad shark sheep shoat shrew shrike shrimp
skink skunk sloth slug smelt snail snake snipe sow sponge squid squirrel stag steed stoat stork swan tern toad
trout turtle vole wasp whale wolf worm wren yak zebra
"""
ADJECTIVES, NOUNS = _ADJECTIVES.split(), _NOUNS.split()


def make() -> str:
    """A fresh name, likely but not certain to be unlike others."""
    return f"{random.choice(ADJECTIVES)}-{random.choice(NOUNS)}-{random.randrange(1000)}"
