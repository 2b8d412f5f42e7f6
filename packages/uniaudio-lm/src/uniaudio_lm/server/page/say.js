// The tab "Say": a text to speech, heard from its first words on.

import { getJson, request } from "./api.js";
import { t } from "./i18n.js";
import { sized } from "./opening.js";
import { Busy, button, errorBox, field, h, keep } from "./ui.js";

/** Names of the voices, the model's own first. */
export async function voiceOptions(select) {
  const { data } = await getJson("/v1/audio/voices");
  const chosen = select.value;
  select.replaceChildren(h("option", { value: "default" }, t("defaultVoice")), ...data.map((voice) => h("option", { value: voice.id }, voice.id)));
  if ([...select.options].some((option) => option.value === chosen)) select.value = chosen;
}

/** Speech that is played while it comes; `ended` resolves with all of its bytes. */
export async function speak(body, signal, heard) {
  const start = performance.now();
  const answer = await request("/v1/audio/speech", { json: { ...body, response_format: "wav" }, signal });
  const context = new AudioContext();
  const reader = answer.body.getReader();
  const pieces = [];
  let rest = new Uint8Array(0), rate = 0, at = 0, first = 0;
  signal.addEventListener("abort", () => context.close().catch(() => {}));
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value);
    let data = new Uint8Array(rest.length + value.length);
    data.set(rest);
    data.set(value, rest.length);
    if (!rate) {
      if (data.length < 44) { rest = data; continue; }
      rate = new DataView(data.buffer).getUint32(24, true);
      data = data.slice(44);
    }
    const size = data.length >> 1;
    rest = data.slice(2 * size);
    if (!size) continue;
    const samples = new Int16Array(data.buffer.slice(0, 2 * size));
    const buffer = context.createBuffer(1, size, rate);
    buffer.getChannelData(0).set(Float32Array.from(samples, (x) => x / 32768));
    const node = context.createBufferSource();
    node.buffer = buffer;
    node.connect(context.destination);
    if (!first) { first = performance.now() - start; heard(first); }
    at = Math.max(at, context.currentTime + 0.05);
    node.start(at);
    at += size / rate;
  }
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
  const left = Math.max(0, at - context.currentTime);
  return { file: new Blob([sized(bytes)], { type: "audio/wav" }), seconds: (bytes.length - 44) / 2 / rate, first, total: (performance.now() - start) / 1000, context, left };
}

export async function start(root, { open }) {
  const area = h("textarea", { rows: "6", placeholder: t("sayPlaceholder"), spellcheck: "true" });
  const voice = h("select", {}, h("option", { value: "default" }, t("defaultVoice")));
  const speed = h("select", {}, ["0.75", "0.9", "1", "1.1", "1.25", "1.5"].map((value) => h("option", { value, selected: value === "1" }, `${value} ×`)));
  const take = h("input", { type: "number", min: "0", step: "1", value: "0", inputmode: "numeric" });
  const now = h("div");
  const made = h("div", { class: "results" }, h("p", { class: "muted" }, t("sayNone")));
  let running = null;

  async function say() {
    const input = area.value.trim();
    if (!input) { now.replaceChildren(errorBox(new Error(t("sayEmpty")))); area.focus(); return; }
    running?.abort();
    const stop = new AbortController();
    running = stop;
    const busy = new Busy(t("saying"), () => stop.abort());
    now.replaceChildren(busy.element);
    try {
      const { data } = await getJson("/v1/models");
      const said = await speak({ model: data[0].id, input, voice: voice.value, speed: Number(speed.value), seed: Number(take.value) || 0 }, stop.signal, () => {});
      setTimeout(() => said.context.close().catch(() => {}), 1000 * said.left + 500);
      show(input, said);
      now.replaceChildren();
    } catch (error) {
      now.replaceChildren(...(error.name === "AbortError" ? [] : [errorBox(error, button(t("tryAgain"), say))]));
    } finally {
      busy.end();
    }
  }

  function show(text, said) {
    const url = URL.createObjectURL(said.file);
    if (made.querySelector("p.muted")?.parentElement === made) made.replaceChildren();
    made.prepend(h("article", { class: "card result" },
      h("p", {}, text.length > 240 ? `${text.slice(0, 239)}…` : text),
      h("audio", { controls: true, src: url, preload: "metadata", "aria-label": text.slice(0, 80) }),
      h("p", { class: "muted" }, t("firstSound", { ms: Math.round(said.first), s: said.seconds.toFixed(1), total: said.total.toFixed(1) })),
      h("div", { class: "row" },
        button(t("editThis"), () => open("edit", new File([said.file], "said.wav", { type: "audio/wav" }), text.replace(/\[pause [^\]]*\]|<[^>]*>/g, " ").replace(/\s+/g, " ").trim())),
        button(t("download"), () => keep(said.file, "said.wav"), { sign: "save" }))));
    while (made.children.length > 20) made.lastChild.remove();
  }

  const pause = () => {
    const at = area.selectionEnd;
    area.setRangeText(" [pause 0.5s] ", at, at, "end");
    area.focus();
  };

  area.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); say(); } });
  root.replaceChildren(h("div", { class: "desk" },
    h("div", { class: "column" }, h("section", { class: "card" },
      h("h1", {}, t("sayTitle")), field(t("sayText"), area),
      h("div", { class: "fields" }, field(t("voice"), voice), field(t("speed"), speed), field(t("take"), take, "")),
      h("p", { class: "hint" }, t("takeHint")),
      h("div", { class: "row" }, button(t("pauseButton"), pause, { kind: "small" }), h("span", { class: "hint" }, t("pauseHint"))),
      h("div", { class: "row" }, button(t("say"), say, { sign: "play", kind: "main" })), now)),
    h("div", { class: "column side" }, h("h2", { class: "hidden-text" }, t("said")), made)));
  const refresh = () => voiceOptions(voice).catch((error) => now.replaceChildren(errorBox(error, button(t("tryAgain"), refresh))));
  return { enter: refresh };
}
