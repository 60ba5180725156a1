// Elements are made by hand, so no text of a shop is ever read as HTML.
const SVG = "http://www.w3.org/2000/svg";
const FOCUSABLE = "a, button, input, select, summary, [tabindex]";
let last = 0;

/// An id that no other element has.
export const fresh = (prefix) => `${prefix}-${++last}`;

function fill(element, props, kids) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...kids.flat(9).filter((kid) => kid !== null && kid !== undefined && kid !== false));
  return element;
}

/// An HTML element: h("p.note", { id: "a" }, "text").
export function h(tag, props, ...kids) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElement(name);
  if (classes.length) element.className = classes.join(" ");
  return fill(element, props, kids);
}

/// An SVG element; its place and colour are attributes and classes, never a style attribute, which the policy forbids.
export function svg(tag, props, ...kids) {
  const [name, ...classes] = tag.split(".");
  const element = document.createElementNS(SVG, name);
  if (classes.length) element.setAttribute("class", classes.join(" "));
  return fill(element, props, kids);
}

/// A text of the program, in which names stand between backticks.
export const marked = (said) =>
  String(said)
    .split("`")
    .map((part, at) => (at % 2 ? h("code", null, part) : part));

/// Writes a text if it differs, so that a screen reader and a selection are left alone.
export function text(element, value) {
  const said = String(value ?? "");
  if (element.textContent !== said) element.textContent = said;
}

/// Writes the children anew if what they are made of differs from the last time.
export function refill(element, made_of, make) {
  const key = JSON.stringify(made_of);
  if (element.madeOf === key) return false;
  element.madeOf = key;
  // Who stands on something in it with the keyboard goes on there.
  const at = element.contains(document.activeElement)
    ? [...element.querySelectorAll(FOCUSABLE)].indexOf(document.activeElement)
    : -1;
  element.replaceChildren(...[make()].flat(9).filter((kid) => kid !== null && kid !== undefined && kid !== false));
  if (at >= 0) element.querySelectorAll(FOCUSABLE)[at]?.focus({ preventScroll: true });
  return true;
}

/// A few choices of which one holds, as radio buttons: the arrow keys move among them.
export function choice(label, options, chosen, on_choice) {
  const name = fresh("choice");
  return h(
    "fieldset.choice",
    null,
    h("legend.sr", null, label),
    options.map(([value, said]) =>
      h(
        "label",
        null,
        h("input", { type: "radio", name, value, checked: value === chosen, onchange: () => on_choice(value) }),
        h("span", null, said),
      ),
    ),
  );
}
