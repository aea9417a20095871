"""The report says what the ledger holds, loads nothing, runs nothing, and lets no name become markup."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import expect

from raxx_bcp.checks import Status
from raxx_bcp.evidence import report as reports
from raxx_bcp.evidence.ledger import Ledger
from raxx_bcp.evidence.picture import HEIGHT, WIDTH, Measurement, picture
from raxx_bcp.evidence.report import make_report, rows_as_dicts, store_report
from raxx_bcp.evidence.row import Identity, Verdict, objective
from raxx_bcp_tests.conftest import NOW
from raxx_bcp_tests.evidence.world import APP, LEFT, Hand, at, drill, many, review
from raxx_bcp_tests.ui.running import browser_page

NASTY = "<script>alert(1)</script>|x`*[y](javascript:z)"
VOID = {"meta", "br", "link", "img", "input", "hr"}


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    """Heroku passed and was reviewed, FreeScout failed and left something standing."""
    first = ledger.append(drill("h-1", ended=at(60), rto_seconds=4000))
    ledger.append(drill("h-2", ended=at(5)))
    ledger.append(drill("f-1", kind="freescout_dump", ended=at(3), verdict=Verdict.FAIL, resources=(APP, LEFT)))
    ledger.append(review(first))
    return ledger


class _Page(HTMLParser):
    """Every element with its attributes, the visible text, and whether all elements are closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, tag: str, name: str) -> list[str]:
        return [attributes.get(name) or "" for element, attributes in self.elements if element == tag]


def test_it_says_what_the_ledger_holds(filled: Ledger) -> None:
    report = make_report(filled, NOW)
    assert report.chain.status is Status.PASS
    assert [(state.card.name, state.decision.open) for state in report.cards] == [
        ("heroku-postgres", True),
        ("freescout", False),
        ("vault", False),
        ("vault-snapshot", False),
        ("terraform-state", False),
    ]
    heroku, freescout, vault, _snapshot, _state = report.cards
    assert heroku.restored_utc == at(5)
    assert heroku.backed_up_utc == at(5) - timedelta(hours=3, minutes=10)
    assert (freescout.restored_utc, vault.backed_up_utc) == (None, None)
    assert [row["Row"] for row in report.table()] == ["3", "2", "1"]
    assert report.table()[0]["Torn down"] == "NOT CONFIRMED"
    assert report.table()[2]["RTO"] == "1 h 6 min of 1 h, MISSED"
    assert report.table()[2]["Reviewed"] == "bob: accepted"
    assert report.table()[1]["Backup"] == "b004, 3 h old"
    first = rows_as_dicts(report)[-1]
    assert (first["sequence"], first["rto_seconds"], first["checks_passed"]) == (1, 4000, 1)
    assert first["reviews"] == [{"reviewer": "bob", "decision": "accepted"}]


def test_a_drill_that_ended_early_is_shown_with_what_it_did_not_measure(ledger: Ledger) -> None:
    early = drill(verdict=Verdict.COULD_NOT_VERIFY, checks=(), resources=(), rto_seconds=None, rpo_seconds=None)
    ledger.append(msgspec.structs.replace(early, source=None, target=None))
    report = make_report(ledger, NOW)
    (row,) = report.table()
    assert (row["Backup"], row["RTO"], row["RPO"]) == (
        "none was chosen",
        "not measured, target 1 h",
        "not measured, target 1 d",
    )
    assert report.pictures == ()
    assert "None was reached." in report.html()
    assert rows_as_dicts(report)[0]["rto_seconds"] is None


def test_the_two_clocks_take_a_newer_backup_from_whoever_knows_it(filled: Ledger) -> None:
    report = make_report(filled, NOW, backed_up={"heroku-postgres": at(0.25), "vault": at(1), "freescout": at(300)})
    heroku, freescout, vault, _snapshot, _state = report.cards
    assert heroku.backed_up_utc == at(0.25)
    assert vault.backed_up_utc == at(1)
    assert freescout.backed_up_utc != at(300)
    assert "| heroku-postgres | open | 6 h ago | 5 d ago |" in report.markdown()


