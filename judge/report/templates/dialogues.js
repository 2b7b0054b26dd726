"use strict";
// Text from the data is only ever written as text. Rows are drawn as they scroll into view.
(async () => {
  const ROW = 40, NONE = -1, FLAGGED = 1, FAILED = 2, PARTS = ["system", "character", "scenario"];
  const byId = (id) => document.getElementById(id);
  const form = byId("filter"), list = byId("list"), rows = byId("rows"), detail = byId("detail");
  const fields = form.elements;

  async function unpack(id) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }
  function make(tag, text, name) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (name) element.className = name;
    return element;
  }

  const index = await unpack("index");
  const { metrics, labels, failures, score, state, whole } = index;
  const besides = Object.entries(index.beside);
  const n = index.system.codes.length;
  const points = (value) => value === NONE || value === undefined ? "–" : (value / 1e4).toFixed(2);
  const name = (part, row) => index[part].names[index[part].codes[row]];
  const idOf = (row) => PARTS.map((part) => name(part, row)).join("/");
  const mean = (columns, row) => {
    let sum = 0;
    for (const column of columns) {
      if (column[row] === NONE) return NONE;
      sum += column[row];
    }
    return columns.length ? sum / columns.length : NONE;
  };
  const overall = Float64Array.from({ length: n }, (_, row) => mean(score, row));
  const rowOf = new Map(Array.from({ length: n }, (_, row) => [idOf(row), row]));
  const blocks = new Map();
  const textOf = async (row) => {
    const at = Math.floor(row / index.block);
    if (!blocks.has(at)) blocks.set(at, unpack(`block-${at}`));
    return (await blocks.get(at))[row % index.block];
  };

  for (const part of PARTS) {
    for (const text of index[part].names) fields[part].append(new Option(text, text));
  }
  fields.metric.append(new Option(whole, ""), ...metrics.map((title, at) => new Option(title, at)));
  fields.show.append(...failures.map((code) => new Option(`Failure: ${code}`, code)));
  const sorts = { "": "lowest score", high: "highest score", system: "system", character: "character", scenario: "scenario" };
  for (const [value, text] of Object.entries(sorts)) fields.sort.append(new Option(text, value));
  for (const [title] of besides) fields.sort.append(new Option(`farthest from ${title}`, title));

  let shown = [], open = null, beside = "", wanted = {};
  const chosen = () => fields.metric.value === "" ? null : Number(fields.metric.value);
  const value = (row) => chosen() === null ? overall[row] : score[chosen()][row];
  const other = (columns, row) => chosen() === null ? mean(columns, row) : columns[chosen()][row];
  const states = (row) => chosen() === null ? state.map((of) => of[row]) : [state[chosen()][row]];

  function matches(row) {
    if (PARTS.some((part) => fields[part].value && name(part, row) !== fields[part].value)) return false;
    const now = value(row), low = fields.from.value, high = fields.to.value;
    if ((low || high) && now === NONE) return false;
    if (low && now < low * 1e4 - 1e-6 || high && now > high * 1e4 + 1e-6) return false;
    const show = fields.show.value;
    if (!show) return true;
    const at = failures.indexOf(show);
    return states(row).some((one) =>
      show === "flagged" ? one === FLAGGED : show === "failed" ? one >= FAILED : one === FAILED + at);
  }
  function order() {
    const by = fields.sort.value;
    if (PARTS.includes(by)) {
      const codes = index[by].codes;
      return (a, b) => codes[a] - codes[b] || a - b;
    }
    const columns = index.beside[by];
    const key = columns
      ? (row) => other(columns, row) === NONE || value(row) === NONE ? NONE : Math.abs(value(row) - other(columns, row))
      : value;
    const sign = columns || by === "high" ? -1 : 1;
    // What has no score comes last in either order.
    return (a, b) => {
      const one = key(a), two = key(b);
      return one === NONE || two === NONE ? (one === NONE) - (two === NONE) || a - b : sign * (one - two) || a - b;
    };
  }
  function update() {
    shown = [];
    for (let row = 0; row < n; row += 1) if (matches(row)) shown.push(row);
    shown.sort(order());
    rows.style.height = `${shown.length * ROW}px`;
    const missing = Object.entries(wanted).filter(([key, text]) => fields[key] && fields[key].value !== text);
    byId("status").textContent = `${shown.length.toLocaleString("en")} of ${n.toLocaleString("en")} dialogues` +
      missing.map(([key, text]) => `; the link asks for the ${key} ${text}, which is not here`).join("");
    list.scrollTop = 0;
    draw();
  }
  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 5);
    const last = Math.min(shown.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + 5);
    const drawn = [];
    for (let at = first; at < last; at += 1) {
      const row = shown[at], line = make("div", undefined, "row"), who = make("span", name("system", row));
      who.append(make("small", `${name("character", row)}, ${name("scenario", row)}`));
      const marks = states(row);
      const mark = marks.some((one) => one >= FAILED) ? "✕" : marks.includes(FLAGGED) ? "⚑" : "";
      line.append(make("b", points(value(row))), who, make("span", mark));
      line.style.top = `${at * ROW}px`;
      line.dataset.row = row;
      line.id = `row-${row}`;
      line.setAttribute("role", "option");
      line.setAttribute("aria-selected", row === open);
      line.setAttribute("aria-posinset", at + 1);
      line.setAttribute("aria-setsize", shown.length);
      drawn.push(line);
    }
    rows.replaceChildren(...drawn);
    if (open === null) list.removeAttribute("aria-activedescendant");
    else list.setAttribute("aria-activedescendant", `row-${open}`);
  }

  function bar(shares) {
    const all = make("span", undefined, "bar");
    all.setAttribute("role", "img");
    all.setAttribute("aria-label", shares.map((share, at) => `${labels[at]}: ${share / 10}%`).join(", "));
    all.title = all.getAttribute("aria-label");
    shares.forEach((share, at) => {
      const part = make("i");
      part.style.width = `${share / 10}%`;
      part.style.setProperty("--at", `${100 * at / Math.max(1, shares.length - 1)}%`);
      all.append(part);
    });
    return all;
  }
  async function side(row) {
    const [rounds, judged] = await textOf(row);
    const article = make("article"), turns = make("div", undefined, "turns");
    article.append(make("h3", `${name("system", row)}: ${points(overall[row])} ${whole.toLowerCase()}${index.calibrated ? `, ${index.first}` : ""}`));
    if (!rounds.length) turns.append(make("p", "The text is not at hand: the file of dialogues was not found.", "muted"));
    for (const [question, answer] of rounds) turns.append(make("p", question, "question"), make("p", answer.trim() ? answer : "(nothing)", "answer"));
    const table = make("table", undefined, "reads"), heads = make("tr");
    const known = besides.filter(([, columns]) => columns.some((column) => column[row] !== NONE));
    const titles = ["Metric", ...(index.calibrated ? ["Raw", "Calibrated"] : ["Judge"]), ...known.map(([title]) => title), "Labels"];
    for (const title of titles) {
      heads.append(make("th", title, title === "Metric" || title === "Labels" ? undefined : "n"));
      heads.lastChild.scope = "col";
    }
    table.append(make("thead"), make("tbody"));
    table.tHead.append(heads);
    metrics.forEach((title, at) => {
      const one = judged[at], line = make("tr"), last = make("td");
      line.append(make("th", title));
      line.firstChild.scope = "row";
      line.append(make("td", (one && one[4] !== null ? one[4].toFixed(2) : "–") + (state[at][row] === FLAGGED ? " ⚑" : ""), "n"));
      if (index.calibrated) line.append(make("td", points(index.calibrated[at][row]), "n"));
      for (const [, columns] of known) line.append(make("td", points(columns[at][row]), "n"));
      if (!one) last.textContent = "not judged";
      else if (typeof one[0] === "string") last.textContent = `✕ ${one[0]}: ${one[1]}`;
      else {
        last.append(bar(one[0]));
        if (one[2]) last.append(make("small", one[2]));
        if (one[1] < 0.5) last.append(make("small", `${Math.round(1000 * one[1]) / 10}% on the labels`));
      }
      line.append(last);
      table.tBodies[0].append(line);
    });
    const scroll = make("div", undefined, "wide");
    scroll.append(table);
    article.append(turns, scroll);
    const reasons = judged.map((one, at) => [metrics[at], one && one[3]]).filter(([, why]) => why !== null && why !== undefined);
    if (reasons.length) {
      const more = make("details", undefined, "reasons"), all = make("dl");
      for (const [title, why] of reasons) {
        const entry = make("div");
        entry.append(make("dt", title), make("dd", why || "(nothing written)", "why"));
        all.append(entry);
      }
      more.append(make("summary", "The judge’s reasons"), all);
      article.append(more);
    }
    return article;
  }
  async function show() {
    if (open === null) {
      detail.replaceChildren(make("p", "Choose a dialogue.", "muted"));
      return;
    }
    const row = open, with_ = beside;
    const same = (system) => rowOf.get([system, name("character", row), name("scenario", row)].join("/"));
    const select = make("select"), label = make("label", "Beside it ");
    select.append(new Option("no other system", ""));
    for (const system of index.system.names) {
      if (system !== name("system", row) && same(system) !== undefined) select.append(new Option(system, system));
    }
    select.value = with_;
    select.addEventListener("change", () => { beside = select.value; remember(); show(); });
    label.append(select);
    const second = with_ ? same(with_) : undefined;
    const sides = make("div", undefined, "sides");
    sides.append(...await Promise.all([row, ...(second === undefined ? [] : [second])].map(side)));
    if (open !== row || beside !== with_) return;
    const head = make("h2", `${name("character", row)}, scenario ${name("scenario", row)}`);
    detail.replaceChildren(head, ...(select.options.length > 1 ? [label] : []), sides);
    detail.scrollTop = 0;
  }
  function choose(row) {
    open = row;
    remember();
    draw();
    return show();
  }

  // The address holds what is chosen.
  function remember() {
    const kept = new URLSearchParams([...new FormData(form)].filter(([, text]) => text !== ""));
    if (open !== null) kept.set("open", idOf(open));
    if (open !== null && beside) kept.set("beside", beside);
    history.replaceState(null, "", `#${kept}`);
  }
  function recall() {
    wanted = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
    for (const field of fields) if (field.name) field.value = wanted[field.name] ?? "";
    update();
    open = rowOf.get(wanted.open) ?? null;
    beside = wanted.beside ?? "";
    if (open === null && (wanted.system || wanted.character || wanted.scenario) && shown.length) open = shown[0];
    const at = shown.indexOf(open);
    if (at >= 0) list.scrollTop = Math.max(0, at * ROW - list.clientHeight / 3);
    draw();
    return show();
  }

  form.addEventListener("input", () => { wanted = {}; update(); remember(); });
  form.addEventListener("reset", () => setTimeout(() => { wanted = {}; update(); remember(); }));
  form.addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("scroll", draw, { passive: true });
  addEventListener("resize", draw);
  addEventListener("hashchange", recall);
  list.addEventListener("click", (event) => {
    const line = event.target.closest(".row");
    if (line) choose(Number(line.dataset.row));
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step || !shown.length) return;
    event.preventDefault();
    const at = Math.min(shown.length - 1, Math.max(0, shown.indexOf(open) + step));
    if (at * ROW < list.scrollTop || (at + 1) * ROW > list.scrollTop + list.clientHeight) list.scrollTop = at * ROW - list.clientHeight / 2;
    choose(shown[at]);
  });
  form.hidden = false;
  await recall();
  document.documentElement.dataset.ready = "";
})();
