"""What kind of work a call is, guessed while it waits: whatever comes, in a bounded number of steps."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing.classify import hot
from routing.classify.hot import Classifier, Prospects, WeightsInvalid, features, hashed, repository, signs
from routing.classify.packed import pack, unpack
from routing.classify.types import NO_GUESS, UNKNOWN, Features, Guess, Signs, wire
from routing.classify.words import BUCKETS, counts

[CAT, DOG, TOOLS] = [*counts("cat"), *counts("dog"), 40_000 % hot.MARKS + BUCKETS]


def weights(rows: dict[int, dict[int, float]], biases: tuple[float, ...] = (0.0, 0.0)) -> wire.Weights:
    """By hand, as `types.wire` says it: so that both sides are tried against the words, not each other."""
    inner = [(output, weight) for bucket in sorted(rows) for output, weight in sorted(rows[bucket].items())]
    return wire.Weights(
        buckets=struct.pack(f"<{len(rows)}H", *sorted(rows)),
        rarities=struct.pack(f"<{len(rows)}f", *(1.0 for _ in rows)),
        sizes=bytes(len(rows[bucket]) for bucket in sorted(rows)),
        outputs=bytes(output for output, _ in inner),
        weights=struct.pack(f"<{len(inner)}e", *(weight for _, weight in inner)),
        biases=biases,
    )


def published(**given: Any) -> wire.Classifier:
    usual: dict[str, Any] = {
        "version": 3,
        "types": ("cats", "dogs"),
        "weights": weights({CAT: {0: 4.0}, DOG: {1: 4.0}}),
        "threshold": 0.9,
        "least_known": 0.3,
    }
    return wire.Classifier(**usual | given)


def test_a_call_is_named_where_its_words_say_so_surely() -> None:
    classifier = Classifier.of(wire.decode_classifier(wire.encode(published())))
    guess = classifier.guess(features("cat"))
    assert (guess.task_type, round(guess.confidence, 4)) == ("cats", 0.982)
    assert classifier.guess(features("Dog!")).task_type == "dogs"
    assert classifier.version == 3
    both = classifier.guess(features("cat dog"))
    assert (both.task_type, both.confidence) == (UNKNOWN, 0.5)


def test_a_text_of_other_words_is_nothing_that_it_knows() -> None:
    """Else the commonest type would be named, surely, of every text in another language."""
    sure = published(weights=weights({CAT: {0: 4.0}, DOG: {1: 4.0}}, (9.0, 0.0)))
    assert Classifier.of(sure).guess(features("quid est veritas")) == NO_GUESS
    assert Classifier.of(sure).guess(features("")) == NO_GUESS
    # One of the seven buckets of these words and their pairs.
    assert Classifier.of(sure).guess(features("cat quid est veritas")) == NO_GUESS
    lenient = msgspec.structs.replace(sure, least_known=0.1)
    assert Classifier.of(lenient).guess(features("cat quid est veritas")).task_type == "cats"


def test_what_is_known_besides_words_counts_too() -> None:
    """The same text, of an agent that uses a shell and of one that does not."""
    [mark] = set(signs(features("x", recent_tools=("bash",))).marks) - set(signs(features("x")).marks) - _last("bash")
    classifier = Classifier.of(published(weights=weights({CAT: {0: 1.0}, mark: {1: 8.0}})))
    assert classifier.guess(features("cat")).confidence == pytest.approx(1 / (1 + 2.718281828**-1), abs=1e-4)
    assert classifier.guess(features("cat", recent_tools=("bash",))).task_type == "dogs"


def _last(tool: str) -> set[int]:
    """Of two recent tools one is last: what only the last one has."""
    first = set(signs(features("x", recent_tools=(tool, "other"))).marks)
    return set(signs(features("x", recent_tools=(tool,))).marks) - first


CURVE = ((-1.0, 0.2), (0.0, 0.4), (2.0, 0.9))


def foreseen_by(**given: Any) -> wire.Prospects:
    """A light model that does cats and no dogs, and a strong one that does both."""
    usual: dict[str, Any] = {
        "version": 2,
        "models": ("light", "strong"),
        "light": "light",
        "weights": weights({CAT: {0: 1.0}, DOG: {0: -5.0}}),
        "curves": (CURVE, ((0.0, 0.95),)),
    }
    return wire.Prospects(**usual | given)


def test_a_chance_is_what_a_score_came_to_before_and_difficulty_is_of_the_light_model() -> None:
    learned = Prospects(wire.decode_prospects(wire.encode(foreseen_by())))
    for text, chance in (("cat", 0.65), ("dog", 0.2), ("quid", 0.4)):
        found = learned.foresee(features(text))
        assert found.chances == pytest.approx({"light": chance, "strong": 0.95})
        assert found.difficulty == pytest.approx(1 - chance)
    assert (learned.version, learned.light) == (2, "light")


def test_what_a_client_says_of_its_repository_and_of_its_tools_makes_a_call_more_or_less_likely() -> None:
    """By hand: a mark that only calls of large repositories have, and one that only those have that ran a shell."""
    plain = set(signs(features("cat")).marks)
    [large] = set(signs(features("cat", files=100_000)).marks) - plain
    shell = min(set(signs(features("cat", recent_tools=("bash",))).marks) - plain)
    learned = Prospects(foreseen_by(weights=weights({CAT: {0: 1.0}, large: {0: -1.5}, shell: {0: 0.5}})))
    easy = learned.foresee(features("cat")).difficulty
    assert learned.foresee(features("cat", files=100_000)).difficulty > easy
    assert learned.foresee(features("cat", recent_tools=("bash",))).difficulty < easy


@pytest.mark.parametrize(
    "wrong",
    [
        {"models": (), "curves": ()},
        {"models": ("light",), "curves": (CURVE, CURVE)},
        {"light": "nobody"},
        {"curves": (CURVE, ())},
        {"curves": (CURVE, ((1.0, 0.5), (1.0, 0.6)))},
        {"curves": (CURVE, ((0.0, 1.5),))},
        {"weights": weights({CAT: {2: 1.0}})},
        {"models": tuple(str(one) for one in range(9)), "curves": (CURVE,) * 9, "light": "1"},
    ],
)
def test_prospects_that_cannot_be_are_refused_before_a_call_meets_them(wrong: dict[str, Any]) -> None:
    with pytest.raises(WeightsInvalid):
        Prospects(foreseen_by(**wrong))


@given(st.text(max_size=2_000))
@settings(max_examples=50)
def test_whatever_a_text_is_a_chance_is_a_chance(text: str) -> None:
    found = Prospects(foreseen_by()).foresee(features(text))
    assert all(0.0 <= one <= 1.0 for one in (found.difficulty, *found.chances.values()))


@pytest.mark.parametrize(
    "wrong",
    [
        {"types": ("cats",)},
        {"types": tuple(str(one) for one in range(101))},
        {"weights": weights({CAT: {0: 4.0}}, (0.0,))},
        {"weights": weights({CAT: {2: 4.0}})},
        {"weights": msgspec.structs.replace(weights({CAT: {0: 4.0}}), buckets=b"")},
        {"weights": msgspec.structs.replace(weights({CAT: {0: 4.0}}), weights=b"\0")},
        {"weights": weights({bucket: {0: 1.0, 1: 1.0} for bucket in range(hot.MOST_WEIGHTS // 2 + 1)})},
    ],
)
def test_weights_that_do_not_fit_are_refused_before_a_call_meets_them(wrong: dict[str, Any]) -> None:
    with pytest.raises(WeightsInvalid):
        Classifier.of(published(**wrong))


@given(st.text(max_size=9_000))
def test_no_text_raises_and_confidences_are_chances(text: str) -> None:
    guess = Classifier.of(published()).guess(features(text))
    assert guess.task_type in ("cats", "dogs", UNKNOWN)
    assert 0.0 <= guess.confidence <= 1.0
    assert len(hashed(text)) <= hot.MOST_BUCKETS


@given(
    st.builds(
        features,
        st.text(max_size=50),
        tools=st.integers(),
        modalities=st.lists(st.text()),
        recent_tools=st.lists(st.text()),
        files=st.none() | st.integers(),
        languages=st.lists(st.tuples(st.text(), st.floats())),
        depth=st.integers(),
        turn=st.integers(),
    )
)
def test_whatever_is_known_is_bounded_and_comes_back_from_a_row(known: Features) -> None:
    found = signs(known)
    assert len(found.marks) <= 4 + 3 * hot.MOST_NAMES + 2
    assert all(BUCKETS <= one < BUCKETS + hot.MARKS for one in found.marks)
    assert unpack(*pack(found)) == found


def test_of_a_count_too_large_for_a_byte_the_largest_is_kept() -> None:
    assert unpack(*pack(Signs({7: 3, 9: 1_000}, (40_000,)))) == Signs({7: 3, 9: 255}, (40_000,))


# The worst there is: each letter a word, each word another, so that there are as many buckets as can be.
DENSE = " ".join(chr(0x4E00 + number) for number in range(5_000))


def lines(work: Callable[[], object]) -> int:
    """How many lines of Python it takes."""
    taken = 0

    def local(frame: FrameType, event: str, _: object) -> Any:
        nonlocal taken
        taken += event == "line"
        return local

    before = sys.gettrace()
    sys.settrace(local)
    try:
        work()
    finally:
        sys.settrace(before)
    return taken


@pytest.mark.parametrize("text", [DENSE, "a " * 5_000, "word " * 5_000, "x" * 10_000, "." * 10_000])
def test_a_guess_takes_a_bounded_number_of_steps_whatever_the_text(text: str) -> None:
    """With as many types and weights as there may be, and every word of the text among them."""
    rows = {bucket: dict.fromkeys(range(100), 0.1) for bucket in list(hashed(DENSE))[: hot.MOST_WEIGHTS // 100]}
    heavy = published(
        types=tuple(f"type {one}" for one in range(100)), weights=weights(rows, (0.0,) * 100), least_known=0.0
    )
    classifier = Classifier.of(heavy)
    taken = lines(lambda: classifier.guess(features(text)))
    # Two lines for each weight that is added; a dozen for each word.
    assert taken < 2 * hot.MOST_STEPS + 12 * hot.MOST_WORDS + 10 * hot.MOST_BUCKETS


def test_tags_say_how_large_a_repository_is_and_in_which_languages() -> None:
    said = {"repository_files": "1200", "repository_languages": "Python:70, go:30"}
    assert repository(said) == (1200, (("python", 0.7), ("go", 0.3)))
    assert repository(said | {"repository_languages": "python:70;go:30"}) == repository(said)
    for nothing in (
        {},
        {"repository_files": "many", "repository_languages": "python"},
        {"repository_languages": "a:0"},
    ):
        assert repository(nothing) == (None, ())


@given(st.dictionaries(st.sampled_from(["repository_files", "repository_languages"]), st.text()))
@settings(max_examples=50)
def test_no_tag_raises(tags: dict[str, str]) -> None:
    repository(tags)


def test_a_gateway_has_it_without_django_and_without_numpy() -> None:
    wanted = "routing.classify.hot, routing.classify.reading, routing.classify.sensitivity, routing.classify.types.wire"
    heavy = "{'django', 'numpy', 'scipy', 'sklearn', 'pandas'}"
    code = f"import sys, {wanted}; print(sorted({heavy} & set(sys.modules)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


def test_unknown_is_no_guess() -> None:
    assert Guess("unknown", 0.0) == NO_GUESS
