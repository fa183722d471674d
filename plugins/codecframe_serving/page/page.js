"use strict";
const KEPT = 60; // seconds of the plots
const FORGOTTEN = 5; // seconds after which a silent stream leaves the table
const $ = (id) => document.getElementById(id);
const history = []; // {at, bytes, seconds, kbits, p50, p99} of each view
const streams = new Map(); // by name: the last row, smoothed rates, when it was seen, seconds of views since
const counts = new Map(); // images by status since the page was opened

// -- the connection: views come as server-sent events, read by fetch, which can send the token ----

async function watch() {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const response = await fetch("v1/watch", { headers, cache: "no-store" });
    if (response.status === 401) return ask(Boolean(token));
    if (!response.ok) throw new Error((await response.json()).error);
    say("live", "live");
    await read(response.body.pipeThrough(new TextDecoderStream()).getReader());
    throw new Error("the server ended");
  } catch (error) {
    say("lost", `${error.message}; trying again`);
    setTimeout(watch, 1000);
  }
}

async function read(reader) {
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const event of events) show(JSON.parse(event.slice("data: ".length)));
  }
}

function ask(wrong) {
  sessionStorage.removeItem("token");
  $("ask").hidden = false;
  say("lost", wrong ? "that is not the token" : "not let in");
  $("token").focus();
}

$("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value);
  $("token").value = "";
  $("ask").hidden = true;
  watch();
});

function say(kind, text) {
  $("state").className = kind;
  $("state").textContent = text;
}

// -- a view ---------------------------------------------------------------------------------------

function show(view) {
  const now = performance.now() / 1000;
  document.title = `${view.head} – codecframe serve`;
  $("head").textContent = view.head;
  history.push({ at: now, ...rate(now, view), p50: ms(view.p50), p99: ms(view.p99) });
  while (history[0].at < now - KEPT) history.shift();
  $("rate").textContent = `${digits(history.at(-1).kbits)} kbit/s`;
  $("time").textContent = view.p50 === null ? $("time").textContent : `${digits(ms(view.p50))} ms`;
  draw($("rates"), now, [["first", "kbits"]]);
  draw($("times"), now, [["second", "p99"], ["first", "p50"]]);
  if (view.picture) picture(view.picture);
  view.pictures.forEach(came);
  table(view, now);
  for (const [status, n] of Object.entries(view.images)) counts.set(status, (counts.get(status) ?? 0) + n);
  const said = [...counts].map(([status, n]) => `${n.toLocaleString("en")} ${status}`).join(", ");
  audit(view.audit);
  $("counts").textContent = `${view.clients} connected, ${view.waiting} images wait; since this page opened: ${said || "nothing"}`;
}

/** What frames say that also came without loss. */
function audit(found) {
  if (!found) return;
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const promised = found.promised === null ? "" : `; promised: ${percent(found.promised)}`;
  $("audit").hidden = false;
  $("audit").className = found.drift ? "bad" : "faint";
  $("audit").textContent = `${found.drift ? "Compression costs more than was promised. " : ""}Audit: ` +
    `${percent(found.estimate)} of the last ${found.window.toLocaleString("en")} audited frames are seen as without loss ` +
    `(95 %: ${percent(found.low)} to ${percent(found.high)})${promised}`;
}

/** Rate over the last second: a view is too short to hold more than a few images. */
function rate(now, { bytes, seconds }) {
  const recent = [...history.filter(({ at }) => at > now - 1), { bytes, seconds }];
  const sum = (key) => recent.reduce((total, one) => total + one[key], 0);
  return { bytes, seconds, kbits: (8 * sum("bytes")) / 1000 / sum("seconds") };
}

function picture(seen) {
  const image = $("picture");
  image.hidden = !seen.source;
  $("nothing").hidden = Boolean(seen.source);
  $("nothing").textContent = "this codec rebuilds no picture";
  const said = [seen.codec, `${seen.bytes.toLocaleString("en")} bytes`];
  if (seen.source) {
    image.src = seen.source;
    image.alt = `The latest image: ${seen.words ?? seen.top[0].label ?? seen.top[0].index}`;
    image.classList.toggle("small", seen.width < 160);
    said.push(`${seen.width}×${seen.height}`, `${((seen.bytes * 8) / seen.width / seen.height).toFixed(3)} bpp`);
  }
  $("about").textContent = said.join(", ");
  latest = seen.can_ask ? seen : null;
  $("ask-picture").hidden = !latest;
  if (seen.words !== undefined) return $("top").replaceChildren(element("li", seen.words));
  $("top").replaceChildren(...seen.top.map(({ index, label, probability }) => {
    const meter = element("meter", "");
    meter.value = probability;
    const item = element("li", `${label ?? index} ${(100 * probability).toFixed(1)} %`);
    item.append(meter);
    return item;
  }));
}

// -- picture layers -------------------------------------------------------------------------------

