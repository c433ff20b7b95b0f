from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from preference_center.catalogue import (
    AfterClosingGround,
    MessageClass,
    ServiceGround,
    TopicDefault,
    UnprovenImportPolicy,
    catalogue_digest,
    parse_catalogue,
)
from preference_center.catalogue.cli import read_catalogue
from preference_center.core.addresses import Channel
from preference_center.core.errors import CatalogueError, UnknownMessageType, UnknownTopic
from tests.catalogue.catalogues import SMALL, edited

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "dev/demo/catalogue.toml"


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(text)
    return caught.value.problems


def faults(text: str) -> tuple[str, ...]:
    try:
        parse_catalogue(text)
    except CatalogueError as error:
        return error.problems
    return ()


# What a good file means


def test_a_file_is_read_whole() -> None:
    catalogue = parse_catalogue(SMALL)

    assert catalogue.languages == ("it", "en")
    topic = catalogue.topic("acme.news")
    assert (topic.brand, topic.channel, topic.default) == (
        "acme",
        Channel.EMAIL,
        TopicDefault.OPT_IN,
    )
    assert topic.title == {"it": "Notizie", "en": "News"}
    assert not topic.retired
    marketing = catalogue.message_type("newsletter.monthly")
    assert marketing.message_class is MessageClass.MARKETING
    assert (marketing.topic, marketing.ground, marketing.after_closing) == (
        "acme.news",
        None,
        False,
    )
    service = catalogue.message_type("password_reset")
    assert (service.topic, service.ground) == (None, ServiceGround.SECURITY)
    assert service.after_closing
    assert service.after_closing_ground is AfterClosingGround.JUST_REQUESTED


def test_the_demo_shows_every_channel_default_class_and_reason() -> None:
    catalogue = parse_catalogue(read_catalogue(DEMO))

    topics = catalogue.topics.values()
    types = catalogue.message_types.values()
    assert len(catalogue.brands) == 2
    assert {topic.channel for topic in topics} == set(Channel)
    assert {topic.default for topic in topics} == set(TopicDefault)
    assert {message.message_class for message in types} == set(MessageClass)
    assert {message.ground for message in types} == {None, *ServiceGround}
    assert {message.after_closing_ground for message in types} == {None, *AfterClosingGround}


def test_the_first_example_of_the_reference_is_a_whole_catalogue() -> None:
    reference = (ROOT / "docs/catalogue.md").read_text(encoding="utf-8")
    example = reference.partition("```toml\n")[2].partition("```")[0]

    assert set(parse_catalogue(example).topics) == {"acme.news"}


def test_a_bare_brand_name_is_the_same_in_every_language() -> None:
    assert parse_catalogue(SMALL).brands["acme"].name == {"it": "Acme", "en": "Acme"}


def test_unproven_imports_are_refused_unless_the_policy_marks_them() -> None:
    assert parse_catalogue(SMALL).policy.unproven_imports is UnprovenImportPolicy.REFUSE
    marked = parse_catalogue(SMALL + '\n[policy]\nunproven_imports = "flag"\n')
    assert marked.policy.unproven_imports is UnprovenImportPolicy.FLAG


def test_topics_on_a_channel_leave_out_retired_ones() -> None:
    catalogue = parse_catalogue(read_catalogue(DEMO))

    keys = {topic.key for topic in catalogue.topics_for_channel(Channel.EMAIL)}
    assert "cascina.newsletter" in keys
    assert "bottega.catalogue_by_email" not in keys
    assert "bottega.sms_offers" not in keys
    assert catalogue.topic("bottega.catalogue_by_email").retired


def test_an_undeclared_language_falls_back_to_the_default() -> None:
    catalogue = parse_catalogue(SMALL)
    title = catalogue.topic("acme.news").title

    assert catalogue.localize(title, "en") == "News"
    assert catalogue.localize(title, "de") == "Notizie"
    assert catalogue.localize({}, "en") == ""


def test_unknown_keys_are_refused_with_the_nearest_one() -> None:
    # I11
    with pytest.raises(UnknownTopic, match=r'did you mean "acme\.news"\?'):
        parse_catalogue(SMALL).topic("acme.new")
    with pytest.raises(UnknownMessageType, match=r"; it has newsletter\.monthly[, ]"):
        parse_catalogue(SMALL).message_type("zzz")


