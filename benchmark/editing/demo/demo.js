"use strict";
const at = (id) => document.getElementById(id);
const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};
const chosen = { source: "", reference: "", target: "happy", models: new Set() };
let state, timer, asked = 0;

async function send(path, options) {
  const response = await fetch(path, options);
  const content = await response.json().catch(() => ({ error: "The demo does not answer as it should." }));
  if (!response.ok) throw new Error(content.error);
  return content;
}
function tell(text, fault = false, line = at("status")) {
  line.textContent = text;
  line.classList.toggle("fault", fault);
}
const way = () => document.querySelector("input[name=way]:checked").value;

function press(group, button) {
  for (const other of group.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
}
function choose(kind, name) {
  chosen[kind] = name;
  tell("", false, at(`${kind}-told`));
  at(kind === "source" ? "chosen" : "reference").src = `faces/${encodeURIComponent(name)}`;
  later();
}
// The file of an input, which forgets it: a browser tells nothing where the same name is chosen again.
function taken(input) {
  const [file] = input.files;
  input.value = "";
  return file;
}

async function upload(kind, file) {
  if (!file) return;
  const line = at(`${kind}-told`); // beside the button: on a phone the edits are far below
  if (file.size > state.largest_upload) return tell(`This file is too large: at most ${state.largest_upload >> 20} MB.`, true, line);
  tell("Looking for the face ...", false, line);
  try {
    const { name } = await send("uploads", { method: "POST", body: file });
    press(at(kind === "source" ? "faces" : "references"), null);
    choose(kind, name);
  } catch (error) { tell(error.message, true, line); }
}
function gallery(kind, select, group) {
  const show = () => {
    group.replaceChildren(...state.faces.filter((face) => face.identity === select.value).map((face) => {
      const button = make("button", { type: "button", title: face.expression },
        make("img", { src: `faces/${encodeURIComponent(face.name)}`, alt: `${face.expression}`, loading: "lazy" }));
      button.setAttribute("aria-pressed", String(chosen[kind] === face.name));
      button.addEventListener("click", () => { press(group, button); choose(kind, face.name); });
      return button;
    }));
  };
  for (const name of new Set(state.faces.map((face) => face.identity))) select.append(make("option", { value: name, textContent: name }));
  select.addEventListener("change", show);
  return show;
}
function units() { return [...at("units").querySelectorAll("input")].map((input) => Number(input.value)); }
function setUnits(values) {
  at("units").querySelectorAll("input").forEach((input, index) => {
    input.value = values[index];
    input.nextElementSibling.textContent = Number(values[index]).toFixed(1);
  });
}
function later() { clearTimeout(timer); timer = setTimeout(editAll, 120); }

async function editAll() {
  const round = ++asked;
  const names = state.models.map((model) => model.name).filter((name) => chosen.models.has(name));
  const guide = way();
  if (guide === "reference" && !chosen.reference) return tell("Choose a reference.");
  const form = { source: chosen.source, seed: Number(at("seed").value) || 0 };
  if (guide === "expression") form.target = chosen.target;
  if (guide === "reference") form.reference = chosen.reference;
  if (guide === "units") form.units = units();
  for (const card of [...at("edits").children]) if (!names.includes(card.dataset.model)) card.remove();
  let count = 0, slowest = 0;
  for (const name of names) {
    const card = cardOf(name, names);
    const refuse = (text, className = "fault") => card.querySelector(".body").replaceChildren(make("p", { className, textContent: text }));
    if (!state.models.find((model) => model.name === name).takes.includes(guide)) {
      refuse(`${name} is not guided by ${{ expression: "an expression's name", reference: "references", units: "action units" }[guide]}.`, "quiet");
      continue;
    }
    try {
      const edit = await send("edits", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ...form, model: name }) });
      if (round !== asked) return;
      fill(card, name, edit);
      count += 1;
      slowest = Math.max(slowest, edit.seconds);
    } catch (error) {
      if (round !== asked) return;
      refuse(error.message);
    }
  }
  tell(count ? `${count === 1 ? "1 edit" : `${count} edits, the slowest`} in ${slowest.toFixed(2)} s.` : names.length ? "" : "Choose a method.");
}
function cardOf(name, names) {
  let card = [...at("edits").children].find((each) => each.dataset.model === name);
  if (!card) {
    card = make("article", { className: "card edit" }, make("h3", { textContent: name }), make("div", { className: "body" }));
    card.dataset.model = name;
    const after = [...at("edits").children].find((each) => names.indexOf(each.dataset.model) > names.indexOf(name));
    at("edits").insertBefore(card, after || null);
  }
  return card;
}
function fill(card, name, edit) {
  const top = make("img", { src: edit.edit, alt: `Edit by ${name}`, className: "top" });
  const pair = make("div", { className: "pair" }, make("img", { src: edit.source, alt: "Source" }), top, make("i"));
  const rows = [];
  const line = (label, value, text, kind) => rows.push(make("dt", { textContent: label }),
    make("dd", { className: "bar" }, Object.assign(make("meter"), { min: 0, max: 1, value, ariaLabel: `${kind} ${label}` })),
    make("dd", { className: "number", textContent: text }));
  Object.entries(edit.judge).sort((a, b) => b[1] - a[1]).slice(0, 3).forEach(([label, value]) => line(label, value, `${(100 * value).toFixed(0)} %`, "judge:"));
  if (edit.identity !== null) line("identity", Math.max(0, edit.identity), edit.identity.toFixed(2), "similarity:");
  const link = make("a", { className: "button", href: edit.edit, download: `${name}.png`.replaceAll(" ", "-"), textContent: "Download" });
  card.querySelector(".body").replaceChildren(pair, make("dl", {}, ...rows), make("div", { className: "row" }, link, make("span", { className: "quiet", textContent: `${edit.seconds.toFixed(2)} s` })));
  blend();
}
function blend() {
  const cut = at("slider").value;
  for (const top of document.querySelectorAll(".top")) top.style.clipPath = `inset(0 ${100 - cut}% 0 0)`;
  for (const edge of document.querySelectorAll(".pair i")) {
    edge.style.left = `${cut}%`;
    edge.hidden = cut === "0" || cut === "100";
  }
}

