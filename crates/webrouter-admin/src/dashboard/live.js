// What the pages do when scripts run: they follow the stream of events and search while one types. The server draws
// everything; here its parts, marked `data-live`, are only exchanged for newer ones.
"use strict";

const body = document.body;
const connection = document.getElementById("connection");
const news = document.getElementById("news");
let stream = null;
let renewing = null;

// Exchanges each live part that is otherwise than before; what has the focus keeps it.
async function renew(address) {
  if (renewing) renewing.abort();
  const mine = (renewing = new AbortController());
  try {
    const answer = await fetch(address, { signal: mine.signal, headers: { accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const newer = fresh.getElementById(part.id);
      if (!newer || newer.innerHTML === part.innerHTML) continue;
      const opened = [...part.querySelectorAll("details")].map((details) => details.open);
      const focused = part.contains(document.activeElement) ? document.activeElement : null;
      const among = focused && [...part.querySelectorAll(FOCUSABLE)].indexOf(focused);
      part.replaceChildren(...newer.childNodes);
      part.querySelectorAll("details").forEach((details, nth) => { details.open = opened[nth] ?? false; });
      if (focused) part.querySelectorAll(FOCUSABLE)[among]?.focus({ preventScroll: true });
    }
  } catch (error) {
    // Asked anew with the next event, or replaced by a newer question.
  } finally {
    if (renewing === mine) renewing = null;
  }
}
const FOCUSABLE = "a[href], summary, [tabindex]";

function told(on) {
  connection.hidden = false;
  connection.textContent = on ? "live" : "not connected";
  connection.classList.toggle("on", on);
}

let ticks = 0;
function listen() {
  stream = new EventSource(body.dataset.events);
  stream.onopen = () => { told(true); renew(location.href); };
  // It connects again by itself, unless it was refused; then we do.
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) { told(false); setTimeout(listen, 5000); }
    else setTimeout(() => told(stream.readyState === EventSource.OPEN), 3000);
  };
  stream.addEventListener("tick", () => {
    ticks += 1;
    if (!document.hidden && ticks % 2 === 0 && !renewing) renew(location.href);
  });
  stream.addEventListener("table", (event) => {
    const change = JSON.parse(event.data);
    note(change);
    renew(location.href);
  });
}

function note(change) {
  const procs = change.total === 1 ? "1 proc" : change.total + " procs";
  news.textContent = "Generation " + change.generation + ": " + procs + " changed.";
  const list = document.getElementById("changes");
  if (!list) return;
  document.getElementById("happened").hidden = false;
  for (const proc of change.procs) {
    const item = document.createElement("li");
    item.textContent = change.at.slice(11, 19) + " generation " + change.generation + ": " + proc.entry + " " + proc.kind + ": " + proc.summary;
    list.prepend(item);
  }
  if (change.total > change.procs.length) {
    const item = document.createElement("li");
    item.textContent = change.at.slice(11, 19) + " generation " + change.generation + ": " + procs + " in all";
    list.prepend(item);
  }
  while (list.children.length > 100) list.lastChild.remove();
}

const field = document.querySelector("[data-filter]");
if (field) {
  let typed = 0;
  field.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => {
      const address = new URL(location.href);
      address.search = field.value ? "?" + new URLSearchParams({ q: field.value }) : "";
      history.replaceState(null, "", address);
      renew(address);
    }, 150);
  });
}

// Where many pages are open, those that nobody looks at leave the streams to the others.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) { stream?.close(); stream = null; }
  else if (!stream) listen();
});
if (!document.hidden) listen();
