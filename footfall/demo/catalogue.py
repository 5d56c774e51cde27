"""What there is to use: the apps with their pages and buttons, the curriculum, and what accounts do by name."""

from dataclasses import dataclass
from functools import cache
from random import Random


@dataclass(frozen=True, slots=True)
class App:
    """`weight` is its share of sessions; `has_documents`: its users open documents of the curriculum."""

    name: str
    weight: int
    pages: tuple[str, ...]
    buttons: tuple[str, ...]
    has_documents: bool = False


@dataclass(frozen=True, slots=True)
class Lesson:
    """A document and where it stands in the curriculum."""

    level_name: str
    chapter_name: str
    document_name: str


APPS = (
    App("DViz", 44, ("home", "library", "lesson"), ("zoom", "next_page", "bookmark", "show_steps"), True),
    App("Reader", 24, ("home", "shelf"), ("next_page", "highlight", "read_aloud", "look_up_word"), True),
    App("Quiz", 21, ("home", "results"), ("start_quiz", "answer", "hint", "retry_quiz")),
    App("SpeechToCode", 11, ("home", "workspace"), ("start_recording", "run_code", "share_snippet")),
)

ACTION_NAMES = ("assigned_homework", "created_class", "exported_report", "graded_quiz", "invited_student")

# one line a chapter, as a teacher would write it down
CURRICULUM = """
Grade 6 | Fractions | What a fraction is; Adding fractions; Comparing fractions
Grade 6 | Angles | Measuring angles; Angles in a triangle
Grade 6 | Plants | Parts of a plant; How a seed grows; Photosynthesis
Grade 7 | Ratios | Ratio and proportion; Percentages; Simple interest
Grade 7 | Equations | Solving for x; Word problems
Grade 7 | Water | The water cycle; States of matter; Rivers and seas
Grade 8 | Linear functions | Slope and intercept; Drawing a line; Two lines that meet
Grade 8 | Pythagoras | The theorem; A proof by pictures; Distances on a map
Grade 8 | Electricity | Circuits; Volt, ampere, ohm; Series and parallel
Grade 9 | Quadratic functions | The parabola; Completing the square; Zeros of a parabola
Grade 9 | Probability | Tree diagrams; Dice and coins; Expected value
Grade 9 | Forces | Newton's laws; Friction; Levers and pulleys
"""


def draw_app(dice: Random) -> App:
    """Draw the app of a session."""
    return dice.choices(APPS, [app.weight for app in APPS])[0]


def draw_lesson(dice: Random) -> Lesson:
    """Draw a document; a few of them, here and there in the curriculum, are opened far more often than most."""
    known = lessons()
    return dice.choices(known, [20 + 300 // (1 + place * 5 % len(known)) for place in range(len(known))])[0]


@cache
def lessons() -> tuple[Lesson, ...]:
    """Return the documents of the curriculum in its order."""
    chapters = (line.split(" | ") for line in CURRICULUM.strip().splitlines())
    return tuple(
        Lesson(level, chapter, document) for level, chapter, documents in chapters for document in documents.split("; ")
    )
