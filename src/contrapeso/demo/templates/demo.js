"use strict";
// The page of `contrapeso demo`. What comes from models and databases enters as text nodes, never as markup.
const $ = (id) => document.getElementById(id);
const KINDS = { k: "t-k", s: "t-s", m: "t-m", c: "t-c" };
const CELLS = { m: "c-m", z: "c-z", b: "c-b" };
const FEW_TABLES = 6; // so many are shown opened

let asking = null; // AbortController of the question on its way
let started = 0; // when it was asked, in milliseconds

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

/** A request to our own server; a refusal becomes an Error with its reason. */
async function call(path, options = {}) {
  const { token, header } = document.body.dataset;
  const answer = await fetch(path, { ...options, headers: { ...options.headers, [header]: token } });
  if (answer.ok) return answer;
  const text = await answer.text();
  let reason = text;
  try {
    reason = JSON.parse(text).error;
  } catch {
    reason = reason || `the server answered ${answer.status}`;
  }
  throw new Error(reason);
}

function complain(message) {
  $("trouble").textContent = message;
  $("trouble").hidden = !message;
}

/** What to say of an error; the server's end is the one that fetch does not explain. */
const explained = (error) => (error instanceof TypeError ? "The server does not answer; is it still running?" : error.message);

// ---- databases ----

async function listDatabases(wanted) {
  const entries = await (await call("/databases")).json();
  const group = (label, uploaded) => {
    const options = entries.filter((entry) => entry.uploaded === uploaded).map((entry) => make("option", { value: entry.id }, entry.name));
    return options.length ? make("optgroup", { label }, ...options) : null;
  };
  $("database").replaceChildren(...[group("Uploaded", true), group("Of the evaluation, not seen in training", false)].filter(Boolean));
  if (wanted) $("database").value = wanted;
  if (entries.length) await showDatabase($("database").value);
  else $("source-status").textContent = "Upload a SQLite file to begin.";
}

async function showDatabase(id) {
  for (const part of ["remove", "examples"]) $(part).hidden = true; // they are of the one before
  $("schema").replaceChildren();
  $("source-status").textContent = "Reading …";
  let database;
  try {
    database = await (await call(`/databases/${encodeURIComponent(id)}`)).json();
  } finally {
    if ($("database").value === id) $("source-status").textContent = "";
  }
  if ($("database").value !== id) return; // another one was chosen meanwhile
  $("remove").hidden = !database.uploaded;
  const few = database.tables.length <= FEW_TABLES && matchMedia("(min-width: 56rem)").matches;
  $("schema").replaceChildren(...database.tables.map((table) => schemaOf(table, few)));
  const rest = database.table_count - database.tables.length;
  $("source-status").textContent =
    `${database.table_count.toLocaleString()} ${database.table_count === 1 ? "table" : "tables"}` + (rest ? `, the first ${database.tables.length} shown` : "");
  $("questions").replaceChildren(
    ...database.questions.map((question) => {
      const button = make("button", { type: "button" }, question);
      button.addEventListener("click", () => {
        $("question").value = question;
        $("form").requestSubmit();
      });
      return make("li", {}, button);
    }),
  );
  $("examples").hidden = !database.questions.length;
  $("examples-title").textContent = database.evaluated ? `${database.questions.length} questions of the evaluation` : "Questions to begin with";
}

function schemaOf(table, open) {
  const columns = table.columns.map(([name, type, primary, targets]) =>
    make("li", {}, make("span", {}, name), make("span", { class: "kind" }, `${[type, primary ? "key" : ""].filter(Boolean).join(" · ")}${targets.map((target) => ` → ${target}`).join("")}`.trim())),
  );
  const rest = table.column_count - table.columns.length;
  if (rest) columns.push(make("li", { class: "kind" }, `and ${rest.toLocaleString()} more`));
  const details = make("details", {}, make("summary", {}, table.name), make("ul", {}, ...columns));
  details.open = open;
  return details;
}

async function upload(file) {
  complain("");
  if (file.size > Number(document.body.dataset.uploadBytes)) {
    complain(`The file is larger than ${Math.floor(document.body.dataset.uploadBytes / 2 ** 20)} MB, the limit for uploads.`);
    return;
  }
  $("source-status").textContent = "Uploading …";
  try {
    const entry = await (await call("/databases", { method: "POST", body: file, headers: { "x-file-name": encodeURIComponent(file.name) } })).json();
    await listDatabases(entry.id);
    $("question").focus();
  } catch (error) {
    $("source-status").textContent = "";
    complain(`Not uploaded: ${explained(error)}`);
  }
}

// ---- answers ----

const card = (variant) => [...document.querySelectorAll(".answer")].find((each) => each.dataset.variant === variant);

function query(parts) {
  if (!parts.length) return make("p", { class: "note" }, "No SQL in the reply.");
  const spans = parts.map(([kind, text]) => (KINDS[kind] ? make("span", { class: KINDS[kind] }, text) : text));
  return make("pre", { tabindex: "0" }, make("code", {}, ...spans));
}

