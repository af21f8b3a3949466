// Cards: one inspection each, and the editor that unfolds in one. A card shows what it is told and asks its pane for every
// change; it never keeps a value of its own.

import Realm from "realm";

import { Checklist } from "./checklist.js";
import { config, copyOf, paint, personWith, setText } from "./page.js";
import { STATUSES } from "./schema.js";
import { Tags } from "./tags.js";

const DAY = 86_400_000;
const TYPING = 300; // ms of silence after which what was typed is written
const days = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const dates = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", timeZone: "UTC" });

/** Words and urgency of a due date. */
function dueIn(due, isDone) {
  const now = new Date();
  const today = Date.UTC(now.getFullYear(), now.getMonth(), now.getDate());
  const left = Math.round((due - today) / DAY);
  if (isDone || left > 13) return [dates.format(due), ""];
  if (left < 0) return [`${-left} ${left === -1 ? "day" : "days"} late`, "late"];
  return [days.format(left, "day"), left < 3 ? "soon" : ""];
}

/** "ENSB Svalbard, Longyear" */
function placeOf(airfield) {
  if (!airfield) return ["", "an airfield that is not on this device"];
  return [airfield._id, airfield.city && !airfield.name.includes(airfield.city) ? `${airfield.name}, ${airfield.city}` : airfield.name];
}

export class Card {
  status = "";
  editor = null;

  constructor(pane, key) {
    this.pane = pane;
    this.key = key;
    this.element = copyOf("card-template");
    this.element.dataset.key = key;
    const find = (name) => this.element.querySelector(`.${name}`);
    this.parts = Object.fromEntries(["title", "place", "priority", "due", "hours", "checks", "tagged", "unsent", "avatar"].map((name) => [name, find(name)]));
    this.code = document.createElement("b");
    this.place = document.createElement("span");
    this.parts.place.append(this.code, " ", this.place);
    this.parts.title.addEventListener("click", () => this.toggle());
  }

  /** Shows the object as it is now. */
  show(object) {
    const { title, priority, due, hours, checks, tagged, avatar } = this.parts;
    this.status = object.status;
    this.element.dataset.status = object.status;
    setText(title, object.title || "Untitled");
    const [code, place] = placeOf(object.airfield);
    setText(this.code, code);
    setText(this.place, place);
    if (priority.dataset.value !== String(object.priority)) {
      priority.dataset.value = object.priority;
      setText(priority, `P${object.priority}`);
      priority.title = `Priority ${object.priority} of 5`;
    }
    const [words, urgency] = dueIn(object.due, object.status === "done");
    setText(due, words);
    due.dataset.urgency = urgency;
    due.title = `Due ${object.due.toISOString().slice(0, 10)}`;
    const worked = object.hours.toString();
    setText(hours, worked === "0" ? "" : `${worked} h`);
    const { length } = object.checklist;
    const done = object.checklist.filter((item) => item.done).length;
    setText(checks, length ? `${done}/${length}` : "");
    checks.title = `Checklist: ${done} of ${length} done`;
    setText(tagged, [...object.tags].sort().join(" · "));
    const person = personWith(object.inspector);
    paint(avatar, person);
    avatar.title = person ? `Inspector: ${person.name}` : object.inspector === null ? "Nobody has taken it" : "Somebody else's";
    this.editor?.show(object);
  }

  set unsent(isUnsent) {
    this.parts.unsent.hidden = !isUnsent;
  }

  /** A short light on the card: "touched" by others, "refused" by the server. */
  flash(kind) {
    if (kind === "touched" && this.element.classList.contains("refused")) return;
    this.element.classList.remove("touched", "refused");
    void this.element.offsetWidth; // the animation starts anew
    this.element.classList.add(kind);
    this.element.addEventListener("animationend", () => this.element.classList.remove(kind), { once: true });
  }

  focus() {
    this.parts.title.focus();
  }

  toggle() {
    if (this.editor) this.fold();
    else this.unfold();
  }

  unfold() {
    if (this.editor) return this.editor.focus();
    const object = this.pane.inspection(this.key);
    if (!object) return;
    this.pane.foldAll();
    this.editor = new Editor(this, object);
    this.parts.title.setAttribute("aria-expanded", "true");
    this.element.classList.add("open");
    this.element.append(this.editor.element);
    this.editor.focus();
    this.element.scrollIntoView({ block: "nearest" });
  }

  fold(andFocus = true) {
    if (!this.editor) return;
    this.editor.commit();
    this.editor.element.remove();
    this.editor = null;
    this.parts.title.setAttribute("aria-expanded", "false");
    this.element.classList.remove("open");
    if (andFocus && this.element.isConnected) this.focus();
  }
}

