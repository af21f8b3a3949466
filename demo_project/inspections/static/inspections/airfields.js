// The airfields of a pane: which country's the device has (a subscription), instant look-up in them, and their plot.

import { config, copyOf, countryName, memory, number, setText } from "./page.js";
import { Plot } from "./plot.js";

const EVERYWHERE = "*";
const SHOWN = 40; // rows of a list that is meant to be searched
const SEARCH = "_id BEGINSWITH[c] $0 OR iata ==[c] $0 OR name CONTAINS[c] $0 OR city CONTAINS[c] $0";

/** For the subscription `country`; null: none. */
export function airfieldsOf(realm, country) {
  if (!country) return null;
  const all = realm.objects("Airfield");
  return country === EVERYWHERE ? all : all.filtered("country == $0", country);
}

export class Airfields {
  #results = null;
  #byName = null;
  #active = -1;
  #keys = [];
  #chosen = null;
  #points = [];

  constructor(pane) {
    this.pane = pane;
    this.element = pane.element.querySelector(".airfields");
    const find = (selector) => this.element.querySelector(selector);
    this.parts = {
      country: find(".country"), input: find("input"), found: find(".found"), count: find(".count"), speed: find(".speed"), chosen: find(".chosen"),
    };
    this.parts.found.id = `found-${pane.person.name}`;
    this.parts.input.setAttribute("aria-controls", this.parts.found.id);
    this.plot = new Plot(find(".plot"), (key) => this.choose(key));
    this.#fillCountries();
    const { country, input, found } = this.parts;
    country.addEventListener("change", () => this.#subscribe(country.value));
    input.addEventListener("input", () => this.search());
    input.addEventListener("keydown", (event) => this.#keydown(event));
    found.addEventListener("mousedown", (event) => event.preventDefault()); // the input keeps the focus
    found.addEventListener("click", ({ target }) => {
      const row = target.closest("[data-key]");
      if (row) this.choose(row.dataset.key);
    });
  }

  get country() {
    return memory.get(`country:${this.pane.person.name}`, this.pane.person.country);
  }

  #fillCountries() {
    const { countries } = config;
    this.total = Object.values(countries).reduce((sum, count) => sum + count, 0);
    const names = Object.keys(countries).map((code) => [countryName(code), code]).sort(([a], [b]) => a.localeCompare(b));
    const group = document.createElement("optgroup");
    group.label = "One country";
    group.append(...names.map(([name, code]) => new Option(`${name} (${number.format(countries[code])})`, code)));
    this.parts.country.append(new Option(`The whole world (${number.format(this.total)})`, EVERYWHERE), group);
    this.parts.country.value = this.country;
  }

  #subscribe(country) {
    memory.set(`country:${this.pane.person.name}`, country);
    this.pane.subscribe((subscriptions, realm) => subscriptions.add(airfieldsOf(realm, country), { name: "country" }));
    this.parts.input.value = "";
    this.choose(null);
    this.listen();
  }

  takeAll() {
    this.parts.country.value = EVERYWHERE;
    this.#subscribe(EVERYWHERE);
  }

  /** After the realm is open, and when another country is chosen. */
  listen() {
    this.#results?.removeAllListeners();
    this.#results = airfieldsOf(this.pane.realm, this.country);
    this.#byName = this.#results.sorted("name");
    this.#results.addListener(() => this.#changed());
  }

