// What a page in TypeScript may say, and what its compiler must refuse: checked by `make types`, never run.

import Realm, { App, BSON, ClientResetError, CompensatingWriteError, Results, type Configuration, type SyncConfiguration } from "realm";

class Team extends Realm.Object<Team> {
  declare _id: BSON.UUID;
  declare name: string;

  static schema = { name: "Team", primaryKey: "_id", properties: { _id: "uuid", name: "string" } };
}

class Inspection extends Realm.Object<Inspection> {
  declare _id: BSON.UUID;
  declare title: string;
  declare priority: number;
  declare due: Date;
  declare team: Team | null;
  declare tags: Realm.List<string>;
  declare crew: Realm.Set<Team>;
  declare prices: Realm.Dictionary<number>;
  declare visits: Realm.Counter;

  static schema = {
    name: "Inspection",
    primaryKey: "_id",
    properties: { _id: "uuid", title: "string", priority: "int", due: "date", team: "Team", tags: "string[]", crew: "Team<>", prices: "double{}", visits: "counter" },
  };
}

const app: Realm.App = new App({ id: "realm-sync", timeout: 10_000 });
const user = app.currentUser ?? (await app.logIn(Realm.Credentials.emailPassword("nora", "demo")));
const name: string = user.id;

const sync: SyncConfiguration = {
  user,
  flexible: true,
  initialSubscriptions: {
    update(subscriptions, realm) {
      subscriptions.add(realm.objects(Inspection).filtered("priority > $0", 3), { name: "urgent" });
    },
  },
  newRealmFileBehavior: { type: "downloadBeforeOpen", timeOut: 30_000, timeOutBehavior: "openLocalRealm" },
  clientReset: { mode: "recoverUnsyncedChanges", onAfter: (before, after) => console.info(before.path, after.isEmpty) },
  onError: (session, error) => {
    if (error instanceof CompensatingWriteError) for (const { objectName, reason } of error.writes) console.warn(objectName, reason);
    else if (error instanceof ClientResetError) console.warn(error.config.path);
    else console.warn(error.codeName, session.state === "active");
  },
};
const config: Configuration = { schema: [Team, Inspection], sync };

const realm: Realm = await Realm.open(config).progress((estimate) => console.info(estimate.toFixed(2)));
const inspections: Results<Inspection> = realm.objects(Inspection).sorted([["priority", true], "due"]);
const titles: string[] = inspections.map(({ title, due }) => `${title} ${due.toISOString()}`);
const first: Inspection | undefined = inspections[0] ?? inspections.find((each) => each.priority > 3);
const team: Team | null = realm.objectForPrimaryKey(Team, new BSON.UUID());
inspections.addListener((all, { insertions, deletions }) => console.info(all.length, insertions[0], deletions.length), ["title"]);
first?.addListener((object, { deleted, changedProperties }) => deleted || console.info(object.title, changedProperties));

const made: Inspection = realm.write(() => realm.create(Inspection, { title: "Windsock", team }, Realm.UpdateMode.Modified));
realm.write(() => {
  made.priority = 5;
  made.tags.push("late");
  made.visits.increment(2);
  made.crew.add(made.crew[0]);
  made.prices.lamp = 3;
  realm.delete(made);
});
await realm.writesFlushed();
await realm.syncSession?.uploadAllLocalChanges(30_000);
realm.syncSession?.addProgressNotification("upload", "reportIndefinitely", (transferred, transferable) => console.info(transferred / transferable));
await inspections.filtered("priority == 5").subscribe({ name: "urgent", behavior: "always", timeout: 1000 });
await realm.subscriptions.update((subscriptions) => void subscriptions.removeByName("urgent"));
const states: ("pending" | "complete" | "error" | "superseded")[] = [realm.subscriptions.state];
for (const { queryString, name } of realm.subscriptions) console.info(queryString, name);

// Without classes everything is `any`, or what one says.
const anything: number = realm.objects("Inspection")[0].priority;
const said: string = realm.objects<{ title: string }>("Inspection")[0].title;

// @ts-expect-error there is no such behaviour
const wrong: Realm.Object | SyncConfiguration = { user, flexible: true, newRealmFileBehavior: { type: "openSoon" } };
// @ts-expect-error a title is text
made.title = 5;
// @ts-expect-error tags are text
made.tags.push(5);
const upper: string[] = made.tags.map((tag) => tag.toUpperCase());
// @ts-expect-error there is no such property
inspections.map(({ colour }) => colour);
// @ts-expect-error misspelled
realm.objets(Inspection);

export { anything, name, said, states, titles, upper, wrong };
