"""The page in a real browser, narrow and wide, light and dark: Debian's Chromium, driven by Selenium."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.debian import need
from tests.fake_results import fill, made, save, study
from whole_in_parts.config.study import load_study

ROW = {"paper": "co_ssl", "table": "5a", "row": "0.2", "run": "co_byol", "metrics": {"acc": "linear.top1"}}
SETTINGS = {
    f"eps_{epsilon}_steps_{steps}": {"epsilon": 0.01, "step": 0.1, "iterations": steps}
    for epsilon in ("0003", "001", "003", "01")
    for steps in (1, 5)
}
"""As many settings as the papers have, with names as long."""

ROOT = Path(__file__).parents[3]
WIDTHS = [390, 1280]

OVERLAPPING = """
// The corners of a text, which may be turned, on the screen.
const corners = (text) => {
  const {x, y, width, height} = text.getBBox();
  const points = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
  return points.map(([x, y]) => new DOMPoint(x, y).matrixTransform(text.getScreenCTM()));
};
// How far two rectangles overlap: the least overlap of their shadows on the normals of all sides.
const overlap = (one, other) => {
  const normals = [one, other].flatMap((box) => [[0, 1], [1, 2]].map(([i, j]) => {
    const [x, y] = [box[j].y - box[i].y, box[i].x - box[j].x];
    return [x / Math.hypot(x, y), y / Math.hypot(x, y)];
  }));
  return Math.min(...normals.map(([x, y]) => {
    const [a, b] = [one, other].map((box) => box.map((point) => point.x * x + point.y * y));
    return Math.min(Math.max(...a), Math.max(...b)) - Math.max(Math.min(...a), Math.min(...b));
  }));
};
const texts = [...document.querySelectorAll(arguments[0])];
const boxes = texts.map(corners);
return boxes.flatMap((one, i) => boxes.slice(i + 1).flatMap((other, j) =>
  overlap(one, other) > 2 ? [[texts[i].textContent, texts[i + 1 + j].textContent, overlap(one, other)]] : []));
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study with published figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("browser"))
        built = study(published=[ROW], attack={"settings": SETTINGS, "subset": 100})
        fill(built)
        return made(built).absolute()


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    need(chromium="chromium", chromedriver="chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    yield driver
    driver.quit()


def show(browser: webdriver.Chrome, report: Path, width: int = 1280, scheme: str = "light") -> None:
    """Open the page in a window of a width, in CSS pixels, and a colour scheme."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 640}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [
        {"name": "prefers-color-scheme", "value": scheme},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get((report / "index.html").as_uri())


def column(browser: webdriver.Chrome, table: str, number: int) -> list[str]:
    """Return the texts of a column in the rows that are shown."""
    rows = browser.find_elements(By.CSS_SELECTOR, f"[aria-label='{table}'] tbody tr")
    return [row.find_elements(By.CSS_SELECTOR, "th, td")[number].text for row in rows if row.is_displayed()]


def requests(browser: webdriver.Chrome) -> set[str]:
    """Return the addresses that were asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent: list[dict[str, Any]] = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return {each["request"]["url"] for each in sent}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_has_no_error_asks_for_nothing_and_is_not_wider_than_the_window(browser, report, width, scheme):
    browser.get("about:blank")
    requests(browser)
    show(browser, report, width, scheme)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    assert {url for url in requests(browser) if not url.startswith("data:")} == {(report / "index.html").as_uri()}
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


@pytest.mark.parametrize("width", WIDTHS)
def test_no_text_of_a_figure_lies_on_another(browser, report, width):
    show(browser, report, width)
    for figure in browser.find_elements(By.CSS_SELECTOR, "figure svg"):
        label = figure.get_attribute("aria-label")
        assert browser.execute_script(OVERLAPPING, f"svg[aria-label='{label}'] text") == [], label


def test_the_main_table_of_the_default_study_fits_a_window_of_1280_px(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = load_study(ROOT / "params.yaml")
    fill(default)
    shutil.rmtree("results/transfer")
    for key, entry in default.transfer.items():
        save("transfer", key, "metrics.json", json.dumps({entry.task.headline: 81.5}))
    show(browser, made(default).absolute())
    region = browser.find_element(By.CSS_SELECTOR, "[aria-label='Results']")
    assert region.get_property("scrollWidth") <= region.get_property("clientWidth")


def test_a_narrow_window_shows_more_than_the_first_column_of_each_table(browser, report):
    show(browser, report, 390)
    for heading in browser.find_elements(By.CSS_SELECTOR, "tbody th[scope=row]"):
        assert heading.size["width"] <= 390 / 2, heading.text


def test_a_click_on_a_heading_sorts_a_table_by_number_and_another_the_other_way(browser, report):
    show(browser, report)
    heading = browser.find_element(By.XPATH, "//*[@aria-label='Results']//th[.//button[text()='linear']]")
    before = column(browser, "Results", 2)
    heading.find_element(By.TAG_NAME, "button").click()
    falling = [float(text.split()[0]) for text in column(browser, "Results", 2)]
    assert falling == sorted((float(text.split()[0]) for text in before), reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    heading.find_element(By.TAG_NAME, "button").click()
    assert [float(text.split()[0]) for text in column(browser, "Results", 2)] == falling[::-1]


def test_a_filter_leaves_the_rows_with_its_text(browser, report):
    show(browser, report)
    field = browser.find_element(By.CSS_SELECTOR, "[aria-label='Filter the rows of Results']")
    field.send_keys("CO_")
    assert column(browser, "Results", 0) == ["co_byol"]
    field.clear()
    field.send_keys(" ")
    assert len(column(browser, "Results", 0)) == 4


def test_what_is_shown_is_what_the_tables_have(browser, report):
    show(browser, report)
    row = (report / "tables/published.csv").read_text().splitlines()[1].split(",")
    shown = browser.find_elements(By.CSS_SELECTOR, "[aria-label='co_ssl, Table 5a'] tbody td")
    assert shown[4].text.split()[0] == f"{float(row[7]):.1f}"
    assert shown[5].text == row[9]
    assert shown[6].text == f"{float(row[10]):+.2f}".replace("-", "−")


def test_without_scripts_every_table_can_be_read(browser, report):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, report)
        assert len(browser.find_elements(By.CSS_SELECTOR, "[aria-label='Results'] tbody tr")) == 4
        assert browser.find_elements(By.TAG_NAME, "input") == []
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
