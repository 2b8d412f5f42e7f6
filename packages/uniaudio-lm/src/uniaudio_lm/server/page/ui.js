// Small helpers to build and change the page. No library, no inline code.

import { t } from "./i18n.js";

/** An element: h("button", { class: "x", onclick: f, "aria-label": "..." }, "text", child). */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const PATHS = {
  play: "M8 5.5v13l10.5-6.5z",
  pause: "M7 5h3.5v14H7zM13.5 5H17v14h-3.5z",
  stop: "M6.5 6.5h11v11h-11z",
  open: "M3.5 6.5h6l2 2.5h9v9.5h-17z",
  mic: "M12 3.5a2.8 2.8 0 0 1 2.8 2.8v5a2.8 2.8 0 0 1-5.6 0v-5A2.8 2.8 0 0 1 12 3.5zM6 11.5a6 6 0 0 0 12 0M12 17.5v3",
  spark: "M12 4l1.8 5.2L19 11l-5.2 1.8L12 18l-1.8-5.2L5 11l5.2-1.8z",
  undo: "M8.5 5L4 9.5 8.5 14M4.5 9.5H14a5 5 0 0 1 0 10h-3",
  redo: "M15.5 5L20 9.5 15.5 14M19.5 9.5H10a5 5 0 0 0 0 10h3",
  save: "M12 4v10.5M7.5 10.5L12 15l4.5-4.5M5 19.5h14",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 12.5l4.5 4.5L19 7.5",
  plus: "M12 5.5v13M5.5 12h13",
  minus: "M5.5 12h13",
  fit: "M4 12h16M7.5 8L4 12l3.5 4M16.5 8l3.5 4-3.5 4",
  trash: "M5 7h14M9.5 7V4.5h5V7M7 7l1 12.5h8L17 7",
  moon: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
};
const FILLED = new Set(["play", "pause", "stop"]);

/** A drawn sign, hidden from screen readers. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.setAttribute("class", FILLED.has(name) ? "icon filled" : "icon");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button with a sign and a text. */
export function button(text, onclick, { sign = "", kind = "", ...more } = {}) {
  return h("button", { type: "button", class: `button ${kind}`, onclick, ...more }, sign ? icon(sign) : null, text ? h("span", {}, text) : null);
}

/** A button that shows only a sign; `label` is its name. */
export function signButton(label, sign, onclick, more = {}) {
  return h("button", { type: "button", class: "button sign", "aria-label": label, title: label, onclick, ...more }, icon(sign));
}

/** A text field with its visible label. */
export function field(label, input, hint = "") {
  input.id ||= `f${(fieldCount += 1)}`;
  return h("div", { class: "field" }, h("label", { for: input.id }, label), input, hint ? h("p", { class: "hint" }, hint) : null);
}
let fieldCount = 0;

/** Say something to screen readers. */
export function announce(text) {
  document.getElementById("status").textContent = text;
}

/** An error where it happened: what is wrong, and what can be done. */
export function errorBox(error, ...actions) {
  // A sentence begins with a capital; a file's name stays as it is.
  const message = error.message.replace(/^[a-z](?=[a-z]* )/, (letter) => letter.toUpperCase());
  return h("div", { class: "note error", role: "alert" }, h("p", {}, message), actions.length ? h("div", { class: "row" }, actions) : null);
}

/** Work that goes on: what is done, for how long, and a button that stops it. */
export class Busy {
  constructor(text, stop) {
    this.bar = h("progress", { "aria-label": text });
    this.text = h("span", {}, text);
    this.time = h("span", { class: "muted time" }, "0 s");
    this.element = h("div", { class: "busy" }, h("div", { class: "row" }, this.text, this.time, stop ? button(t("stop"), stop, { sign: "stop", kind: "small end" }) : null), this.bar);
    const start = performance.now();
    announce(text);
    this.timer = setInterval(() => {
      this.time.textContent = `${Math.round((performance.now() - start) / 1000)} s`;
      if (!this.element.isConnected && performance.now() - start > 2000) this.end();
    }, 500);
  }

  update(text, share = null) {
    if (text !== this.text.textContent) announce(text);
    this.text.textContent = text;
    this.bar.setAttribute("aria-label", text);
    if (share === null) this.bar.removeAttribute("value");
    else this.bar.value = share;
  }

  end() {
    clearInterval(this.timer);
    this.element.remove();
  }
}

/** "1:02.34" */
export function clock(seconds, digits = 2) {
  const safe = Math.max(0, seconds || 0);
  const minutes = Math.floor(safe / 60);
  return `${minutes}:${(safe - 60 * minutes).toFixed(digits).padStart(digits ? digits + 3 : 2, "0")}`;
}

/** Give the browser a file to keep. */
export function keep(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

/** Ask for files of the disk. */
export function chooseFile(accept) {
  return new Promise((resolve) => {
    const input = h("input", { type: "file", accept, class: "hidden-text", "aria-label": t("open"), tabindex: "-1" });
    input.addEventListener("change", () => { resolve(input.files[0] ?? null); input.remove(); });
    input.addEventListener("cancel", () => { resolve(null); input.remove(); });
    document.body.append(input);
    input.click();
  });
}

export const AUDIO = "audio/*,.wav,.flac,.mp3,.ogg,.oga,.opus,.aiff,.aif,.au";

/** A name without its suffix. */
export const stem = (name) => name.replace(/\.[^.]{1,5}$/, "") || "recording";

/** Subtitles of words: `[{text, start, end, from, to}]` of `text`. */
export function subtitles(text, words, kind) {
  const time = (s) => {
    const ms = Math.round(s * 1000);
    const part = (value, size) => String(value).padStart(size, "0");
    return `${part(Math.floor(ms / 3600000), 2)}:${part(Math.floor(ms / 60000) % 60, 2)}:${part(Math.floor(ms / 1000) % 60, 2)}${kind === "srt" ? "," : "."}${part(ms % 1000, 3)}`;
  };
  const cues = [];
  words.forEach((word, i) => {
    const end = i + 1 < words.length ? words[i + 1].from : text.length;
    const piece = text.slice(i ? word.from : 0, end);
    const last = cues[cues.length - 1];
    if (last && word.end - last.start <= 6 && (last.text + piece).trim().length <= 84 && word.start - last.end < 1) {
      last.text += piece;
      last.end = word.end;
    } else cues.push({ start: word.start, end: word.end, text: piece });
  });
  const lines = cues.map((cue, i) => {
    const shown = cue.text.trim().replace(/-{2,}>/g, "->");
    return `${kind === "srt" ? `${i + 1}\n` : ""}${time(cue.start)} --> ${time(Math.max(cue.end, cue.start + 0.001))}\n${kind === "srt" ? shown : shown.replace(/&/g, "&amp;").replace(/</g, "&lt;")}\n`;
  });
  return (kind === "vtt" ? "WEBVTT\n\n" : "") + lines.join("\n");
}
