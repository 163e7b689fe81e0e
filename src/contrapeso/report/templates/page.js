"use strict";
// Sorts tables, and finds items (page_item.js shows one). All text enters the page as text nodes, never as markup.
const $ = (id) => document.getElementById(id);
const CHUNK = 60; // rows of the list made at a time
const PERCENT_ZERO = 35; // see explorer.py
const BASE_85 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;,=>?@^_`{|}~"; // see packing.py

/** An element with attributes and children; strings become text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

// ---- tables ----

function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent : Number(cell.dataset.sort);
  };
  heads.forEach((head, column) => {
    const button = make("button", { type: "button" }, head.textContent);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
      rows.sort(([a], [b]) => {
        if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
        const order = typeof a === "number" ? a - b : a.localeCompare(b);
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows.map(([, row]) => row));
    });
  });
}
document.querySelectorAll("table[data-sortable]").forEach(sortable);

// ---- items ----

let data, say, task; // everything, its words, the task shown
let found = []; // places of the items that pass the filters
let made = 0; // rows of the list that exist
let chosen = 0; // place in `found` of the item shown

const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
const number = (value) => value.toLocaleString(data.language);
const variant = () => Number($("variant").value || 0);

/** Which of the five kinds an item is for the variant chosen. */
function kind(i) {
  const base = task.correct[0][i], other = task.correct[variant()][i];
  if (task.left_out[i] || base === "-" || other === "-") return "apart";
  if (base === other) return base === "1" ? "both" : "neither";
  return base === "1" ? "lost" : "gained";
}

/** All text of an item in lower case, made when first searched. */
function haystack(i) {
  task.hay ??= [];
  return (task.hay[i] ??= [
    task.id[i], task.question[i], task.gold[i],
    ...(task.choices ? task.choices[i] : task.reply.map((replies) => replies[i]?.[0] ?? "")),
  ].join("\n").toLowerCase());
}

function choose(id, names, first) {
  const options = names.map((name, place) => make("option", { value: place }, name));
  $(id).replaceChildren(...(first ? [make("option", { value: "" }, first)] : []), ...options);
}

function openTask() {
  task = data.tasks[Number($("task").value || 0)];
  const several = task.variants.length > 1;
  choose("variant", task.variants, null);
  if (several) {
    $("variant").options[0].remove();
    $("variant").selectedIndex = 0;
  }
  for (const name of ["part", "group"]) {
    $(`${name}-name`).textContent = say[`${name}_${task.kind}`];
    const order = task[`${name}s`].map((label, place) => [label, place]);
    if (name === "group") order.sort(([a], [b]) => a.localeCompare(b));
    choose(name, order.map(([label]) => label), say.any);
    [...$(name).options].slice(1).forEach((option, place) => (option.value = order[place][1]));
  }
  choose("reason", task.reasons ?? [], say.any);
  $("reason-label").hidden = !task.reasons;
  $("variant-label").hidden = !several;
  filter();
}

/** Close whatever would count right answers where the audit withholds that number, and say why; whether it does. */
function withhold() {
  const place = [0, variant()].find((v) => task.withheld[v]);
  const why = place === undefined ? "" : fill(say.withheld, { variant: task.variants[place], reason: task.withheld[place] });
  const [all, ...others] = document.querySelectorAll("[name=show]");
  for (const control of [$("reason"), ...others]) {
    control.disabled = Boolean(why);
    control.closest("label").title = why;
    control.setAttribute("aria-description", why);
  }
  if (why) {
    all.checked = true;
    $("reason").value = "";
  }
  $("withheld").hidden = !why;
  $("withheld").textContent = why;
  return Boolean(why);
}

function filter() {
  const withheld = withhold();
  const [part, group, reason] = ["part", "group", "reason"].map((id) => $(id).value);
  const words = $("query").value.toLowerCase().split(/\s+/).filter(Boolean);
  const replies = task.reply[variant()];
  const show = document.querySelector("[name=show]:checked").value;
  const counts = { all: 0, lost: 0, gained: 0, both: 0, neither: 0, apart: 0 };
  found = [];
  for (let i = 0; i < task.id.length; i++) {
    if (part && task.part[i] !== Number(part)) continue;
    if (group && task.group[i] !== Number(group)) continue;
    if (reason && replies[i]?.[3] !== Number(reason)) continue;
    if (words.length && !words.every((word) => haystack(i).includes(word))) continue;
    const what = kind(i);
    counts.all++;
    counts[what]++;
    if (show === "all" || show === what) found.push(i);
  }
  for (const [name, count] of Object.entries(counts)) {
    document.querySelector(`[data-count=${name}]`).textContent = withheld && name !== "all" ? "" : number(count);
  }
  const apart = document.querySelector(".choice.apart");
  apart.hidden = !counts.apart && show !== "apart";
  $("count").textContent = fill(say.count, { n: number(found.length), all: number(task.id.length) });
  made = 0;
  $("list").replaceChildren();
  $("list").scrollTop = 0;
  more();
  select(0);
}

/** Make the next rows of the list. */
function more() {
  const rows = found.slice(made, made + CHUNK).map((i, place) => {
    const what = kind(i);
    const row = make("div", {
      role: "option", id: `item-${made + place}`, "aria-selected": "false",
      "aria-posinset": made + place + 1, "aria-setsize": found.length,
    });
    row.append(
      make("div", { class: "about" }, `${task.groups[task.group[i]]} · ${task.id[i].split("/").pop()}`,
        make("span", { class: `tag ${what}` }, say[what])),
      make("div", { class: "text", dir: "auto" }, task.question[i].slice(0, 200) || task.id[i]),
    );
    return row;
  });
  $("list").append(...rows);
  made += rows.length;
}

function select(place) {
  const list = $("list");
  if (!found.length) {
    list.removeAttribute("aria-activedescendant");
    list.replaceChildren(make("p", {}, say.none));
    $("detail").replaceChildren();
    return;
  }
  place = Math.max(0, Math.min(place, found.length - 1));
  while (made <= place) more();
  list.querySelector("[aria-selected=true]")?.setAttribute("aria-selected", "false");
  const row = $(`item-${place}`);
  row.setAttribute("aria-selected", "true");
  list.setAttribute("aria-activedescendant", row.id);
  const above = row.offsetTop - list.offsetTop;
  if (above < list.scrollTop) list.scrollTop = above;
  if (above + row.offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = above + row.offsetHeight - list.clientHeight;
  chosen = place;
  detail(found[place]);
}

function detail(i) {
  const steps = [[-1, say.previous], [1, say.next]].map(([step, label]) => {
    const button = make("button", { type: "button" }, label);
    button.disabled = !(chosen + step in found);
    button.addEventListener("click", () => {
      select(chosen + step);
      document.querySelectorAll(".steps button")[step < 0 ? 0 : 1].focus();
    });
    return button;
  });
  const what = kind(i);
  const question = task.question[i] + (task.full[i] ? ` ${fill(say.shortened, { length: number(task.full[i]) })}` : "");
  const about = [task.id[i], task.groups[task.group[i]], task.parts[task.part[i]], ...(task.flags ? task.flags[i] : [])];
  $("detail").replaceChildren(...[
    make("div", { class: "steps" }, steps[0],
      make("span", {}, fill(say.position, { i: number(chosen + 1), n: number(found.length) })), steps[1]),
    make("div", { class: "quiet" }, make("small", {}, about.join(" · "), " · ", make("span", { class: `tag ${what}` }, say[what]))),
    make("h3", { dir: "auto" }, question || task.id[i]),
    task.left_out[i] ? make("p", { class: "note" }, fill(say.left_out, { reason: task.left_out[i] })) : null,
    ...(task.kind === "options" ? options(i) : queries(i)),
  ].filter((part) => part !== null));
}

// ---- start ----

function listen() {
  $("task").addEventListener("change", openTask);
  for (const id of ["variant", "part", "group", "reason"]) $(id).addEventListener("change", filter);
  $("show").addEventListener("change", filter);
  $("query").addEventListener("input", filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("list").addEventListener("scroll", () => {
    if ($("list").scrollTop + 2 * $("list").clientHeight > $("list").scrollHeight && made < found.length) more();
  });
  $("list").addEventListener("click", (event) => {
    const row = event.target.closest("[role=option]");
    if (row) select(Number(row.id.slice(5)));
  });
  $("explorer").addEventListener("keydown", (event) => {
    if (event.target.closest("input[type=search], select, fieldset") || event.ctrlKey || event.metaKey || event.altKey) return;
    const step = { j: 1, k: -1, ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity }[event.key];
    if (step && (event.target.id === "list" || event.key === "j" || event.key === "k")) select(chosen + step);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.target.closest("input[type=search], select") || event.ctrlKey || event.metaKey || event.altKey) return;
    $("query").focus();
    event.preventDefault();
  });
}

/** Bytes from text in base 85: five digits stand for four bytes, the last group is filled up with the last digit. */
function bytesOf(text) {
  const digit = new Uint8Array(128);
  [...BASE_85].forEach((character, value) => (digit[character.charCodeAt(0)] = value));
  const missing = (5 - (text.length % 5)) % 5, full = text + BASE_85.at(-1).repeat(missing);
  const bytes = new DataView(new ArrayBuffer((full.length / 5) * 4));
  for (let from = 0, to = 0; from < full.length; from += 5, to += 4) {
    let value = 0;
    for (let at = from; at < from + 5; at++) value = value * 85 + digit[full.charCodeAt(at)];
    bytes.setUint32(to, value);
  }
  return bytes.buffer.slice(0, bytes.byteLength - missing);
}

async function start() {
  if (!("DecompressionStream" in window)) throw new Error("old");
  const stream = new Blob([bytesOf($("packed-items").textContent)]).stream().pipeThrough(new DecompressionStream("deflate"));
  data = JSON.parse(await new Response(stream).text());
  say = data.words;
  if (!data.tasks.length) return;
  choose("task", data.tasks.map((each) => each.name), null);
  $("task-label").hidden = data.tasks.length < 2;
  $("explorer").hidden = false;
  listen();
  openTask();
  performance.mark("items-ready");
}
start().catch((error) => {
  const trouble = $("items-trouble");
  trouble.textContent = error.message === "old" ? trouble.dataset.old : trouble.dataset.broken;
  trouble.hidden = false;
});
