"""The playbook and the rules are of one mind: a section a kind, and a kind a section."""

from footfall.watch.problems import RULES
from footfall.watch.silence import EXPECTED_COUNT, FIRST_DAYS, LEAST_SECONDS, USUAL_DAYS
from footfall.watch.silence import __doc__ as silence
from tests.integration.watch.playbook import commands, sections


def test_every_kind_has_a_section_and_every_section_a_kind() -> None:
    assert set(sections()) - {""} == {rule.kind for rule in RULES}
    assert len(sections()) == len(RULES) + 1


def test_every_section_says_what_it_means_and_what_to_do() -> None:
    texts = {kind: text for kind, text in sections().items() if kind}
    assert [kind for kind, text in texts.items() if not text.lstrip().startswith("**It means**")] == []
    assert [kind for kind, text in texts.items() if "**Look at**" not in text] == []
    assert [kind for kind, text in texts.items() if "**Run**" not in text and "**Do**" not in text] == []
    assert len(list(commands())) > 20


def test_rule_of_silence_is_told_word_by_word() -> None:
    told = " ".join(sections()["ingest_silent"].split())
    rule = " ".join((silence or "").split()).partition("Of each UTC hour")[2].partition(" Nothing is usual")[0]
    assert rule
    assert rule in told
    numbers = (USUAL_DAYS, FIRST_DAYS, int(EXPECTED_COUNT), int(LEAST_SECONDS / 60))
    assert numbers == (14, 7, 12, 15)


def test_kinds_that_need_two_looks_are_named() -> None:
    told = sections()[""]
    assert [rule.kind for rule in RULES if (f"`{rule.kind}`" in told) is not (rule.looks > 1)] == []