  #changed() {
    this.#points = this.#results.map(({ _id: key, name, latitude, longitude }) => ({ key, name, latitude, longitude }));
    const where = this.country === EVERYWHERE ? "the world" : countryName(this.country);
    this.plot.set({ points: this.#points, label: `Plot of ${number.format(this.#points.length)} airfields of ${where}` });
    this.search();
  }

  /** Where there is work, to be highlighted. */
  inspectionsAt(keys) {
    this.plot.set({ inspected: keys });
  }

  search() {
    if (!this.#results) return;
    const { input, count, speed } = this.parts;
    const words = input.value.trim();
    const began = performance.now();
    const found = words ? this.#results.filtered(SEARCH, words) : this.#byName;
    const total = found.length;
    const rows = (words ? ranked(found, words) : found).slice(0, SHOWN);
    const took = performance.now() - began;
    const all = this.#points.length;
    const there = this.country === EVERYWHERE ? this.total : config.countries[this.country];
    const isLoading = !all && this.pane.isAsking;
    setText(count, isLoading ? "Downloading…" : words ? `${number.format(total)} of ${number.format(all)} airfields` : `${all < there ? `${number.format(all)} of ` : ""}${number.format(there)} airfields here`);
    setText(speed, isLoading || !words ? "" : `query took ${took < 10 ? took.toFixed(1) : Math.round(took)} ms`);
    const lit = words ? new Set(found.map(({ _id }) => _id)) : null;
    this.plot.set({ lit });
    this.#list(rows, words);
  }

  #list(rows, words) {
    const { found, input } = this.parts;
    this.#keys = rows.map(({ _id }) => _id);
    found.replaceChildren(
      ...rows.map(({ _id: key, name, city, elevation, iata }, index) => {
        const row = document.createElement("li");
        row.setAttribute("role", "option");
        row.id = `${found.id}-${index}`;
        row.dataset.key = key;
        row.setAttribute("aria-selected", String(key === this.#chosen));
        const code = Object.assign(document.createElement("b"), { textContent: key });
        const place = Object.assign(document.createElement("span"), { className: "name", textContent: name });
        const about = [iata, city !== name && city, `${number.format(Math.round(elevation))} ft`].filter(Boolean).join(" · ");
        row.append(code, place, Object.assign(document.createElement("small"), { textContent: about }));
        return row;
      }),
    );
    input.setAttribute("aria-expanded", String(rows.length > 0));
    this.#activate(words && rows.length ? 0 : -1);
    if (!rows.length && words) {
      const nothing = document.createElement("li");
      nothing.className = "nothing";
      nothing.textContent = `Nothing like “${words}” on this device. Another country may have it.`;
      found.append(nothing);
    }
  }

  #activate(index) {
    const { found, input } = this.parts;
    found.querySelector(".active")?.classList.remove("active");
    this.#active = index;
    const row = index < 0 ? null : found.children[index];
    row?.classList.add("active");
    if (row) found.scrollTop = Math.max(row.offsetTop + row.offsetHeight - found.clientHeight, Math.min(found.scrollTop, row.offsetTop));
    if (row) input.setAttribute("aria-activedescendant", row.id);
    else input.removeAttribute("aria-activedescendant");
  }

  #keydown(event) {
    const last = this.#keys.length - 1;
    const steps = { ArrowDown: Math.min(this.#active + 1, last), ArrowUp: Math.max(this.#active - 1, 0), PageDown: Math.min(this.#active + 8, last), PageUp: Math.max(this.#active - 8, 0) };
    if (event.key in steps && last >= 0) {
      event.preventDefault();
      this.#activate(steps[event.key]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      const key = this.#keys[this.#active];
      if (key) this.choose(key).querySelector(".primary")?.focus();
    } else if (event.key === "Escape" && this.parts.input.value) {
      event.preventDefault();
      this.parts.input.value = "";
      this.search();
    }
    event.stopPropagation();
  }

  /** Shows one airfield, from which an inspection can be made. */
  choose(key) {
    const { chosen, found } = this.parts;
    this.#chosen = key;
    this.plot.set({ chosen: key });
    for (const row of found.children) row.setAttribute("aria-selected", String(row.dataset.key === key));
    const airfield = key && this.pane.realm.objectForPrimaryKey("Airfield", key);
    chosen.hidden = !airfield;
    if (!airfield) return chosen;
    const element = copyOf("chosen-template");
    const set = (name, text) => setText(element.querySelector(`.${name}`), text);
    set("code", key);
    set("name", airfield.name);
    const place = [airfield.city, airfield.subdivision, countryName(airfield.country)].filter((part, at, all) => part && all.indexOf(part) === at);
    set("where", place.join(", "));
    set("figures", `${degrees(airfield.latitude, "NS")} ${degrees(airfield.longitude, "EW")} · ${number.format(Math.round(airfield.elevation))} ft · ${airfield.time_zone}`);
    element.querySelector("button").addEventListener("click", () => this.pane.create(key));
    const here = airfield.linkingObjects("Inspection", "airfield");
    const list = element.querySelector("ul");
    for (const { _id, title, status } of here) {
      const row = document.createElement("li");
      const button = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: title });
      const id = String(_id);
      button.addEventListener("click", () => this.pane.reveal(id, true));
      row.append(button, Object.assign(document.createElement("small"), { textContent: status }));
      list.append(row);
    }
    list.hidden = !list.children.length;
    chosen.replaceChildren(element);
    return chosen;
  }

  focus() {
    this.parts.input.focus();
    this.parts.input.select();
  }

  close() {
    this.#results?.removeAllListeners();
    this.plot.close();
  }
}

/** Codes before names, beginnings before the rest. */
function ranked(found, words) {
  const wanted = words.toLowerCase();
  const rank = ({ _id, iata, name, city }) => {
    if (_id.toLowerCase() === wanted || iata.toLowerCase() === wanted) return 0;
    if (name.toLowerCase().startsWith(wanted) || city.toLowerCase().startsWith(wanted)) return 1;
    return _id.toLowerCase().startsWith(wanted) ? 2 : 3;
  };
  if (found.length > 2000) return found;
  const rows = found.map((airfield) => ({ airfield, rank: rank(airfield), name: airfield.name }));
  return rows.sort((a, b) => a.rank - b.rank || a.name.localeCompare(b.name)).map(({ airfield }) => airfield);
}

function degrees(value, [positive, negative]) {
  return `${Math.abs(value).toFixed(3)}°${value < 0 ? negative : positive}`;
}