function rows(result, label) {
  const count = `${result.row_count.toLocaleString()} ${result.row_count === 1 ? "row" : "rows"}`;
  const cut = [];
  if (result.row_count > result.rows.length) cut.push(`the first ${result.rows.length} shown`);
  if (result.column_count > result.columns.length) cut.push(`the first ${result.columns.length} of ${result.column_count} columns`);
  const numbers = result.columns.map((_, place) => result.rows.some((row) => row[place][0] === "m") && result.rows.every((row) => "mz".includes(row[place][0])));
  const head = make("tr", {}, ...result.columns.map((name, place) => make("th", { scope: "col", ...(numbers[place] ? { class: "c-m" } : {}) }, name)));
  const body = result.rows.map((row) => make("tr", {}, ...row.map(([kind, text]) => make("td", CELLS[kind] ? { class: CELLS[kind] } : {}, text))));
  const table = make("table", { class: "rows" }, make("caption", {}, label), make("thead", {}, head), make("tbody", {}, ...body));
  return [[count, ...cut].join(", "), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table)];
}

function showAnswer(answer) {
  const place = card(answer.variant);
  place.classList.remove("working");
  const parts = [query(answer.sql)];
  const times = `written in ${answer.writing.toFixed(1)} s, run in ${answer.running.toFixed(2)} s`;
  if (answer.agrees !== null && !answer.failure) {
    const words = answer.agrees ? "✓ the rows of the reference query" : "✗ not the rows of the reference query";
    parts.push(make("p", { class: `note ${answer.agrees ? "gain" : "loss"}` }, words));
  }
  if (answer.failure) {
    parts.push(make("p", { class: "note failed" }, answer.failure), make("p", { class: "note" }, times));
  } else {
    const [count, table] = rows(answer.result, `Rows of ${answer.variant}`);
    parts.push(make("p", { class: "note" }, `${count} · ${times}`), table);
  }
  place.querySelector(".body").replaceChildren(...parts);
}

function showReference(event) {
  const parts = [make("summary", {}, "Reference query of the data set"), query(event.sql)];
  if (event.result) {
    const [count, table] = rows(event.result, "Rows of the reference query");
    parts.push(make("p", { class: "note" }, count), table);
  }
  $("reference").replaceChildren(make("details", {}, ...parts));
  $("reference").hidden = false;
}

function happened(event) {
  if (event.event === "queued") $("status").textContent = `Waiting: ${event.ahead} before this one.`;
  if (event.event === "reference") showReference(event);
  if (event.event === "working") {
    card(event.variant).classList.add("working");
    card(event.variant).querySelector(".body").replaceChildren(make("p", { class: "note" }, "writing"));
    $("status").textContent = `${event.variant} is writing.`;
  }
  if (event.event === "answer") showAnswer(event);
  if (event.event === "error") complain(event.message);
  if (event.event === "end") $("status").textContent = `Answered in ${((performance.now() - started) / 1000).toFixed(1)} s.`;
}

/** Lines of a response as they come. */
async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

function busy(on) {
  $("ask").disabled = on;
  $("stop").hidden = !on;
  $("answers").setAttribute("aria-busy", String(on));
}

async function ask() {
  const question = $("question").value.trim();
  const database = $("database").value; // as it is named, whether or not its schema is shown yet
  complain("");
  if (!question || !database) {
    complain(database ? "Write a question first." : "Choose or upload a database first.");
    $("question").focus();
    return;
  }
  asking?.abort();
  const mine = (asking = new AbortController());
  busy(true);
  started = performance.now();
  $("examples").open = false;
  $("reference").hidden = true;
  $("status").textContent = "Asking.";
  for (const body of document.querySelectorAll(".answer .body")) body.replaceChildren(make("p", { class: "note" }, "waits"));
  try {
    const body = JSON.stringify({ question, database });
    const answer = await call("/ask", { method: "POST", body, signal: mine.signal });
    for await (const line of lines(answer)) happened(JSON.parse(line));
  } catch (error) {
    if (asking !== mine) return;
    if (error.name === "AbortError") $("status").textContent = "Stopped.";
    else complain(explained(error));
  } finally {
    if (asking === mine) {
      asking = null;
      busy(false);
      if (!$("trouble").hidden) $("status").textContent = "";
      for (const place of document.querySelectorAll(".answer")) {
        place.classList.remove("working");
        const waits = place.querySelector(".body > .note:only-child");
        if (waits && ["waits", "writing"].includes(waits.textContent)) waits.textContent = "No answer.";
      }
    }
  }
}

// ---- controls ----

const guarded = (work) => (event) => work(event)?.catch?.((error) => complain(explained(error)));

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  ask();
});
$("question").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("form").requestSubmit();
});
$("stop").addEventListener("click", () => asking?.abort());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") asking?.abort();
});
$("database").addEventListener("change", guarded(() => showDatabase($("database").value)));
$("remove").addEventListener("click", guarded(async () => {
  await call(`/databases/${encodeURIComponent($("database").value)}`, { method: "DELETE" });
  await listDatabases();
}));
$("file").addEventListener("change", () => {
  const [file] = $("file").files;
  $("file").value = "";
  if (file) upload(file);
});
guarded(() => listDatabases())();
