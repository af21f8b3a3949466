// The service worker of the demo: lets the page start without a network. Keeps the page, its files and the SDK's modules;
// asks the network first, so that what is new is seen at once, and falls back to what it keeps. Never touches the API, the
// admin or any write: what a user wrote is the SDK's business.

const CACHE = "inspections";
const PAGES = {{ pages }};
const FILES = {{ files }};
const STATIC_PREFIX = {{ static_url }};
const PATIENCE = 4000; // ms for a network that neither answers nor fails

self.addEventListener("install", (event) => {
  event.waitUntil(fill().then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil(clear().then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== "GET" || origin !== location.origin) return;
  if (PAGES.includes(pathname) || pathname.startsWith(STATIC_PREFIX)) event.respondWith(answer(request, pathname));
});

async function fill() {
  const cache = await caches.open(CACHE);
  await cache.addAll([...PAGES, ...FILES].map((url) => new Request(url, { cache: "reload" })));
}

/** What older versions kept and nobody asks for any more. */
async function clear() {
  const cache = await caches.open(CACHE);
  const known = new Set([...PAGES, ...FILES].map((url) => new URL(url, location.origin).href));
  for (const request of await cache.keys()) if (!known.has(request.url)) await cache.delete(request);
}

async function answer(request, pathname) {
  const cache = await caches.open(CACHE);
  // Asks whether a file is newer: files without an expiry would come from the browser's cache, some old and some new.
  const fromNetwork = fetch(request, { cache: "no-cache" }).then((response) => {
    if (response.ok && (PAGES.includes(pathname) || FILES.includes(pathname))) cache.put(pathname, response.clone());
    return response;
  });
  fromNetwork.catch(() => {});
  const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
  const response = await Promise.race([fromNetwork.catch(() => undefined), late]);
  return response ?? (await cache.match(pathname)) ?? fromNetwork;
}
