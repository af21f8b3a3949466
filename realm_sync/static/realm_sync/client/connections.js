// Connections: the websockets of this page that outlive a session.
//
// Decides how long a websocket without a session stays open: `linger` milliseconds after `unbound`, for the next session
// of the same sync URL, whichever file and user it is of. One that is closed, or says anything meanwhile, is dropped.

/** Most websockets that are kept at a time. */
const LINES_KEPT = 4;
/** Those that are kept, the latest first. @type {{url: string, socket: WebSocket, drop: () => void, release: () => void}[]} */
let kept = [];

/** Keeps a websocket whose session has ended by `unbound`; false if it will not: close it.
 * @param {string} url @param {WebSocket} socket @param {number} milliseconds */
export function keep(url, socket, milliseconds) {
  if (!(milliseconds > 0) || socket.readyState !== WebSocket.OPEN || kept.length >= LINES_KEPT) return false;
  const release = () => {
    clearTimeout(timer);
    kept = kept.filter((line) => line !== self);
    socket.onmessage = socket.onclose = socket.onerror = null;
  };
  const drop = () => {
    release();
    socket.close();
  };
  const self = { url, socket, drop, release };
  const timer = setTimeout(drop, milliseconds);
  socket.onmessage = socket.onclose = socket.onerror = drop;
  kept.unshift(self);
  return true;
}

/** A websocket that was kept for `url`, if there is one that is open still. @param {string} url @returns {WebSocket | null} */
export function take(url) {
  for (const line of kept.filter((each) => each.url === url)) {
    line.release();
    if (line.socket.readyState === WebSocket.OPEN) return line.socket;
  }
  return null;
}