async function begin() {
  try { state = await send("state"); } catch (error) { return tell(error.message, true); }
  for (const model of state.models) {
    const button = make("button", { type: "button", textContent: model.name });
    chosen.models.add(model.name);
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      chosen.models[chosen.models.has(model.name) ? "delete" : "add"](model.name);
      button.setAttribute("aria-pressed", String(chosen.models.has(model.name)));
      later();
    });
    at("models").append(button);
  }
  for (const name of state.expressions) {
    const button = make("button", { type: "button", textContent: name });
    button.setAttribute("aria-pressed", String(name === chosen.target));
    button.addEventListener("click", () => { chosen.target = name; press(at("by-expression"), button); later(); });
    at("by-expression").append(button);
    at("prototype").append(make("option", { value: name, textContent: name, selected: name === "happy" }));
  }
  state.units.forEach(({ name, words }) => {
    const input = make("input", { type: "range", min: 0, max: 5, step: 0.1, id: `unit-${name}` });
    const number = make("span");
    input.addEventListener("input", () => { number.textContent = Number(input.value).toFixed(1); later(); });
    at("units").append(make("div", { className: "unit" }, make("label", { htmlFor: input.id }, `${name} `, make("span", { textContent: words })), input, number));
  });
  setUnits(state.prototypes.happy);
  at("prototype").addEventListener("change", (event) => { setUnits(state.prototypes[event.target.value]); later(); });
  for (const radio of document.querySelectorAll("input[name=way]")) radio.addEventListener("change", () => {
    for (const each of ["expression", "reference", "units"]) at(`by-${each}`).hidden = each !== way();
    at("seed-label").hidden = way() !== "expression";
    later();
  });
  at("seed").addEventListener("input", later);
  at("slider").addEventListener("input", blend);
  at("file").addEventListener("change", (event) => upload("source", taken(event.target)));
  at("reference-file").addEventListener("change", (event) => upload("reference", taken(event.target)));
  const drop = at("drop");
  for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") upload(event.target.closest("#by-reference") ? "reference" : "source", event.dataTransfer.files[0]);
  });
  const shows = [gallery("source", at("person"), at("faces")), gallery("reference", at("reference-person"), at("references"))];
  const first = state.faces.find((face) => face.expression === "neutral") || state.faces[0];
  const other = state.faces.find((face) => face.identity !== first.identity && face.expression === "happy");
  if (other) { at("reference-person").value = other.identity; chosen.reference = other.name; at("reference").src = `faces/${encodeURIComponent(other.name)}`; }
  chosen.source = first.name;
  for (const show of shows) show();
  const notes = [];
  if (!state.judge.length) notes.push("No judge was found: benchmark.run trains one.");
  if (!state.identity) notes.push("No identity network: pip install 'fesbench[photos]'.");
  if (!state.finds_faces) notes.push("Faces are not looked for: pictures are cut to their middle.");
  at("notes").textContent = [...notes, "Below each edit: what the judge sees in it, and how near its face is to the source's (one person above 0.4)."].join(" ");
  choose("source", first.name);
}
begin();
