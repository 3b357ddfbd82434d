/**
 * Talks to the TensorBoard page around this frame: four messages over a MessageChannel, its theme,
 * which it tells nobody but shows as a class on its body, and its address bar (the frame is
 * same-origin).
 */

/** @typedef {(payload: unknown) => void} Listener */

export class Host {
  constructor() {
    /** @type {Map<string, Listener>} */
    this.listeners = new Map();
    const channel = new MessageChannel();
    this.port = channel.port1;
    this.port.onmessage = (event) => this.receive(JSON.parse(event.data));
    if (window.parent !== window) {
      window.parent.postMessage("experimental.bootstrap", "*", [channel.port2]);
    }
  }

  /**
   * @param {"RunsChanged" | "DataReloaded"} type
   * @param {Listener} listener
   */
  on(type, listener) {
    this.listeners.set(`experimental.${type}`, listener);
  }

  /** @param {any} message */
  receive(message) {
    if (message.isReply) return;
    this.listeners.get(message.type)?.(message.payload);
    // TensorBoard waits for a reply to everything it sends.
    const reply = { type: message.type, id: message.id, payload: null, error: null, isReply: true };
    this.port.postMessage(JSON.stringify(reply));
  }
}

/** The window with the address bar; this one where it is of another origin. */
function outer() {
  try {
    void window.parent.location.hash;
    return window.parent;
  } catch {
    return window;
  }
}

export const hash = () => outer().location.hash;

/** Shows another hash, without a step in the history of the browser. @param {string} next */
export function setHash(next) {
  const page = outer();
  if (page.location.hash === next) return;
  page.history.replaceState(page.history.state, "", next);
}

/** Calls when somebody goes to another address in this page. @param {() => void} listener */
export const onHash = (listener) => outer().addEventListener("hashchange", listener);

/** The whole address with a hash. @param {string} next */
export const link = (next) => new URL(next, outer().location.href).href;

/**
 * Calls `changed` with "dark" or "light", now and whenever TensorBoard switches.
 * @param {(theme: "dark" | "light") => void} changed
 */
export function followTheme(changed) {
  let body = document.body;
  try {
    body = window.parent.document.body;
  } catch {
    // Embedded by a page of another origin: no way to know, light it is.
  }
  const tell = () => changed(body.classList.contains("dark-mode") ? "dark" : "light");
  new MutationObserver(tell).observe(body, { attributes: true, attributeFilter: ["class"] });
  tell();
}
