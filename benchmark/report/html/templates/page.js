(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const make = (name, attributes = {}, text = "") => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const status = make("p", { role: "status", class: "skip" });
  document.body.append(status);

  // Tables: a click on a heading sorts, a third one restores the order.
  for (const table of all("table.data")) {
    const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
    if (rows.length < 2) continue;
    heads.forEach((head, column) => {
      const button = make("button", { class: "sort", type: "button" });
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const state = head.getAttribute("aria-sort");
        const next = state === "ascending" ? "descending" : state === "descending" ? "" : "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        if (next) head.setAttribute("aria-sort", next);
        const key = (row) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();
        const numeric = head.classList.contains("number");
        const sign = next === "descending" ? -1 : 1;
        const sorted = [...rows];
        if (next) sorted.sort((a, b) => {
          const x = key(a), y = key(b);
          if (!numeric) return sign * x.localeCompare(y);
          if (x === "" || y === "") return (x === "") - (y === "");
          return sign * (x - y);
        });
        body.append(...sorted);
      });
    });
  }

  // Commands: copied with a button.
  for (const code of all(".command code")) {
    const button = make("button", { class: "copy", type: "button", "aria-label": "Copy the command" }, "Copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
        getSelection().removeAllRanges();
      }
      button.textContent = "Copied";
      status.textContent = "The command was copied.";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    code.after(button);
  }

  // Edits: each opens a view of source, target, edit, true picture and difference, under one slider.
  const dialog = document.getElementById("view");
  if (dialog) {
    const part = (name) => dialog.querySelector(`[data-part=${name}]`);
    const slider = part("slider"), choices = part("choices");
    let open = null, others = {};

    const paint = (element, tile) => {
      element.className = `${tile.className.replace(/\bover\b/, "")} ${element.dataset.extra ?? ""}`;
    };
    const related = (tile) => {
      const block = tile.closest("[data-block]");
      const find = (kind) => {
        const matches = all(`[data-kind=${kind}]`, block).filter((other) => !other.dataset.to || other.dataset.to === tile.dataset.to);
        const above = matches.filter((other) => other.compareDocumentPosition(tile) & Node.DOCUMENT_POSITION_FOLLOWING);
        return above.at(-1) ?? matches[0];
      };
      return { source: find("source"), reference: find("reference"), truth: find("truth") };
    };
    const cut = () => {
      part("stage").style.setProperty("--cut", `${slider.value}%`);
    };
    const choose = (kind) => {
      paint(part("under"), others[kind]);
      part("right").textContent = { source: "source", reference: "target (reference)", truth: "true picture" }[kind];
    };
    const show = (tile) => {
      open = tile;
      others = Object.fromEntries(Object.entries(related(tile)).filter(([, other]) => other));
      part("words").textContent = tile.getAttribute("aria-label");
      paint(part("over"), tile);
      choices.replaceChildren();
      const chosen = others.truth ? "truth" : "source";
      const add = (name, content, kind) => {
        const box = make(kind ? "label" : "div", kind ? {} : { class: "plain" });
        box.append(content);
        if (kind) {
          const radio = make("input", { type: "radio", name: "under", value: kind });
          radio.checked = kind === chosen;
          radio.addEventListener("change", () => choose(kind));
          box.append(radio);
        }
        box.append(name);
        choices.append(box);
      };
      const copy = (of) => {
        const element = make("span");
        paint(element, of);
        return element;
      };
      const target = tile.dataset.to;
      if (others.source) add("source", copy(others.source), "source");
      if (others.reference) add(`target: ${target}`, copy(others.reference), "reference");
      add(others.reference ? "edit" : `edit to ${target}`, copy(tile), "");
      if (others.truth) {
        add("true picture", copy(others.truth), "truth");
        const difference = make("div", { class: "difference" });
        difference.append(copy(others.truth), copy(tile));
        add("difference, × 2.5", difference, "");
      }
      choose(chosen);
      cut();
      if (!dialog.open) dialog.showModal();
    };
    const edits = all("[data-kind=edit]");
    const step = (by) => {
      const index = edits.indexOf(open) + by;
      if (edits[index]) show(edits[index]);
    };
    slider.addEventListener("input", cut);
    part("close").addEventListener("click", () => dialog.close());
    part("before").addEventListener("click", () => step(-1));
    part("after").addEventListener("click", () => step(1));
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    dialog.addEventListener("close", () => open?.focus());

    // One stop of the Tab key for each grid; arrow keys move inside it.
    for (const grid of all("[data-grid]")) {
      const tiles = all("[data-kind=edit]", grid);
      tiles.forEach((tile, index) => {
        tile.setAttribute("role", "button");
        tile.tabIndex = index ? -1 : 0;
      });
      const lines = all("[data-line]", grid).map((line) => all("[data-kind=edit]", line)).filter((line) => line.length);
      grid.addEventListener("click", (event) => {
        const tile = event.target.closest("[data-kind=edit]");
        if (tile) show(tile);
      });
      grid.addEventListener("keydown", (event) => {
        const tile = event.target.closest?.("[data-kind=edit]");
        if (!tile) return;
        if (event.key === "Enter" || event.key === " ") {
          event.preventDefault();
          show(tile);
          return;
        }
        const moves = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
        const move = moves[event.key];
        if (!move) return;
        event.preventDefault();
        const line = lines.findIndex((one) => one.includes(tile));
        const across = (one) => Math.round(one.getBoundingClientRect().left);
        let next;
        if (move[1]) next = lines[line][lines[line].indexOf(tile) + move[1]];
        else if (lines[line + move[0]]) {
          next = lines[line + move[0]].reduce((a, b) => (Math.abs(across(b) - across(tile)) < Math.abs(across(a) - across(tile)) ? b : a));
        }
        if (!next) return;
        tile.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      });
    }
  }

  // On paper everything is unfolded.
  addEventListener("beforeprint", () => all("details").forEach((fold) => { fold.dataset.was = fold.open; fold.open = true; }));
  addEventListener("afterprint", () => all("details").forEach((fold) => { fold.open = fold.dataset.was === "true"; }));
})();
