// The tab "Edit": sound, words, plans and the history of one recording.

import { getJson, lines, request, ServerError } from "./api.js";
import { t } from "./i18n.js";
import { Opening } from "./opening.js";
import { choicesCard, doneCard, planCard, title } from "./plan.js";
import { Player } from "./player.js";
import { SoundView } from "./sound.js";
import { announce, Busy, button, clock, errorBox, field, h, icon, keep, signButton, stem, subtitles } from "./ui.js";
import { Words } from "./words.js";

const QUICK = [
  ["q_louder", "make it 3 dB louder"], ["q_quieter", "make it 3 dB quieter"], ["q_slower", "make it 10% slower"], ["q_faster", "make it 10% faster"],
  ["q_denoise", "remove the background noise"], ["q_silences", "shorten the pauses to 0.4 seconds"], ["q_fillers", "remove the filler words"],
  ["q_loudness", "normalize to -16 LUFS"], ["q_fade", "fade in over 0.5 seconds and fade out over 0.5 seconds"], ["q_reverb", "add some reverb"], ["q_rain", "add rain in the background"],
];

class Editing {
  constructor(root) {
    this.root = root;
    this.work = null;
    this.file = null; // what was opened, to open it again if the server forgets it
    this.current = 0; // the step that the next edit is made on
    this.before = false; // whether the step before it is heard and shown
    this.mode = "edit";
    this.player = new Player();
    this.opening = new Opening((file, text) => this.open(file, text), (id) => this.resume(id));
    this.build();
    this.root.replaceChildren(this.opening.element, this.desk);
    this.desk.hidden = true;
    this.keys();
    this.player.addEventListener("time", () => this.timed());
    this.player.addEventListener("state", () => this.transport());
    this.player.addEventListener("fault", () => this.fault());
  }

  // --- the parts of the desk ---

  build() {
    this.sound = new SoundView({
      seek: (time) => this.player.seek(time),
      select: (a, b, done) => { this.words.selectTime(a, b); if (done && this.words.range) this.words.element.focus(); },
    });
    this.words = new Words({
      select: () => this.selected(),
      seek: (i) => { if (!this.player.playing) this.player.seek(this.words.words[i].start); },
      remove: () => this.ask({ edits: [{ start: this.words.range[0], end: this.words.range[1], new: "" }] }),
      type: (character) => { this.newWords.value = character; this.newWords.focus(); },
    });
    this.name = h("h1", { class: "name" });
    this.about = h("p", { class: "muted time" });
    this.playButton = button(t("play"), () => this.player.toggle(), { sign: "play", kind: "main", "aria-keyshortcuts": "Space", title: t("playKey") });
    this.clock = h("span", { class: "time clock" });
    this.beforeButton = h("button", { type: "button", class: "button", onclick: () => this.compare(true) }, t("before"));
    this.afterButton = h("button", { type: "button", class: "button", onclick: () => this.compare(false) }, t("after"));
    this.ab = h("div", { class: "segments", role: "group", "aria-label": t("abKey"), title: t("abKey") }, this.beforeButton, this.afterButton);
    this.soundCard = h("section", { class: "card", "aria-label": t("sound") },
      h("div", { class: "row" }, h("div", { class: "grow title" }, this.name, this.about), this.download(),
        signButton(t("removeWork"), "trash", () => this.removeWork()), signButton(t("closeWork"), "close", () => this.close())),
      this.sound.element,
      h("div", { class: "row" }, this.playButton, this.clock, this.ab, h("span", { class: "grow" }), this.sound.tools));

    const mode = (name) => h("button", { type: "button", class: "button", onclick: () => this.setMode(name) }, t(name === "edit" ? "modeEdit" : "modeCorrect"));
    this.modes = { edit: mode("edit"), correct: mode("correct") };
    this.modeText = h("p", { class: "mode-text" });
    this.wordsBody = h("div", { class: "words-body" });
    this.newWords = h("input", { type: "text", autocomplete: "off", spellcheck: "true", "aria-label": t("newWords"), class: "grow" });
    this.bar = h("form", { class: "bar", onsubmit: (event) => { event.preventDefault(); this.typed(); } });
    this.wordsCard = h("section", { class: "card words-card", "aria-label": t("words") },
      h("div", { class: "row" }, h("div", { class: "segments", role: "group", "aria-label": t("modes") }, this.modes.edit, this.modes.correct), this.modeText),
      this.wordsBody);

    this.line = h("input", { type: "text", autocomplete: "off", class: "grow", "aria-label": t("do"), placeholder: t("doPlaceholder") });
    this.doCard = h("section", { class: "card do-card", "aria-label": t("do") },
      h("h2", {}, t("do")),
      h("form", { class: "row", onsubmit: (event) => { event.preventDefault(); if (this.line.value.trim()) this.ask({ instruction: this.line.value.trim() }); else this.line.focus(); } },
        this.line, button(t("plan"), null, { type: "submit" })),
      h("p", { class: "hint" }, t("doHint")),
      h("div", { class: "chips", role: "group", "aria-label": t("quick") }, QUICK.map(([key, instruction]) =>
        button(t(key), () => { this.line.value = instruction; this.ask({ instruction }); }, { kind: "chip", title: instruction }))));

    this.side = h("div", { class: "side-now" });
    this.history = h("ol", { class: "history" });
    this.historyCard = h("section", { class: "card history-card", "aria-label": t("history") },
      h("div", { class: "row" }, h("h2", { class: "grow" }, t("history")),
        this.undoButton = signButton(t("undoThis"), "undo", () => this.undo()), this.redoButton = signButton(t("redoThis"), "redo", () => this.redo())),
      this.history, h("p", { class: "hint" }, t("historyHint")));
    this.desk = h("div", { class: "desk" },
      h("div", { class: "column" }, this.soundCard, this.wordsCard, this.doCard),
      h("div", { class: "column side" }, this.side, this.historyCard));
  }