/** Every field writes by itself: text while one types, the rest when it is changed. */
class Editor {
  #timers = new Map();
  #dirty = new Set();

  constructor(card, object) {
    this.card = card;
    this.element = copyOf("editor-template");
    this.fields = this.element.elements;
    this.complaint = this.element.querySelector(".complaint");
    const write = (change) => card.pane.write([card.key], change);
    this.checklist = new Checklist(this.element.querySelector(".checklist"), write);
    this.tags = new Tags(this.element.querySelector(".tags"), write);
    this.visits = this.element.querySelector(".visits output");
    this.element.querySelector(".visits button").addEventListener("click", () => write(() => card.pane.inspection(card.key).visits.increment()));
    this.#fill(object);
    this.show(object);
    this.element.addEventListener("input", ({ target }) => target.name && this.#typed(target));
    this.element.addEventListener("change", ({ target }) => target.name && this.#write(target));
    this.element.addEventListener("submit", (event) => (event.preventDefault(), card.fold()));
    this.element.addEventListener("keydown", (event) => {
      if (event.key === "Escape") card.fold();
      event.stopPropagation();
    });
    this.element.querySelector(".delete").addEventListener("click", () => card.pane.remove(card.key));
  }

  #fill(object) {
    const { status, inspector, team } = this.fields;
    status.append(...STATUSES.map((name) => new Option(name)));
    const teams = [...this.card.pane.teams()];
    const names = new Set(teams.map(({ name }) => name));
    const people = config.people.filter((person) => person.id !== null && (names.has(person.team) || person.id === object.inspector));
    inspector.append(new Option("nobody", ""), ...people.map(({ id, name }) => new Option(name, id)));
    team.append(...teams.map(({ name, _id }) => new Option(name, _id)));
    team.closest("label").hidden = teams.length < 2;
  }

  focus() {
    this.fields.title.focus();
    if (this.fields.title.value.startsWith("New inspection")) this.fields.title.select();
  }

  /** What others wrote appears at once, except where one is typing. */
  show(object) {
    const now = {
      title: object.title, notes: object.notes, status: object.status, inspector: object.inspector ?? "", priority: object.priority,
      due: object.due.toISOString().slice(0, 10), hours: object.hours.toString(), team: object.team ? String(object.team._id) : "",
    };
    for (const [name, value] of Object.entries(now)) {
      const field = this.fields[name];
      if (!this.#dirty.has(name) && field.value !== String(value)) field.value = value;
    }
    this.checklist.show(object.checklist);
    this.tags.show(object.tags);
    setText(this.visits, String(object.visits.value));
  }

  #typed(field) {
    this.#dirty.add(field.name);
    if (!["title", "notes"].includes(field.name)) return;
    clearTimeout(this.#timers.get(field.name));
    this.#timers.set(field.name, setTimeout(() => this.#write(field), TYPING));
  }

  /** What is typed and not yet written. */
  commit() {
    for (const name of [...this.#dirty]) this.#write(this.fields[name]);
    this.checklist.commit();
    this.tags.commit();
  }

  #write(field) {
    clearTimeout(this.#timers.get(field.name));
    this.#dirty.delete(field.name);
    const object = this.card.pane.inspection(this.card.key);
    if (!object) return;
    let value;
    try {
      value = read(field);
      field.removeAttribute("aria-invalid");
      this.complaint.hidden = true;
    } catch (error) {
      field.setAttribute("aria-invalid", "true");
      setText(this.complaint, error.message);
      this.complaint.hidden = false;
      return;
    }
    this.card.pane.write([this.card.key], () => (object[field.name] = value));
  }
}

/** The value of a field as its property wants it; throws words for the user. */
function read(field) {
  const text = field.value.trim();
  switch (field.name) {
    case "title":
      if (!text) throw new Error("A title is needed.");
      return text;
    case "priority":
      if (!text || !Number.isInteger(Number(text))) throw new Error("Priority is a whole number.");
      return Number(text);
    case "inspector":
      return text ? Number(text) : null;
    case "due":
      if (!field.valueAsDate) throw new Error("A due date is needed.");
      return field.valueAsDate;
    case "team":
      return new Realm.BSON.UUID(text);
    case "hours":
      try {
        return new Realm.BSON.Decimal128(text.replace(",", "."));
      } catch {
        throw new Error("Hours are a number such as 2.25.");
      }
    default:
      return field.value;
  }
}
