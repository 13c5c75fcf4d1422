"""The pages for interviews: questions that answer back, the cheat sheet, the deck."""

import re
import sqlite3
import zipfile

from bs4 import BeautifulSoup
from built import SITE


def test_interview_questions_answer_back(visit):
    """A typed number is checked, the answer stays folded; what is known is kept, and can be filtered out."""
    tab = visit("interview/")
    total = tab.locator("details.question").count()
    asked = tab.locator("details.question:has(form)").first
    asked.locator("summary").first.click()
    for typed, verdict in (("1", "Not yet."), (asked.locator("form").get_attribute("data-value"), "Right.")):
        asked.locator("form input").fill(typed)
        asked.locator("form button").click()
        assert asked.locator("output").evaluate("output => output.value") == verdict
    assert not asked.locator("details p").first.is_visible()
    asked.get_by_label("I know this").check()
    tab.reload()
    tab.locator("#questions-filter select").last.select_option("open")
    assert tab.locator("details.question:visible").count() == total - 1
    said = tab.locator("#questions-filter output").evaluate("output => output.value")
    assert said == f"{total - 1} shown. You know 1 of {total}."


def test_typed_answers_are_judged_at_the_digits_asked_for(visit):
    """More exact than a rounded answer is right; a whole number next to the right one is wrong."""
    tab = visit("interview/")
    for kind, added, verdict in (
        ("[data-digits]", 1e-9, "Right."),
        (":not([data-digits])", 1, "Not yet."),
    ):
        asked = tab.locator(f"details.question:has(form{kind})").first
        assert asked.locator("summary .level").first.inner_text() in ("basic", "solid", "deep")
        asked.locator("summary").first.click()
        form = asked.locator("form")
        form.locator("input").fill(f"{float(form.get_attribute('data-value')) + added:.9f}")
        form.locator("button").click()
        assert asked.locator("output").evaluate("output => output.value") == verdict


def test_questions_are_filtered_printed_and_forgotten(visit):
    tab = visit("interview/")
    topic, level, state = tab.locator("#questions-filter select").all()
    topic.select_option("vgg")
    level.select_option("deep")
    shown = tab.locator("details.question:visible")
    assert shown.count() == tab.locator("details[data-topic=vgg][data-level=deep]").count() > 0
    assert [heading.strip("\xb6 \n") for heading in tab.locator("article h2:visible").all_inner_texts()] == [
        "VGG"
    ]
    answer = shown.first.locator("p").last
    assert not answer.is_visible()
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert answer.is_visible()
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not answer.is_visible()
    shown.first.locator("summary").first.click()
    shown.first.get_by_label("I know this").check()
    state.select_option("known")
    assert shown.count() == 1
    tab.once("dialog", lambda dialog: dialog.accept())
    tab.get_by_role("button", name="Forget my progress").click()
    assert shown.count() == 0


def test_a_keyboard_keeps_its_place_where_its_question_goes(visit):
    """Marked as known, a question leaves the list of open ones; and a browser without a memory shows all."""
    tab = visit("interview/")
    tab.locator("#questions-filter select").last.select_option("open")
    first, second = (tab.locator("details.question").nth(i) for i in (0, 1))
    first.locator("summary").first.press("Enter")
    first.get_by_label("I know this").press("Space")
    assert not first.is_visible()
    assert second.locator("summary").first.evaluate("summary => summary === document.activeElement")
    for kept in ('"[\\"gone\\"]"', '"broken"', "undefined"):
        tab.evaluate(f"localStorage.setItem('backbones: questions known', {kept})")
        tab.reload()
        total = tab.locator("details.question").count()
        said = tab.locator("#questions-filter output").evaluate("output => output.value")
        assert said == f"{total} shown. You know 0 of {total}."


def test_a_comma_may_stand_before_decimals(visit):
    tab = visit("interview/")
    asked = tab.locator("#basics-loss-of-a-fresh-net")
    asked.locator("summary").first.click()
    for typed in ("2.303", "2,303"):
        asked.locator("form input").fill(typed)
        asked.locator("form button").click()
        assert asked.locator("output").evaluate("output => output.value") == "Right."


def test_the_cheat_sheet_takes_two_pages_of_a4(visit):
    tab = visit("interview/cheat-sheet/", wait_until="networkidle")
    sizes = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", tab.pdf(prefer_css_page_size=True))
    assert [tuple(round(float(side) / 72 * 25.4) for side in size) for size in sizes] == 2 * [(210, 297)]


def test_the_deck_has_every_question_and_its_links_lead_to_pages():
    page = BeautifulSoup((SITE / "interview" / "index.html").read_text(), "html.parser")
    (deck,) = page.select("a[download]")
    with zipfile.ZipFile(SITE / "interview" / str(deck["href"])) as package:
        collection = package.read("collection.anki2")
    connection = sqlite3.connect(":memory:")
    connection.deserialize(collection)
    notes = [fields for (fields,) in connection.execute("select flds from notes")]
    connection.close()
    assert len(notes) == len(page.select("details.question")) > 0
    (home,) = page.select("link[rel=canonical]")
    base = str(home["href"]).removesuffix("interview/")
    links = {link for fields in notes for link in re.findall(rf'href="{re.escape(base)}(.*?)"', fields)}
    assert links
    for path, _, anchor in (link.partition("#") for link in links):
        text = (SITE / path / "index.html").read_text()
        assert not anchor or f'id="{anchor}"' in text, f"{path} has no anchor {anchor}"