def test_an_empty_ledger_has_a_report_too(ledger: Ledger) -> None:
    report = make_report(ledger, NOW)
    assert report.table() == []
    for text in (report.html(), report.markdown()):
        assert "No drill is on record." in text
        assert "no row of a drill heroku_postgres" in text
    assert _Page(report.html()).open == []


def test_a_tampered_ledger_is_said_on_top(filled: Ledger) -> None:
    Hand(filled).delete(2)
    report = make_report(filled, NOW)
    assert not any(state.decision.open for state in report.cards)
    for text in (report.html(), report.markdown()):
        assert "row 2" in text
        assert "is missing" in text


def test_the_policy_reaches_the_gate(filled: Ledger) -> None:
    assert not make_report(filled, NOW, max_age_days=4).cards[0].decision.open
    assert not make_report(filled, NOW, reviewer_required=True).cards[0].decision.open


def test_the_page_is_whole_and_loads_and_runs_nothing(filled: Ledger) -> None:
    page = _Page(make_report(filled, NOW).html())
    assert page.open == []
    tags = {tag for tag, _attributes in page.elements}
    assert not tags & {"script", "link", "img", "iframe", "object", "embed", "form", "input", "base", "video", "audio"}
    for _tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "srcset", "style")]
    assert all(link.startswith("#") for link in page.values("a", "href"))
    html = make_report(filled, NOW).html()
    assert "@import" not in html
    assert "url(" not in html
    assert "default-src 'none'" in html
    ids = [value for _tag, attributes in page.elements if (value := attributes.get("id"))]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in page.values("a", "href")} <= set(ids)
    for described in page.values("svg", "aria-labelledby"):
        assert set(described.split()) <= set(ids)
    assert page.values("svg", "role") == ["img"] * 4


def test_every_drill_has_its_details(filled: Ledger) -> None:
    html = make_report(filled, NOW).html()
    details = re.findall(r"<details.*?</details>", html, re.DOTALL)
    assert len(details) == 3
    for part in (
        "h-2",
        "b004",
        "alembic revision",
        "restore",
        "9 min 58 s",
        "raxx-drill-1",
        "CP-9(1)",
        "postgres 17.2",
    ):
        assert part in details[1], part
    assert "orders: 50000 of 100000" in details[0]
    assert "NOT CONFIRMED" in details[0]
    assert "still listed" in details[0]


def test_no_name_becomes_markup(ledger: Ledger) -> None:
    base = drill("nasty", operator=NASTY, findings=(NASTY,), verdict=Verdict.FAIL)
    identity = Identity(
        drill_id=NASTY, drill=NASTY, system=NASTY, dagster_run_id="1", dagster_run_url="javascript:alert(1)"
    )
    ledger.append(msgspec.structs.replace(base, identity=identity))
    linked = msgspec.structs.replace(
        drill("linked").identity, dagster_run_id="2", dagster_run_url="http://127.0.0.1:3000/runs/2"
    )
    ledger.append(msgspec.structs.replace(drill(), identity=linked))
    report = make_report(ledger, NOW)
    page = _Page(report.html())
    assert "script" not in {tag for tag, _attributes in page.elements}
    assert "<script" not in report.html()
    assert sorted(link for link in page.values("a", "href") if not link.startswith("#")) == [
        "http://127.0.0.1:3000/runs/2"
    ]
    line = next(line for line in report.markdown().splitlines() if "alert" in line)
    assert "<script" not in line.replace("\\<", "")
    assert len(re.findall(r"(?<!\\)\|", line)) == len(report.table()[0]) + 1


