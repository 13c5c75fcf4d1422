"""The interview questions as an Anki deck, written into the site beside the page that offers it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin

import genanki
from interview import Asker, Question, load
from macros import FUNCTIONS
from markdown import Markdown
from mkdocs.structure.files import File
from mkdocs.utils import get_build_timestamp

FILE = "interview/backbones.apkg"
# Anki knows a deck and a kind of note by these: under other numbers a second import would add all of it anew.
DECK_ID, MODEL_ID = 1_763_942_110, 1_763_942_111
STYLE = """
.card { font: 1.1rem/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 40rem; padding: 1rem; }
.card a { color: inherit; }
.card pre { overflow-x: auto; }
.card table { border-collapse: collapse; }
.card :is(th, td) { border: 1px solid; padding: 0.2em 0.6em; }
"""
MODEL = genanki.Model(
    MODEL_ID,
    "backbones: question and answer",
    fields=[{"name": "Question"}, {"name": "Answer"}],
    templates=[{"name": "Card", "qfmt": "{{Question}}", "afmt": '{{FrontSide}}<hr id="answer">{{Answer}}'}],
    css=STYLE,
)
# Every Anki draws \(..\) and \[..\] with the MathJax that it brings along; not every one draws MathML.
MARKDOWN = Markdown(
    extensions=["attr_list", "fenced_code", "tables", "pymdownx.arithmatex"],
    extension_configs={"pymdownx.arithmatex": {"generic": True, "smart_dollar": False}},
)
LINK = re.compile(r'href="(?!\w+:)([^"#]+)')  # within the site, from docs/
TO_API = re.compile(r"\[([^]]+)\]\[backbones[\w.]*\]")  # only a page of the site knows where it leads


def on_post_build(config) -> None:
    """Write the deck, unless it stands: a server that follows an edited page keeps the folder, and needs no new one."""
    path = Path(config.site_dir, FILE)
    if path.parent.exists() and not path.exists():
        # Anki takes over a note that it has only from a newer deck, so the time is the build's.
        genanki.Package(deck(config.site_url or "")).write_to_file(path, get_build_timestamp())


def deck(site: str) -> genanki.Deck:
    """A note for each question, with links to the site at this address."""
    ask = Asker({function.__name__: function for function in FUNCTIONS})
    deck = genanki.Deck(DECK_ID, "backbones: interview questions")
    for question in load():
        deck.add_note(note(question, ask.answer(question), site))
    return deck


def note(question: Question, answer: str, site: str) -> genanki.Note:
    """Front and back of a question. Its id, not its wording, makes it the same note in a later deck."""
    back = f"{answer}\n\n[Evidence]({question.evidence})"
    return genanki.Note(
        MODEL,
        fields=[html(question.question, site), html(back, site)],
        tags=[question.topic, question.level],
        guid=genanki.guid_for(question.id),
    )


def html(text: str, site: str) -> str:
    """Markdown whose links start at `docs/`, as HTML that can be read away from the site."""
    return LINK.sub(
        lambda link: f'href="{urljoin(site, page_url(link[1]))}',
        MARKDOWN.reset().convert(TO_API.sub(r"\1", text)),
    )


def page_url(source: str) -> str:
    """Where the site has a page or a notebook, from its top."""
    return File(str(Path(source).with_suffix(".md")), "", "", use_directory_urls=True).url
