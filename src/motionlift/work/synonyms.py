"""Everyday words for what a model of few words can know, so that one that it lacks leads to one that it has.

The words are those of the bundled world, of which every bundled model knows some; a model of one's own that knows a few of them is
helped likewise. All lists are ours.
"""

from collections.abc import Mapping

LISTED = ("things", "colours", "grounds")
"""Kinds of words that are listed where no word is near."""
SURROUNDINGS = "surroundings"
"""The kind of words for what is behind or before things: none is a thing or a ground by itself."""

SYNONYMS: Mapping[str, Mapping[str, str]] = {
    "things": {
        "car": "automobile auto vehicle motorcar racecar taxi cab jeep limousine sedan van truck lorry bus motorcycle",
        "fish": "goldfish trout salmon carp tuna shark dolphin whale",
        "bird": "sparrow robin dove pigeon gull seagull parrot crow eagle hawk owl swan duck goose chicken",
        "boat": "ship sailboat yacht vessel ferry dinghy canoe steamer submarine",
        "rocket": "spaceship spacecraft missile shuttle plane airplane aeroplane aircraft jet helicopter",
        "butterfly": "moth dragonfly bee insect bug",
        "tree": "oak pine fir palm birch maple bush plant forest wood",
        "cat": "kitten kitty tomcat pussycat feline lion tiger dog puppy pet animal",
        "ball": "football basketball sphere orb globe marble balloon",
        "heart": "love valentine",
        "circle": "disc disk dot round oval sphere ball",
        "square": "box block cube rectangle quadrilateral",
        "triangle": "pyramid cone wedge",
        "star": "asterisk pentagram starlet",
        "ring": "hoop loop donut doughnut annulus wheel tyre tire",
        "cross": "plus crucifix",
        "bar": "rod stick beam plank strip rectangle",
    },
    SURROUNDINGS: {"wall": "fence barrier bricks", "background": "backdrop ground scenery"},
    "colours": {
        "red": "crimson scarlet ruby cherry maroon pink rose",
        "green": "emerald lime olive mint teal",
        "blue": "navy azure sapphire cobalt indigo",
        "yellow": "gold golden lemon amber blond",
        "purple": "violet magenta lilac lavender mauve plum fuchsia pink indigo",
        "orange": "tangerine apricot peach coral amber",
        "cyan": "turquoise aqua aquamarine teal azure",
        "white": "ivory snowy cream silver pale",
        "brown": "beige tan chestnut bronze copper chocolate hazel khaki",
        "grey": "gray silver ash charcoal slate black",
    },
    "grounds": {
        "sky": "skies air clouds cloud heaven heavens cloudy",
        "sea": "ocean water waves wave lake river pond harbour harbor bay pool",
        "grass": "meadow lawn grassland pasture field park garden hill",
        "road": "street highway motorway lane path track asphalt tarmac pavement",
        "night": "midnight darkness dark space cosmos galaxy universe stars moonlit evening",
        "sand": "beach shore desert dune dunes coast",
        "plain": "solid uniform flat blank simple empty",
        "striped": "stripes stripy stripey banded lined",
        "checkered": "chequered checked checkerboard chessboard squared tiled",
        "gradient": "fading faded blended shaded",
    },
    "motions": {
        "moving": "going travelling traveling passing gliding drifting floating walking",
        "driving": "racing speeding cruising riding",
        "swimming": "diving paddling",
        "flying": "soaring hovering gliding",
        "sailing": "cruising floating drifting",
        "running": "walking sprinting chasing trotting",
        "rolling": "tumbling",
        "entering": "arriving appearing",
        "leaving": "departing exiting disappearing",
        "bouncing": "rebounding hopping",
        "spinning": "rotating turning twirling whirling",
        "growing": "expanding swelling enlarging",
        "shrinking": "contracting dwindling",
        "jumping": "leaping hopping springing",
        "swaying": "swinging rocking waving wobbling",
        "resting": "still standing sitting waiting",
        "coming": "approaching nearing",
        "closer": "nearer near",
        "right": "rightward rightwards",
        "left": "leftward leftwards",
        "up": "upward upwards above",
        "down": "downward downwards below",
        "arc": "curve bow",
        "zigzag": "zig-zag wiggle",
        "rest": "still standing",
        "line": "straight",
        "bounce": "bouncing hopping",
        "spin": "spinning rotating turning",
        "growth": "growing expanding",
    },
    "others": {
        "a": "the this that one some his her its their",
        "an": "",
        "and": "with plus beside",
        "on": "onto upon over at along across above",
        "in": "inside into within through under",
        "the": "a this that his her its their",
        "behind": "beyond",
        "to": "toward towards into",
        "from": "off out",
    },
}
"""By kind and by word, words of the same or of a like meaning in everyday speech, nearest first."""

RELATED: Mapping[str, str] = {
    "cat bird fish butterfly": "animals horse zebra cow bull sheep goat pig donkey camel elephant giraffe bear wolf fox deer "
    "rabbit mouse rat hamster monkey gorilla kangaroo panda squirrel frog toad snake lizard turtle crocodile dinosaur dragon "
    "unicorn crab octopus jellyfish spider ant person people man men woman women boy girl child children baby human dancer knight "
    "king queen robot",
    "car boat rocket": "bicycle bike scooter train tram tractor tank wagon cart carriage skateboard",
    "tree butterfly heart": "flower flowers leaf cactus mushroom",
    "ball circle ring": "sun moon planet coin plate button clock apple",
    "square triangle": "house building castle tower window door tent kite book",
}
"""By the things that come nearest, nearest first, things of the same sort for which no word stands."""