def test_an_unknown_key_is_not_repeated_for_it_may_be_an_address() -> None:
    # I12
    with pytest.raises(UnknownTopic) as caught:
        parse_catalogue(SMALL).topic("anna@example.org")

    assert "anna" not in str(caught.value)


def test_a_digest_names_the_source_text() -> None:
    assert (
        catalogue_digest("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert catalogue_digest(SMALL) != catalogue_digest(SMALL + "# note\n")


# Faults, each with line and remedy


@pytest.mark.parametrize(
    "old, new, problem",
    [
        ('channel = "email"', 'channel = "fax"', 'line 12: channel can\'t be "fax"; choose one of'),
        ('"opt_in"', '"optin"', 'line 13: default can\'t be "optin"; did you mean "opt_in"?'),
        ('brand = "acme"', "", 'line 10: [topics."acme.news"] has no brand; add brand = "acme"'),
        ('brand = "acme"', 'brand = "acmi"', 'brand "acmi" is not declared; did you mean "acme"?'),
        ('brand = "acme"', 'brand = "zzz"', "is not declared; declare [brands.zzz]"),
        (
            'brand = "acme"',
            "brand = 3",
            'line 11: brand is a number, not text; write brand = "acme"',
        ),
        ('group = "news"', 'grup = "news"', 'unknown key "grup"; did you mean "group"?'),
        ('group = "news"', 'group = "new"', 'group "new" is not declared; did you mean "news"?'),
        ('it = "Notizie", ', "", 'line 15: [topics."acme.news".title] has no it; add it = "..."'),
        ('it = "Notizie"', 'it = " "', 'line 15: it is empty; write it = "..."'),
        ('it = "Notizie"', 'it = "a\\u0000b"', "line 15: it holds a line break or control"),
        ('it = "Notizie"', 'fr = "x", it = "N"', 'has an unknown key "fr"; known here: it, en'),
        ('title = { it = "Notizie", en = "News" }', 'title = "x"', "line 15: title is text, not a"),
        ('[topics."acme.news"]', "[topics.everything]", 'line 10: "everything" means more than'),
        ('[topics."acme.news"]', '[topics."Acme"]', 'line 10: "Acme" is no good key; use 1 to 64'),
        ('[topics."acme.news"]', "[topics.acme.news]", '[topics."acme.news"]'),
        (
            '[topics."acme.news"]',
            "[[topics]]",
            "line 10: topics is a list, not a table; begin each",
        ),
        ('topic = "acme.news"', 'topic = "acme.nws"', 'line 20: topic "acme.nws" is not declared;'),
        ('topic = "acme.news"', "", 'line 18: [message_types."newsletter.monthly"] has no topic'),
        ('topic = "acme.news"', 'topic = "acme.news"\nground = "billing"', "line 21: only service"),
        (
            'topic = "acme.news"',
            'topic = "acme.news"\nafter_closing = true',
            "only service mail has",
        ),
        ('ground = "security"', "", "line 22: [message_types.password_reset] has no ground; add"),
        (
            'ground = "security"',
            'ground = "security"\ntopic = "acme.news"',
            "line 25: service mail",
        ),
        ('after_closing_ground = "just_requested"', "", "has no after_closing_ground; add after"),
        ("after_closing = true", "", "line 26: after_closing_ground without after_closing; add"),
        ("after_closing = true", "after_closing = 1", "line 25: after_closing is a number, not tr"),
        (
            'class = "service"',
            'class = "transactional"',
            'line 23: class can\'t be "transactional"',
        ),
        ('["it", "en"]', '["it", "English"]', 'line 1: languages has "English", which is no lang'),
        ('["it", "en"]', '["it", "en", "it"]', "line 1: languages has a tag twice; delete one"),
        ('["it", "en"]', "[]", "line 1: languages is empty; write languages ="),
        (
            'default_language = "it"',
            'default_language = "de"',
            'line 2: default_language "de" is no',
        ),
        (
            'name = "Acme"',
            'name = "Acme"\nhost = "https://x.it"',
            'line 9: host "https://x.it" is no',
        ),
        ('name = "Acme"', 'name = "Acme"\nsender = "Acme"', "line 9: sender is no address to send"),
        (
            'name = "Acme"',
            'name = "Acme"\nsender = "Acme, Inc <a@b.it>"',  # a list, as unquoted commas go
            "line 9: sender is no address to send",
        ),
        (
            '["it", "en"]',
            '["it", "en"]\npolicy.unproven_imports = "flags"',
            'line 2: unproven_imports can\'t be "flags"; did you',
        ),
        ('["it", "en"]', '["it", "en"]\npolicy = "offer"', "line 2: policy is text, not a table"),
        (
            '["it", "en"]',
            '["it", "en"]\npolicy.unproven_import = "flag"',
            'did you mean "unproven_imports"?',
        ),
        ("[brands.acme]\nname", "[brands]\nx = 3\nacme.name", "line 8: [brands.x] is a number, no"),
    ],
)
def test_a_fault_is_reported_with_its_line_and_remedy(old: str, new: str, problem: str) -> None:
    found = problems(edited((old, new)))

    assert any(problem in line for line in found), found


def test_every_fault_is_reported_at_once_in_the_order_of_the_file() -> None:
    text = edited(
        ('default_language = "it"', 'default_language = "fr"'),
        ('name = "Acme"', 'nome = "Acme"'),
        ('channel = "email"', 'channel = "mail"'),
        ('en = "Every month"', 'de = "Jeden Monat"'),
        ('topic = "acme.news"', 'topic = "acme.news"\nground = "billing"'),
        ('ground = "security"', 'ground = "safety"'),
    )

    lines = [int(p.split(":")[0].removeprefix("line ")) for p in problems(text)]

    assert lines == [2, 7, 8, 12, 16, 16, 21, 25]


def test_a_faulty_list_of_languages_does_not_blame_every_text() -> None:
    assert len(problems(edited(('["it", "en"]', '["it", "EN"]')))) == 1


def test_two_brands_cannot_share_a_host() -> None:
    found = problems(
        edited(
            ('name = "Acme"', 'name = "A"\nhost = "a.it"\n[brands.b]\nname = "B"\nhost = "a.it"')
        )
    )

    assert found == (
        'line 12: host is that of brand "acme" already; give each brand a host of its own',
    )


def test_lines_are_right_after_comments_long_strings_and_windows_line_ends() -> None:
    text = edited(
        ('brand = "acme"', '# [topics.x]\r\nbrand = """\nacme"""\r\n'),
        ('group = "news"', "gruppo = [\n  1,\n]\ngroup = 'news'"),
    )

    assert problems(text) == (
        'line 17: [topics."acme.news"] has an unknown key "gruppo"; did you mean "group"?',
    )


def test_an_empty_file_is_reported_with_what_it_needs() -> None:
    assert [line.split(";")[1] for line in problems("")] == [
        ' add languages = ["it", "en"]',
        ' add default_language = "it"',
    ]


# Files that are not TOML


def test_several_syntax_faults_are_reported_with_their_lines() -> None:
    text = edited(("[brands.acme]", "[brands.acme"), ('group = "news"', "group = news"))

    found = problems(text)

    assert [line.split(":")[0] for line in found] == ["line 7", "line 14"]


def test_a_table_declared_twice_is_reported_with_both_lines() -> None:
    found = problems(SMALL + '\n[topics."acme.news"]\n')

    assert len(found) == 1
    assert found[0].startswith("line 28: ")
    assert found[0].endswith("stands once: delete or rename one")


def test_a_string_that_never_ends_is_reported_where_it_begins() -> None:
    found = problems(edited(('brand = "acme"', 'brand = """acme')))

    assert found == ("line 11: Unterminated string; close what this line or one above it opens",)


def test_endless_nesting_is_a_fault_and_no_crash() -> None:
    assert problems("a = " + "[" * 5000)[0].startswith("line 1: ")


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that the TOML parser is given."""
    texts: list[str] = []
    loads = tomllib.loads

    def load(text: str) -> object:
        texts.append(text)
        return loads(text)

    monkeypatch.setattr("tomllib.loads", load)
    return texts


DOTTED = ".".join(["a"] * 50_000)


@pytest.mark.parametrize(
    "text",
    [
        f"{DOTTED} = 1",
        f"[{DOTTED}]",
        f"[[{DOTTED}]]",
        f"x = {{ y = [ {{ {DOTTED} = 1 }} ] }}",
        " . ".join(['"a"', "'b'", "c"] * 3) + " = 1",
        'x = "# no comment" # a comment\n' + f"{DOTTED} = 1",
    ],
    ids=lambda text: text[:12],
)
def test_a_key_of_many_parts_is_refused_before_the_parser_sees_it(
    parsed: list[str], text: str
) -> None:
    (found,) = problems(text)
    line = text.count("\n") + 1
    assert found.startswith(f"line {line}: a key has more than 8 parts; write tables inside each")
    assert not any(text.rsplit("\n", maxsplit=1)[-1] in each for each in parsed)


def test_a_key_of_many_parts_that_a_fault_hid_in_a_string_is_refused(parsed: list[str]) -> None:
    found = problems(f'x = """\n\\q"""\ny = """ {DOTTED}"""\n')
    assert "line 3: a key has more than 8 parts" in found[1]
    assert [DOTTED in each for each in parsed] == [True, False]


@pytest.mark.parametrize(
    "text",
    [
        'x = "a.b.c.d.e.f.g.h.i.j"',
        "x = '''\na.b.c.d.e.f.g.h.i.j\n'''",
        "# a.b.c.d.e.f.g.h.i.j",
        "a.b.c.d.e.f.g.h = 1",
    ],
)
def test_dots_in_texts_and_comments_and_eight_parts_are_no_fault(text: str) -> None:
    assert not any("parts" in problem for problem in faults(text))


def test_a_new_text_that_is_too_long_is_not_parsed(parsed: list[str]) -> None:
    long = SMALL + "#" * 512 * 1024
    with pytest.raises(CatalogueError, match="more than 512 KB without its files; leave out"):
        parse_catalogue(long, ())
    assert parsed == []
    assert parse_catalogue(long).topics  # one in force stays valid
    font = f'"data:font/woff2;base64,{"A" * 512 * 1024}"'
    with pytest.raises(CatalogueError, match="unknown key"):
        parse_catalogue(f"{SMALL}\nx = {font}", ())


def test_many_faults_are_parsed_a_bounded_number_of_times(parsed: list[str]) -> None:
    found = problems("[a]\n" * 2_000)
    assert "each key and each [table] stands once" in found[0]
    assert len(found) == 20
    assert len(parsed) == 20


def test_each_statement_is_parsed_once(parsed: list[str]) -> None:
    rows = "\n".join(["  1, # one ]", "  2,"] * 500)
    assert faults(f"{SMALL}\nx = [\n{rows}\n]\n")[0].startswith("line ")
    statements = [text for text in parsed if text.startswith("x = ")]
    assert len(statements) == 1
    assert sum(map(len, parsed)) < 5 * (len(SMALL) + len(rows))


def test_a_number_of_many_digits_is_a_fault_and_no_crash() -> None:
    assert problems("a = " + "1" * 5_000)[0].startswith("line 1: A number is too long; ")


@settings(max_examples=150, deadline=None)
@given(
    start=st.integers(0, len(SMALL)),
    length=st.integers(0, 40),
    put=st.one_of(
        st.text(max_size=12),
        st.sampled_from(["{}", "[]", "1", "true", "1979-05-27", '"', "=", "[a]\n", "x.y = 1\n"]),
    ),
)
def test_any_damage_gives_a_catalogue_or_faults_with_lines(
    start: int, length: int, put: str
) -> None:
    damaged = SMALL[:start] + put + SMALL[start + length :]

    last = damaged.count("\n") + 1
    for problem in faults(damaged):
        found = re.match(r"line (\d+): .+; .+", problem, re.DOTALL)
        assert found, problem
        assert 1 <= int(found[1]) <= last