def test_it_is_stored_beside_the_rows_and_the_chain_passes_it_over(filled: Ledger) -> None:
    report = make_report(filled, NOW)
    for _twice in range(2):
        assert store_report(filled.bucket, filled.prefix, report) == (
            f"{filled.prefix}report.html",
            f"{filled.prefix}report.md",
        )
    assert Hand(filled).read("report.html").decode() == report.html()
    assert Hand(filled).read("report.md").decode() == report.markdown()
    assert filled.verify().status is Status.PASS
    assert filled.append(drill("next")).sequence == 5


def test_a_long_ledger_is_shown_in_part_and_judged_as_a_whole(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "ROWS_SHOWN", 2)
    ledger.append(drill("freescout", kind="freescout_dump"))
    many(ledger, 3)
    report = make_report(ledger, NOW)
    assert [row["Row"] for row in report.table()] == ["4", "3"]
    assert report.cards[1].decision.open
    for text in (report.html(), report.markdown()):
        assert "The newest 2 of 4 drills; the ledger holds all." in text


class TestPicture:
    def measured(self, *seconds: float | None, verdict: Verdict = Verdict.PASS) -> list[Measurement]:
        return [
            Measurement(at(len(seconds) - number), number + 1, objective(3600, one), verdict)
            for number, one in enumerate(seconds)
        ]

    def test_nothing_measured_is_no_picture(self) -> None:
        assert picture("RTO", []) is None
        assert picture("RTO", self.measured(None, None)) is None

    def test_words_say_what_the_marks_show(self) -> None:
        drawn = picture("RTO", self.measured(1800, 7200, None, 900))
        assert drawn
        assert drawn.description == "Measured 3 times, and missed 1 of 3. Newest, on 2031-03-13: 15 min, target 1 h."
        assert [mark.words for mark in drawn.marks][1] == "row 2, 2031-03-11: 2 h, PASS"
        once = picture("RTO", self.measured(60))
        assert once
        assert once.description.startswith("Measured once, and met every time.")
        assert (once.first_day, once.last_day) == ("2031-03-13", "")

    @pytest.mark.parametrize("seconds", [(0,), (1,), (3600,), (10**7, 1), (1, 2, 3), (-5, 10)])
    def test_everything_lies_inside_and_higher_means_longer(self, seconds: tuple[int, ...]) -> None:
        drawn = picture("RTO", self.measured(*seconds))
        assert drawn
        for mark in drawn.marks:
            assert drawn.left <= mark.x <= drawn.right <= WIDTH
            assert drawn.top <= mark.y <= drawn.bottom <= HEIGHT
        assert drawn.top <= drawn.target_y <= drawn.bottom
        above = [mark.y < drawn.target_y for mark in drawn.marks]
        assert above == [one > 3600 for one in seconds]
        assert [mark.x for mark in drawn.marks] == sorted(mark.x for mark in drawn.marks)

    def test_the_verdict_is_a_shape(self) -> None:
        for verdict, shape in zip(Verdict, ("pass", "fail", "unknown"), strict=True):
            drawn = picture("RTO", self.measured(60, verdict=verdict))
            assert drawn
            assert drawn.marks[0].shape == shape


@pytest.mark.browser
def test_a_browser_shows_it_in_light_in_dark_on_paper_and_asks_nobody(filled: Ledger, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(make_report(filled, NOW).html(), encoding="utf-8")
    asked: list[str] = []
    complaints: list[str] = []
    with browser_page() as page:
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(file.as_uri())
        expect(page.get_by_role("heading", name="Restore drills: the evidence")).to_be_visible()
        expect(page.get_by_role("img", name="heroku_postgres: time to restore (RTO)")).to_be_visible()
        expect(page.get_by_text("orders: 50000 of 100000")).to_be_visible()
        expect(page.locator("#row-2").get_by_text("select")).to_be_hidden()
        grounds = []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert grounds == ["rgb(255, 255, 255)", "rgb(20, 24, 28)"]
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        expect(page.locator("#row-2").get_by_text("select")).to_be_visible()
        page.emulate_media(media="screen")
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    assert asked == [file.as_uri()]
    assert complaints == []
