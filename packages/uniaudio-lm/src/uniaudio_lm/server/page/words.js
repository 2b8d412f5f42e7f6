// The transcript as running text whose words can be selected: a caret between words, or a span of
// them. It only says what is selected and what was asked; nothing is edited here.

import { t } from "./i18n.js";
import { h } from "./ui.js";

const UNSURE = 0.2;

export class Words {
  /** `on`: select(a, b), play(), remove(), type(character), seek(i). */
  constructor(on) {
    this.on = on;
    this.element = h("div", { class: "words", role: "listbox", "aria-multiselectable": "true", "aria-label": t("wordsLabel"), tabindex: "0" });
    this.spans = [];
    this.words = [];
    this.range = null; // [a, b): words a to b; a caret where a = b
    this.anchor = 0;
    this.lit = -1;
    this.listen();
  }

  show(text, words, changed = null) {
    this.words = words;
    this.range = null;
    this.lit = -1;
    this.spans = words.map((word, i) => {
      const lead = i ? "" : text.slice(0, word.from);
      const tail = text.slice(word.to, i + 1 < words.length ? words[i + 1].from : text.length);
      const kind = ["word", word.score < UNSURE ? "unsure" : "", changed?.(i) ? "changed" : ""].join(" ").trim();
      return h("span", { role: "option", id: `word-${i}`, "aria-selected": "false", class: "piece", "data-i": String(i), title: t("seconds", { s: `${word.start.toFixed(2)}–${word.end.toFixed(2)}` }) },
        lead, h("span", { class: kind }, text.slice(word.from, word.to)), h("span", { class: "gap" }, tail));
    });
    this.element.replaceChildren(...this.spans);
    this.mark();
  }

  select(a, b, quiet = false) {
    const size = this.words.length;
    this.range = a === null ? null : [Math.max(0, Math.min(a, size)), Math.max(0, Math.min(b, size))];
    this.mark();
    if (!quiet) this.on.select(this.range);
  }

  mark() {
    const [a, b] = this.range ?? [-1, -1];
    this.spans.forEach((span, i) => {
      const chosen = i >= a && i < b;
      if ((span.getAttribute("aria-selected") === "true") !== chosen) span.setAttribute("aria-selected", String(chosen));
      span.classList.toggle("caret", a === b && a === i);
      span.classList.toggle("caret-end", a === b && a === this.words.length && i === a - 1);
    });
    const active = this.range ? Math.min(this.head ?? a, this.words.length - 1) : -1;
    if (active >= 0) {
      this.element.setAttribute("aria-activedescendant", `word-${active}`);
      if (document.activeElement === this.element) this.spans[active].scrollIntoView({ block: "nearest" });
    } else this.element.removeAttribute("aria-activedescendant");
  }

  /** Light the word that sounds at `time`. */
  light(time) {
    const lit = this.words.findIndex((word) => time >= word.start && time < word.end);
    if (lit === this.lit) return;
    this.spans[this.lit]?.classList.remove("lit");
    this.spans[lit]?.classList.add("lit");
    this.lit = lit;
  }

  /** Select the words of which at least half lies in [start, end). */
  selectTime(start, end) {
    const inside = (word) => (word.start + word.end) / 2 >= start && (word.start + word.end) / 2 < end;
    const first = this.words.findIndex(inside);
    if (first < 0) return this.select(null);
    const last = this.words.findLastIndex(inside);
    this.anchor = first;
    this.head = last + 1;
    return this.select(first, last + 1);
  }

  at(event) {
    const target = document.elementFromPoint(event.clientX, event.clientY);
    const piece = target?.closest(".piece");
    if (!piece || !this.element.contains(piece)) return null;
    const i = Number(piece.dataset.i);
    return { i, gap: Boolean(target.closest(".gap")) };
  }

