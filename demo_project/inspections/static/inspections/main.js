// The page: who is shown, one beside the other or as tabs, and the service worker that lets it start offline.

import Realm from "realm";

import { Pane } from "./board.js";
import { config, copyOf, memory, nameOf, paint, setText, toast } from "./page.js";

const app = new Realm.App();
const container = document.getElementById("panes");
const tabs = document.getElementById("tabs");
const beside = document.getElementById("beside");

/** What is shown, from left to right: a Pane, or null where somebody is to be chosen. */
const sides = [];
let active = 0;

const knownUser = ({ name }) => Object.values(app.allUsers).find((user) => user.isLoggedIn && user.profile.name === name);
const isShown = ({ name }) => sides.some((pane) => pane?.person.name === name);

/** Logs in where need be: whoever was here before needs no network. */
async function enter(person, side) {
  let user = knownUser(person);
  try {
    user ??= await app.logIn(Realm.Credentials.emailPassword(person.name, config.password));
  } catch (error) {
    const isAway = error.isNetwork;
    toast(isAway ? "Whoever was here before can go on offline." : error.message, {
      kind: "refused", title: isAway ? `${nameOf(person)}'s first visit needs the server.` : `${nameOf(person)} cannot log in:`,
    });
    return false;
  }
  const pane = new Pane(person, user, () => leave(pane));
  sides[side] = pane;
  remember();
  arrange();
  try {
    await pane.open();
  } catch (error) {
    toast(error.message, { kind: "refused", title: "This board cannot be opened.", seconds: 30 });
    leave(pane);
    return false;
  }
  return true;
}

function leave(pane) {
  const side = sides.indexOf(pane);
  if (side < 0) return;
  pane.close();
  if (sides.length > 1) sides.splice(side, 1);
  else sides[side] = null;
  active = 0;
  remember();
  arrange();
}

function remember() {
  memory.set("shown", sides.filter(Boolean).map((pane) => pane.person.name));
}

/** Puts everything in its place. Panes that are there are not touched. */
function arrange() {
  container.dataset.count = sides.length;
  const wanted = sides.map((pane, side) => pane?.element ?? container.querySelector(`.chooser[data-side="${side}"]`) ?? chooser(side));
  for (const child of [...container.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((element, side) => {
    if (container.children[side] !== element) container.insertBefore(element, container.children[side] ?? null);
  });
  beside.hidden = sides.length !== 1 || !sides[0];
  for (const element of container.querySelectorAll(".person")) refresh(element);
  document.title = [...sides.filter(Boolean).map((pane) => pane.person.name), "Airfield inspections"].join(" · ");
  arrangeTabs();
}

function arrangeTabs() {
  active = Math.min(active, sides.length - 1);
  tabs.hidden = sides.length < 2;
  tabs.replaceChildren(
    ...sides.map((pane, side) => {
      const tab = document.createElement("button");
      tab.type = "button";
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-selected", String(side === active));
      tab.tabIndex = side === active ? 0 : -1;
      const avatar = Object.assign(document.createElement("span"), { className: "avatar small" });
      paint(avatar, pane?.person);
      tab.append(avatar, Object.assign(document.createElement("span"), { className: "name", textContent: pane?.person.name ?? "Who else?" }));
      tab.addEventListener("click", () => activate(side));
      return tab;
    }),
  );
  [...container.children].forEach((element, side) => element.classList.toggle("active", side === active));
}

function activate(side) {
  if (active === side) return;
  active = side;
  const hadFocus = tabs.contains(document.activeElement);
  arrangeTabs();
  if (hadFocus) tabs.children[side].focus();
}

function chooser(side) {
  const element = copyOf("chooser-template");
  element.dataset.side = side;
  const list = element.querySelector(".persons");
  for (const person of config.people) {
    const item = copyOf("person-template");
    const button = item.querySelector("button");
    button.dataset.person = person.name;
    paint(item.querySelector(".avatar"), person);
    setText(item.querySelector("strong"), person.name);
    button.addEventListener("click", async () => {
      button.classList.add("busy");
      await enter(person, side);
      button.classList.remove("busy");
    });
    list.append(item);
  }
  const cancel = element.querySelector(".cancel");
  cancel.hidden = sides.length < 2;
  cancel.addEventListener("click", () => {
    sides.splice(side, 1);
    arrange();
  });
  if (sides.length > 1) {
    setText(element.querySelector("h1"), "And who is beside?");
    setText(element.querySelector(".lead"), "Another user with a copy of their own. Take one of the two offline, edit in both, and watch them converge.");
    element.querySelector(".facts").hidden = true;
  }
  return element;
}

/** What a person's button says. */
function refresh(button) {
  const person = config.people.find(({ name }) => name === button.dataset.person);
  const sees = person.team ? `team ${person.team}` : "all teams";
  button.disabled = isShown(person);
  setText(button.querySelector("small"), isShown(person) ? `${sees} · shown already` : knownUser(person) ? `${sees} · on this device` : sees);
}

beside.addEventListener("click", () => {
  sides.push(null);
  active = 1;
  arrange();
  container.querySelector(".chooser button:not(:disabled)")?.focus();
});

tabs.addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step && sides.length > active + step && active + step >= 0) {
    activate(active + step);
    tabs.children[active].focus();
  }
});

container.addEventListener("focusin", ({ target }) => {
  const side = [...container.children].indexOf(target.closest(".pane"));
  if (side >= 0 && side !== active) {
    active = side;
    arrangeTabs();
  }
});

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  const pane = sides[active];
  if (!pane?.realm) return;
  if (event.key === "n") pane.startNew();
  else if (event.key === "/") pane.startNew();
  else return;
  event.preventDefault();
});

// The server no longer knows somebody (its database was made anew), or they logged out in another tab.
app.addListener(() => {
  for (const pane of sides) {
    if (!pane || pane.user.isLoggedIn) continue;
    leave(pane);
    toast("Choose again to log in.", { title: `${pane.person.name} is logged out.` });
  }
  for (const element of container.querySelectorAll(".person")) refresh(element);
});

if ("serviceWorker" in navigator) navigator.serviceWorker.register(config.serviceWorker).catch((error) => console.warn(error));

const shown = memory.get("shown", []).map((name) => config.people.find((person) => person.name === name)).filter((person) => person && knownUser(person));
sides.push(...shown.slice(0, 2).map(() => null));
if (!sides.length) sides.push(null);
if (!shown.length) arrange();
await Promise.all(shown.slice(0, 2).map((person, side) => enter(person, side)));
