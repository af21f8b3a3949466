// A pane: one user, one realm, one board. Everything shown comes from live Results; a change touches only the cards it is
// about. Every write goes to the realm at once and is uploaded when there is a network.

import Realm from "realm";

import { Airfields, airfieldsOf } from "./airfields.js";
import { Card } from "./cards.js";
import { makeDraggable } from "./drag.js";
import { announce, calm, config, copyOf, memory, nameOf, number, paint, setText, toast } from "./page.js";
import { Airfield, ChecklistItem, Inspection, STATUSES, Team } from "./schema.js";

const ORDERS = { due: [["due", false], ["priority", true]], priority: [["priority", true], ["due", false]], title: [["title", false]] };
const NARROW = 560; // px: one column at a time; the stylesheet knows it, too
const AT_ONCE = { type: "openImmediately" };
const EMPTY = { open: "Nothing to start.", "in progress": "Nobody is at work.", done: "Nothing finished yet." };
const Decimal128 = Realm.BSON.Decimal128;

/** What a refusal names, in words: `checklist[2].text` is "checklist item 3". */
const partOf = (property = "change") => property.replace(/\[(\d+)\].*/, (_, at) => ` item ${Number(at) + 1}`);

export class Pane {
  realm = null;
  /** key → its card */
  cards = new Map();
  #order = []; // keys, as in the results
  #results = null;
  #written = 0; // transactions of this page
  #sent = 0; // of those, how many the server has
  #unsent = new Map(); // key → the transaction that touched it last
  #mine = new Set(); // keys written here, of which listeners have not told yet
  #download = 1;
  #asking = null;
  #current = null; // the key of the card that the Tab key leads to
  #isClosed = false;

  /** `left` is called when the user leaves. */
  constructor(person, user, left) {
    this.person = person;
    this.user = user;
    this.element = copyOf("pane-template");
    this.element.setAttribute("aria-label", `Board of ${person.name}`);
    this.element.dataset.person = person.name;
    const find = (selector) => this.element.querySelector(selector);
    this.parts = {
      light: find(".light"), words: find(".light .words"), offline: find(".switch"), progress: find(".progress"), bar: find(".progress span"), asked: find(".asked"),
      filters: find(".filters"), columns: find(".columns"), statuses: find(".statuses"), views: find(".views"), team: find(".who .team"), missing: find(".missing"),
    };
    paint(find(".bar .avatar"), person);
    setText(find(".who .name"), person.name);
    setText(this.parts.team, person.team ? `team ${person.team}` : "sees all teams");
    find(".leave").addEventListener("click", left);
    this.parts.missing.querySelector("button").addEventListener("click", () => this.airfields.takeAll());
    this.#makeColumns();
    this.#makeFilters();
    this.#makeKeys();
    this.airfields = new Airfields(this);
    makeDraggable(this.element, (key, status) => this.move(key, status));
    this.parts.offline.addEventListener("click", () => this.goOffline(!this.isOffline));
    this.parts.views.addEventListener("click", ({ target }) => this.view(target.dataset.view));
    this.network = () => this.#showLight();
    for (const event of ["online", "offline"]) addEventListener(event, this.network);
  }

  // --- the realm ----------------------------------------------------------------------------------------------------

