// The classes of the demo, as `manage.py realm_sync schema --format javascript` prints them, and the words of its statuses.

import Realm from "realm";

export class ChecklistItem extends Realm.Object {
  static schema = {
    name: "ChecklistItem",
    embedded: true,
    properties: {
      text: "string",
      done: "bool",
    },
  };
}

export class Team extends Realm.Object {
  static schema = {
    name: "Team",
    primaryKey: "_id",
    properties: {
      _id: { type: "uuid", default: () => new Realm.BSON.UUID() },
      name: { type: "string", indexed: true },
    },
  };
}

export class Airfield extends Realm.Object {
  static schema = {
    name: "Airfield",
    primaryKey: "_id",
    properties: {
      _id: "string",
      iata: "string",
      name: "string",
      city: "string",
      subdivision: "string",
      country: { type: "string", indexed: true },
      elevation: "double",
      latitude: "double",
      longitude: "double",
      time_zone: "string",
    },
  };
}

export class Inspection extends Realm.Object {
  static schema = {
    name: "Inspection",
    primaryKey: "_id",
    properties: {
      _id: { type: "uuid", default: () => new Realm.BSON.UUID() },
      airfield: "Airfield",
      team: "Team",
      inspector: { type: "int", optional: true, indexed: true },
      title: "string",
      status: "string",
      priority: "int",
      due: "date",
      hours: "decimal128",
      notes: "string",
      checklist: "ChecklistItem[]",
      tags: "string<>",
      visits: "counter",
      created_at: "date",
    },
  };
}

/** In the order of the columns. */
export const STATUSES = ["open", "in progress", "done"];
