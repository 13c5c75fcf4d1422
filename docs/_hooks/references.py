"""The bibliography, from one BibTeX file, and the glossary, from the one that explains terms on hover."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from textwrap import indent

from pybtex.database import BibliographyData, Entry, Person, parse_file
from pybtex.richtext import Text

FILE = Path(__file__).parents[1] / "references.bib"
ABBREVIATIONS = Path(__file__).parents[1] / "abbreviations.md"


def _entries() -> BibliographyData:
    return _parsed(FILE.stat().st_mtime)


@cache
def _parsed(stamp: float) -> BibliographyData:
    return parse_file(str(FILE), bib_format="bibtex")


def references() -> str:
    """Every paper, by first author and year, each with its link and its BibTeX."""
    papers = [entry for entry in _entries().entries.values() if entry.type != "software"]
    entries = sorted(papers, key=lambda e: (_names(e)[0], e.fields["year"], e.key))
    return "\n\n".join(map(_shown, entries))


def _shown(entry: Entry) -> str:
    names = _names(entry)
    who = ", ".join(names[:3]) + (" et al." if len(names) > 3 else "")
    where = _plain(entry.fields.get("journal") or entry.fields.get("booktitle") or "")
    label, address = _link(entry)
    text = (
        f'{who} ({entry.fields["year"]}): "{_plain(entry.fields["title"])}"{", " + where if where else ""}.'
    )
    code = indent(f"```bibtex\n{entry.to_string('bibtex').strip()}\n```", "    ")
    return f'<span id="{entry.key}"></span>{text} [{label}]({address})\n\n??? quote "BibTeX"\n\n{code}'


def _names(entry: Entry) -> list[str]:
    return [_name(person) for person in entry.persons["author"]]


def _name(person: Person) -> str:
    return _plain(" ".join([*person.prelast_names, *person.last_names]))


def _link(entry: Entry) -> tuple[str, str]:
    fields = entry.fields
    if "eprint" in fields:
        return f"arXiv:{fields['eprint']}", f"https://arxiv.org/abs/{fields['eprint']}"
    if "doi" in fields:
        return f"doi:{fields['doi']}", f"https://doi.org/{fields['doi']}"
    return "paper", fields["url"]


def _plain(text: str) -> str:
    return str(Text.from_latex(text))


def terms() -> dict[str, str]:
    """Every form that shows its meaning on hover, with that meaning."""
    lines = ABBREVIATIONS.read_text(encoding="utf-8").splitlines()
    return dict(line.removeprefix("*[").split("]: ", 1) for line in lines)


def glossary() -> str:
    """The terms as a list: a plural, or a capital at the start of a sentence, is no term of its own."""
    told = terms()
    shown = [term for term in told if not {term.removesuffix("s"), small(term)} & (told.keys() - {term})]
    # Code, since a term in plain text would carry its meaning twice.
    return "\n\n".join(f"`{term}`\n:   {told[term]}." for term in shown)


def small(term: str) -> str:
    """A term as it is written within a sentence."""
    return term[0].lower() + term[1:]


FUNCTIONS = (glossary, references)