  async open() {
    this.realm = await Realm.open({
      schema: [Team, Airfield, Inspection, ChecklistItem],
      sync: {
        user: this.user,
        flexible: true,
        newRealmFileBehavior: AT_ONCE,
        existingRealmFileBehavior: AT_ONCE,
        initialSubscriptions: {
          update: (subscriptions, realm) => {
            subscriptions.add(realm.objects("Team"), { name: "team" });
            subscriptions.add(this.#wanted(realm), { name: "inspections" });
            subscriptions.add(realm.objects("Airfield").filtered("_id IN $0", config.places), { name: "places" });
            subscriptions.add(airfieldsOf(realm, this.airfields.country), { name: "country" });
          },
        },
        onError: (_, error) => this.#failed(error),
      },
    });
    if (this.#isClosed) return this.realm.close();
    const session = this.realm.syncSession;
    session.addConnectionNotification(() => this.#connectionChanged());
    session.addProgressNotification("download", "reportIndefinitely", (estimate) => {
      this.#download = estimate;
      this.#showProgress();
    });
    if (memory.get(`offline:${this.person.name}`, false)) session.pause();
    session.addProgressNotification("upload", "reportIndefinitely", (_estimate) => this.#showLight());
    if (this.pending) this.#awaitUpload();
    this.realm.objects("Team").addListener((teams) => this.#showTeams(teams));
    this.#listen();
    this.airfields.listen();
    if (this.realm.subscriptions.state !== "complete") this.#ask();
    this.#showLight();
  }

  close() {
    this.#isClosed = true;
    for (const event of ["online", "offline"]) removeEventListener(event, this.network);
    this.foldAll();
    this.airfields.close();
    this.realm?.close();
    this.element.remove();
  }

  /** The inspection with this key; null once it is gone. */
  inspection(key) {
    return this.realm.objectForPrimaryKey("Inspection", new Realm.BSON.UUID(key));
  }

  teams() {
    return this.realm.objects("Team").sorted("name");
  }

  /** A transaction. `keys` are those of the inspections it touches. */
  write(keys, change) {
    let result;
    try {
      result = this.realm.write(() => {
        for (const key of keys) this.#mine.add(key); // only now have listeners been told of everything before
        return change();
      });
    } catch (error) {
      for (const key of keys) this.#mine.delete(key);
      toast(error.message, { kind: "refused", title: "Not written." });
      return undefined;
    }
    this.#written += 1;
    for (const key of keys) {
      this.#unsent.set(key, this.#written);
      if (this.cards.has(key)) this.cards.get(key).unsent = true;
    }
    this.#awaitUpload();
    return result;
  }

  /** Resolves with what is pending now; a pause ends the wait, and coming back starts it again. */
  async #awaitUpload() {
    const upto = this.#written;
    this.#showLight();
    try {
      await this.realm.syncSession.uploadAllLocalChanges();
    } catch {
      return;
    }
    this.#sent = Math.max(this.#sent, upto);
    for (const [key, transaction] of this.#unsent) {
      if (transaction > this.#sent) continue;
      this.#unsent.delete(key);
      if (this.cards.has(key)) this.cards.get(key).unsent = false;
    }
    this.#showLight();
  }

  #failed(error) {
    if (!(error instanceof Realm.CompensatingWriteError)) {
      if (error.isFatal === false) return this.#showLight(); // no connection came about: the light says so
      toast(error.message, { kind: "refused", title: `${nameOf(this.person)}: ${error.isFatal ? "sync has stopped." : ""}` });
      return this.#showLight();
    }
    for (const { primaryKey, property, reason } of error.writes) {
      const key = String(primaryKey);
      const title = this.inspection(key)?.title;
      const why = property && reason.startsWith(property) ? reason.slice(reason.indexOf(": ") + 2) : reason; // without its name
      toast(why, { kind: "refused", title: `The server refused ${nameOf(this.person)}'s ${partOf(property)}${title ? ` of “${title}”` : ""}:`, seconds: 14 });
      this.cards.get(key)?.flash("refused");
    }
  }

  // --- what the session does ----------------------------------------------------------------------------------------

  get isOffline() {
    return this.realm?.syncSession.state === "inactive";
  }

  get pending() {
    return this.realm.syncSession.pendingTransactions;
  }

  get isAsking() {
    return this.#asking !== null;
  }

  goOffline(isOffline) {
    if (!this.realm) return;
    memory.set(`offline:${this.person.name}`, isOffline);
    if (isOffline) this.realm.syncSession.pause();
    else this.realm.syncSession.resume();
    announce(isOffline ? `${nameOf(this.person)} is offline` : `${nameOf(this.person)} is online again`);
    this.#connectionChanged();
  }

  #connectionChanged() {
    if (this.#isClosed) return;
    if (!this.isOffline && this.pending) this.#awaitUpload();
    if (!this.isOffline && this.#asking === "interrupted") this.#ask();
    this.#showLight();
    this.#showAsked();
  }

  #showLight() {
    if (this.#isClosed || !this.realm) return;
    const { light, words, offline } = this.parts;
    const { connectionState } = this.realm.syncSession;
    const waiting = this.pending ? `${number.format(this.pending)} ${this.pending === 1 ? "change waits" : "changes wait"}` : "";
    let [state, text] = ["connecting", "connecting"];
    if (this.isOffline) [state, text] = ["offline", "offline"];
    else if (!navigator.onLine) [state, text] = ["offline", "no network"];
    else if (connectionState === "connected") [state, text] = waiting ? ["sending", "sending"] : ["connected", "in sync"];
    else if (connectionState === "disconnected") [state, text] = ["offline", "server away"];
    light.dataset.light = state;
    setText(words, waiting ? (state === "sending" ? `sending ${this.pending || ""}`.trim() : `${text} · ${waiting}`) : text);
    offline.setAttribute("aria-checked", String(this.isOffline));
    this.#showProgress();
  }

  /** The download's progress; without a figure while the server is asked. */
  #showProgress() {
    const { progress, bar } = this.parts;
    const isOnline = this.realm?.syncSession.isConnected();
    const isBusy = isOnline && (this.#download < 1 || this.#asking === "pending");
    progress.hidden = !isBusy;
    const hasFigure = this.#download > 0 && this.#download < 1;
    progress.classList.toggle("vague", !hasFigure);
    bar.style.transform = hasFigure ? `scaleX(${this.#download})` : "";
    if (hasFigure) progress.setAttribute("aria-valuenow", String(Math.round(this.#download * 100)));
    else progress.removeAttribute("aria-valuenow");
  }

  #showTeams(teams) {
    if (this.person.team && teams.length) setText(this.parts.team, `team ${teams[0].name}`);
  }

  // --- subscriptions ------------------------------------------------------------------------------------------------

  #wanted(realm) {
    const { whose, priority, hideDone } = this.filters;
    const conditions = [];
    const values = [];
    if (whose === "mine") conditions.push(`inspector == $${values.push(Number(this.user.id)) - 1}`);
    if (priority > 1) conditions.push(`priority >= $${values.push(priority) - 1}`);
    if (hideDone) conditions.push('status != "done"');
    const all = realm.objects("Inspection");
    return conditions.length ? all.filtered(conditions.join(" AND "), ...values) : all;
  }

  /** Changes the subscriptions; offline they are kept, and asked for later. */
  subscribe(change) {
    this.#ask(this.realm.subscriptions.update(change));
  }

  async #ask(done = this.realm.subscriptions.waitForSynchronization()) {
    const asked = (this.latest = {});
    this.#asking = "pending";
    this.#showAsked();
    let outcome = null;
    try {
      await done;
    } catch (error) {
      outcome = this.realm.isClosed || this.realm.subscriptions.state === "error" ? error.message : "interrupted";
    }
    if (this.latest !== asked || this.#isClosed) return;
    this.#asking = outcome;
    this.#download = outcome ? this.#download : 1;
    this.#showAsked();
    this.airfields.search();
    this.#showColumns();
    if (outcome === "interrupted" && !this.isOffline) this.#ask();
  }

  #showAsked() {
    const { asked } = this.parts;
    const isOnline = this.realm.syncSession.isConnected();
    const states = {
      null: ["complete", "downloaded"],
      pending: isOnline ? ["pending", "downloading"] : ["waiting", "asked when online"],
      interrupted: ["waiting", "asked when online"],
    };
    const [state, text] = states[this.#asking] ?? ["error", this.#asking];
    asked.dataset.state = state;
    setText(asked, text);
    asked.title = `The subscription is ${state === "waiting" ? "pending" : state}`;
    this.#showProgress();
  }

  #makeFilters() {
    this.filters = memory.get(`filters:${this.person.name}`, { whose: "team", priority: 1, hideDone: false, order: "due" });
    const { filters: form } = this.parts;
    const fields = form.elements;
    const { whose } = fields;
    const { filters } = this;
    whose.value = filters.whose;
    [fields.priority.value, fields.hideDone.checked, fields.order.value] = [filters.priority, filters.hideDone, filters.order];
    if (!this.person.team) whose[0].nextElementSibling.textContent = "All teams";
    form.addEventListener("submit", (event) => event.preventDefault());
    form.querySelector(".new").addEventListener("click", () => this.startNew());
    const [tune, more] = [form.querySelector(".tune"), form.querySelector(".more")];
    tune.addEventListener("click", () => tune.setAttribute("aria-expanded", String(more.classList.toggle("shown"))));
    const mark = () => tune.classList.toggle("on", this.filters.priority > 1 || this.filters.hideDone);
    mark();
    form.addEventListener("change", ({ target }) => {
      this.filters = { whose: whose.value, priority: Number(fields.priority.value), hideDone: fields.hideDone.checked, order: fields.order.value };
      memory.set(`filters:${this.person.name}`, this.filters);
      mark();
      if (target.name !== "order") this.subscribe((subscriptions, realm) => subscriptions.add(this.#wanted(realm), { name: "inspections" }));
      this.#listen();
    });
  }

  // --- the board ----------------------------------------------------------------------------------------------------

  #makeColumns() {
    const { columns, statuses } = this.parts;
    this.columns = {};
    for (const status of STATUSES) {
      const element = copyOf("column-template");
      element.dataset.status = element.dataset.drop = status;
      element.setAttribute("aria-label", status);
      const tab = document.createElement("button");
      tab.type = "button";
      tab.setAttribute("role", "tab");
      tab.dataset.status = tab.dataset.drop = status;
      const label = Object.assign(document.createElement("span"), { textContent: status });
      const tabCount = Object.assign(document.createElement("span"), { className: "count" });
      tab.append(label, " ", tabCount);
      tab.addEventListener("click", () => this.show(status));
      const find = (name) => element.querySelector(`.${name}`);
      setText(find("label"), status);
      this.columns[status] = { element, tab, list: find("cards"), counts: [find("count"), tabCount], empty: find("empty") };
      columns.append(element);
      statuses.append(tab);
    }
    this.show("open");
    columns.addEventListener("focusin", ({ target }) => {
      const key = target.closest(".card")?.dataset.key;
      if (key) this.#lead(key);
    });
  }

  /** On narrow panes: the one column that is seen. */
  show(status) {
    this.parts.columns.dataset.shown = status;
    for (const [name, { tab, element }] of Object.entries(this.columns)) {
      tab.setAttribute("aria-selected", String(name === status));
      tab.tabIndex = name === status ? 0 : -1;
      element.classList.toggle("shown", name === status);
    }
  }

  /** On panes without room for both: the board or the airfields. */
  view(name) {
    if (!name) return;
    this.element.dataset.view = name;
    for (const tab of this.parts.views.children) {
      const isIt = tab.dataset.view === name;
      tab.setAttribute("aria-selected", String(isIt));
      tab.tabIndex = isIt ? 0 : -1;
    }
  }

  get isNarrow() {
    return this.element.clientWidth < NARROW;
  }

  /** Live from now on, in this order. */
  #listen() {
    if (!this.realm) return;
    this.#results?.removeAllListeners();
    this.#results = this.#wanted(this.realm).sorted(ORDERS[this.filters.order]);
    const results = this.#results;
    this.#results.addListener((_, changes) => results === this.#results && this.#changed(changes));
    this.#replaced();
  }

  /** Other results: whoever stays keeps their card. */
  #replaced() {
    this.#animated(() => {
      this.#order = [];
      const images = new Map();
      for (const object of this.#results) {
        const key = String(object._id);
        this.#order.push(key);
        images.set(key, object);
      }
      for (const key of [...this.cards.keys()]) if (!images.has(key)) this.#drop(key);
      for (let at = this.#order.length - 1; at >= 0; at -= 1) this.#put(at, images.get(this.#order[at]), true);
    });
  }

  /** What the listener tells; indices of deletions are those of before. */
  #changed({ insertions, deletions, newModifications }) {
    if (!insertions.length && !deletions.length && !newModifications.length) return;
    this.#animated(() => {
      const gone = new Set(deletions.map((at) => this.#order[at]));
      for (const at of [...deletions].reverse()) this.#order.splice(at, 1);
      const objects = new Map();
      for (const at of insertions) {
        const object = this.#results[at];
        const key = String(object._id);
        objects.set(at, object);
        this.#order.splice(at, 0, key);
        gone.delete(key);
      }
      for (const at of newModifications) objects.set(at, this.#results[at]);
      for (const key of gone) this.#drop(key);
      const moved = new Set(insertions);
      const touched = [...objects.keys()].sort((a, b) => b - a);
      for (const at of touched) {
        const key = this.#order[at];
        this.#put(at, objects.get(at), moved.has(at));
        if (!this.#mine.delete(key) && touched.length <= 6 && !this.isAsking) this.cards.get(key).flash("touched");
      }
      for (const key of gone) this.#mine.delete(key);
    });
  }

  /** Shows an object at its place in the order, among those of its status. */
  #put(at, object, mayMove) {
    const key = this.#order[at];
    let card = this.cards.get(key);
    if (!card) {
      card = new Card(this, key);
      card.unsent = this.#unsent.has(key);
      this.cards.set(key, card);
    }
    const before = card.status;
    card.show(object);
    if (!mayMove && before === card.status) return;
    const { list } = this.columns[card.status];
    let next = null;
    for (let other = at + 1; other < this.#order.length && !next; other += 1) {
      const candidate = this.cards.get(this.#order[other]);
      if (candidate?.status === card.status && candidate.element.parentNode === list) next = candidate.element;
    }
    if (card.element.parentNode === list && card.element.nextElementSibling === next) return;
    const focused = card.element.contains(document.activeElement) ? document.activeElement : null;
    if (card.element.isConnected && list.isConnected && list.moveBefore) list.moveBefore(card.element, next);
    else list.insertBefore(card.element, next);
    if (!focused) return;
    if (this.isNarrow) this.show(card.status);
    if (document.activeElement !== focused) focused.focus({ preventScroll: true });
    card.element.scrollIntoView({ block: "nearest" });
  }

  #drop(key) {
    const card = this.cards.get(key);
    if (!card) return;
    const hadFocus = card.element.contains(document.activeElement);
    const { element } = card;
    const neighbour = element.nextElementSibling ?? element.previousElementSibling;
    this.cards.delete(key);
    this.#unsent.delete(key);
    element.remove();
    if (hadFocus) this.cards.get(neighbour?.dataset.key)?.focus();
  }

  /** Carries out a change of the board; whatever moved by it glides from where it was. */
  #animated(change) {
    const may = !calm.matches && document.visibilityState === "visible" && this.cards.size > 0 && this.cards.size < 200 && this.element.isConnected;
    const before = new Map();
    if (may) for (const card of this.cards.values()) before.set(card, card.element.getBoundingClientRect());
    change();
    this.#showColumns();
    if (!may) return;
    for (const card of this.cards.values()) {
      const old = before.get(card);
      const now = card.element.getBoundingClientRect();
      if (!now.width) continue;
      if (!old) {
        card.element.animate({ opacity: [0, 1], transform: ["scale(.96)", "none"] }, { duration: 220, easing: "ease-out" });
        continue;
      }
      const [x, y] = [old.left - now.left, old.top - now.top];
      if (!old.width || (Math.abs(x) < 1 && Math.abs(y) < 1) || Math.abs(y) > 2 * innerHeight) continue;
      card.element.animate({ transform: [`translate(${x}px, ${y}px)`, "none"] }, { duration: Math.abs(x) > 1 ? 320 : 220, easing: "cubic-bezier(.2,.8,.2,1)" });
    }
  }

  /** Counts, empty columns, where the Tab key leads to, and what the plot highlights. */
  #showColumns() {
    const tally = Object.fromEntries(STATUSES.map((status) => [status, 0]));
    for (const card of this.cards.values()) tally[card.status] += 1;
    for (const [status, { counts, empty, element }] of Object.entries(this.columns)) {
      for (const each of counts) setText(each, String(tally[status]));
      const isHidden = status === "done" && this.filters.hideDone;
      element.classList.toggle("hushed", isHidden);
      empty.hidden = tally[status] > 0;
      setText(empty, isHidden ? "Not downloaded: “hide done” is on. What you drop here leaves the board." : this.isAsking && !this.cards.size ? "…" : EMPTY[status]);
    }
    if (!this.cards.has(this.#current)) this.#lead(this.#order[0] ?? null);
    const places = new Set();
    let missing = 0; // a link to what was not downloaded reads as null
    for (const { airfield } of this.#results ?? []) {
      if (airfield) places.add(airfield._id);
      else missing += 1;
    }
    this.parts.missing.hidden = !missing || this.isAsking;
    if (missing) setText(this.parts.missing.firstElementChild, missing === 1 ? "One of these is at an airfield that is not on this device." : `${missing} of these are at airfields that are not on this device.`);
    this.airfields.inspectionsAt(places);
  }

  #lead(key) {
    if (key === this.#current) return;
    const before = this.cards.get(this.#current);
    if (before) before.parts.title.tabIndex = -1;
    this.#current = key;
    const card = this.cards.get(key);
    if (card) card.parts.title.tabIndex = 0;
  }

  foldAll() {
    for (const card of this.cards.values()) card.fold(false);
  }

  // --- what the user does -------------------------------------------------------------------------------------------

  move(key, status) {
    const object = this.inspection(key);
    if (!object || object.status === status) return;
    const { title } = object;
    this.write([key], () => (object.status = status));
    announce(`“${title}” is ${status}`);
  }

  startNew() {
    this.view("airfields");
    this.airfields.focus();
    announce("Choose the airfield of the new inspection");
  }

  /** A new inspection, open for editing. */
  create(airfield) {
    const [team] = this.teams();
    if (!team) return toast("The team has not been downloaded yet.", { title: "One moment." });
    const due = new Date(Math.floor(Date.now() / 86_400_000) * 86_400_000 + 14 * 86_400_000);
    const mine = this.person.team ? Number(this.user.id) : null;
    const id = new Realm.BSON.UUID();
    const key = String(id);
    const values = { _id: id, airfield, team, inspector: mine, title: `New inspection at ${airfield}`, status: "open", priority: 3, due, hours: new Decimal128("0"), notes: "", visits: 0 };
    if (!this.write([key], () => this.realm.create("Inspection", values))) return undefined;
    this.reveal(key, true);
    return key;
  }

  /** Brings a card into view, as soon as it is there, and opens it. */
  reveal(key, andOpen = false, patience = 20) {
    const card = this.cards.get(key);
    if (!card) {
      if (patience) requestAnimationFrame(() => this.reveal(key, andOpen, patience - 1));
      else toast("It does not match the filters of this board.", { title: "Made, but not shown." });
      return;
    }
    this.view("board");
    this.show(card.status);
    if (andOpen) card.unfold();
    else card.focus();
    card.element.scrollIntoView({ block: "center", behavior: calm.matches ? "auto" : "smooth" });
  }

  /** Deletes at once; to undo is to make an equal one, for a deletion is final everywhere. */
  remove(key) {
    const object = this.inspection(key);
    if (!object) return;
    const { airfield, team, inspector, title, status, priority, due, hours, notes } = object;
    const { checklist, tags, visits } = object.toJSON();
    const again = { airfield: airfield?._id, team: team?._id, inspector, title, status, priority, due, hours, notes, checklist, tags, visits };
    this.cards.get(key)?.fold();
    this.write([key], () => this.realm.delete(object));
    const undo = () => {
      const id = new Realm.BSON.UUID();
      this.write([String(id)], () => this.realm.create("Inspection", { _id: id, ...again }));
      this.reveal(String(id));
    };
    toast(`“${title}”`, { title: "Deleted", action: again.airfield && again.team ? ["Undo", undo] : null, seconds: 10 });
  }

  /** Keys of a focused card. Escape and Enter are its own. */
  #makeKeys() {
    this.parts.columns.addEventListener("keydown", (event) => {
      const card = event.target.classList.contains("title") && this.cards.get(event.target.closest(".card").dataset.key);
      if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const list = card.element.parentNode;
      if (step && event.shiftKey) {
        const status = STATUSES[STATUSES.indexOf(card.status) + step];
        if (status) this.move(card.key, status);
      } else if (step) this.#beside(card, step);
      else if (event.key === "ArrowDown") this.#focus(card.element.nextElementSibling);
      else if (event.key === "ArrowUp") this.#focus(card.element.previousElementSibling);
      else if (event.key === "Home") this.#focus(list.firstElementChild);
      else if (event.key === "End") this.#focus(list.lastElementChild);
      else if (event.key === "Delete") this.remove(card.key);
      else return;
      event.preventDefault();
    });
    for (const tabs of [this.parts.views, this.parts.statuses]) {
      tabs.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        const all = [...tabs.children];
        const next = step && all[all.indexOf(event.target) + step];
        if (!next) return;
        next.click();
        next.focus();
      });
    }
  }

  #focus(element) {
    this.cards.get(element?.dataset.key)?.focus();
  }

  /** The card at the same height in the next column that has any. */
  #beside(card, step) {
    const index = [...card.element.parentNode.children].indexOf(card.element);
    for (let at = STATUSES.indexOf(card.status) + step; STATUSES[at]; at += step) {
      const { children } = this.columns[STATUSES[at]].list;
      if (!children.length) continue;
      if (this.isNarrow) this.show(STATUSES[at]);
      return this.#focus(children[Math.min(index, children.length - 1)]);
    }
  }
}
