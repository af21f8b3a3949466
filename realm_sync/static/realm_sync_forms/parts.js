// Rows of collections in forms: adding, moving and removing them, and hiding an embedded object that is not there.
"use strict";

{
  let added = 0;

  const actions = {
    "realm-add"(button) {
      const rows = button.closest(".realm-rows");
      const holder = document.createElement("template");
      const template = rows.querySelector(":scope > template");
      added += 1;
      holder.innerHTML = template.innerHTML.replaceAll(rows.dataset.blank, `n${added}`);
      const row = holder.content.querySelector(".realm-row");
      rows.querySelector(":scope > .realm-list").append(row);
      prepare(row);
      row.querySelector("input:not([type=hidden]), select, textarea")?.focus();
    },
    "realm-remove"(button) {
      const row = button.closest(".realm-row");
      const next = row.nextElementSibling ?? row.previousElementSibling;
      const add = row.closest(".realm-rows").querySelector(":scope > .realm-add");
      row.remove();
      (next?.querySelector(".realm-remove") ?? add).focus();
    },
    "realm-up"(button) {
      const row = button.closest(".realm-row");
      row.previousElementSibling?.before(row);
      button.focus();
    },
    "realm-down"(button) {
      const row = button.closest(".realm-row");
      row.nextElementSibling?.after(row);
      button.focus();
    },
  };

  /** Parts of an object that is not there take no part in validation, and are not seen. */
  const show = (box) => {
    const parts = box.closest(".realm-object").querySelector(":scope > .realm-parts");
    parts.hidden = !box.checked;
    for (const each of parts.querySelectorAll("input, select, textarea")) {
      const absent = [...ancestors(each)].some((box) => !box.checked);
      each.disabled = absent;
    }
  };

  function* ancestors(element) {
    for (let at = element.closest(".realm-parts"); at; at = at.parentElement.closest(".realm-parts")) {
      const box = at.parentElement.querySelector(":scope > .realm-present > input");
      if (box) {
        yield box;
      }
    }
  }

  const prepare = (root) => root.querySelectorAll(".realm-present > input").forEach(show);

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".realm-rows button");
    const action = button && Object.keys(actions).find((name) => button.classList.contains(name));
    if (action) {
      actions[action](button);
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches?.(".realm-present > input")) {
      show(event.target);
    }
  });
  document.addEventListener("DOMContentLoaded", () => prepare(document));
}
