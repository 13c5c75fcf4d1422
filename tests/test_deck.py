"""What one learns from: the Anki deck of the interview questions, and the cheat sheet."""

import ast
import json
import re
import sqlite3
import zipfile
from dataclasses import replace
from types import SimpleNamespace

import deck
import markdown
import nbformat
import pytest
from test_questions import ASKER, DOCS, QUESTIONS

SITE = "https://example.org/backbones/"


@pytest.fixture(scope="module")
def notes():
    return deck.deck(SITE).notes


def test_a_card_reads_well_away_from_the_site(notes):
    """Nothing is left of Markdown, and every link leads to the site or out into the world."""
    for note in notes:
        for field in note.fields:
            text = re.sub(r"<code.*?</code>", "", field, flags=re.DOTALL)
            assert not re.search(r"\$|\*\*|`|\{[{%]|\]\(|\]\[", text), note.tags
            for link in re.findall(r'href="(.*?)"', field):
                assert re.fullmatch(rf"{re.escape(SITE)}(\w[\w/-]*/)?(#[\w.-]+)?|https://(?!example).+", link)


def test_a_card_has_all_formulas_of_its_question(notes):
    """As many as the site's own extension finds, which is another one."""
    mathml = markdown.Markdown(extensions=["l2m4m:LaTeX2MathMLExtension"])
    for question, note in zip(QUESTIONS, notes, strict=True):
        for text, field in zip([question.question, ASKER.answer(question)], note.fields, strict=True):
            assert len(re.findall(r"\\\(|\\\[", field)) == mathml.reset().convert(text).count("<math")


def test_a_note_is_known_by_its_questions_id():
    """What it is called here must not change either: people have learned from earlier decks."""
    question = replace(QUESTIONS[0], id="vgg-main-idea")
    note = deck.note(question, "An answer.", SITE)
    assert (
        note.guid
        == deck.note(replace(question, question="Other words?"), "Another.", SITE).guid
        == "A(Q&@)#RyK"
    )
    assert (deck.DECK_ID, deck.MODEL_ID) == (1_763_942_110, 1_763_942_111)


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("architectures/vgg.md#the-idea", f"{SITE}architectures/vgg/#the-idea"),
        ("results/index.md", f"{SITE}results/"),
        ("tutorials/vgg/VGG_fashion_torch.ipynb#the-net", f"{SITE}tutorials/vgg/VGG_fashion_torch/#the-net"),
        ("https://arxiv.org/abs/1409.1556", "https://arxiv.org/abs/1409.1556"),
    ],
)
def test_links_lead_to_the_site(link, leads_to):
    assert deck.html(f"[here]({link})", SITE) == f'<p><a href="{leads_to}">here</a></p>'
    if not link.startswith("https:"):  # a build without an address for its site
        assert deck.html(f"[here]({link})", "") == f'<p><a href="{leads_to.removeprefix(SITE)}">here</a></p>'


def test_a_build_writes_the_deck_and_an_edited_page_does_not(tmp_path):
    config = SimpleNamespace(site_dir=str(tmp_path), site_url=SITE)
    path = tmp_path / deck.FILE
    deck.on_post_build(config)
    assert not path.exists()  # a site without this page
    path.parent.mkdir()
    deck.on_post_build(config)
    with zipfile.ZipFile(path) as package:
        collection = package.read("collection.anki2")
    connection = sqlite3.connect(":memory:")
    connection.deserialize(collection)
    tags = [tags.split() for (tags,) in connection.execute("select tags from notes order by id")]
    decks, guids = connection.execute(
        "select decks, (select count(distinct guid) from notes) from col"
    ).fetchone()
    connection.close()
    assert tags == [[question.topic, question.level] for question in QUESTIONS]
    assert guids == len(QUESTIONS)
    assert str(deck.DECK_ID) in json.loads(decks)
    path.write_text("as it was")
    deck.on_post_build(config)
    assert path.read_text() == "as it was"


def test_the_cheat_sheets_defaults_are_those_that_are_run():
    """Its rows repeat sections of the notebook, which checks them in each build."""
    notebook = nbformat.read(DOCS / "compare" / "defaults.ipynb", as_version=4)
    calls = [
        node
        for cell in notebook.cells
        if cell.cell_type == "code"
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "entry"
    ]
    run = {tuple(ast.literal_eval(argument) for argument in call.args[:3]) for call in calls}
    plain = {ord("`"): None, ord("\N{MULTIPLICATION SIGN}"): "x"}
    told = [line.split("|") for question in QUESTIONS for line in question.short.splitlines()]
    rows = [tuple(cell.translate(plain).strip() for cell in cells[:3]) for cells in told if len(cells) == 4]
    assert len(rows) > 10
    assert set(rows) <= run


def test_the_cheat_sheet_has_the_short_form_of_each_answer_once():
    page = (DOCS / "interview" / "cheat-sheet.md").read_text()
    quoted = re.findall(r'"([a-z0-9]+-[a-z0-9-]+)"', page)
    assert sorted(quoted) == sorted(question.id for question in QUESTIONS if question.short)