const ALBUM = 6; // pictures that are shown, the latest first
let latest = null; // the frame that is shown, if its camera can be asked for its picture

$("ask-picture").addEventListener("click", async () => {
  const { stream, sequence } = latest;
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  $("asked").textContent = `asking ${stream} for picture ${sequence}`;
  const query = new URLSearchParams({ stream, sequence });
  const response = await fetch(`v1/picture?${query}`, { headers }); // the album shows what comes
  $("asked").textContent = response.ok ? "" : (await response.json()).error;
});

function came(one) {
  if (!one.source) return;
  const seen = one.top?.[0];
  const image = element("img", "");
  image.src = one.source;
  image.alt = `Picture ${one.sequence} of ${one.stream}`;
  const size = (bytes) => bytes.toLocaleString("en");
  const about = `${one.stream}, ${one.sequence}: ${one.words ?? `${seen.label ?? seen.index} ${(100 * seen.probability).toFixed(0)} %`}`;
  const item = element("li", "");
  item.append(image, element("p", about), element("p", `${size(one.task_bytes)} + ${size(one.picture_bytes)} bytes`, "faint"));
  $("album").prepend(item);
  while ($("album").children.length > ALBUM) $("album").lastChild.remove();
  $("pictures").hidden = false;
}

function table(view, now) {
  for (const known of streams.values()) known.waited += view.seconds;
  for (const row of view.streams) {
    const before = streams.get(row.source);
    const seconds = before?.waited ?? view.seconds; // slow streams are not in every view
    const blend = (old, value) => (before ? old + 0.3 * (value - old) : value);
    streams.set(row.source, {
      ...row,
      at: now,
      waited: 0,
      fps: blend(before?.fps, row.images / seconds),
      kbits: blend(before?.kbits, (row.bytes * 8) / 1000 / seconds),
      here: blend(before?.here, row.on_device / row.images),
    });
  }
  for (const [name, { at }] of streams) if (now - at > FORGOTTEN) streams.delete(name);
  const rows = [...streams.values()].sort((a, b) => a.source.localeCompare(b.source, "en", { numeric: true }));
  $("streams").replaceChildren(...rows.map(line));
}

function line(row) {
  const chance = row.probability === null ? "" : ` ${(100 * row.probability).toFixed(0)} %`;
  const sees = row.label === null ? row.status : row.label + chance;
  const numbers = [row.knob === null ? "" : digits(row.knob), digits(row.fps), digits(row.kbits),
    Math.round(row.bytes / row.images).toLocaleString("en"), row.here ? `${Math.round(100 * row.here)} %` : "",
    row.seconds === null ? "" : digits(ms(row.seconds))];
  const cells = [
    ...[row.source, row.client, row.codec].map((text) => element("td", text)),
    ...numbers.map((text) => element("td", text, "number")),
    element("td", sees, row.label === null ? "bad" : ""),
  ];
  const made = element("tr", "");
  made.append(...cells);
  return made;
}

// -- plots ----------------------------------------------------------------------------------------

const LEFT = 8, RIGHT = 420, TOP = 12, BOTTOM = 138;

function draw(svg, now, lines) {
  const values = lines.flatMap(([, key]) => history.map((one) => one[key])).filter((value) => value !== null);
  const most = ceiling(Math.max(...values, 0));
  const x = (at) => RIGHT - ((now - at) / KEPT) * (RIGHT - LEFT);
  const y = (value) => BOTTOM - (value / most) * (BOTTOM - TOP);
  const parts = [0, 0.5, 1].flatMap((share) => [
    shape("line", { x1: LEFT, x2: RIGHT, y1: y(share * most), y2: y(share * most) }),
    shape("text", { x: RIGHT + 6, y: y(share * most) + 4 }, digits(share * most)),
  ]);
  parts.push(shape("text", { x: LEFT, y: 155 }, `${KEPT} s ago`));
  parts.push(shape("text", { x: RIGHT, y: 155, "text-anchor": "end" }, "now"));
  for (const [kind, key] of lines) {
    let path = "", drawn = false;
    for (const one of history) {
      if (one[key] === null) { drawn = false; continue; }
      path += `${drawn ? "L" : "M"}${x(one.at).toFixed(1)} ${y(one[key]).toFixed(1)}`;
      drawn = true;
    }
    parts.push(shape("path", { class: kind, d: path }));
  }
  svg.replaceChildren(...parts);
}

/** The least of 1, 2, 5, 10, ... that is not below. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return power * [1, 2, 5, 10].find((step) => step * power >= value);
}

// -- helpers --------------------------------------------------------------------------------------

const ms = (seconds) => (seconds === null ? null : 1000 * seconds);
const digits = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : Number(value.toPrecision(3)).toString());

function element(kind, text, cls) {
  const made = document.createElement(kind);
  made.textContent = text;
  if (cls) made.className = cls;
  return made;
}

function shape(kind, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

watch();