  download() {
    const items = [["original", "d_original"], ["wav"], ["flac"], ["mp3"], ["opus"], ["bundle", "d_bundle"], ["receipt", "d_receipt"], ["srt", "d_srt"], ["txt", "d_txt"]];
    this.downloads = h("details", { class: "menu" }, h("summary", { class: "button" }, icon("save"), h("span", {}, t("download"))),
      h("div", { class: "menu-items" }, items.map(([kind, key]) => button(key ? t(key) : kind, () => this.fetchAs(kind), { kind: "quiet", "data-kind": kind }))));
    this.downloads.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { this.downloads.open = false; this.downloads.querySelector("summary").focus(); event.stopPropagation(); }
    });
    this.downloads.addEventListener("focusout", (event) => { if (event.relatedTarget && !this.downloads.contains(event.relatedTarget)) this.downloads.open = false; });
    return this.downloads;
  }

  // --- recordings ---

  get base() { return `/v1/recordings/${this.work.id}`; }
  step(number = this.current) { return this.work.steps.find((step) => step.number === number); }
  get shown() { return this.before ? this.step(this.step().parent) : this.step(); }

  async open(file, text = null) {
    this.opening.element.hidden = false;
    const most = this.opening.limits?.bytes ?? Infinity;
    if (file.size + 2000 > most) {
      this.opening.problem.replaceChildren(errorBox(new Error(t("tooLarge", { name: file.name, size: Math.round(file.size / 2 ** 20), most: Math.floor(most / 2 ** 20) }))));
      return;
    }
    const stop = new AbortController();
    const busy = new Busy(t("opening", { name: file.name }), () => stop.abort());
    this.opening.problem.replaceChildren(busy.element);
    const form = new FormData();
    form.append("file", file, file.name);
    try {
      const work = await getJson("/v1/recordings", { form, signal: stop.signal });
      busy.end();
      this.file = file;
      this.finding?.abort();
      this.finding = new AbortController(); // the words are looked for next
      [this.foundFor, this.findingParts] = [0, []];
      await this.show(work);
      await this.findWords(text === null ? {} : { text }).catch((problem) => this.wordsUnknown(problem));
    } catch (error) {
      busy.end();
      if (error.name === "AbortError") return;
      this.close();
      this.opening.problem.replaceChildren(errorBox(error, button(t("tryAgain"), () => this.open(file, text))));
    }
  }

  async resume(id, step = null) {
    try {
      const work = await getJson(`/v1/recordings/${id}`);
      this.file = null;
      await this.show(work, step);
    } catch (error) {
      this.remember(null);
      this.opening.list();
      this.opening.problem.replaceChildren(errorBox(error));
    }
  }

  async show(work, step = null) {
    this.player.clear();
    this.work = work;
    const last = work.steps[work.steps.length - 1].number;
    this.opening.element.hidden = true;
    this.opening.problem.replaceChildren();
    this.desk.hidden = false;
    this.side.replaceChildren();
    this.setMode("edit");
    await this.go(work.steps.some((s) => s.number === step) ? step : last);
    this.playButton.focus({ preventScroll: true });
  }

  close() {
    this.stop?.abort();
    this.finding?.abort();
    this.player.clear();
    this.work = null;
    this.remember(null);
    this.desk.hidden = true;
    this.opening.element.hidden = false;
    this.opening.problem.replaceChildren();
    this.opening.list();
  }

  async removeWork() {
    const dialog = h("dialog", { class: "card", "aria-label": t("removeWork") }, h("p", {}, t("removeSure")),
      h("form", { method: "dialog", class: "row" }, h("button", { class: "button main", value: "yes" }, t("remove")), h("button", { class: "button", value: "" }, t("cancel"))));
    document.body.append(dialog);
    dialog.addEventListener("close", async () => {
      dialog.remove();
      if (dialog.returnValue !== "yes") return;
      try {
        await request(this.base, { method: "DELETE" });
      } catch (error) {
        if (error.status !== 404) { this.fail(error); return; }
      }
      this.close();
    });
    dialog.showModal();
  }

  /** The address names the recording and the step, so that a reload comes back to them. */
  remember(step) {
    const hash = new URLSearchParams(location.hash.slice(1));
    hash.delete("work");
    hash.delete("step");
    if (this.work) { hash.set("work", this.work.id); hash.set("step", String(step)); }
    history.replaceState(null, "", `#${hash}`);
  }

  // --- steps ---

  async go(number, { keepTime = true } = {}) {
    const from = this.player.audio ? this.player.time : 0;
    const earlier = this.work && this.player.name !== null ? this.player.name : null;
    this.current = number;
    this.before = false;
    this.remember(number);
    const time = keepTime && earlier !== null ? this.moved(earlier, number, from) : 0;
    this.showStep();
    this.renderHistory();
    await this.hear(time);
  }

  async hear(time) {
    const step = this.shown;
    try {
      await this.player.use(step.number, `${this.base}/steps/${step.number}/audio?format=play`, Math.min(time, step.info.seconds));
    } catch (error) {
      this.fail(error);
    }
  }

  /** The same place in another step: `time` moved by the edits between them. */
  moved(from, to, time) {
    const path = (n) => { const way = []; for (let s = this.step(n); s; s = s.parent === null ? null : this.step(s.parent)) way.push(s.number); return way; };
    const up = path(from), down = path(to);
    const joint = up.find((n) => down.includes(n));
    let at = time;
    for (const n of up.slice(0, up.indexOf(joint))) at = this.across(n, at, "output", "source");
    for (const n of down.slice(0, down.indexOf(joint)).reverse()) at = this.across(n, at, "source", "output");
    return at;
  }

  across(number, time, here, there) {
    const { receipt } = this.step(number).made;
    const rate = receipt.source.sample_rate;
    const at = time * rate;
    let shift = 0;
    for (const change of receipt.changed) {
      const [a, b] = change[here], [c, d] = change[there];
      if (at < a) break;
      if (at < b) return (c + ((at - a) / (b - a)) * (d - c)) / rate;
      shift = d - b;
    }
    return Math.max(0, (at + shift) / rate);
  }

  changes(step) {
    if (!step.made) return [];
    const rate = step.info.sample_rate;
    return step.made.receipt.changed.map((change) => change.output.map((n) => n / rate));
  }

  showStep() {
    const step = this.shown, now = this.step();
    this.name.textContent = this.work.name;
    const { seconds, sample_rate: rate, channels, format } = step.info;
    this.about.textContent = `${clock(seconds)} · ${(rate / 1000).toFixed(rate % 1000 ? 1 : 0)} kHz · ${channels} ch · ${format.toLowerCase()}`;
    const { id } = this.work;
    this.sound.use({
      work: id, id: `${id} ${step.number}`, seconds,
      view: (a, b, width) => `/v1/recordings/${id}/steps/${step.number}/view?start=${a}&end=${b}&width=${width}`,
    });
    const changed = this.before
      ? now.made.receipt.changed.map((change) => change.source.map((n) => n / rate))
      : this.changes(step);
    const partly = changed.length && !(changed.length === 1 && changed[0][1] - changed[0][0] > 0.95 * seconds);
    this.sound.marks = changed.length && !partly ? [[0, seconds]] : changed;
    this.sound.words = step.words ?? [];
    this.sound.selection = null;
    this.wordsCard.classList.toggle("is-before", this.before);
    this.showWords(partly ? (i) => changed.some(([a, b]) => (step.words[i].start + step.words[i].end) / 2 >= a && (step.words[i].start + step.words[i].end) / 2 < b) : null);
    this.ab.hidden = now.parent === null;
    this.beforeButton.setAttribute("aria-pressed", String(this.before));
    this.afterButton.setAttribute("aria-pressed", String(!this.before));
    for (const item of this.downloads.querySelectorAll("[data-kind]")) {
      const { kind } = item.dataset;
      item.disabled = (["bundle", "receipt"].includes(kind) && !step.made) || (["srt", "txt"].includes(kind) && !step.text) || (kind === "srt" && !step.words?.length);
    }
    this.undoButton.disabled = now.parent === null;
    this.redoButton.disabled = !this.work.steps.some((s) => s.parent === this.current);
    this.sound.draw();
  }

  async compare(before) {
    if (this.step().parent === null || before === this.before || this.mode !== "edit") return;
    const from = this.shown.number, time = this.player.time;
    this.before = before;
    this.showStep();
    announce(t(before ? "before" : "after"));
    await this.hear(this.moved(from, this.shown.number, time));
  }

  undo() {
    const { parent } = this.step();
    if (parent !== null && this.mode === "edit") { this.side.replaceChildren(); this.go(parent); }
  }

  redo() {
    const next = this.work.steps.filter((s) => s.parent === this.current).pop();
    if (next && this.mode === "edit") { this.go(next.number); this.showDone(); }
  }

  renderHistory() {
    this.history.replaceChildren(...this.work.steps.map((step) => {
      const branch = step.parent !== null && step.parent !== step.number - 1;
      const here = step.number === this.current;
      return h("li", {}, h("button", {
        type: "button", class: "button quiet step", "aria-current": here ? "step" : null,
        onclick: () => { this.side.replaceChildren(); this.go(step.number).then(() => { if (step.made) this.showDone(); }); },
      }, h("span", { class: "number" }, String(step.number)), h("span", { class: "grow" }, step.made ? title(step.made.plan) : t("opened")),
      branch ? h("span", { class: "muted" }, t("fromStep", { n: step.parent })) : null,
      h("span", { class: "muted time" }, clock(step.info.seconds, 1))));
    }));
    this.history.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  }

  showDone() {
    const step = this.step();
    if (!step.made) return;
    const source = this.step(step.parent);
    this.side.replaceChildren(doneCard(step, source.words, {
      undo: () => this.undo(),
      again: () => this.again(step),
    }));
  }

  // --- words ---

  showWords(changed) {
    const step = this.shown;
    if (this.mode === "correct") return;
    const parts = [];
    if (step.words?.length) {
      this.words.show(step.text, step.words, changed);
      parts.push(this.words.element);
      if (step.words.some((word) => word.score < 0.2)) parts.push(h("p", { class: "hint" }, h("span", { class: "unsure sample" }, t("dotted")), ` ${t("doubtful")} `, this.current === 0 ? t("looksWrong") : ""));
      for (const note of step.notes) parts.push(h("p", { class: "note warning" }, note));
      parts.push(this.before ? h("p", { class: "note" }, t("hearingBefore")) : this.bar);
    } else if (step.text) parts.push(h("p", { class: "words" }, step.text), ...step.notes.map((note) => h("p", { class: "note warning" }, note)));
    else if (step.text !== null) parts.push(h("p", { class: "muted" }, t("noWords")), h("div", { class: "row" }, button(t("typeWords"), () => this.setMode("correct"))));
    else {
      if (this.finding && this.foundFor === step.number) this.wordsBody.replaceChildren(...this.findingParts);
      else this.wordsUnknown();
      return;
    }
    this.wordsBody.replaceChildren(...parts);
    this.selected();
  }

  wordsUnknown(error = null) {
    this.wordsBody.replaceChildren(...(error ? [errorBox(error)] : []), h("p", { class: "muted" }, t("noWordsYet")),
      h("div", { class: "row" }, button(t("findWords"), () => this.findWords({})), button(t("typeWords"), () => this.setMode("correct"))));
  }

  async findWords(body, number = this.current) {
    // Of its own: sounds can be edited while the words are looked for.
    const stop = new AbortController();
    this.finding?.abort();
    this.finding = stop;
    const { id } = this.work;
    const busy = new Busy(t(body.text ? "aligning" : "recognising"), () => stop.abort());
    const heard = h("p", { class: "words faint" });
    this.foundFor = number;
    this.findingParts = [busy.element, heard];
    this.wordsBody.replaceChildren(...this.findingParts);
    try {
      const last = await lines(`${this.base}/steps/${number}/words`, body, (event) => {
        if (event.stage === "recognise") { busy.update(t("recognising"), event.done); heard.append(`${event.text} `); }
        if (event.stage === "align") busy.update(t("aligning"));
      }, stop.signal);
      busy.end();
      if (this.finding === stop) this.finding = null;
      if (this.work?.id !== id) return true;
      this.replaceStep(last.step);
      this.showStep();
      announce(last.step.text || t("noWords"));
      return true;
    } catch (error) {
      busy.end();
      if (this.finding !== stop && this.finding !== null) return false; // begun again meanwhile
      this.finding = null;
      if (this.work?.id !== id || this.mode === "correct") return false;
      if (error.code === "no_such_recording") { this.lost(); return false; }
      if (body.text !== undefined && error.name !== "AbortError") throw error;
      this.wordsUnknown(error.name === "AbortError" ? null : error);
      return false;
    }
  }

  replaceStep(step) {
    const at = this.work.steps.findIndex((s) => s.number === step.number);
    if (at < 0) this.work.steps.push(step);
    else this.work.steps[at] = step;
  }

  setMode(mode) {
    if (mode === "correct" && this.before) this.compare(false); // what is corrected is the current step
    if (mode === "correct") this.finding?.abort();
    this.mode = mode;
    for (const [name, element] of Object.entries(this.modes)) element.setAttribute("aria-pressed", String(name === mode));
    this.modeText.textContent = t(mode === "edit" ? "modeEditText" : "modeCorrectText");
    this.wordsCard.classList.toggle("correcting", mode === "correct");
    // A correction is of one step: nothing else can be begun, and no other step chosen, meanwhile.
    for (const part of [this.doCard, this.historyCard, this.ab]) part.inert = mode !== "edit";
    if (mode === "correct") this.correct();
    else if (this.work && this.step()) {
      this.showStep();
    }
  }

  correct() {
    this.side.replaceChildren();
    this.sound.selection = null;
    const step = this.step();
    const area = h("textarea", { rows: "5", spellcheck: "true" });
    area.value = step.text ?? "";
    const hot = h("input", { type: "text", autocomplete: "off" });
    const problem = h("div");
    const save = async () => {
      if (this.mode !== "correct") return;
      const text = area.value.trim();
      if (!text) { area.focus(); return; }
      const number = this.current;
      try {
        this.mode = "saving";
        const ok = await this.findWords({ text }, number);
        this.setMode("edit");
        if (ok) this.words.element.focus();
      } catch (error) {
        this.setMode("correct");
        const fresh = this.wordsBody.querySelector("textarea");
        fresh.value = text;
        this.wordsBody.append(errorBox(error));
        fresh.focus();
      }
    };
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save();
      if (event.key === "Escape") { event.stopPropagation(); this.setMode("edit"); this.modes.correct.focus(); }
    });
    this.wordsBody.replaceChildren(
      field(t("saidText"), area, t("correctHint")),
      h("div", { class: "row" }, button(t("saveText"), save, { sign: "check", kind: "main amber" }), button(t("cancel"), () => this.setMode("edit"))),
      problem,
      h("details", {}, h("summary", {}, t("listenAgain")), field(t("hotwords"), hot),
        button(t("listenAgain"), async () => {
          const hotwords = hot.value.split(",").map((w) => w.trim()).filter(Boolean);
          this.mode = "saving";
          await this.findWords({ hotwords });
          this.setMode("edit");
        })));
    area.focus();
  }

  /** The bar under the words: what is selected and what can be done with it. */
  selected() {
    const { range, words } = this.words;
    this.sound.selection = range && range[0] < range[1] ? [words[range[0]].start, words[range[1] - 1].end] : null;
    if (range && range[0] < range[1]) this.sound.reveal(words[range[0]].start);
    this.sound.draw();
    this.newWords.value = "";
    if (!range) {
      this.bar.replaceChildren(h("p", { class: "hint" }, t("hintSelect")));
      return;
    }
    const [a, b] = range;
    if (a < b) {
      const text = this.shown.text.slice(words[a].from, words[b - 1].to);
      const span = [words[a].start, words[b - 1].end];
      this.newWords.placeholder = t("typeReplace");
      this.bar.replaceChildren(
        h("p", { class: "picked" }, h("span", { class: "muted" }, `${t("selected")} `), h("strong", {}, text.length > 80 ? `${text.slice(0, 79)}…` : text), h("span", { class: "muted time" }, ` ${clock(span[0])} – ${clock(span[1])}`)),
        h("div", { class: "row" },
          button(t("play"), () => this.player.span(...span), { sign: "play" }),
          button(t("deleteWords"), () => this.ask({ edits: [{ start: a, end: b, new: "" }] }), { sign: "trash" }),
          this.newWords, button(t("replace"), null, { type: "submit" })));
    } else {
      this.newWords.placeholder = t("typeInsert");
      const left = a ? words[a - 1].text : "", right = a < words.length ? words[a].text : "";
      this.bar.replaceChildren(
        h("p", { class: "picked" }, h("span", { class: "muted" }, `${t("caretAt")}: `), h("strong", {}, `${left} `, h("span", { class: "caret-sign" }, "|"), ` ${right}`)),
        h("div", { class: "row" }, this.newWords, button(t("insert"), null, { type: "submit" })));
    }
  }

  typed() {
    const text = this.newWords.value.trim();
    if (!text || !this.words.range) { this.newWords.focus(); return; }
    const [start, end] = this.words.range;
    this.ask({ edits: [{ start, end, new: text }] });
  }

  // --- plans and edits ---

  async ask(body) {
    if (this.mode !== "edit" || !this.work) return;
    this.stop?.abort();
    const stop = new AbortController();
    this.stop = stop;
    const busy = new Busy(t("planning"), () => stop.abort());
    this.side.replaceChildren(busy.element);
    const number = this.current;
    try {
      if (this.before) await this.compare(false);
      const found = await getJson(`${this.base}/steps/${number}/plan`, { json: body, signal: stop.signal });
      busy.end();
      if (found.choices) this.choose(found.choices);
      else this.planned(found);
    } catch (error) {
      busy.end();
      if (error.name !== "AbortError") this.fail(error, body);
    }
  }

  bring(card) {
    this.side.replaceChildren(card);
    if (innerWidth < 900) card.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  }

  choose(choices) {
    this.bring(choicesCard(choices, this.step().words, {
      hear: (span) => this.player.span(...span),
      choose: (choice) => { this.player.pause(); this.planned(choice); },
      cancel: () => this.cancelPlan(),
    }));
    this.side.querySelector(".choice")?.focus({ preventScroll: true });
  }

  planned({ plan, plan_id: id }) {
    const spans = plan.operations.map((op) => op.time_span).filter(Boolean);
    if (spans.length) {
      this.sound.selection = [Math.min(...spans.map((s) => s[0])), Math.max(...spans.map((s) => s[1]))];
      this.sound.reveal(this.sound.selection[0]);
      this.sound.draw();
    }
    this.bring(planCard(plan, this.step().words, {
      hear: ([a, b]) => this.player.span(a - 0.3, b + 0.3),
      apply: () => this.apply(id),
      cancel: () => this.cancelPlan(),
    }));
    document.getElementById("apply").focus({ preventScroll: true });
    announce(`${t("planTitle")}: ${title(plan)}`);
  }

  cancelPlan() {
    this.side.replaceChildren();
    this.sound.selection = null;
    this.sound.draw();
    this.words.element.focus();
  }

  async apply(planId, seed = 0, number = this.current) {
    const stop = new AbortController();
    this.stop = stop;
    const busy = new Busy(t("applying"), () => stop.abort());
    this.side.replaceChildren(busy.element);
    const { id } = this.work;
    try {
      const last = await lines(`${this.base}/steps/${number}/edits`, { plan_id: planId, seed }, (event) => {
        if (event.stage) busy.update(t({ edit: "applying", check: "checking", align: "aligning" }[event.stage]));
      }, stop.signal);
      busy.end();
      if (this.work?.id !== id) return;
      last.step.seed = seed;
      this.work.steps.push(last.step);
      this.player.pause();
      await this.go(last.step.number);
      const first = this.changes(last.step)[0];
      this.player.seek(first ? Math.max(0, Math.min(first[0] - 0.8, last.step.info.seconds)) : 0);
      this.line.value = "";
      this.showDone();
      announce(`${t("done")}. ${t("unchanged")}`);
      this.playButton.focus({ preventScroll: true });
    } catch (error) {
      busy.end();
      if (error.name === "AbortError") this.cancelPlan();
      else this.fail(error, null, () => this.apply(planId, seed, number));
    }
  }

  /** The same edit with new words said another time. */
  async again(step) {
    const body = { edits: step.made.plan.operations.filter((op) => op.text_span).map((op) => ({ start: op.text_span[0], end: op.text_span[1], new: op.new })) };
    const busy = new Busy(t("planning"));
    this.side.replaceChildren(busy.element);
    try {
      const found = await getJson(`${this.base}/steps/${step.parent}/plan`, { json: body });
      busy.end();
      await this.apply(found.plan_id, step.made.receipt.seed + 1, step.parent);
    } catch (error) {
      busy.end();
      this.fail(error);
    }
  }

  // --- errors ---

  /** What went wrong, where edits happen; the recording stays as it is. */
  fail(error, body = null, again = null) {
    if (error.code === "no_such_recording") { this.lost(); return; }
    const refused = error instanceof ServerError && error.status === 400 && body;
    const actions = again || error.status !== 400 ? [button(t("tryAgain"), again ?? (() => (body ? this.ask(body) : this.resume(this.work.id, this.current))))] : [];
    // The server's list of what can be asked for is for the command line: examples follow here.
    const box = errorBox(refused ? new Error(error.message.split("; what can be asked for")[0]) : error, ...actions);
    const card = h("section", { class: "card", "aria-label": t("notUnderstood") }, refused ? h("h2", {}, t("notUnderstood")) : null, box);
    if (refused) {
      card.append(h("p", { class: "muted" }, t("possible")), h("div", { class: "chips" }, this.examples().map((example) =>
        button(example, () => { this.line.value = example; this.line.focus(); }, { kind: "chip" }))));
    }
    this.bring(card);
  }

  /** Instructions that fit this recording. */
  examples() {
    const words = (this.step().words ?? []).map((word) => word.text);
    const once = words.filter((word) => word.length > 3 && words.filter((w) => w.toLowerCase() === word.toLowerCase()).length === 1);
    const some = once[Math.floor(once.length / 3)], other = once[Math.floor((2 * once.length) / 3)];
    return [
      ...(some ? [`delete '${some}'`] : []),
      ...(other && other !== some ? [`replace '${other}' with 'something'`, `insert 'really' before '${other}'`] : []),
      "make it 3 dB louder", "add rain in the background", "shorten the pauses to 0.4 seconds",
    ];
  }

  /** The server does not know the recording any more: the page still has its sound. */
  lost() {
    const { file } = this;
    const box = errorBox(new Error(t("lostWork")),
      ...(file ? [button(t("reopen"), () => { const text = this.work.steps[0].text; this.close(); this.open(file, text || null); }, { kind: "main" })] : []),
      button(t("startOver"), () => this.close()));
    this.bring(h("section", { class: "card" }, box));
  }

  fault() {
    if (!this.work || this.faulted) return;
    this.faulted = true;
    getJson(this.base).then(() => this.fail(new Error(t("noServer"))), (error) => this.fail(error)).finally(() => { this.faulted = false; });
  }

  // --- playing ---

  timed() {
    const { time } = this.player;
    this.sound.moveTo(time, this.player.playing);
    if (this.mode === "edit") this.words.light(time);
    this.transport();
  }

  transport() {
    const playing = this.player.playing;
    if (playing !== this.wasPlaying) {
      this.wasPlaying = playing;
      this.playButton.replaceChildren(icon(playing ? "pause" : "play"), h("span", {}, t(playing ? "pause" : "play")));
    }
    if (this.work) this.clock.textContent = `${clock(this.player.time)} / ${clock(this.shown.info.seconds)}`;
  }

  keys() {
    addEventListener("keydown", (event) => {
      if (!this.work || this.root.hidden || document.querySelector("dialog[open]")) return;
      const inField = event.target.closest?.("input, textarea, select");
      const ctrl = event.ctrlKey || event.metaKey;
      if (event.key === "Escape" && this.side.querySelector(".plan")) { this.cancelPlan(); return; }
      if (event.key === "Escape" && inField === this.newWords) { this.words.element.focus(); return; }
      if (inField) return;
      const pressed = event.key.toLowerCase();
      const act = ctrl
        ? { z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo() }[pressed]
        : { " ": () => this.player.toggle(), b: () => this.compare(!this.before), "+": () => this.sound.zoom(1 / 1.6), "=": () => this.sound.zoom(1 / 1.6), "-": () => this.sound.zoom(1.6), 0: () => this.sound.show(0, this.sound.seconds) }[pressed];
      if (!act || event.altKey) return;
      if (event.key === " " && event.target.closest?.("button, summary") && event.target !== this.playButton) return;
      event.preventDefault();
      act();
    });
    // The play button also gets the click that the space bar makes.
    this.playButton.addEventListener("keyup", (event) => { if (event.key === " ") event.preventDefault(); });
  }

  // --- downloads ---

  async fetchAs(kind) {
    this.downloads.open = false;
    const step = this.shown;
    const name = `${stem(this.work.name)}${step.number ? `.${step.number}` : ""}`;
    try {
      if (kind === "srt") keep(new Blob([subtitles(step.text, step.words, "srt")], { type: "application/x-subrip" }), `${name}.srt`);
      else if (kind === "txt") keep(new Blob([`${step.text}\n`], { type: "text/plain" }), `${name}.txt`);
      else if (kind === "receipt") keep(new Blob([`${JSON.stringify(step.made.receipt, null, 1)}\n`], { type: "application/json" }), `${name}.receipt.json`);
      else if (kind === "bundle") keep(await (await request(`${this.base}/steps/${step.number}/bundle`)).blob(), `${name}.zip`);
      else {
        announce(t("preparing"));
        const answer = await request(`${this.base}/steps/${step.number}/audio?format=${kind}`);
        const type = answer.headers.get("content-type") ?? "";
        const suffix = kind !== "original" ? kind : step.number === 0 ? (/\.(\w{1,5})$/.exec(this.work.name)?.[1] ?? "wav") : type.includes("flac") ? "flac" : "wav";
        keep(await answer.blob(), `${name}.${suffix}`);
      }
    } catch (error) {
      this.fail(error);
    }
  }
}

/** Begin the tab in `root`. */
export async function start(root) {
  const editing = new Editing(root);
  const hash = new URLSearchParams(location.hash.slice(1));
  if (hash.get("work")) await editing.resume(hash.get("work"), Number(hash.get("step")));
  else await editing.opening.list();
  return {
    take: (file, text = null) => { editing.close(); return editing.open(file, text); },
    leave: () => editing.player.pause(),
    enter: () => { if (!editing.work) editing.opening.list(); else editing.sound.draw(); },
  };
}

