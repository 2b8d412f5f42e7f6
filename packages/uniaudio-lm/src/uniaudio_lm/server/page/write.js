// The tab "Write down": a file or the microphone to text with times.

import { getJson, hasKey } from "./api.js";
import { t } from "./i18n.js";
import { record } from "./record.js";
import { announce, AUDIO, Busy, button, chooseFile, clock, errorBox, field, h, keep, stem, subtitles } from "./ui.js";

const LIVE_MS = 2500; // between two recognitions of what was said so far, where sockets cannot be used
const SENT = 0.1; // seconds of sound in a message

async function recognise(file, hotwords, signal) {
  const { data } = await getJson("/v1/models");
  const form = new FormData();
  form.append("file", file, file.name);
  form.append("model", data[0].id);
  form.append("response_format", "verbose_json");
  if (hotwords) form.append("hotwords", hotwords);
  return getJson("/v1/audio/transcriptions", { form, signal });
}

/** Send pieces of samples through a WebSocket; `tell` gets all text so far. */
function follow(hotwords, tell) {
  const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/v1/audio/transcriptions/live`);
  const ended = [];
  let begun = false, kept = [], size = 0;
  socket.addEventListener("message", ({ data }) => {
    const found = JSON.parse(data);
    if (found.type === "segment") ended.push(found.text);
    if (found.type === "segment" || found.type === "partial") tell([...ended, ...(found.type === "partial" ? [found.text] : [])].join(" "));
    if (found.type === "error") tell(found.error.message);
  });
  return {
    push(piece, rate) {
      kept.push(Int16Array.from(piece, (value) => Math.max(-32768, Math.min(32767, Math.round(32767 * value)))));
      size += piece.length;
      if (socket.readyState !== WebSocket.OPEN || size < SENT * rate) return;
      if (!begun) socket.send(JSON.stringify({ type: "start", sample_rate: rate, ...(hotwords ? { hotwords } : {}) }));
      begun = true;
      for (const part of kept) socket.send(part);
      kept = [];
      size = 0;
    },
    close: () => socket.close(),
  };
}

/** Words with their places in the text. */
function placed(text, words) {
  let at = 0;
  return (words ?? []).map((word) => {
    const from = Math.max(at, text.indexOf(word.word, at));
    at = from + word.word.length;
    return { text: word.word, start: word.start, end: word.end, from, to: at };
  });
}

export async function start(root, { open }) {
  const hotwords = h("input", { type: "text", autocomplete: "off" });
  const now = h("div");
  const result = h("div");
  let running = null;

  async function write(file) {
    running?.abort();
    const stop = new AbortController();
    running = stop;
    const busy = new Busy(t("writing"), () => stop.abort());
    now.replaceChildren(busy.element);
    try {
      const found = await recognise(file, hotwords.value.trim(), stop.signal);
      now.replaceChildren();
      show(file, found);
    } catch (error) {
      now.replaceChildren(...(error.name === "AbortError" ? [] : [errorBox(error, button(t("tryAgain"), () => write(file)))]));
    } finally {
      busy.end();
    }
  }

  function show(file, found) {
    const words = placed(found.text, found.words);
    const audio = h("audio", { controls: true, src: URL.createObjectURL(file), preload: "metadata", "aria-label": file.name });
    const spans = words.map((word, i) => h("button", { type: "button", class: "word-button", title: clock(word.start), onclick: () => { audio.currentTime = word.start; audio.play(); } },
      found.text.slice(i ? word.from : 0, i + 1 < words.length ? words[i + 1].from : found.text.length)));
    audio.addEventListener("timeupdate", () => words.forEach((word, i) => spans[i].classList.toggle("lit", audio.currentTime >= word.start && audio.currentTime < word.end)));
    const name = stem(file.name);
    const save = (kind, type, text) => button(kind, () => keep(new Blob([text()], { type }), `${name}.${kind}`), { sign: "save", kind: "small" });
    result.replaceChildren(h("section", { class: "card", "aria-label": t("tab_write") },
      h("h2", {}, file.name), audio,
      found.text ? h("p", { class: "words" }, words.length ? spans : found.text) : h("p", { class: "note" }, t("nothingHeard")),
      found.text ? h("div", { class: "row" },
        button(t("copy"), async () => { await navigator.clipboard.writeText(found.text); announce(t("copied")); }, { kind: "small" }),
        save("txt", "text/plain", () => `${found.text}\n`),
        ...(words.length ? [save("srt", "application/x-subrip", () => subtitles(found.text, words, "srt")), save("vtt", "text/vtt", () => subtitles(found.text, words, "vtt"))] : []),
        save("json", "application/json", () => JSON.stringify(found, null, 1)),
        button(t("editThis"), () => open("edit", file, found.text), { kind: "small" })) : null));
  }

  async function live() {
    try {
      const text = h("strong", {});
      const heard = h("p", { class: "words faint", "aria-live": "polite" });
      // A socket cannot carry a key: then what was said is sent again and again.
      const socket = hasKey() ? null : follow(hotwords.value.trim(), (said) => { heard.textContent = said; });
      const made = await record(undefined, (piece, rate) => socket?.push(piece, rate)).catch((error) => { socket?.close(); throw error; });
      let on = true, last = 0;
      const loop = async () => {
        while (on) {
          await new Promise((resolve) => setTimeout(resolve, 200));
          text.textContent = t("liveOn", { time: clock(made.seconds, 0) });
          if (!on || socket || performance.now() - last < LIVE_MS || made.seconds < 1) continue;
          last = performance.now();
          try {
            const found = await recognise(made.take(), hotwords.value.trim(), null);
            if (on) heard.textContent = found.text;
          } catch (error) {
            heard.textContent = error.message;
          }
        }
      };
      const finish = (file) => { on = false; socket?.close(); now.replaceChildren(); if (file) write(file); };
      now.replaceChildren(h("div", { class: "note" }, h("div", { class: "row" }, text,
        button(t("liveStop"), () => finish(made.stop()), { sign: "stop", kind: "main" }),
        button(t("cancel"), () => { made.cancel(); finish(null); })), heard));
      loop();
    } catch (error) {
      now.replaceChildren(errorBox(error));
    }
  }

  root.replaceChildren(h("div", { class: "single" },
    h("section", { class: "card" }, h("h1", {}, t("writeTitle")), h("p", { class: "lead" }, t("writeIdle")),
      h("div", { class: "row" },
        button(t("open"), async () => { const file = await chooseFile(AUDIO); if (file) write(file); }, { sign: "open", kind: "main" }),
        button(t("live"), live, { sign: "mic" })),
      field(t("hotwords"), hotwords), now),
    result));
  return { take: (file) => write(file) };
}
