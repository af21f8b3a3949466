// The tags of an inspection: a set of strings, as chips. What several people add is all there, each tag once.

import { copyOf } from "./page.js";

export class Tags {
  /** tag → its chip */
  #chips = new Map();

  /** `write(change)` carries out a change in a transaction. */
  constructor(element, write) {
    this.write = write;
    this.chips = element.querySelector(".chips");
    this.adder = element.querySelector(".add");
    this.adder.addEventListener("change", () => this.commit());
    this.adder.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== ",") return;
      event.preventDefault();
      this.commit();
    });
  }

  /** Shows the set as it is now, by the alphabet: chips that stay are not touched. */
  show(set) {
    this.set = set;
    for (const [tag, chip] of this.#chips) {
      if (set.has(tag)) continue;
      chip.remove();
      this.#chips.delete(tag);
    }
    [...set].sort().forEach((tag, at) => {
      if (this.#chips.has(tag)) return;
      const chip = this.#chip(tag);
      this.#chips.set(tag, chip);
      this.chips.insertBefore(chip, this.chips.children[at] ?? null);
    });
  }

  #chip(tag) {
    const chip = copyOf("chip-template");
    chip.querySelector("span").textContent = tag;
    const remover = chip.querySelector("button");
    remover.setAttribute("aria-label", `Remove the tag ${tag}`);
    remover.addEventListener("click", () => {
      this.write(() => this.set.delete(tag));
      this.adder.focus();
    });
    return chip;
  }

  /** What is typed and not yet written. */
  commit() {
    const tag = this.adder.value.trim().toLowerCase();
    this.adder.value = "";
    if (tag) this.write(() => this.set.add(tag));
  }
}
