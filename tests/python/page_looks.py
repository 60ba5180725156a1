"""How the page looks and who can use it: pictures, axe-core, the keyboard, motion."""
import importlib.util
import time
from pathlib import Path

VIEWS = ["", "#/corrections", "#/deltas", "#/pipeline", "#/table/user_registration_metrics"]
SIZES = {360: 740, 1280: 900, 2560: 1440}
TAB, LEFT = "\ue004", "\ue012"


def opened(browser, address, view):
    browser.open("about:blank")
    browser.open(address + view)
    browser.wait("return document.querySelector('main .view')?.dataset.epoch !== undefined", what=f"the view {view or 'of the shop'}")
    browser.run("return document.fonts.ready.then(() => true)")


def axe_core():
    """The script, as the package that `tests/python/page.txt` names has it."""
    [folder] = importlib.util.find_spec("axe_playwright_python").submodule_search_locations
    return (Path(folder) / "axe.min.js").read_text(encoding="utf-8")


def looked_at(browser, address):
    """No view is wider than the window, on a phone or a wall."""
    for width, height in SIZES.items():
        browser.size(width, height)
        for view in VIEWS:
            opened(browser, address, view)
            wide = browser.run("return document.documentElement.scrollWidth")
            assert wide <= width, f"{view or 'the shop'} is {wide} px wide in a window of {width}"
    browser.size(1280, 900)


def nobody_is_locked_out(browser, address, views=VIEWS):
    script = axe_core()
    for scheme in ("light", "dark"):
        browser.look(scheme)
        for width in (360, 1280):
            browser.size(width, SIZES[width])
            for view in views:
                opened(browser, address, view)
                found = browser.axe(script)
                assert not found, f"{view or 'the shop'}, {scheme}, {width} px: " + "\n".join(found)
    browser.look("light")
    for view in views:
        opened(browser, address, view)
        tab_reaches_everything(browser, view)
    opened(browser, address, views[0])
    the_arrow_keys_move_a_cursor(browser)
    browser.look("light", motion="reduce")
    opened(browser, address, views[0])
    moving = browser.run("""return [...document.querySelectorAll("*")].flatMap((element) => ["", "::before", "::after"].map((part) => {
      const style = getComputedStyle(element, part || null);
      return parseFloat(style.transitionDuration) > 0 || style.animationName !== "none" ? element.tagName + part : null;
    })).filter(Boolean)""")
    assert not moving, f"what moves although nothing should: {moving}"
    browser.look("light")


# What can be reached, one of each group of radio buttons, in the order of the document.
REACHABLE = """
const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
const all = [...document.querySelectorAll("a[href], button:not(:disabled), select, input, summary, [tabindex='0']")].filter(visible);
window.reachable = all.filter((element) => element.type !== "radio" || element.checked);
return window.reachable.length;
"""


def tab_reaches_everything(browser, view):
    """Tab visits each of them, in their order, and what has the focus is seen to have it."""
    total = browser.run("document.activeElement?.blur(); getSelection().removeAllRanges();" + REACHABLE)
    browser.run("document.body.setAttribute('tabindex', '-1'); document.body.focus(); document.body.removeAttribute('tabindex')")
    reached = []
    for _ in range(total + 5):
        browser.press(TAB)
        place, seen, what = browser.run("""
          const here = document.activeElement;
          const shown = here.type === "radio" ? here.nextElementSibling : here;
          return [window.reachable.indexOf(here), getComputedStyle(shown).outlineStyle !== "none", here.outerHTML.slice(0, 120)]""")
        if place >= 0:
            assert seen, f"{view or 'the shop'}: the focus is not seen on {what}"
            if place in reached:
                break
            reached.append(place)
    # What was shown anew meanwhile (the page lives) may be missing; it is the same in the same order.
    missing = browser.run("return arguments[0].map((at) => window.reachable[at]).filter((one) => one.isConnected).map((one) => one.outerHTML.slice(0, 120))",
                          sorted(set(range(total)) - set(reached)))
    assert not missing, f"{view or 'the shop'}: Tab does not reach {missing}"
    assert reached == sorted(reached), f"{view or 'the shop'}: Tab goes astray: {reached}"


def the_arrow_keys_move_a_cursor(browser):
    """An arrow key moves the cursor of a plot, and the polite voice says where it rests."""
    browser.run("document.querySelector('.surface').focus()")
    before = browser.run("return document.activeElement.getAttribute('aria-valuenow')")
    browser.press(LEFT)
    after, said = browser.run("const here = document.activeElement; return [here.getAttribute('aria-valuenow'), here.getAttribute('aria-valuetext')]")
    assert int(after) == int(before) - 1, f"the cursor went from {before} to {after}"
    browser.wait("return document.getElementById('said').textContent === arguments[0]", said, what=f"the voice saying {said!r}")


def pictures(browser, address, folder, name, views=VIEWS):
    for scheme in ("light", "dark"):
        browser.look(scheme)
        for width, height in SIZES.items():
            browser.size(width, height)
            for view in views:
                opened(browser, address, view)
                time.sleep(0.5)  # Panels are filled one after the other.
                called = view.rsplit("/", 1)[-1] or "shop"
                browser.picture(folder / f"{name}-{called}-{width}-{scheme}.png")
    browser.look("light")
    browser.size(1280, 900)
