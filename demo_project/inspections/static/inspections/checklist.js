// The checklist of an inspection: a list that several people edit at once, offline too. Each row keeps the item that it
// shows, and an item knows where in the list it is now: so a row follows its item wherever others move it, and what others
// do never takes away the row that one types in or drags. Every write is one small edit of the list: that is what merges.

import { announce, copyOf, setText, toast } from "./page.js";

const TYPING = 300; // ms of silence after which what was typed is written

export class Checklist {
  #rows = []; // as they are shown
  #dragged = null;

  /** `write(change)` carries out a change in a transaction. */
  constructor(element, write) {
    this.write = write;
    this.count = element.querySelector(".count");
    this.items = element.querySelector(".items");
    this.adder = element.querySelector(".add");
    this.adder.addEventListener("change", () => this.#add());
    this.adder.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault(); // it would close the editor
      this.#add();
    });
  }

  /** Shows the list as it is now. */
  show(list) {
    const isFirst = !this.list;
    this.list = list;
    if (this.#dragged) return; // when it is let go is soon enough
    const rows = [];
    for (const row of this.#rows) {
      if (row.isThere) rows[list.indexOf(row.item)] = row;
      else this.#drop(row);
    }
    list.forEach((item, at) => (rows[at] ??= new Row(this, item, !isFirst)));
    this.#rows = rows;
    this.#arrange();
    for (const row of rows) row.show();
    const done = list.filter((item) => item.done).length;
    setText(this.count, list.length ? `${done} of ${list.length} done` : "");
  }

  /** What is typed and not yet written. */
  commit() {
    for (const row of this.#rows) row.commit();
    this.#add();
  }

  #add() {
    const text = this.adder.value.trim();
    if (!text) return;
    this.adder.value = "";
    this.write(() => this.list.push({ text, done: false }));
  }

  remove(row) {
    this.write(() => row.isThere && this.list.remove(this.list.indexOf(row.item)));
  }

  /** Moves an item `step` places down, or up. */
  move(row, step) {
    const from = this.list.indexOf(row.item);
    const to = from + step;
    if (to < 0 || to >= this.list.length) return;
    this.write(() => this.list.move(from, to));
    announce(`“${row.item.text}” is item ${to + 1} of ${this.list.length}`);
  }

  /** Goes to the row after this one, or to where another item is added. */
  leave(row) {
    const next = this.#rows[this.#rows.indexOf(row) + 1];
    (next?.text ?? this.adder).focus();
  }

  /** Rows in the order of their items. What has the focus is not touched, for it would lose it: the others go round it. */
  #arrange() {
    const wanted = this.#rows.map(({ element }) => element);
    if (wanted.every((element, at) => element === this.items.children[at])) return;
    const held = wanted.findIndex((element) => element.contains(document.activeElement));
    if (held >= 0) wanted[held].before(...wanted.slice(0, held));
    this.items.append(...wanted.slice(held + 1));
  }

  /** Its item is gone. */
  #drop(row) {
    const hadFocus = row.element.contains(document.activeElement);
    const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
    if (row.text === document.activeElement) toast(row.text.value, { title: "Somebody removed the item that you were in:" });
    row.element.remove();
    if (hadFocus) (next?.querySelector(".remove") ?? this.adder).focus();
  }

  /** Follows the pointer: the others make room for the row, and where it is let go its item is moved to. */
  drag(row, down) {
    const { element } = row;
    const listening = new AbortController();
    const options = { signal: listening.signal };
    const middle = (other) => other.getBoundingClientRect().top + other.offsetHeight / 2;
    const end = (isDropped) => {
      listening.abort();
      element.classList.remove("lifted");
      this.#dragged = null;
      if (!this.list.isValid()) return; // somebody has deleted the inspection
      if (isDropped) this.#dropped(row);
      this.show(this.list);
    };
    this.#dragged = row;
    element.classList.add("lifted");
    addEventListener("pointermove", ({ pointerId, clientY }) => {
      if (pointerId !== down.pointerId) return;
      for (let next; (next = element.nextElementSibling) && clientY > middle(next); ) element.before(next);
      for (let previous; (previous = element.previousElementSibling) && clientY < middle(previous); ) element.after(previous);
    }, options);
    addEventListener("pointerup", ({ pointerId }) => pointerId === down.pointerId && end(true), options);
    addEventListener("pointercancel", () => end(false), options);
    addEventListener("keydown", (event) => event.key === "Escape" && (event.stopPropagation(), end(false)), { ...options, capture: true });
  }

  /** In front of the item whose row is the next one; others may have moved both meanwhile. */
  #dropped(row) {
    if (!row.isThere) return;
    let next = row.element.nextElementSibling;
    const below = (element) => this.#rows.find((each) => each.element === element);
    while (next && !below(next).isThere) next = next.nextElementSibling;
    const from = this.list.indexOf(row.item);
    const before = next ? this.list.indexOf(below(next).item) : this.list.length;
    const to = from < before ? before - 1 : before;
    if (to !== from) this.write(() => this.list.move(from, to));
  }
}

/** One item of the list. */
class Row {
  #timer;
  #isTyping = false; // there are words that are not written yet

  constructor(checklist, item, isFresh) {
    this.checklist = checklist;
    this.item = item;
    this.element = copyOf("item-template");
    this.element.classList.toggle("fresh", isFresh);
    const find = (selector) => this.element.querySelector(selector);
    [this.done, this.text, this.handle, this.remover] = [find(".done"), find(".text"), find(".handle"), find(".remove")];
    this.done.addEventListener("change", () => this.#write((item) => (item.done = this.done.checked)));
    this.text.addEventListener("input", () => this.#typed());
    this.text.addEventListener("blur", () => this.commit());
    this.remover.addEventListener("click", () => checklist.remove(this));
    this.handle.addEventListener("pointerdown", (event) => event.button || checklist.drag(this, event));
    this.element.addEventListener("keydown", (event) => this.#keydown(event));
  }

  /** Whether nobody has removed the item. */
  get isThere() {
    return this.item.isValid();
  }

  /** What others wrote appears at once, except where one is typing. */
  show() {
    const { text, done } = this.item;
    this.done.checked = done;
    if (!this.#isTyping && this.text.value.trim() !== text) this.text.value = text;
    this.done.setAttribute("aria-label", text);
    this.handle.setAttribute("aria-label", `Move “${text}”: drag it, or press the up and down keys`);
    this.remover.setAttribute("aria-label", `Remove “${text}”`);
  }

  #typed() {
    this.#isTyping = true;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), TYPING);
  }

  /** The end of typing: an item without words keeps those it had. */
  commit() {
    if (this.#isTyping) this.#save();
    this.#isTyping = false;
    if (this.isThere) this.text.value = this.item.text;
  }

  #save() {
    clearTimeout(this.#timer);
    const text = this.text.value.trim();
    if (!text || !this.isThere) return;
    this.#isTyping = false;
    if (text !== this.item.text) this.#write((item) => (item.text = text));
  }

  #write(change) {
    this.checklist.write(() => this.isThere && change(this.item));
  }

  #keydown(event) {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (step && (event.altKey || event.target === this.handle)) this.checklist.move(this, step);
    else if (event.key === "Enter" && event.target === this.text) this.checklist.leave(this);
    else return;
    event.preventDefault();
  }
}