  listen() {
    let from = null;
    this.element.addEventListener("pointerdown", (event) => {
      if (event.button || !this.words.length) return;
      const place = this.at(event);
      if (!place) return this.caret(this.words.length);
      event.preventDefault();
      this.element.focus();
      if (event.shiftKey && this.range) {
        this.span(this.anchor, place.i >= this.anchor ? place.i + 1 : place.i);
        return undefined;
      }
      from = place;
      if (place.gap) this.caret(place.i + 1);
      else {
        this.anchor = place.i;
        this.span(place.i, place.i + 1);
        this.on.seek(place.i);
      }
      return undefined;
    });
    this.element.addEventListener("pointermove", (event) => {
      if (!from || !event.buttons) return;
      const place = this.at(event);
      if (!place || (place.i === from.i && from.gap)) return;
      const start = from.gap ? from.i + 1 : from.i;
      this.anchor = place.i >= start ? start : start + (from.gap ? 0 : 1);
      this.span(this.anchor, place.i >= start ? place.i + 1 : place.i);
    });
    addEventListener("pointerup", () => { from = null; });
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  caret(i) {
    this.anchor = i;
    this.head = i;
    this.select(i, i);
  }

  /** Select between two places between words. */
  span(anchor, head) {
    this.head = head;
    this.select(Math.min(anchor, head), Math.max(anchor, head));
  }

  key(event) {
    const size = this.words.length;
    if (!size) return;
    const { key } = event;
    const ctrl = event.ctrlKey || event.metaKey;
    const head = this.head ?? 0;
    let to = null;
    if (key === "ArrowRight") to = head + 1;
    else if (key === "ArrowLeft") to = head - 1;
    else if (key === "Home") to = 0;
    else if (key === "End") to = size;
    else if (key === "ArrowDown" || key === "ArrowUp") to = this.line(head, key === "ArrowDown" ? 1 : -1);
    if (to !== null) {
      event.preventDefault();
      if (!this.range) to = key === "End" ? size : key === "Home" ? 0 : head;
      to = Math.max(0, Math.min(size, to));
      if (event.shiftKey) this.span(this.anchor, to);
      else if (this.range && this.range[0] < this.range[1] && ["ArrowLeft", "ArrowRight"].includes(key)) this.caret(this.range[key === "ArrowLeft" ? 0 : 1]);
      else this.caret(to);
    } else if (ctrl && key.toLowerCase() === "a") {
      event.preventDefault();
      this.anchor = 0;
      this.span(0, size);
    } else if (key === "Delete" || key === "Backspace") {
      event.preventDefault();
      if (!this.range) return;
      const [a, b] = this.range;
      if (a < b) this.on.remove();
      else if (key === "Delete" && a < size) { this.anchor = a; this.span(a, a + 1); }
      else if (key === "Backspace" && a > 0) { this.anchor = a; this.span(a, a - 1); }
    } else if (key === "Escape" && this.range) {
      event.preventDefault();
      event.stopPropagation();
      this.select(null);
    } else if (key === "Enter" && this.range) {
      event.preventDefault();
      this.on.type("");
    } else if (this.range && key.length === 1 && key !== " " && !ctrl && !event.altKey) {
      event.preventDefault();
      event.stopPropagation();
      this.on.type(key);
    } else if (this.range && key === "Process") this.on.type("");
  }

  /** The place in the next or previous line that is nearest to that before word `i`. */
  line(i, direction) {
    const here = this.spans[Math.min(i, this.words.length - 1)].getBoundingClientRect();
    let best = null, nearest = Infinity, row = null;
    const order = direction > 0 ? this.spans.keys() : [...this.spans.keys()].reverse();
    for (const k of order) {
      const box = this.spans[k].getClientRects()[0];
      if (direction > 0 ? box.top <= here.top + 4 : box.top >= here.top - 4) continue;
      row ??= box.top;
      if (Math.abs(box.top - row) > 4) break;
      const distance = Math.abs(box.left - here.left);
      if (distance < nearest) [best, nearest] = [k, distance];
    }
    return best ?? (direction > 0 ? this.words.length : 0);
  }
}
