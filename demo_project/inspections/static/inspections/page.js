// What the modules of the page share: its configuration, templates, messages, and the little that it remembers.

export const config = JSON.parse(document.getElementById("board-config").textContent);

/** A copy of what a template holds. */
export function copyOf(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** Sets text only where it differs, so that nothing else is touched. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Letter and colour of a person. */
export function paint(avatar, person) {
  setText(avatar, person ? person.name[0].toUpperCase() : "");
  avatar.dataset.person = person?.name ?? "nobody";
}

export const personWith = (id) => config.people.find((person) => person.id === id);
export const calm = matchMedia("(prefers-reduced-motion: reduce)");
export const number = new Intl.NumberFormat("en");

const regions = new Intl.DisplayNames(["en"], { type: "region" });

export function countryName(code) {
  try {
    return regions.of(code);
  } catch {
    return code;
  }
}

/** Settings of this browser: who is shown, which filters. Nothing is lost if it forgets. */
export const memory = {
  get(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`inspections:${name}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`inspections:${name}`, JSON.stringify(value));
    } catch {
      // A browser that keeps nothing: so be it.
    }
  },
};

/** For ears only. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  requestAnimationFrame(() => setText(announcer, text));
}

/** A person's name as a sentence writes it; the user name is in small letters. */
export const nameOf = ({ name }) => name[0].toUpperCase() + name.slice(1);

/** A message that goes by itself, unless somebody reads it. `action` is `[label, callback]`. */
export function toast(text, { kind = "plain", title = "", action = null, seconds = 7 } = {}) {
  const box = document.getElementById("toasts");
  const element = document.createElement("div");
  element.className = "toast";
  element.dataset.kind = kind;
  element.setAttribute("role", kind === "refused" ? "alert" : "status");
  const words = document.createElement("p");
  if (title) words.append(Object.assign(document.createElement("strong"), { textContent: title }), " ");
  words.append(text);
  element.append(words);
  const end = () => element.remove();
  if (action) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: action[0] });
    button.addEventListener("click", () => (end(), action[1]()));
    element.append(button);
  }
  const close = Object.assign(document.createElement("button"), { type: "button", textContent: "×", className: "close" });
  close.setAttribute("aria-label", "Dismiss");
  close.addEventListener("click", end);
  element.append(close);
  let timer;
  const start = () => (timer = setTimeout(end, seconds * 1000));
  for (const event of ["pointerenter", "focusin"]) element.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["pointerleave", "focusout"]) element.addEventListener(event, () => (clearTimeout(timer), start()));
  start();
  while (box.children.length > 2) box.firstElementChild.remove();
  box.append(element);
}
