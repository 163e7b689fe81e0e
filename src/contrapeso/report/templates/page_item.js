"use strict";
// One item with every variant's answer. Joined with page.js, whose words, task and helpers it uses.

const order = () => {
  const pair = [...new Set([0, variant()])];
  return [pair, task.variants.map((_, v) => v).filter((v) => !pair.includes(v))];
};
const verdict = (right) => make("span", { class: `tag ${right ? "right" : "wrong"}` }, right ? `✓ ${say.right}` : `✗ ${say.wrong}`);

// ---- one text-to-SQL item ----

function queries(i) {
  const [pair, others] = order();
  const against = task.reply[pair.at(-1)][i];
  const gold = make("div", { class: "query" }, make("h4", {}, say.gold),
    sql(task.gold[i], against ? against[1] : task.gold_code[i]), ...rows(task.gold_rows[i]));
  const [schema, code] = task.schemas[task.group[i]];
  return [
    gold,
    make("div", { class: "pair" }, ...pair.map((v) => query(v, i))),
    others.length ? make("details", {}, make("summary", {}, say.others), make("div", { class: "pair" }, ...others.map((v) => query(v, i)))) : null,
    schema ? make("details", {}, make("summary", {}, say.schema), sql(schema, code)) : null,
  ];
}

function query(v, i) {
  const reply = task.reply[v][i];
  if (!reply) return make("div", { class: "query" }, make("h4", {}, task.variants[v]), make("p", {}, say.not_asked));
  const [text, , code, reason, detail, rules, stopped, result] = reply;
  const right = task.correct[v][i] === "1";
  const why = [right ? "" : task.reasons[reason], detail, stopped ? "" : say.cut_off].filter(Boolean).join(": ");
  const byRule = ["unordered", "spider", "strict"].map((name, at) => `${name} ${{ 1: "✓", 0: "✗" }[rules[at]] ?? "–"}`);
  const same = result && JSON.stringify(result) === JSON.stringify(task.gold_rows[i]);
  return make("div", { class: "query" }, make("h4", {}, task.variants[v], verdict(right)),
    text ? sql(text, code) : make("p", {}, say.no_answer),
    why ? make("p", { class: "why" }, why) : null,
    make("p", {}, `${say.rules}: ${byRule.join(" · ")}`),
    ...(same ? [make("p", {}, say.same_rows)] : rows(result)));
}

/** A query with its tokens coloured; `k6n1N4` reads: keyword of 6 characters, plain 1, plain 4 that differ. */
function sql(text, code) {
  const points = Array.from(text), pre = make("pre", {});
  let at = 0;
  for (const [, letter, length] of code.matchAll(/([a-z])(\d+)/gi)) {
    const piece = points.slice(at, (at += Number(length))).join(""), lower = letter.toLowerCase();
    pre.append(letter !== lower ? make("mark", { class: `t-${lower}` }, piece)
      : lower === "n" ? piece : make("span", { class: `t-${lower}` }, piece));
  }
  return pre;
}

function rows(result) {
  if (!result) return [make("p", {}, say.no_rows)];
  const [cells, count, columns] = result;
  const words = cells.length < count ? say.rows_first : say.rows;
  const size = fill(words, { rows: number(count), columns: number(columns), shown: number(cells.length) });
  const body = make("tbody", {}, ...cells.map((row) => make("tr", {}, ...row.map((cell) => make("td", { title: cell }, cell)))));
  return [make("div", { class: "scroll" }, make("table", {}, make("caption", {}, size), body))];
}

// ---- one multiple-choice item ----

function options(i) {
  const letters = task.choices[i].map((_, at) => String.fromCharCode(65 + at));
  const gold = letters.indexOf(task.gold[i]);
  const list = make("ol", { class: "options" }, ...task.choices[i].map((choice, at) =>
    make("li", at === gold ? { class: "is-gold" } : {}, make("span", {}, letters[at]), make("span", { dir: "auto" }, choice),
      at === gold ? make("span", { class: "tag right" }, say.gold) : "")));
  const head = make("tr", {}, make("th", { scope: "col" }, ""), ...letters.map((letter, at) =>
    make("th", { scope: "col", class: at === gold ? "gold" : "" }, letter)));
  const [pair, others] = order();
  const lines = [...pair, ...others].map((v) => chances(v, i, letters, gold, others.includes(v)));
  return [list, make("p", { class: "quiet" }, say.probabilities),
    make("table", { class: "chances" }, make("caption", {}, say.probabilities), make("thead", {}, head), make("tbody", {}, ...lines))];
}

function chances(v, i, letters, gold, other) {
  const reply = task.reply[v][i];
  const name = make("th", { scope: "row" }, task.variants[v]);
  const line = make("tr", other ? { class: "other" } : {}, name);
  if (!reply) name.append(make("small", {}, say.not_asked));
  else name.append(" ", verdict(task.correct[v][i] === "1"), reply[1] === "0" ? make("small", {}, say.no_letter) : "");
  letters.forEach((letter, at) => {
    const share = reply.charCodeAt(2 + at) - PERCENT_ZERO; // not a number where nothing is known
    const picked = reply[0] === letter;
    const cell = make("td", { class: `${picked ? "chosen" : ""} ${at === gold ? "gold" : ""}` }, Number.isNaN(share) ? "–" : String(share),
      picked ? ` ●` : "", picked ? make("span", { class: "unseen" }, say.chosen) : "");
    if (share >= 0) cell.style.setProperty("--p", share / 100);
    line.append(cell);
  });
  return line;
}
